//! The order of the cells, where it says more than their table, and the tuning to take. Pure.

use brimful_judge::report::Report;

use super::super::told;
use crate::page::Page;

impl Page {
    /// The best classes of the ranking.
    pub(super) fn ranking(&mut self, report: &Report) {
        let Some((heading, classes)) = told::ranking(report) else { return };
        self.gap();
        self.heading(heading);
        for (rank, words) in classes {
            self.wrapped_after(&format!("  {rank:>3}  "), &words);
        }
    }

    /// The tuning to take with what to paste, or why there is none.
    pub(super) fn recommended(&mut self, report: &Report) {
        if report.recommended.is_none() && report.nothing_recommended.is_none() {
            return;
        }
        self.gap();
        self.heading("Recommended tuning");
        if let Some(reason) = &report.nothing_recommended {
            self.wrapped(&format!("none: {reason}"), 2, 4);
        }
        let Some(tuning) = &report.recommended else { return };
        for change in &tuning.changes {
            self.wrapped(&told::tuned(change), 2, 4);
        }
        for (label, words) in told::advice(tuning) {
            self.wrapped_after(&format!("    {label:<5}  "), &words);
        }
        for paste in &tuning.pastes {
            self.pasted(&told::paste(paste), &paste.text);
        }
    }
}
