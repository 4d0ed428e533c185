//! The cells of a run from best to worst. Pure.
//!
//! Cells are told apart by one criterion after another: outcome (healthy, degraded, failing), failure rate, restricted mean, the 99th
//! percentile, the share of the load that is held. By each, a class begins with its best cell and has every cell that is
//! [`alike`] to it but for noise; only cells of one class go on to the next criterion. What no criterion tells apart shares a rank.
//! So the order is total, it does not depend on the order in which cells were run, and it is never noise that decides alone.

use brimful_plan::expect::CellOutcome;
use brimful_plan::gate::Metric;
use serde::{Deserialize, Serialize};

use super::cost::{TuningCost, Usual};
use crate::knobs::Judged;
use crate::metric::Value;
use crate::numbers::alike;

/// Probes from which on a 99th percentile is more than the slowest single one.
const P99_NEEDS: u64 = 100;

/// What tells cells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Criterion {
    /// Healthy before degraded before failing.
    #[serde(rename = "outcome")]
    Outcome,
    /// Fewer failed probes first; apart by more than half a percentage point.
    #[serde(rename = "failure-rate")]
    FailureRate,
    /// The smaller restricted mean first; apart by more than a tenth and a fiftieth of the time-out.
    #[serde(rename = "latency.restricted-mean")]
    RestrictedMean,
    /// Likewise, what is beyond the time-out last; asked only where each cell has at least 100 probes.
    #[serde(rename = "latency.p99")]
    P99,
    /// The larger share of the connections asked for first; apart by more than a tenth.
    #[serde(rename = "load.held")]
    Held,
}

impl Criterion {
    const ALL: [Self; 5] = [Self::Outcome, Self::FailureRate, Self::RestrictedMean, Self::P99, Self::Held];

    /// In words, after `by`.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Outcome => "outcome",
            Self::FailureRate => "failed probes",
            Self::RestrictedMean => "mean latency",
            Self::P99 => "p99",
            Self::Held => "connections held",
        }
    }
}

/// A cell's place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Ranked {
    /// The cell.
    pub cell: String,
    /// 1 for the best; one more than the number of cells that are better. Cells that tie share it.
    pub rank: u64,
    /// What sets it behind the cells of the next better rank; `null` for the first.
    pub behind_by: Option<Criterion>,
    /// What its tuning costs.
    pub cost: TuningCost,
}

/// Every cell that is not void, the best first, those that tie in the scenario's order. A void cell says nothing, so it has no place.
pub(super) fn ranking(cells: &[Judged<'_>], usual: &Usual<'_>) -> Vec<Ranked> {
    let sound: Vec<&Judged<'_>> = cells.iter().filter(|cell| cell.outcome != CellOutcome::Void).collect();
    let mut classes = vec![Class { cells: sound, behind_by: None }];
    for criterion in Criterion::ALL {
        classes = classes.into_iter().flat_map(|class| class.split(criterion)).collect();
    }
    let mut better = 0;
    let mut ranked = Vec::new();
    for Class { cells: alike, behind_by } in classes {
        // Splitting has sorted them; those that tie go back to the order of the scenario.
        let in_order = cells.iter().filter(|cell| alike.iter().any(|a| std::ptr::eq(*a, *cell)));
        ranked.extend(in_order.map(|cell| Ranked {
            cell: cell.id.to_owned(),
            rank: better + 1,
            behind_by,
            cost: usual.cost(cell),
        }));
        better += alike.len() as u64;
    }
    ranked
}

/// Cells that no criterion so far tells apart.
struct Class<'a, 'b> {
    cells: Vec<&'a Judged<'b>>,
    behind_by: Option<Criterion>,
}

impl Class<'_, '_> {
    /// The classes that it falls into, the best first.
    fn split(mut self, criterion: Criterion) -> Vec<Self> {
        if criterion == Criterion::P99 && self.cells.iter().any(|cell| cell.whole.probes < P99_NEEDS) {
            return vec![self];
        }
        self.cells.sort_by(|a, b| badness(criterion, a).total_cmp(&badness(criterion, b)));
        let mut classes: Vec<Self> = Vec::new();
        for cell in self.cells {
            match classes.last_mut() {
                Some(class) if class.cells.first().is_some_and(|best| tie(criterion, best, cell)) => {
                    class.cells.push(cell);
                }
                last => {
                    let behind_by = if last.is_none() { self.behind_by } else { Some(criterion) };
                    classes.push(Class { cells: vec![cell], behind_by });
                }
            }
        }
        classes
    }
}

/// A number that is larger for what is worse; what is beyond the time-out, or not known, is worst.
fn badness(criterion: Criterion, cell: &Judged<'_>) -> f64 {
    let of = |metric| match cell.whole.get(metric) {
        Some(Value::Known(number)) => number,
        Some(Value::AtLeast { .. }) | None => f64::INFINITY,
    };
    match criterion {
        Criterion::Outcome => match cell.outcome {
            CellOutcome::Healthy => 0.0,
            CellOutcome::Degraded => 1.0,
            CellOutcome::Failing => 2.0,
            CellOutcome::Void => 3.0,
        },
        Criterion::FailureRate => of(Metric::FailureRate),
        Criterion::RestrictedMean => of(Metric::RestrictedMean),
        Criterion::P99 => of(Metric::P99),
        Criterion::Held => -cell.whole.held_share(),
    }
}

fn tie(criterion: Criterion, best: &Judged<'_>, cell: &Judged<'_>) -> bool {
    let metric = match criterion {
        Criterion::Outcome => return best.outcome == cell.outcome,
        Criterion::FailureRate => Metric::FailureRate,
        Criterion::RestrictedMean => Metric::RestrictedMean,
        Criterion::P99 => Metric::P99,
        Criterion::Held => Metric::LoadHeld,
    };
    let (a, b) = (badness(criterion, best).abs(), badness(criterion, cell).abs());
    // What is beyond the time-out ties with its like only, however near the time-out the other is.
    a == b || b.is_finite() && alike(metric, a, b, best.whole.timeout_ns.max(cell.whole.timeout_ns))
}
