//! What a reader must know about a knee besides its numbers, in sentences; the same in every form. Pure.

use brimful_judge::cause::words;
use brimful_judge::knee::{CellKnee, KneeReport};
use brimful_judge::wording::{count, counted, listed};
use brimful_plan::expect::CauseName;
use brimful_plan::knee::Unsteady;

/// The answer in a sentence or two.
pub(super) fn headline(report: &KneeReport) -> Vec<String> {
    let mut lines = match report.cells.as_slice() {
        [] => vec!["No cell was tried.".to_owned()],
        [one] => vec![sentence(one)],
        many => {
            let found = many.iter().filter(|cell| cell.knee.healthy_to.is_some() && cell.knee.unhealthy_from.is_some());
            let (found, all) = (found.count(), counted(many.len() as u64, "cell"));
            let have = if found == 1 { "has" } else { "have" };
            vec![format!(
                "{found} of {all} {have} a knee in the range that was tried, to within {} where no note says otherwise.",
                report.within
            )]
        }
    };
    if report.interrupted {
        lines.push("The search was broken off by a signal; what is here is partial.".to_owned());
    }
    lines
}

/// The knee of a cell as one would say it.
#[must_use]
pub fn sentence(cell: &CellKnee) -> String {
    let knee = &cell.knee;
    match (knee.healthy_to, knee.unhealthy_from, knee.void_from) {
        (Some(low), Some(top), _) => {
            let why = cause(cell).map_or_else(String::new, |name| format!(" ({name})"));
            format!("Up to {} no probe fails; at {} it does{why}.", cell.load_in_words(low), cell.load(top))
        }
        (Some(low), None, Some(void)) => {
            format!("Up to {} no probe fails; the generator ends at {}.", cell.load_in_words(low), cell.load(void))
        }
        (Some(low), None, None) => format!("Up to {} no probe fails.", cell.load_in_words(low)),
        (None, Some(0), _) => "The health check fails without any load.".to_owned(),
        (None, Some(top), _) => format!("At {} a probe fails; less was not tried.", cell.load_in_words(top)),
        (None, None, Some(void)) => format!("The generator ends at {}: nothing is known.", cell.load_in_words(void)),
        (None, None, None) => "Nothing is known.".to_owned(),
    }
}

/// What widens or limits the answer of a cell.
pub(super) fn notes(cell: &CellKnee) -> Vec<String> {
    let knee = &cell.knee;
    let mut notes: Vec<String> = cell.ended_because.iter().map(|why| format!("the search ended: {why}")).collect();
    if !knee.unsteady.is_empty() {
        let odd: Vec<String> = knee.unsteady.iter().map(|odd| unsteady(cell, *odd)).collect();
        notes.push(format!("the answers do not agree: {}; the interval holds them all", listed(&odd)));
    }
    if !knee.settled && cell.ended_because.is_none() {
        let tries = counted(cell.tries.len() as u64, "time");
        notes.push(format!("not as near as asked: it was tried {tries}"));
    }
    if let (Some(low), None, Some(void)) = (knee.healthy_to, knee.unhealthy_from, knee.void_from) {
        let (low, void) = (cell.load(low), cell.load(void));
        notes.push(format!("the generator ends at {void}, so the knee is at {low} or above"));
    } else if knee.healthy_to == Some(cell.highest) && knee.unhealthy_from.is_none() {
        notes.push(format!("{} was the most that was tried; raise it with --max", cell.load(cell.highest)));
    }
    if knee.unhealthy_from == Some(0) {
        notes.push("the health check fails without any load, so there is no knee".to_owned());
    }
    notes
}

fn unsteady(cell: &CellKnee, odd: Unsteady) -> String {
    let tries = odd.healthy + odd.unhealthy;
    format!(
        "{} of {} at {} failed",
        odd.unhealthy,
        counted(u64::from(tries), "try").replace("trys", "tries"),
        cell.load(odd.load)
    )
}

/// Why it breaks.
pub(super) fn cause(cell: &CellKnee) -> Option<CauseName> {
    cell.breaks.as_ref().and_then(|broke| broke.verdict.cause)
}

/// Each cause once, in words.
pub(super) fn causes(report: &KneeReport) -> Vec<(CauseName, &'static str)> {
    let mut names: Vec<CauseName> = report.cells.iter().filter_map(cause).collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(|name| (name, words(name))).collect()
}

/// The knee for a table: `1,010`, `≥ 2,000`, `none`.
pub(super) fn knee(cell: &CellKnee) -> String {
    match (cell.knee.healthy_to, cell.knee.unhealthy_from) {
        (Some(low), Some(_)) => cell.load(low),
        (Some(low), None) => format!("≥ {}", cell.load(low)),
        (None, Some(0)) => "none".to_owned(),
        (None, Some(top)) => format!("< {}", cell.load(top)),
        (None, None) => "?".to_owned(),
    }
}

/// Where it breaks, for a table.
pub(super) fn breaks_at(cell: &CellKnee) -> String {
    let star = if cell.knee.unsteady.is_empty() { "" } else { "*" };
    cell.knee.unhealthy_from.map_or_else(String::new, |top| format!("{}{star}", cell.load(top)))
}

/// What was foretold, for a table: the load and the limit that ends it.
pub(super) fn foretold(cell: &CellKnee) -> String {
    let Some(foretold) = &cell.foretold else { return "no limit".to_owned() };
    let load = foretold.healthy_to.map_or_else(|| "none".to_owned(), |load| cell.load(load));
    format!("{load} {}", foretold.limit.kind)
}

/// Measured over foretold, to a hundredth.
pub(super) fn ratio(cell: &CellKnee) -> String {
    cell.ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"))
}

/// The tries of all cells together.
pub(super) fn tries(report: &KneeReport) -> String {
    count(report.cells.iter().map(|cell| cell.tries.len() as u64).sum())
}

/// A knob that differs between the cells, with its values as they were given.
pub(super) struct Varying<'a> {
    pub(super) name: &'a str,
    pub(super) values: Vec<String>,
}

/// The knobs whose values differ between cells.
pub(super) fn varying(report: &KneeReport) -> Vec<Varying<'_>> {
    let Some(first) = report.cells.first() else { return Vec::new() };
    let value = |cell: &CellKnee, name: &str| {
        cell.knobs.get(name).map_or_else(String::new, |knob| match &knob.given {
            Some(given) if *given == knob.asked => given.to_string(),
            Some(given) => format!("{given}*"),
            None => format!("{}?", knob.asked),
        })
    };
    let all = first.knobs.keys().map(|name| {
        let values: Vec<String> = report.cells.iter().map(|cell| value(cell, name)).collect();
        Varying { name, values }
    });
    all.filter(|knob| knob.values.iter().any(|value| Some(value) != knob.values.first())).collect()
}
