//! What a report has to tell, in words and in order, whatever form it takes. Pure.

use std::collections::BTreeMap;

use brimful_judge::cause::ProofLine;
use brimful_judge::cure::{Cure, Place, PlaceKind, felt};
use brimful_judge::knobs::KnobChange;
use brimful_judge::notes::NOT_READ_WITH_COOKIES;
use brimful_judge::report::{CellReport, Report, talk};
use brimful_judge::tuning::{Paste, Ranked, Tuning};
use brimful_judge::verdict::{Undecided, Verdict};
use brimful_judge::wording::{counted, listed};
use brimful_judge::{breakers, changes, restarts};
use brimful_plan::expect::{CauseName, CellOutcome, Why};
use brimful_plan::knob::lookup;
use indexmap::IndexMap;

/// Classes of the ranking that are told; further ones are in `report.json`.
const CLASSES: usize = 5;
/// Cells of a class that are named.
const NAMED: usize = 2;

/// The cells of one cause and reason, told by the first of them.
pub(crate) struct Told<'a> {
    pub(crate) cause: CauseName,
    pub(crate) why: Option<Why>,
    /// In the scenario's order, at least one.
    pub(crate) first: &'a CellReport,
    /// How many more there are.
    pub(crate) others: u64,
    /// What is ruled out is the same for another reason within the same cause, and is said once.
    pub(crate) first_of_its_cause: bool,
}

/// What could not be told apart.
pub(crate) struct Open<'a> {
    /// The cause's name, or `something else`.
    pub(crate) name: String,
    pub(crate) why: &'a str,
    /// What would tell; empty where the verdict has a name all the same.
    pub(crate) collect: &'a [String],
}

impl Told<'_> {
    /// `fd-limit`, `accept-queue (app-backlog)`.
    pub(crate) fn name(&self) -> String {
        let why = self.why.map(|why| format!(" ({why})")).unwrap_or_default();
        format!("{}{why}", self.cause)
    }

    /// `, as in 3 other cells`; empty where there is no other.
    pub(crate) fn also(&self) -> String {
        match self.others {
            0 => String::new(),
            n => format!(", as in {}", counted(n, "other cell")),
        }
    }
}

/// Every cause and reason of a run, in the order in which they first occur.
pub(crate) fn causes(cells: &[CellReport]) -> Vec<Told<'_>> {
    let mut told: Vec<Told<'_>> = Vec::new();
    for cell in cells {
        let Some(cause) = cell.verdict.cause else { continue };
        let why = cell.verdict.why;
        match told.iter_mut().find(|t| (t.cause, t.why) == (cause, why)) {
            Some(t) => t.others += 1,
            None => {
                let first_of_its_cause = told.iter().all(|t| t.cause != cause);
                told.push(Told { cause, why, first: cell, others: 0, first_of_its_cause });
            }
        }
    }
    told
}

