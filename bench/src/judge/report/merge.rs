//! Several blocks of one cell as one. Pure.

use super::super::verdict::{Undecided, Verdict};
use super::BlockReport;
use crate::plan::expect::{CauseName, CellOutcome};

/// The order in which blocks merge, the worst first. Void comes last: it says nothing, so it never speaks for a cell that has sound blocks.
const WORST_FIRST: [CellOutcome; 4] =
    [CellOutcome::Failing, CellOutcome::Degraded, CellOutcome::Healthy, CellOutcome::Void];

/// The worst outcome of the blocks.
pub(crate) fn outcome(blocks: &[BlockReport]) -> CellOutcome {
    let worst = WORST_FIRST.into_iter().find(|&o| blocks.iter().any(|b| b.outcome == o));
    worst.unwrap_or(CellOutcome::Void)
}

/// The verdict of the first block that is as bad as the cell, its cause kept only if all blocks as bad agree on it.
pub(crate) fn verdict(blocks: &[BlockReport], telling: &BlockReport) -> Verdict {
    let mut verdict = telling.verdict.clone();
    let as_bad: Vec<&BlockReport> = blocks.iter().filter(|b| b.outcome == telling.outcome).collect();
    if as_bad.iter().any(|b| b.verdict.cause != verdict.cause) {
        let named: Vec<String> = as_bad
            .iter()
            .filter_map(|b| b.verdict.cause.map(|cause| format!("{cause} in block {}", b.block)))
            .collect();
        verdict.cause = Some(CauseName::Undetermined);
        verdict.why = None;
        verdict.cure = None;
        verdict.undecided.push(Undecided {
            cause: CauseName::Undetermined,
            why: format!("the blocks do not agree: {}", named.join(", ")),
            collect: vec!["more blocks".into()],
        });
    } else if as_bad.iter().any(|b| b.verdict.why != verdict.why) {
        verdict.why = None;
    }
    verdict.notes.extend(split(blocks, telling.outcome));
    verdict
}

/// How the blocks split, where they do.
fn split(blocks: &[BlockReport], told: CellOutcome) -> Option<String> {
    let others: Vec<String> = WORST_FIRST
        .into_iter()
        .filter(|&o| o != told)
        .filter_map(|o| {
            let n = blocks.iter().filter(|b| b.outcome == o).count();
            (n > 0).then(|| format!("{n} {o}"))
        })
        .collect();
    let same = blocks.iter().filter(|b| b.outcome == told).count();
    (!others.is_empty()).then(|| {
        format!(
            "of {} blocks {same} {told}, {}; void blocks are left out of the numbers",
            blocks.len(),
            others.join(", ")
        )
    })
}
