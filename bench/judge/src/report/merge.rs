//! Several blocks of one cell as one. Pure.

use brimful_loadgen_plan::probe::Summary;
use brimful_plan::expect::{CauseName, CellOutcome};

use super::super::verdict::{Undecided, Verdict};
use super::BlockReport;

/// The order in which blocks merge, the worst first. Void comes last: it says nothing, so it never speaks for a cell that has sound blocks.
const WORST_FIRST: [CellOutcome; 4] =
    [CellOutcome::Failing, CellOutcome::Degraded, CellOutcome::Healthy, CellOutcome::Void];

/// The worst outcome of the blocks.
pub(crate) fn outcome(blocks: &[BlockReport]) -> CellOutcome {
    let worst = WORST_FIRST.into_iter().find(|&o| blocks.iter().any(|b| b.outcome == o));
    worst.unwrap_or(CellOutcome::Void)
}

/// Adds another block's probes. The earliest restart is kept.
pub(crate) fn probes(sum: &mut Summary, other: &Summary) {
    sum.sent += other.sent;
    sum.ok += other.ok;
    sum.failed += other.failed;
    sum.discarded += other.discarded;
    sum.missed_ticks += other.missed_ticks;
    for (&outcome, &n) in &other.outcomes {
        *sum.outcomes.entry(outcome).or_insert(0) += n;
    }
    sum.failure_rate = (sum.sent > 0).then(|| sum.failed as f64 / sum.sent as f64);
    sum.latency.answered.merge(&other.latency.answered);
    sum.latency.censored += other.latency.censored;
    sum.lag.merge(&other.lag);
    sum.would_restart_at_s = earlier(sum.would_restart_at_s, other.would_restart_at_s);
    sum.out_of_service_at_s = earlier(sum.out_of_service_at_s, other.out_of_service_at_s);
}

fn earlier(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
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
        let excluded_by_all = |cause| as_bad.iter().all(|b| b.verdict.ruled_out.iter().any(|out| out.cause == cause));
        verdict.ruled_out.retain(|out| excluded_by_all(out.cause));
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
