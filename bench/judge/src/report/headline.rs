//! The answer of a run in a few sentences. Pure.

mod answer;

use brimful_plan::expect::{CauseName, CellOutcome};

use super::super::cause::words;
use super::super::tuning::Cure;
use super::{CellReport, Report};
use crate::wording::counted;

/// The answer: the smallest change that cures and those that make no difference, what became of the cells and why, what is not there.
pub(crate) fn headline(report: &Report, cure: Option<&Cure>) -> Vec<String> {
    let mut lines: Vec<String> = answer::answer(report, cure).into_iter().collect();
    lines.push(outcomes(&report.cells));
    lines.extend(answer::besides(report, cure));
    if !report.missing.is_empty() {
        lines.push(format!(
            "{} not run to the end: {}.",
            counted(report.missing.len() as u64, "cell"),
            some(report.missing.iter().map(|m| m.id.as_str()))
        ));
    }
    if report.interrupted {
        lines.push("The run was broken off by a signal; what is here is partial.".into());
    }
    lines
}

fn outcomes(cells: &[CellReport]) -> String {
    let n = cells.len();
    if n == 0 {
        return "No cell was run.".into();
    }
    let of = |o: CellOutcome| cells.iter().filter(|c| c.outcome == o).collect::<Vec<_>>();
    let (failing, degraded, void) = (of(CellOutcome::Failing), of(CellOutcome::Degraded), of(CellOutcome::Void));
    if failing.is_empty() && degraded.is_empty() && void.is_empty() {
        return if n == 1 {
            "The cell stays healthy: no probe failed.".into()
        } else {
            format!(
                "{} stay healthy: no probe failed.",
                if n == 2 { "Both cells".into() } else { format!("All {n} cells") }
            )
        };
    }
    let mut parts = Vec::new();
    for (cells, verb) in
        [(&failing, ("fails", "fail")), (&degraded, ("is degraded", "are degraded")), (&void, ("is void", "are void"))]
    {
        if cells.is_empty() {
            continue;
        }
        let who = match (cells.len(), n) {
            (1, 1) => format!("The cell {}", verb.0),
            (2, 2) => format!("Both cells {}", verb.1),
            (k, _) if k == n => format!("All {n} cells {}", verb.1),
            (1, _) => format!("1 of {n} cells {}", verb.0),
            (k, _) => format!("{k} of {n} cells {}", verb.1),
        };
        parts.push(format!("{who}: {}.", causes(cells)));
    }
    parts.join(" ")
}

fn causes(cells: &[&CellReport]) -> String {
    let mut names: Vec<CauseName> = cells.iter().filter_map(|c| c.verdict.cause).collect();
    names.sort_unstable();
    names.dedup();
    let parts: Vec<String> = names
        .iter()
        .map(|&name| {
            let n = cells.iter().filter(|c| c.verdict.cause == Some(name)).count();
            let share = if names.len() > 1 { format!("in {n} ") } else { String::new() };
            format!("{share}{} ({name})", words(name))
        })
        .collect();
    parts.join("; ")
}

fn some<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    let ids: Vec<&str> = ids.collect();
    match ids.as_slice() {
        [a, b, c, _, ..] => format!("{a}, {b}, {c} and {} more", ids.len() - 3),
        few => few.join(", "),
    }
}
