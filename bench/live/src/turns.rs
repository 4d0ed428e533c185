//! Whose turn it is to open, where the shards of a load open one after the other ([`LoadPlan::opens_in_turns`]), and how they stand together. Pure; it owns no process.

use std::collections::BTreeMap;

use brimful_loadgen_plan::outcome::LoadPoint;
use brimful_loadgen_plan::plan::{LoadPlan, share_of};

/// The turns of a load's shards.
#[derive(Debug)]
pub(super) struct Turns {
    /// Shards that open now, and how many connections each has to attempt.
    opening: BTreeMap<u32, u64>,
    /// The first shard that has not had its turn.
    next: u32,
    shards: u32,
    connections: u64,
    /// How many open at a time; the last of all, as many again, begin together, so that none is left to open alone at the end, on one
    /// processor of several.
    most: usize,
}

impl Turns {
    /// The turns of a load on a machine of so many processors; none are to be taken where all open at once.
    pub(super) fn new(plan: &LoadPlan, processors: u32) -> Self {
        let shards = if plan.opens_in_turns() { plan.shards } else { 0 };
        let most = usize::try_from(processors.max(1)).unwrap_or(usize::MAX);
        Self { opening: BTreeMap::new(), next: 0, shards, connections: plan.connections, most }
    }

    /// Shard `shard` has attempted so many connections of its own.
    pub(super) fn attempted(&mut self, shard: u32, attempted: u64) {
        if self.opening.get(&shard).is_some_and(|&own| attempted >= own) {
            self.opening.remove(&shard);
        }
    }

    /// Shards whose turn has come, each once.
    pub(super) fn due(&mut self) -> Vec<u32> {
        let mut due = Vec::new();
        let left = usize::try_from(self.shards - self.next).unwrap_or(usize::MAX);
        let free = self.most.saturating_sub(self.opening.len());
        let now = if free > 0 && left <= self.most { left } else { free.min(left) };
        for _ in 0..now {
            // The share of shard `i` is that of every `shards`th connection from `i` on, as the planner deals them out.
            self.opening.insert(self.next, share_of(self.connections, self.next, self.shards));
            due.push(self.next);
            self.next += 1;
        }
        due
    }
}

/// Shards' states added up, at the latest of their instants.
pub(super) fn sum<'a>(points: impl Iterator<Item = &'a LoadPoint>) -> LoadPoint {
    points.fold(LoadPoint::default(), |sum, point| sum.plus(point))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use brimful_loadgen_plan::address::Planner;
    use brimful_loadgen_plan::plan::{Behaviour, Comeback, Sources};
    use proptest::prelude::*;

    use super::*;

    fn plan(connections: u64, shards: u32, ramp: Duration) -> LoadPlan {
        LoadPlan {
            connections,
            shards,
            ramp,
            behaviour: Behaviour::Idle,
            sources: Sources::Kernel,
            destinations: vec!["127.0.0.1:1100".parse().unwrap()],
            comeback: Comeback::default(),
            path: "/".to_owned(),
            seed: 0,
        }
    }

    proptest! {
        #[test]
        fn everyone_opens_once_and_only_the_last_open_more_at_a_time_than_there_are_processors(
            connections in 0_u64..5_000, shards in 2_u32..60, processors in 0_u32..9
        ) {
            let plan = plan(connections, shards, Duration::ZERO);
            let planner = Planner::new(&plan).unwrap();
            let mut turns = Turns::new(&plan, processors);
            let mut opening = turns.due();
            let mut had = opening.clone();
            let at_a_time = processors.max(1);
            while let Some(shard) = opening.first().copied() {
                let own = planner.connections_of(shard);
                if own > 0 {
                    turns.attempted(shard, own - 1);
                    prop_assert!(turns.due().is_empty(), "it is not done");
                }
                turns.attempted(shard, own);
                opening.remove(0);
                let due = turns.due();
                opening.extend(&due);
                had.extend(due);
                let last = had.len() as u32 == shards;
                let most = if last { 2 * at_a_time - 1 } else { at_a_time };
                prop_assert!(opening.len() as u32 <= most);
            }
            prop_assert_eq!(had, (0..shards).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_ramp_is_kept_by_all_and_a_single_shard_has_nobody_to_wait_for() {
        for plan in [plan(100, 8, Duration::from_millis(1)), plan(100, 1, Duration::ZERO)] {
            assert!(!plan.opens_in_turns());
            assert!(Turns::new(&plan, 2).due().is_empty());
        }
    }
}
