//! The order of the cells, where it says more than their table, and the tuning to take. Pure.

use super::super::Report;
use crate::judge::cure::felt;
use crate::judge::knobs::KnobChange;
use crate::judge::page::Page;
use crate::judge::tuning::{Ranked, Tuning};
use crate::judge::words::listed;
use crate::plan::expect::CellOutcome;
use crate::plan::knob::lookup;

/// Classes of the ranking that are shown; further ones are in `report.json`.
const CLASSES: usize = 5;
/// Cells of a class that are named.
const NAMED: usize = 2;

impl Page {
    /// The best classes, where three cells or more are as good in outcome and yet do not tie.
    pub(super) fn ranking(&mut self, report: &Report) {
        let outcome = |ranked: &Ranked| report.cells.iter().find(|c| c.id == ranked.cell).map(|c| c.outcome);
        let best = report.ranking.first().and_then(outcome);
        let as_good: Vec<&Ranked> = report.ranking.iter().filter(|ranked| outcome(ranked) == best).collect();
        let classes: Vec<&[&Ranked]> = as_good.chunk_by(|a, b| a.rank == b.rank).collect();
        if as_good.len() < 3 || classes.len() < 2 {
            return;
        }
        self.gap();
        self.heading(match best {
            Some(CellOutcome::Healthy) => "Healthy cells, best first",
            _ => "Cells, the least bad first",
        });
        for class in classes.iter().take(CLASSES) {
            let Some(first) = class.first() else { continue };
            let mut ids: Vec<String> = class.iter().take(NAMED).map(|ranked| ranked.cell.clone()).collect();
            if class.len() > NAMED {
                ids.push(format!("{} more", class.len() - NAMED));
            }
            let behind = first.behind_by.filter(|_| first.rank > 1);
            let behind = behind.map(|by| format!(" (behind by {})", by.words())).unwrap_or_default();
            self.wrapped_after(&format!("  {:>3}  ", first.rank), &format!("{}{behind}", listed(&ids)));
        }
        if classes.len() > CLASSES {
            self.wrapped("further ones in report.json", 7, 7);
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
        if let Some(tuning) = &report.recommended {
            self.tuning(tuning);
        }
    }

    fn tuning(&mut self, tuning: &Tuning) {
        for change in &tuning.changes {
            let KnobChange { knob, from, to } = change;
            let row = lookup(knob);
            let usual = if row.is_some_and(|row| row.is_usual(to)) { ", the usual value" } else { "" };
            let felt = row.map(|row| format!("; {}", felt(row.takes_effect))).unwrap_or_default();
            self.wrapped(&format!("{knob} from {from} to {to}{usual}{felt}"), 2, 4);
        }
        self.wrapped_after("    why    ", &tuning.because);
        self.wrapped_after("    costs  ", &tuning.costs.words());
        if !tuning.leave.is_empty() {
            self.wrapped_after("    leave  ", &format!("{}: no difference", listed(&tuning.leave)));
        }
        for paste in &tuning.pastes {
            let note = paste.note.map(|note| format!(" ({})", note.words())).unwrap_or_default();
            self.wrapped(&format!("{}{note}:", paste.title), 4, 6);
            for line in paste.text.lines() {
                self.raw(&format!("      {line}"));
            }
        }
    }
}
