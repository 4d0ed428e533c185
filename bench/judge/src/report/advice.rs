//! What to take of a run's tunings, or in words why nothing. Pure.

use brimful_plan::expect::CauseName;

use super::super::tuning::{Recommendation, Tuning};
use super::CellReport;
use crate::wording::listed;

/// The tuning, or the reason for none; neither where no tuning was tried.
pub(crate) fn advice(recommendation: Recommendation, cells: &[CellReport]) -> (Option<Tuning>, Option<String>) {
    match recommendation {
        Recommendation::Take(tuning) => (Some(*tuning), None),
        Recommendation::NotAsked => (None, None),
        Recommendation::AllHealthy { cell } => (
            None,
            Some(format!(
                "nothing needs to change: no cell fails, and of the best {cell} is the nearest to what is usual"
            )),
        ),
        Recommendation::NoneHealthy => (None, Some(none_healthy(cells))),
        Recommendation::NotEverywhere { contexts: true } => {
            (None, Some("no tuning of this run is healthy in every arm and under every load".to_owned()))
        }
        Recommendation::NotEverywhere { contexts: false } => (
            None,
            Some("cells that were given the same values differ in outcome, so none is healthy for sure".to_owned()),
        ),
    }
}

/// No number that was tried helps, so what the evidence points to instead is named.
fn none_healthy(cells: &[CellReport]) -> String {
    let mut cures: Vec<(CauseName, String)> = Vec::new();
    for verdict in cells.iter().map(|cell| &cell.verdict) {
        let (Some(cause), Some(cure)) = (verdict.cause, &verdict.cure) else { continue };
        if cause != CauseName::GeneratorBound && cures.iter().all(|(known, _)| *known != cause) {
            cures.push((cause, cure.settings()));
        }
    }
    let named: Vec<String> = cures.iter().map(|(cause, settings)| format!("for {cause} to {settings}")).collect();
    match named.as_slice() {
        [] => "no cell of this run is healthy, and the evidence names no cure".to_owned(),
        named => format!("no cell of this run is healthy; the evidence points {}", listed(named)),
    }
}
