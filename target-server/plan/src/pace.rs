//! When the next accept is due under `accept-rate`: arithmetic on instants, without a clock.

use std::time::Duration;

/// How much lateness is made up for, in nanoseconds. The runtime's timers come up to two milliseconds late (it counts in
/// milliseconds and so does `epoll_wait`), a busy machine adds some; without making up for it a rate above a few hundred could
/// not be kept. What is later than this is lost: a loop that was stopped does not come back with a burst.
const MADE_UP_NS: u64 = 5_000_000;
/// Nanoseconds in a second.
const SECOND_NS: u128 = 1_000_000_000;

/// At most so many accepts a second, evenly spaced: the n-th of a busy queue is due n / rate seconds after the first.
///
/// Instants are nanoseconds of any one clock that does not run backwards. Nothing is saved up while the queue is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Accepts per second; at least 1.
    rate: u128,
    /// When the next is due, in nanoseconds times `rate`, so that a third of a second is a whole number.
    due: u128,
}

impl Pace {
    /// A pace of `rate` accepts per second, the first of them due at once. A rate of 0 is taken for 1.
    pub fn new(rate: u32) -> Self {
        Self { rate: u128::from(rate.max(1)), due: 0 }
    }

    /// How long to wait for the next accept; `None` when it is due.
    pub fn wait(&self, now_ns: u64) -> Option<Duration> {
        let left = self.due.checked_sub(self.scaled(now_ns)).filter(|&left| left > 0)?;
        Some(Duration::from_nanos_u128(left.div_ceil(self.rate)))
    }

    /// An accept was tried, and was not in vain for want of anybody.
    pub fn took(&mut self, now_ns: u64) {
        self.due = self.due.max(self.scaled(now_ns.saturating_sub(MADE_UP_NS))) + SECOND_NS;
    }

    /// Nobody waits: whoever comes next is not ahead of anybody, nor late.
    pub fn idle(&mut self, now_ns: u64) {
        self.due = self.due.max(self.scaled(now_ns));
    }

    fn scaled(&self, ns: u64) -> u128 {
        u128::from(ns) * self.rate
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn three_a_second_are_three_a_second() {
        let mut pace = Pace::new(3);
        pace.idle(1_000);
        let mut now = 1_000;
        for nth in 0..=3_000_u64 {
            assert_eq!(pace.wait(now), None);
            pace.took(now);
            now = 1_000 + (nth + 1) * 1_000_000_000 / 3;
            // Thirds are rounded up to the nanosecond, and never add up.
            if let Some(left) = pace.wait(now) {
                assert_eq!(left, Duration::from_nanos(1));
                now += 1;
            }
        }
        assert_eq!(now, 1_000 + 1_000_333_333_334);
    }

    /// The instants of accepts from a queue that never empties, each timer so much late.
    fn instants(rate: u32, begin: u64, late: &[u64]) -> Vec<u64> {
        let mut pace = Pace::new(rate);
        let mut now = begin;
        pace.idle(now);
        let mut taken = Vec::new();
        for late in late {
            while let Some(left) = pace.wait(now) {
                now += u64::try_from(left.as_nanos()).unwrap() + late;
            }
            pace.took(now);
            taken.push(now);
        }
        taken
    }

    proptest! {
        #[test]
        fn waiting_what_is_left_is_enough_and_no_less_would_be(rate: u32, now in 0..u64::MAX / 4, taken in 1..20_u32) {
            let mut pace = Pace::new(rate);
            pace.idle(now);
            for _ in 0..taken {
                pace.took(now);
            }
            let left = u64::try_from(pace.wait(now).unwrap().as_nanos()).unwrap();
            prop_assert_eq!(pace.wait(now + left), None);
            prop_assert!(pace.wait(now + left - 1).is_some());
        }

        #[test]
        fn no_stretch_of_time_has_more_than_its_share(
            rate in 1..200_000_u32,
            begin in 0..u64::MAX / 4,
            late in prop::collection::vec(0..20_000_000_u64, 1..200),
        ) {
            let taken = instants(rate, begin, &late);
            for (nth, from) in taken.iter().enumerate() {
                for (more, to) in taken[nth..].iter().enumerate() {
                    let share = u128::from(to - from + MADE_UP_NS) * u128::from(rate) / SECOND_NS + 1;
                    prop_assert!(more as u128 <= share, "{more} more within {} ns", to - from);
                }
            }
        }

        #[test]
        fn timers_no_later_than_what_is_made_up_for_cost_no_rate(
            rate in 1..200_000_u32,
            begin in 0..u64::MAX / 4,
            late in prop::collection::vec(0..=MADE_UP_NS, 1..200),
        ) {
            let taken = instants(rate, begin, &late);
            for (nth, at) in taken.iter().enumerate() {
                let due = begin + u64::try_from((nth as u128 * SECOND_NS).div_ceil(u128::from(rate))).unwrap();
                prop_assert!((due..=due + MADE_UP_NS).contains(at), "the {nth}-th at {} after {due}", at.wrapping_sub(due));
            }
        }

        #[test]
        fn an_empty_queue_saves_nothing_up(rate in 1..200_000_u32, begin in 0..u64::MAX / 4, gap in 0..u64::MAX / 4) {
            let mut pace = Pace::new(rate);
            pace.idle(begin);
            pace.took(begin);
            let next = begin + u64::try_from(SECOND_NS.div_ceil(u128::from(rate))).unwrap() + gap;
            pace.idle(next);
            prop_assert_eq!(pace.wait(next), None);
            pace.took(next);
            prop_assert_eq!(pace.wait(next), Some(Duration::from_nanos_u128(SECOND_NS.div_ceil(u128::from(rate)))));
        }
    }
}