/// Each knob that varies, and what it made of the run.
pub(crate) fn differences(report: &Report) -> Vec<(&str, String)> {
    let varied = report.knob_effects.iter().filter(|e| e.pairs + e.given_alike > 0);
    varied.map(|e| (e.knob.as_str(), e.words() + &not_read(report, &e.knob))).collect()
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

/// The smallest changes that cure, those that do for most cells first; empty for a run of one cell or without a sick one, and where the
/// only way is the one that is recommended.
pub(crate) fn smallest_cures(report: &Report) -> Vec<String> {
    if report.smallest_cures.is_empty() || report.cells.len() < 2 {
        return Vec::new();
    }
    let sick = counted(report.smallest_cures.len() as u64, "cell");
    let mut ways: BTreeMap<String, usize> = BTreeMap::new();
    for way in report.smallest_cures.iter().flat_map(|c| &c.cures) {
        *ways.entry(way.words()).or_insert(0) += 1;
    }
    let mut ways: Vec<(String, usize)> = ways.into_iter().collect();
    ways.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let mut lines: Vec<String> = ways.into_iter().map(|(way, n)| format!("{way}: for {n} of {sick}")).collect();
    let hopeless = report.smallest_cures.iter().filter(|c| c.cures.is_empty()).count();
    if hopeless > 0 {
        lines.push(format!("none for {hopeless} of {sick}: no change in this run leads to a healthy one"));
    }
    if lines.len() == 1 && (report.recommended.is_some() || report.nothing_recommended.is_some()) {
        lines.clear();
    }
    lines
}

/// The best classes of the ranking, as a heading and a line for each rank; `None` unless three cells or more are as good in outcome as
/// the best and yet do not tie, because the table of cells says the rest.
pub(crate) fn ranking(report: &Report) -> Option<(&'static str, Vec<(u64, String)>)> {
    let outcome = |ranked: &Ranked| report.cells.iter().find(|c| c.id == ranked.cell).map(|c| c.outcome);
    let best = report.ranking.first().and_then(outcome);
    let as_good: Vec<&Ranked> = report.ranking.iter().filter(|ranked| outcome(ranked) == best).collect();
    let classes: Vec<&[&Ranked]> = as_good.chunk_by(|a, b| a.rank == b.rank).collect();
    if as_good.len() < 3 || classes.len() < 2 {
        return None;
    }
    let line = |class: &[&Ranked]| {
        let first = class.first()?;
        let mut ids: Vec<String> = class.iter().take(NAMED).map(|ranked| ranked.cell.clone()).collect();
        if class.len() > NAMED {
            ids.push(format!("{} more", class.len() - NAMED));
        }
        let behind = first.behind_by.filter(|_| first.rank > 1);
        let behind = behind.map(|by| format!(" (behind by {})", by.words())).unwrap_or_default();
        Some((first.rank, format!("{}{behind}", listed(&ids))))
    };
    let heading =
        if best == Some(CellOutcome::Healthy) { "Healthy cells, best first" } else { "Cells, the least bad first" };
    Some((heading, classes.into_iter().take(CLASSES).filter_map(line).collect()))
}

/// A knob of the recommended tuning: `ulimit.nofile from 1024 to 20000; takes effect when the process starts again`.
pub(crate) fn tuned(change: &KnobChange) -> String {
    let KnobChange { knob, from, to } = change;
    let row = lookup(knob);
    let usual = if row.is_some_and(|row| row.is_usual(to)) { ", the usual value" } else { "" };
    let felt = row.map(|row| format!("; {}", felt(row.takes_effect))).unwrap_or_default();
    format!("{knob} from {from} to {to}{usual}{felt}")
}

/// What to know of the recommended tuning, with a label each.
pub(crate) fn advice(tuning: &Tuning) -> Vec<(&'static str, String)> {
    let mut lines = vec![("why", tuning.because.clone()), ("costs", tuning.costs.words())];
    if !tuning.leave.is_empty() {
        lines.push(("leave", format!("{}: no difference", listed(&tuning.leave))));
    }
    lines
}

/// Where to paste a part of it.
pub(crate) fn paste(paste: &Paste) -> String {
    let note = paste.note.map(|note| format!(" ({})", note.words())).unwrap_or_default();
    format!("{}{note}", paste.title)
}

/// What was predicted before the run and where it was met: one line for cells that say the same.
pub(crate) fn predictions(report: &Report) -> Vec<String> {
    let words = report.cells.iter().filter_map(|cell| cell.prediction.as_ref()).map(|foretold| foretold.words());
    tallied(words).into_iter().map(|(words, n)| format!("{words}, in {}", counted(n, "cell"))).collect()
}

/// What the connections did besides being held, one line for each cell in which they did something.
pub(crate) fn talk(report: &Report) -> Vec<String> {
    report.cells.iter().filter_map(|cell| Some(format!("{}: {}", cell.id, talk::words(&cell.load)?))).collect()
}

/// What each change came to that was made while cells ran.
pub(crate) fn changes(report: &Report) -> Vec<String> {
    let of = |cell: &CellReport| {
        let id = cell.id.clone();
        cell.verdict.changes.iter().map(move |effect| format!("{id}: {}", changes::line(effect))).collect::<Vec<_>>()
    };
    report.cells.iter().flat_map(of).collect()
}

/// What the kubelet's restarts came to: for each cell its name, and its lines; then what breaks the loop.
pub(crate) fn restarts(report: &Report) -> Vec<(String, Vec<String>)> {
    let of = |cell: &CellReport| Some((cell.id.clone(), restarts::lines(cell.verdict.restarts.as_ref()?)));
    report.cells.iter().filter_map(of).collect()
}

/// What breaks a restart loop.
pub(crate) fn breakers(report: &Report) -> Vec<String> {
    report.breaks_the_loop.iter().map(breakers::line).collect()
}

/// What is ruled out, the causes that the same line excludes together: their names, and the line.
pub(crate) fn ruled_out(verdict: &Verdict) -> Vec<(String, String)> {
    let mut lines: Vec<(&ProofLine, Vec<String>)> = Vec::new();
    for out in &verdict.ruled_out {
        match lines.iter_mut().find(|(line, _)| *line == &out.line) {
            Some((_, causes)) => causes.push(out.cause.to_string()),
            None => lines.push((&out.line, vec![out.cause.to_string()])),
        }
    }
    let words = |line: &ProofLine| {
        let value = if line.value.is_empty() { line.source.clone() } else { format!("{} {}", line.source, line.value) };
        format!("{} ({value})", line.text)
    };
    lines.into_iter().map(|(line, causes)| (listed(&causes), words(line))).collect()
}

/// What is not decided. What to collect is said only where the verdict has no name.
pub(crate) fn undecided(verdict: &Verdict) -> Vec<Open<'_>> {
    let named = verdict.cause != Some(CauseName::Undetermined);
    let name = |open: &Undecided| match open.cause {
        CauseName::Undetermined => "something else".to_owned(),
        cause => cause.to_string(),
    };
    let all = verdict.undecided.iter();
    all.map(|u| Open { name: name(u), why: &u.why, collect: if named { &[] } else { &u.collect } }).collect()
}

