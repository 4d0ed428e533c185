//! The tunings of a run: in which order they stand, what each costs, and which to take. Pure.
//!
//! A tuning is what a cell sets, without the arm and the load it is tried with. It is taken for healthy only where every cell with it is.

use serde::{Deserialize, Serialize};

use super::knobs::{Judged, KnobChange, KnobEffect};

mod cost;
mod paste;
mod ranking;
mod recommend;
mod select;

pub use cost::{Takes, TuningCost};
pub use paste::Paste;
pub use ranking::{Criterion, Ranked};
pub(crate) use recommend::Recommendation;
pub(crate) use select::Cure;

/// The tuning to take: of the best ones of a run the cheapest, with what to paste.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Tuning {
    /// The cell with it; with arms or several loads the first of them.
    pub cell: String,
    /// The cell that the changes start from: of those that are not healthy, the furthest from every best one.
    pub from: String,
    /// What to change, in the scenario's order; the values are those given, not those asked.
    pub changes: Vec<KnobChange>,
    /// Cells that are failing or degraded and that these changes alone turn into a healthy one of this run.
    pub cures: u64,
    /// Cells that are failing or degraded.
    pub of: u64,
    /// Why this one, in words.
    pub because: String,
    /// What it costs.
    pub costs: TuningCost,
    /// Knobs that made no difference in this run, and so need not be touched.
    pub leave: Vec<String>,
    /// Where to write it down.
    pub pastes: Vec<Paste>,
}

/// All that the cells of a run say about tunings.
pub(crate) struct Tunings {
    pub(crate) ranking: Vec<Ranked>,
    /// The fewest changes to a tuning that is healthy, ranked best or not.
    pub(crate) cure: Option<Cure>,
    pub(crate) recommendation: Recommendation,
}

impl Tunings {
    pub(crate) fn of(cells: &[Judged<'_>], effects: &[KnobEffect]) -> Self {
        let usual = cost::Usual::of(cells);
        let ranking = ranking::ranking(cells, &usual);
        let groups = select::groups(cells, &ranking, &usual);
        let cure = select::cure(cells, &groups, |group| group.healthy);
        let recommendation = recommend::recommend(cells, &groups, cure.as_ref(), effects);
        Self { ranking, cure, recommendation }
    }
}

#[cfg(test)]
mod tests;
