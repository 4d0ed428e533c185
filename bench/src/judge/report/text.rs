//! The report for a terminal. Pure: width and colour are given.

use std::collections::BTreeMap;

use super::super::cause::{ProofLine, words};
use super::super::cure::{Cure, Place, PlaceKind, felt};
use super::super::notes::NOT_READ_WITH_COOKIES;
use super::super::page::Page;
use super::super::verdict::Verdict;
use super::super::words::{counted, listed, time};
use super::table::table;
use super::{CellReport, Report};
use crate::plan::expect::{CauseName, Why};

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
    page.smallest_cures(report);
    page.recommended(report);
    page.predictions(report);
    for told in distinct(&report.cells) {
        page.cause(&told);
    }
    page.notes(report);
    page.out
}

/// The cells of one cause and reason, told by the first of them.
struct Told<'a> {
    cause: CauseName,
    why: Option<Why>,
    cells: Vec<&'a CellReport>,
    /// What is ruled out is the same for another reason within the same cause, and is said once.
    first_of_its_cause: bool,
}

fn distinct(cells: &[CellReport]) -> Vec<Told<'_>> {
    let mut told: Vec<Told<'_>> = Vec::new();
    for cell in cells {
        let Some(cause) = cell.verdict.cause else { continue };
        let why = cell.verdict.why;
        match told.iter_mut().find(|t| (t.cause, t.why) == (cause, why)) {
            Some(t) => t.cells.push(cell),
            None => {
                let first_of_its_cause = told.iter().all(|t| t.cause != cause);
                told.push(Told { cause, why, cells: vec![cell], first_of_its_cause });
            }
        }
    }
    told
}

/// Why a knob made no difference, where the kernel does not even read it.
fn not_read(report: &Report, knob: &str) -> String {
    let noted = report.cells.iter().filter(|c| c.verdict.notes.iter().any(|n| n == NOT_READ_WITH_COOKIES)).count();
    match noted {
        n if n == 0 || !knob.ends_with("tcp_max_syn_backlog") => String::new(),
        n if n == report.cells.len() => "; it is not read while cookies are on".to_owned(),
        n => format!("; in {} cookies are on, and it is not read", counted(n as u64, "cell")),
    }
}

impl Page {
    /// What was predicted before the run and where it was met: one line for cells that say the same.
    fn predictions(&mut self, report: &Report) {
        let mut lines: Vec<(String, u64)> = Vec::new();
        for foretold in report.cells.iter().filter_map(|cell| cell.prediction.as_ref()) {
            let words = foretold.words();
            match lines.iter_mut().find(|(line, _)| *line == words) {
                Some((_, cells)) => *cells += 1,
                None => lines.push((words, 1)),
            }
        }
        if lines.is_empty() {
            return;
        }
        self.gap();
        self.heading("Predicted before the run, and measured");
        for (words, cells) in lines {
            self.wrapped(&format!("{words}, in {}", counted(cells, "cell")), 2, 4);
        }
    }

    fn differences(&mut self, report: &Report) {
        let effects: Vec<_> = report.knob_effects.iter().filter(|e| e.pairs + e.given_alike > 0).collect();
        if effects.is_empty() {
            return;
        }
        self.gap();
        self.heading("What made a difference");
        let widest = effects.iter().map(|e| e.knob.chars().count()).max().unwrap_or(0);
        for effect in effects {
            let words = effect.words() + &not_read(report, &effect.knob);
            self.wrapped_after(&format!("  {:widest$}  ", effect.knob), &words);
        }
    }