/// What to change and when that is felt: `target.backlog = 4096, and … ; takes effect at …`.
pub(crate) fn change(cure: &Cure) -> String {
    let mut what = cure.settings();
    // What is changed in a scenario is felt when that is run again, as everybody expects.
    if cure.places.iter().all(|p| p.place != PlaceKind::Scenario) {
        what = format!("{what}; {}", felt(cure.takes_effect));
    }
    what
}

/// Where to write a cure down: `pod spec (a safe sysctl: any pod may set it)`.
pub(crate) fn place(place: &Place) -> String {
    let note = place.note.map(|note| format!(" ({})", note.words())).unwrap_or_default();
    format!("{}{note}", place.place.words())
}

/// What is to be known of the run, and each note on its cells once, with the number of cells it is about where that is not all of them.
pub(crate) fn notes(report: &Report) -> Vec<String> {
    let notes = report.cells.iter().flat_map(|c| &c.verdict.notes).cloned();
    let cells = report.cells.len() as u64;
    let share = |n| if n == cells { String::new() } else { format!(" ({})", counted(n, "cell")) };
    let of_cells = tallied(notes).into_iter().map(|(note, n)| format!("{note}{}", share(n)));
    report.notes.iter().cloned().chain(of_cells).collect()
}

/// Each line once, in the order of its first occurrence, and how often it occurs.
fn tallied(lines: impl Iterator<Item = String>) -> Vec<(String, u64)> {
    let mut tally: IndexMap<String, u64> = IndexMap::new();
    for line in lines {
        *tally.entry(line).or_insert(0) += 1;
    }
    tally.into_iter().collect()
}
