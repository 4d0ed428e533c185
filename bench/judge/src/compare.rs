//! Two sides of one question, cell by cell and metric by metric, as a value that can be saved. Pure.
//!
//! A side is a run, or one arm of a run. What may be concluded is decided in `decide`, from the statistics of `stats` and the
//! tolerances of a gate; how it is shown, in `text` and `markdown`. A comparison never says why the sides differ.

use brimful_plan::expect::{CauseName, CellOutcome};
use brimful_plan::gate::Metric;
use serde::{Deserialize, Serialize};

use super::metric::Value;
use super::report::ScenarioName;

mod build;
mod caveat;
pub mod decide;
mod refused;
mod side;

pub use build::compare;
pub use caveat::Caveat;
pub(crate) use decide::scale;
pub use refused::Refused;
pub use side::Chosen;
pub use side::Side;

/// The version of the form of a saved [`Comparison`]. A reader refuses a higher one.
pub const COMPARISON_VERSION: u32 = 1;

/// What is asked of the two sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// Is the second worse than the first by more than the tolerance? Better is never wrong.
    #[default]
    Worse,
    /// Are they the same, to the tolerance in either direction? What an A/A asks.
    Same,
}

/// What can be said of a comparison, or of all of them together.
///
/// Answers merge in this order, the later one winning: `not-tested`, `pass`, `inconclusive`, `fail`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// There is nothing to test, for a reason that is given.
    NotTested,
    /// The whole interval lies inside the tolerance.
    Pass,
    /// Neither.
    Inconclusive,
    /// Significant, and the whole interval lies beyond the tolerance.
    Fail,
}

/// Why there is no test, or none that could settle anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Reason {
    /// A quantile falls among the probes that were never answered: it is known only from below.
    Censored {
        /// Blocks of the first side in which it does.
        base: u32,
        /// Blocks of the second.
        head: u32,
        /// Blocks looked at.
        of: u32,
    },
    /// The probes had different time-outs, so that their latencies are not of one kind.
    OtherTimeout {
        /// The first side's, in nanoseconds.
        base_ns: u64,
        /// The second's.
        head_ns: u64,
    },
    /// A side was run in a guest under TCG, whose times are not those of any machine.
    Translated,
    /// There is no block in which both sides have a value.
    NoPairs,
    /// Fewer blocks than any answer takes.
    TooFewBlocks {
        /// How many there are.
        blocks: u32,
        /// How many it takes at least.
        least: u32,
    },
}

/// Two sides compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// [`COMPARISON_VERSION`] at the time of writing.
    pub comparison_version: u32,
    /// What was run; the second side's, where they differ.
    pub scenario: ScenarioName,
    /// What is asked.
    pub question: Question,
    /// The side that the other is held against.
    pub base: String,
    /// The side in question.
    pub head: String,
    /// Whether both were run in turns, in one run. Two runs, one after the other, are the weaker evidence.
    pub interleaved: bool,
    /// Blocks that both sides have, void ones among them.
    pub blocks: u32,
    /// The error allowed to all comparisons together, 0 to 1; the intervals are of confidence 1 − `alpha`, each for itself.
    pub alpha: f64,
    /// How many comparisons there are, and what they take.
    pub family: Family,
    /// What makes the sides comparable only in part.
    pub caveats: Vec<Caveat>,
    /// Cells that the first side has and the second has not.
    pub missing: Vec<String>,
    /// Cells that only the second side has.
    pub new: Vec<String>,
    /// The cells of both, in the second side's order.
    pub cells: Vec<CellComparison>,
    /// All answers merged; `fail` when a cell is missing.
    pub answer: Answer,
}

/// The comparisons that are judged together, fixed before the first value is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Family {
    /// Cells that both sides have.
    pub cells: u32,
    /// The metrics of each.
    pub metrics: Vec<Metric>,
    /// Cells by metrics.
    pub comparisons: u32,
    /// Blocks with which one of them can be significant.
    pub blocks_needed: u32,
}

/// One cell of both sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellComparison {
    /// Its id, without the arm.
    pub id: String,
    /// What became of it on the first side.
    pub base: Seen,
    /// And on the second.
    pub head: Seen,
    /// Each metric of the family.
    pub metrics: Vec<MetricComparison>,
}

/// What became of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// The worst outcome of its blocks.
    pub outcome: CellOutcome,
    /// Its cause.
    pub cause: Option<CauseName>,
}

/// One metric of one cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricComparison {
    /// Which.
    pub metric: Metric,
    /// What can be said.
    pub answer: Answer,
    /// Why no more can be said, where something stands in the way.
    pub reason: Option<Reason>,
    /// How far it may move for the worse: a share, for the failure rate a difference.
    pub tolerance: f64,
    /// What the first side's blocks come to: their mean, for ratios the geometric one; where blocks are censored, their median.
    pub base: Option<Value>,
    /// And the second's.
    pub head: Option<Value>,
    /// How the second differs from the first; `None` where it is not tested.
    pub effect: Option<Effect>,
    /// The exact two-sided p of no difference.
    pub p: Option<f64>,
    /// The same after Holm's adjustment over the family.
    pub p_adjusted: Option<f64>,
    /// The change for the worse that would have been seen in four cases of five, on the scale of the effect; `None` where the blocks are too few to see any.
    pub smallest_effect: Option<f64>,
    /// Blocks that would settle an inconclusive answer, if what was seen stays as it is; `None` where it is settled, or where a thousand would not do.
    pub blocks_to_settle: Option<u32>,
    /// The values, block by block.
    pub blocks: Vec<Pair>,
}

/// How far apart two sides are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Effect {
    /// What the numbers are.
    pub scale: Scale,
    /// The mean over the blocks.
    pub estimate: f64,
    /// The lower limit of the interval; `null` where the blocks are too few for one.
    pub low: Option<f64>,
    /// The upper limit, likewise.
    pub high: Option<f64>,
}

/// The scale of an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// The second over the first: 1 for equals.
    Ratio,
    /// The second less the first: 0 for equals.
    Difference,
}

/// The values of one block.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// Its number.
    pub block: u32,
    /// The first side's; `null` where it has none.
    pub base: Option<Value>,
    /// The second's.
    pub head: Option<Value>,
}

impl Answer {
    /// Both together. Associative and commutative, with `not-tested` as neutral element.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.max(other)
    }
}

impl MetricComparison {
    /// What it adds to a whole: nothing where a quantile is censored, because failure rate and restricted mean are tested in its
    /// place; `inconclusive` where there was nothing to compare.
    #[must_use]
    pub fn weight(&self) -> Answer {
        match (self.answer, self.reason) {
            (Answer::NotTested, Some(Reason::Censored { .. })) => Answer::NotTested,
            (Answer::NotTested, _) => Answer::Inconclusive,
            (answer, _) => answer,
        }
    }
}

impl CellComparison {
    /// Whether another outcome or another cause was found.
    #[must_use]
    pub fn changed(&self) -> bool {
        self.base != self.head
    }
}