    fn smallest_cures(&mut self, report: &Report) {
        let sick = report.smallest_cures.len();
        if sick == 0 || report.cells.len() < 2 {
            return;
        }
        let mut ways: BTreeMap<String, usize> = BTreeMap::new();
        for way in report.smallest_cures.iter().flat_map(|c| &c.cures) {
            *ways.entry(way.words()).or_insert(0) += 1;
        }
        let hopeless = report.smallest_cures.iter().filter(|c| c.cures.is_empty()).count();
        // One way that is recommended, or none at all, is told of below.
        if ways.len() + hopeless.min(1) < 2 && report.recommended.is_some() || ways.is_empty() {
            return;
        }
        self.gap();
        self.heading("Smallest change in this run that cures");
        let mut ways: Vec<(String, usize)> = ways.into_iter().collect();
        ways.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        for (way, n) in ways {
            self.wrapped(&format!("{way}: for {n} of {}", counted(sick as u64, "cell")), 2, 4);
        }
        if hopeless > 0 {
            self.wrapped(
                &format!(
                    "none for {hopeless} of {}: no other cell of this run is healthy",
                    counted(sick as u64, "cell")
                ),
                2,
                4,
            );
        }
    }

    fn cause(&mut self, told: &Told<'_>) {
        let Some(first) = told.cells.first() else { return };
        let why = told.why.map(|why| format!(" ({why})")).unwrap_or_default();
        self.gap();
        self.heading(&format!("{}{why}: {}", told.cause, words(told.cause)));
        let others = match told.cells.len() {
            1 => String::new(),
            n => format!(", as in {}", counted(n as u64 - 1, "other cell")),
        };
        self.wrapped(&format!("seen in {}{others}", first.id), 2, 4);
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

    /// What is ruled out, the causes that the same line excludes together.
    fn ruled_out(&mut self, verdict: &Verdict) {
        if verdict.ruled_out.is_empty() {
            return;
        }
        self.wrapped("ruled out", 2, 2);
        let mut lines: Vec<(&ProofLine, Vec<String>)> = Vec::new();
        for out in &verdict.ruled_out {
            match lines.iter_mut().find(|(line, _)| *line == &out.line) {
                Some((_, causes)) => causes.push(out.cause.to_string()),
                None => lines.push((&out.line, vec![out.cause.to_string()])),
            }
        }
        for (line, causes) in lines {
            let value =
                if line.value.is_empty() { line.source.clone() } else { format!("{} {}", line.source, line.value) };
            self.labelled(&listed(&causes), &format!("{} ({value})", line.text));
        }
    }

    fn undecided(&mut self, verdict: &Verdict) {
        if verdict.undecided.is_empty() {
            return;
        }
        self.wrapped("not decided", 2, 2);
        for open in &verdict.undecided {
            let name = if open.cause == CauseName::Undetermined {
                "something else".to_owned()
            } else {
                open.cause.to_string()
            };
            self.labelled(&name, &open.why);
            let named = verdict.cause != Some(CauseName::Undetermined);
            for item in open.collect.iter().filter(|_| !named) {
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
        let mut what = cure.settings();
        self.wrapped("what to change", 2, 2);
        // What is changed in a scenario is felt when that is run again, as everybody expects.
        if cure.places.iter().all(|p| p.place != PlaceKind::Scenario) {
            what = format!("{what}; {}", felt(cure.takes_effect));
        }
        self.wrapped(&what, 4, 4);
        self.wrapped(&cure.because, 4, 4);
        for place in &cure.places {
            self.place(place);
        }
    }

    fn place(&mut self, place: &Place) {
        let note = place.note.map(|note| format!(" ({})", note.words())).unwrap_or_default();
        self.wrapped(&format!("{}{note}:", place.place.words()), 4, 6);
        for line in place.text.lines() {
            self.raw(&format!("      {line}"));
        }
    }

    fn notes(&mut self, report: &Report) {
        let mut notes: Vec<(&str, u64)> = Vec::new();
        for note in report.cells.iter().flat_map(|c| &c.verdict.notes) {
            match notes.iter_mut().find(|(text, _)| text == note) {
                Some((_, n)) => *n += 1,
                None => notes.push((note, 1)),
            }
        }
        if notes.is_empty() && report.notes.is_empty() {
            return;
        }
        self.gap();
        self.heading("Notes");
        for note in &report.notes {
            self.wrapped(note, 2, 4);
        }
        let cells = report.cells.len() as u64;
        for (note, n) in notes {
            let share = if n == cells { String::new() } else { format!(" ({})", counted(n, "cell")) };
            self.wrapped(&format!("{note}{share}"), 2, 4);
        }
    }
}
