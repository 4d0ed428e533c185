//! Which tuning is reached by the fewest changes, and what it cures. Pure.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use brimful_plan::cell::KnobValue;
use brimful_plan::expect::CellOutcome;

use super::cost::{TuningCost, Usual};
use super::ranking::Ranked;
use crate::knobs::{Judged, KnobChange, Setting, by_size, changes};

/// All cells of one tuning: one for each arm and load of the run, more where a clamp made asked values alike.
pub(super) struct Group<'a> {
    pub(super) cells: Vec<&'a Judged<'a>>,
    /// Every arm and load of the run has a cell with it, and all of them are healthy.
    pub(super) healthy: bool,
    /// One of its cells is failing or degraded.
    pub(super) sick: bool,
    /// The rank of its worst cell; the last for one that has a void cell.
    pub(super) rank: u64,
    pub(super) cost: TuningCost,
}

/// A way out: from a cell that is not healthy to a tuning that is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cure {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) changes: Vec<KnobChange>,
    /// Sick cells that the changes alone turn into a healthy one.
    pub(crate) cures: u64,
    /// Sick cells.
    pub(crate) of: u64,
    pub(crate) costs: TuningCost,
    /// Other sets of as many changes, of other knobs, that cure every sick cell too.
    pub(crate) or: Vec<Vec<KnobChange>>,
}

type Values<'a> = Vec<&'a KnobValue>;

/// The tunings of a run, in the order of their first cells.
pub(super) fn groups<'a>(cells: &'a [Judged<'a>], ranking: &[Ranked], usual: &Usual<'_>) -> Vec<Group<'a>> {
    let ranks: HashMap<&str, u64> = ranking.iter().map(|ranked| (ranked.cell.as_str(), ranked.rank)).collect();
    let contexts: HashSet<&Vec<Setting<'_>>> = cells.iter().map(|cell| &cell.context).collect();
    let mut by_tuning: indexmap::IndexMap<Values<'a>, Vec<&'a Judged<'a>>> = indexmap::IndexMap::new();
    for cell in cells {
        by_tuning.entry(values(cell)).or_default().push(cell);
    }
    let group = |cells: Vec<&'a Judged<'a>>| {
        let everywhere = contexts.iter().all(|context| cells.iter().any(|cell| cell.context == **context));
        Some(Group {
            healthy: everywhere && cells.iter().all(|cell| cell.outcome == CellOutcome::Healthy),
            sick: cells.iter().any(|cell| cell.is_sick()),
            rank: cells.iter().map(|cell| ranks.get(cell.id).copied().unwrap_or(u64::MAX)).max()?,
            cost: usual.cost(cells.first()?),
            cells,
        })
    };
    by_tuning.into_values().filter_map(group).collect()
}

/// The way to a wanted tuning. It starts at the sick tuning that is furthest from all of them (of several, the nearest to what is usual), so
/// that the changes are enough for the others too; and of the tunings that are nearest to it, it leads to the one that cures most cells, costs
/// least and has the smallest values. `None` where nothing is sick or nothing is wanted.
pub(super) fn cure(cells: &[Judged<'_>], groups: &[Group<'_>], wanted: impl Fn(&Group<'_>) -> bool) -> Option<Cure> {
    let wanted: Vec<&Group<'_>> = groups.iter().filter(|group| wanted(group)).collect();
    let nearest = |group: &Group<'_>| wanted.iter().map(|to| distance(group, to)).min();
    let mut sick: Vec<&Group<'_>> = groups.iter().filter(|group| group.sick).collect();
    // The sort is stable: what is alike stays in the scenario's order.
    sick.sort_by_cached_key(|group| (Reverse(nearest(group)), group.cost.changed));
    let from = *sick.first()?;
    let fewest = nearest(from)?;
    let outcomes = Outcomes::of(cells);
    let mut near: Vec<(&Group<'_>, Vec<KnobChange>, u64)> = Vec::new();
    for to in wanted.iter().filter(|to| distance(from, to) == fewest) {
        let changes = changes(from.first()?, to.first()?);
        let cures = outcomes.cured_by(cells, &changes);
        near.push((to, changes, cures));
    }
    near.sort_by(|(a, _, a_cures), (b, _, b_cures)| {
        let key = |group: &Group<'_>| (group.cost.changed, group.cost.weight, group.cost.memory_bytes);
        b_cures.cmp(a_cures).then_with(|| key(a).cmp(&key(b))).then_with(|| smaller(a, b))
    });
    let of = cells.iter().filter(|cell| cell.is_sick()).count() as u64;
    let ((to, changes, cures), others) = near.split_first()?;
    let knobs = |changes: &[KnobChange]| changes.iter().map(|change| change.knob.clone()).collect::<Vec<_>>();
    let mut or: Vec<Vec<KnobChange>> = Vec::new();
    for (_, other, _) in others.iter().filter(|(.., cures)| *cures == of) {
        if std::iter::once(changes).chain(&or).all(|known| knobs(known) != knobs(other)) {
            or.push(other.clone());
        }
    }
    Some(Cure {
        from: from.worst()?.id.to_owned(),
        to: to.first()?.id.to_owned(),
        changes: changes.clone(),
        cures: *cures,
        of,
        costs: to.cost.clone(),
        or,
    })
}

impl<'a> Group<'a> {
    fn first(&self) -> Option<&'a Judged<'a>> {
        self.cells.first().copied()
    }

    /// Its first cell that is not healthy.
    fn worst(&self) -> Option<&'a Judged<'a>> {
        self.cells.iter().copied().find(|cell| cell.is_sick())
    }
}

/// The values of a tuning, in the scenario's order.
fn values<'a>(cell: &Judged<'a>) -> Values<'a> {
    cell.tuning.iter().map(|(_, value)| *value).collect()
}

/// The number of knobs in which two tunings differ.
pub(super) fn distance(a: &Group<'_>, b: &Group<'_>) -> usize {
    let (Some(a), Some(b)) = (a.first(), b.first()) else { return 0 };
    a.tuning.iter().zip(&b.tuning).filter(|(a, b)| a != b).count()
}

/// By the first knob whose values have a size and differ.
fn smaller(a: &Group<'_>, b: &Group<'_>) -> std::cmp::Ordering {
    let (Some(a), Some(b)) = (a.first(), b.first()) else { return std::cmp::Ordering::Equal };
    let mut sizes = a.tuning.iter().zip(&b.tuning).filter_map(|((_, a), (_, b))| by_size(a, b));
    sizes.find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
}

/// What became of each tuning under each arm and load.
struct Outcomes<'a>(HashMap<(Values<'a>, Vec<Setting<'a>>), bool>);

impl<'a> Outcomes<'a> {
    fn of(cells: &[Judged<'a>]) -> Self {
        let mut healthy = HashMap::new();
        for cell in cells {
            let all = healthy.entry((values(cell), cell.context.clone())).or_insert(true);
            *all &= cell.outcome == CellOutcome::Healthy;
        }
        Self(healthy)
    }

    /// How many sick cells these changes alone turn into a healthy one of the run.
    fn cured_by(&self, cells: &[Judged<'a>], changes: &[KnobChange]) -> u64 {
        let after = |cell: &Judged<'a>| {
            let changed = |knob: &str| changes.iter().find(|change| change.knob == knob).map(|change| &change.to);
            let values: Values<'_> = cell.tuning.iter().map(|(knob, value)| changed(knob).unwrap_or(value)).collect();
            self.0.get(&(values, cell.context.clone())).copied().unwrap_or(false)
        };
        cells.iter().filter(|cell| cell.is_sick() && after(cell)).count() as u64
    }
}
