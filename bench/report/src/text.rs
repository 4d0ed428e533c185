//! The report for a terminal. Pure: width and colour are given.

use brimful_judge::cause::{ProofLine, words};
use brimful_judge::cure::Cure;
use brimful_judge::report::Report;
use brimful_judge::verdict::Verdict;
use brimful_judge::wording::time;

use super::table::table;
use super::told::{self, Told};
use crate::page::Page;

mod effects;
mod tuning;

/// How it shall look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Columns of the terminal; narrower than 60 is treated as 60.
    pub width: u16,
    /// Whether to colour outcomes and set headings bold.
    pub color: bool,
}

/// The whole report: question, answer, table, what made a difference, and for each cause what shows it and what to change.
#[must_use]
pub fn render(report: &Report, look: Look) -> String {
    let mut page = Page::new(look);
    page.heading(&report.scenario.question);
    page.gap();
    for line in &report.headline {
        page.wrapped(line, 0, 0);
    }
    if !report.cells.is_empty() {
        page.gap();
        page.raw(&table(report, page.look()));
    }
    page.differences(report);
    page.effects(report);
    page.ranking(report);
    page.list("Smallest change in this run that cures", &told::smallest_cures(report));
    page.recommended(report);
    page.list("What was changed while it ran", &told::changes(report));
    page.restarts(&told::restarts(report));
    page.list("What breaks the loop", &told::breakers(report));
    page.list("Predicted before the run, and measured", &told::predictions(report));
    for told in told::causes(&report.cells) {
        page.cause(&told);
    }
    page.list("What the connections did", &told::talk(report));
    page.list("Notes", &told::notes(report));
    page.out
}

impl Page {
    /// Lines below a heading; neither where there is no line.
    fn list(&mut self, heading: &str, lines: &[String]) {
        if lines.is_empty() {
            return;
        }
        self.gap();
        self.heading(heading);
        for line in lines {
            self.wrapped(line, 2, 4);
        }
    }

    fn restarts(&mut self, cells: &[(String, Vec<String>)]) {
        if cells.is_empty() {
            return;
        }
        self.gap();
        self.heading("Restarts by the kubelet (= well, x failing, - not asked yet, . not there)");
        for (cell, lines) in cells {
            self.wrapped(cell, 2, 4);
            lines.iter().for_each(|line| self.wrapped(line, 4, 6));
        }
    }

    fn differences(&mut self, report: &Report) {
        let effects = told::differences(report);
        if effects.is_empty() {
            return;
        }
        self.gap();
        self.heading("What made a difference");
        let widest = effects.iter().map(|(knob, _)| knob.chars().count()).max().unwrap_or(0);
        for (knob, words) in effects {
            self.wrapped_after(&format!("  {knob:widest$}  "), &words);
        }
    }

    fn cause(&mut self, told: &Told<'_>) {
        let Told { first, .. } = told;
        self.gap();
        self.heading(&format!("{}: {}", told.name(), words(told.cause)));
        self.wrapped(&format!("seen in {}{}", first.id, told.also()), 2, 4);
        for line in &first.verdict.proof {
            self.proof(line);
        }
        if told.first_of_its_cause {
            self.ruled_out(&first.verdict);
        }
        self.undecided(&first.verdict);
        if let Some(cure) = &first.verdict.cure {
            self.cure(cure);
        }
    }

    fn proof(&mut self, line: &ProofLine) {
        let at = line.at_ns.map(time).unwrap_or_default();
        self.wrapped_after(&format!("  {at:>7}  "), &format!("{}: {}", line.source, line.value));
        self.wrapped(&line.text, 11, 11);
    }

    fn ruled_out(&mut self, verdict: &Verdict) {
        if verdict.ruled_out.is_empty() {
            return;
        }
        self.wrapped("ruled out", 2, 2);
        for (causes, line) in told::ruled_out(verdict) {
            self.labelled(&causes, &line);
        }
    }

    fn undecided(&mut self, verdict: &Verdict) {
        if verdict.undecided.is_empty() {
            return;
        }
        self.wrapped("not decided", 2, 2);
        for open in told::undecided(verdict) {
            self.labelled(&open.name, open.why);
            for item in open.collect {
                self.wrapped_after(&format!("    {:<16}  collect: ", ""), item);
            }
        }
    }

    /// Words beside a name, or below it where it is too long for its column.
    fn labelled(&mut self, name: &str, text: &str) {
        if name.chars().count() <= 16 {
            self.wrapped_after(&format!("    {name:<16}  "), text);
        } else {
            self.wrapped(name, 4, 6);
            self.wrapped(text, 22, 22);
        }
    }

    fn cure(&mut self, cure: &Cure) {
        self.wrapped("what to change", 2, 2);
        self.wrapped(&told::change(cure), 4, 4);
        self.wrapped(&cure.because, 4, 4);
        for place in &cure.places {
            self.pasted(&told::place(place), &place.text);
        }
    }

    /// A text to paste and where; it is not broken.
    fn pasted(&mut self, place: &str, text: &str) {
        self.wrapped(&format!("{place}:"), 4, 6);
        for line in text.lines() {
            self.raw(&format!("      {line}"));
        }
    }
}
