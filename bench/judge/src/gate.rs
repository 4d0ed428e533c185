//! Whether a run keeps what it is held to: tolerances against a baseline, ceilings by itself. Pure.
//!
//! A gate has the last word of a pull request, so nothing here passes for want of something: too few blocks are a refusal, a
//! missing cell fails, a value that cannot be known is inconclusive, and a baseline that tells equals apart is not used.

use brimful_plan::gate::Gate;
use serde::{Deserialize, Serialize};

use super::compare::{Answer, Comparison, Question, Refused, Side, compare};
use super::report::Report;

mod ceiling;

pub use ceiling::CeilingAnswer;

/// The version of the form of a saved [`GateAnswer`]. A reader refuses a higher one.
pub const GATE_VERSION: u32 = 1;

/// The whole answer of a gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateAnswer {
    /// [`GATE_VERSION`] at the time of writing.
    pub gate_version: u32,
    /// `pass`, `fail` or `inconclusive`: the worst of what is below, in that order of merging (`fail` over `inconclusive` over `pass`).
    pub answer: Answer,
    /// The side in question.
    pub head: String,
    /// What it was held to.
    pub rules: Gate,
    /// What it may not pass at all, cell by cell.
    pub ceilings: Vec<CeilingAnswer>,
    /// Cells that were planned and have no record; each fails.
    pub not_run: Vec<String>,
    /// The comparison with the baseline; `null` where only ceilings were asked for.
    pub comparison: Option<Comparison>,
}

/// What two runs are held to where the command line does not say: the `[gate]` of the scenario of the second, or else of the first.
#[must_use]
pub fn rules_of(base: Option<&Report>, head: &Report) -> Gate {
    head.gate.clone().or_else(|| base?.gate.clone()).unwrap_or_default()
}

/// Judges `head` against `base`, and by the ceilings of `rules`.
///
/// # Errors
/// What [`compare`] refuses, and fewer blocks than the family of comparisons takes.
pub fn gate(base: &Side<'_>, head: &Side<'_>, rules: &Gate, question: Question) -> Result<GateAnswer, Refused> {
    let comparison = compare(base, head, rules, question)?;
    let family = &comparison.family;
    if family.comparisons > 0 && comparison.blocks < family.blocks_needed {
        return Err(Refused::TooFewBlocks {
            blocks: comparison.blocks,
            needed: family.blocks_needed,
            cells: family.cells,
            metrics: family.metrics.clone(),
        });
    }
    Ok(whole(head, rules, ceiling::ceilings(head, rules)?, Some(comparison)))
}

/// Judges `head` by the ceilings of `rules` alone, with any number of blocks and without a baseline.
///
/// # Errors
/// When there is no ceiling, when there is no cell, and when `rules` chooses none.
pub fn ceilings_only(head: &Side<'_>, rules: &Gate) -> Result<GateAnswer, Refused> {
    if rules.ceiling.is_empty() {
        return Err(Refused::NoCeiling);
    }
    Ok(whole(head, rules, ceiling::ceilings(head, rules)?, None))
}

/// Whether a baseline may be used, by the answer of its own A/A.
///
/// # Errors
/// [`Refused::BaselineFailedAa`] when that failed. An inconclusive one says only that the machine is noisy, which the intervals say too.
pub fn trusted(aa: &GateAnswer) -> Result<(), Refused> {
    match aa.answer {
        Answer::Fail => Err(Refused::BaselineFailedAa),
        Answer::NotTested | Answer::Pass | Answer::Inconclusive => Ok(()),
    }
}

fn whole(head: &Side<'_>, rules: &Gate, held: ceiling::Held, comparison: Option<Comparison>) -> GateAnswer {
    let of_ceilings = held.ceilings.iter().map(|ceiling| ceiling.answer);
    let of_not_run = held.not_run.iter().map(|_| Answer::Fail);
    let of_comparison = comparison.iter().map(|comparison| comparison.answer);
    let answer = of_ceilings.chain(of_not_run).chain(of_comparison).fold(Answer::NotTested, Answer::and);
    GateAnswer {
        gate_version: GATE_VERSION,
        // Nothing was tested: that is no pass.
        answer: if answer == Answer::NotTested { Answer::Inconclusive } else { answer },
        head: head.name.to_owned(),
        rules: rules.clone(),
        ceilings: held.ceilings,
        not_run: held.not_run,
        comparison,
    }
}
