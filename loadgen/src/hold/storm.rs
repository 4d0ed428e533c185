//! Which connections a storm closes, and how far it has come. Pure; the table of connections is handed in as a function.

use brimful_loadgen_plan::plan::Storm as Plan;
use brimful_loadgen_plan::seeded::Seeded;

/// A storm that is still to come, or under way. It goes through the descriptors once, upwards: a connection that comes back takes the lowest
/// free number (`open(2)`), which is one that the storm has passed.
#[derive(Debug)]
pub(super) struct Storm {
    at_ns: u64,
    share_percent: u32,
    chance: Seeded,
    next: usize,
}

impl Storm {
    /// A storm of a load that starts at `t0_ns`; `number` makes a sequence of chance of its own.
    pub(super) fn new(plan: Plan, t0_ns: u64, (seed, number): (u64, u64)) -> Self {
        let after_ns = u64::try_from(plan.at.as_nanos()).unwrap_or(u64::MAX);
        let (at_ns, share_percent) = (t0_ns.saturating_add(after_ns), plan.share_percent);
        Self { at_ns, share_percent, chance: Seeded::stream(seed, number), next: 0 }
    }

    /// When there is something to close, in nanoseconds of the common clock.
    pub(super) fn next_ns(&self) -> u64 {
        self.at_ns
    }

    /// The next descriptor to close by `now_ns`. `held_from` finds the first held one at or above a number; when it finds none, the storm is over
    /// and this says so.
    pub(super) fn next(&mut self, now_ns: u64, held_from: impl Fn(usize) -> Option<usize>) -> Strike {
        if now_ns < self.at_ns {
            return Strike::Calm;
        }
        loop {
            let Some(at) = held_from(self.next) else { return Strike::Over };
            self.next = at.saturating_add(1);
            if self.chance.below(100) < u64::from(self.share_percent) {
                return Strike::At(at);
            }
        }
    }
}

/// What a storm does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strike {
    /// Nothing yet.
    Calm,
    /// It closes this descriptor.
    At(usize),
    /// Nothing any more.
    Over,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn struck(share_percent: u32) -> Vec<usize> {
        let plan = Plan { at: Duration::from_nanos(50), share_percent };
        let mut storm = Storm::new(plan, 100, (1, 2));
        // Every third descriptor is held.
        let held_from = |from: usize| (from..3_000).find(|at| at.is_multiple_of(3));
        assert_eq!(storm.next(149, held_from), Strike::Calm);
        let mut all = Vec::new();
        loop {
            match storm.next(150, held_from) {
                Strike::At(at) => all.push(at),
                Strike::Over => return all,
                Strike::Calm => panic!("it is time"),
            }
        }
    }

    #[test]
    fn a_storm_takes_each_once_or_a_share_of_them() {
        assert!(struck(100).into_iter().eq((0..3_000).step_by(3)));
        let some = struck(30);
        // Five standard deviations of a count of 300 are 72.
        assert!(some.len().abs_diff(300) < 73 && some.is_sorted(), "{}", some.len());
    }
}
