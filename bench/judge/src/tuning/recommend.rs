//! The tuning to take, or why there is none. Pure.

use brimful_evidence::record::KnobReading;
use brimful_plan::expect::CellOutcome;

use super::select::{self, Cure, Group};
use super::{Tuning, paste};
use crate::knobs::{Judged, KnobEffect, in_words, tunable};
use crate::wording::counted;

/// What a run recommends.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Recommendation {
    /// Nothing was varied that can be tuned, or nothing was learnt.
    NotAsked,
    /// Every cell is healthy; the cheapest is this.
    AllHealthy { cell: String },
    /// No cell is.
    NoneHealthy,
    /// Some are, but no tuning is in all its cells; and whether the run has several arms or loads, so that this may be why.
    NotEverywhere { contexts: bool },
    /// This.
    Take(Box<Tuning>),
}

pub(super) fn recommend(
    cells: &[Judged<'_>],
    groups: &[Group<'_>],
    cure: Option<&Cure>,
    effects: &[KnobEffect],
) -> Recommendation {
    let of = |outcome| cells.iter().filter(|cell| cell.outcome == outcome).count();
    let (healthy, void) = (of(CellOutcome::Healthy), of(CellOutcome::Void));
    if groups.len() < 2 || void == cells.len() {
        return Recommendation::NotAsked;
    }
    if healthy == 0 {
        return Recommendation::NoneHealthy;
    }
    let first = cells.first().map(|cell| &cell.context);
    let not_everywhere =
        Recommendation::NotEverywhere { contexts: cells.iter().any(|cell| Some(&cell.context) != first) };
    let Some(best) = groups.iter().filter(|group| group.healthy).map(|group| group.rank).min() else {
        return not_everywhere;
    };
    let is_best = |group: &Group<'_>| group.healthy && group.rank == best;
    if healthy + void == cells.len() {
        let mut all: Vec<&Group<'_>> = groups.iter().filter(|group| is_best(group)).collect();
        all.sort_by_key(|group| (group.cost.changed, group.cost.weight, group.cost.memory_bytes));
        let cheapest = all.first().and_then(|group| group.cells.first());
        return cheapest
            .map_or(Recommendation::NotAsked, |cell| Recommendation::AllHealthy { cell: cell.id.to_owned() });
    }
    let Some(way) = select::cure(cells, groups, is_best) else { return not_everywhere };
    let alike = groups.iter().filter(|group| is_best(group)).count();
    let idle = effects.iter().filter(|e| e.pairs > 0 && !e.made_a_difference && tunable(&e.knob));
    let leave = idle.map(|e| e.knob.clone()).filter(|knob| way.changes.iter().all(|change| change.knob != *knob));
    Recommendation::Take(Box::new(Tuning {
        because: because(&way, alike, cure, cells),
        leave: leave.collect(),
        pastes: paste::pastes(&way.changes),
        cell: way.to,
        from: way.from,
        changes: way.changes,
        cures: way.cures,
        of: way.of,
        costs: way.costs,
    }))
}

fn because(way: &Cure, alike: usize, cure: Option<&Cure>, cells: &[Judged<'_>]) -> String {
    let mut because = match alike {
        1 => "it ranks before every other tuning of this run".to_owned(),
        n => format!(
            "of {n} tunings that are best alike it takes the fewest changes ({}), then costs least and has the smallest values",
            way.changes.len()
        ),
    };
    if let Some(fewer) = cure.filter(|cure| cure.changes.len() < way.changes.len()) {
        because += &format!("; {} is enough for every probe to pass, but ranks behind", in_words(&fewer.changes));
    }
    if way.cures < way.of {
        because += &format!(
            "; these changes alone cure {} of {}, the others differ from it in more",
            way.cures,
            counted(way.of, "cell")
        );
    }
    let cell = cells.iter().find(|cell| cell.id == way.to);
    for change in &way.changes {
        let reading = cell.and_then(|cell| cell.knobs.get(&change.knob));
        if let Some(KnobReading { asked, given: Some(given), .. }) =
            reading.filter(|r| r.given.as_ref() != Some(&r.asked))
        {
            because += &format!("; {} asked for {asked} and was given {given}, so that is what was tried", change.knob);
        }
    }
    because
}
