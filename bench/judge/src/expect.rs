//! Whether a run found what its scenario holds to be true. Pure.

use brimful_evidence::record::KnobReading;
use brimful_plan::expect::{CauseName, CellOutcome, Expectation};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::report::{CellReport, Report};
use crate::wording::listed;

/// One thing that was expected and not found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mismatch {
    /// The cell's id; `None` for an expectation that fits no cell.
    pub cell: Option<String>,
    /// What was expected, in words.
    pub expected: String,
    /// What was found, in words.
    pub got: String,
}

/// Checks every expectation against every cell it speaks of. A cell that was not run is a mismatch, and so is an expectation that fits no cell.
#[must_use]
pub fn check(expectations: &[Expectation], report: &Report) -> Vec<Mismatch> {
    let mut mismatches = Vec::new();
    for expectation in expectations {
        let mut fits = 0;
        for cell in report.cells.iter().filter(|c| speaks_of(expectation, &c.knobs)) {
            fits += 1;
            mismatches.extend(compare(expectation, cell));
        }
        for missing in report.missing.iter().filter(|m| speaks_of(expectation, &m.knobs)) {
            fits += 1;
            let blocks: Vec<String> = missing.blocks.iter().map(u32::to_string).collect();
            mismatches.push(Mismatch {
                cell: Some(missing.id.clone()),
                expected: "to be run".into(),
                got: format!("no record of block {}", listed(&blocks)),
            });
        }
        if fits == 0 {
            mismatches.push(Mismatch {
                cell: None,
                expected: format!("a cell with {}", when(expectation)),
                got: "none".into(),
            });
        }
    }
    mismatches
}

pub(crate) fn speaks_of(expectation: &Expectation, knobs: &IndexMap<String, KnobReading>) -> bool {
    expectation.speaks_of(|name| knobs.get(name).map(|knob| &knob.asked))
}

fn compare(expectation: &Expectation, cell: &CellReport) -> Vec<Mismatch> {
    let mut found = Vec::new();
    let mut mismatch = |expected: String, got: String| {
        found.push(Mismatch { cell: Some(cell.id.clone()), expected, got });
    };
    if !expectation.outcome.is_empty() && !expectation.outcome.contains(&cell.outcome) {
        let names: Vec<String> = expectation.outcome.iter().map(ToString::to_string).collect();
        let got =
            cell.verdict.cause.map_or_else(|| cell.outcome.to_string(), |cause| format!("{} ({cause})", cell.outcome));
        mismatch(format!("outcome {}", names.join(" or ")), got);
    }
    if let Some(cause) = expectation.cause.filter(|&cause| cell.verdict.cause != Some(cause)) {
        mismatch(format!("cause {cause}"), named(cell.verdict.cause));
    }
    if let Some(why) = expectation.why.filter(|&why| cell.verdict.why != Some(why)) {
        mismatch(format!("why {why}"), cell.verdict.why.map_or_else(|| "none given".into(), |w| w.to_string()));
    }
    in_time(expectation, cell, &mut mismatch);
    let claimed = |cause: CauseName| {
        cell.verdict.cause == Some(cause) || cell.blocks.iter().any(|b| b.verdict.cause == Some(cause))
    };
    for &cause in expectation.must_not_claim.iter().filter(|&&cause| claimed(cause)) {
        mismatch(format!("not to claim {cause}"), format!("{cause} claimed"));
    }
    found
}

/// What is expected of changes and restarts, in every block that is not void.
fn in_time(expectation: &Expectation, cell: &CellReport, mismatch: &mut impl FnMut(String, String)) {
    let sound = cell.blocks.iter().filter(|block| block.outcome != CellOutcome::Void);
    for (block, verdict) in sound.map(|block| (block.block, &block.verdict)) {
        let first = verdict.changes.first();
        if let Some(took) = expectation.took.filter(|&took| first.and_then(|effect| effect.took) != Some(took)) {
            let got = first.map_or("no change was made".into(), |effect| match effect.took {
                Some(took) => took.to_string(),
                None => effect.words.clone(),
            });
            mismatch(format!("took {took}"), format!("{got} (block {block})"));
        }
        let restarts = verdict.restarts.as_ref();
        if let Some(wanted) = expectation.restarts.filter(|wanted| !restarts.is_some_and(|r| wanted.holds(r.restarts)))
        {
            let got = restarts.map_or_else(|| "none was counted".into(), |r| r.restarts.to_string());
            mismatch(format!("restarts {wanted}"), format!("{got} (block {block})"));
        }
        if let Some(wanted) = expectation.settles.filter(|&wanted| restarts.and_then(|r| r.settles) != Some(wanted)) {
            let got = restarts.map_or_else(|| "nobody restarts it".into(), |r| r.because.clone());
            mismatch(format!("settles {wanted}"), format!("{got} (block {block})"));
        }
    }
}

fn named(cause: Option<CauseName>) -> String {
    cause.map_or_else(|| "no cause, the cell is healthy".into(), |cause| cause.to_string())
}

fn when(expectation: &Expectation) -> String {
    let parts: Vec<String> = expectation.when.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    if parts.is_empty() { "any knobs".into() } else { parts.join(", ") }
}
