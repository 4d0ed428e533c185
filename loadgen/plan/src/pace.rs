//! The pacer: when each connection of a load is meant to be opened. Pure; it owns no clock.
//!
//! Latency and lateness both count from these instants, so they are exact: no rounding adds up over a ramp, and no
//! refill at second boundaries makes the very bursts that a load should measure.

use std::collections::VecDeque;
use std::time::Duration;

/// The intended instant of connection `i` of `n` (counted from 0) in nanoseconds since the start of the load:
/// ⌊i · ramp / n⌋.
///
/// Instants never decrease, start at 0, stay before the end of the ramp, and neighbouring gaps differ by at most 1 ns.
/// A ramp of zero puts every connection at 0; so does `n` = 0, which has none. A ramp beyond 584 years counts as that.
///
/// ```
/// use std::time::Duration;
/// # use brimful_loadgen_plan::pace::intended_ns;
/// let third = |i| intended_ns(i, 3, Duration::from_nanos(10));
/// assert_eq!([third(0), third(1), third(2)], [0, 3, 6]);
/// ```
#[must_use]
pub fn intended_ns(i: u64, n: u64, ramp: Duration) -> u64 {
    if n == 0 {
        return 0;
    }
    let ramp_ns = u64::try_from(ramp.as_nanos()).unwrap_or(u64::MAX);
    // Both factors fit 64 bits, so the product fits 128; the quotient fits 64 for every i up to n.
    u64::try_from(u128::from(i) * u128::from(ramp_ns) / u128::from(n)).unwrap_or(u64::MAX)
}

/// The width of the window in which [`Busiest`] counts, in nanoseconds: a burst shorter than this is over before a queue of any
/// length feels it, and a pace of 5,000 a second has 50 events in it.
pub const WINDOW_NS: u64 = 10_000_000;

/// How many events fell into the fullest window of [`WINDOW_NS`], wherever it begins: the burst that a pacer makes of its own.
///
/// ```
/// # use brimful_loadgen_plan::pace::{Busiest, WINDOW_NS};
/// let mut busiest = Busiest::default();
/// for at_ns in [0, 1, WINDOW_NS - 1, WINDOW_NS] {
///     busiest.event(at_ns);
/// }
/// assert_eq!(busiest.most(), 3);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Busiest {
    /// Events of the window that ends with the last one.
    recent: VecDeque<u64>,
    most: u64,
}

impl Busiest {
    /// An event at this instant, in nanoseconds of any clock; events come in order of time.
    pub fn event(&mut self, at_ns: u64) {
        while self.recent.front().is_some_and(|&first| at_ns.saturating_sub(first) >= WINDOW_NS) {
            self.recent.pop_front();
        }
        self.recent.push_back(at_ns);
        self.most = self.most.max(self.recent.len() as u64);
    }

    /// The most events in one window so far.
    #[must_use]
    pub fn most(&self) -> u64 {
        self.most
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn load() -> impl Strategy<Value = (u64, u64, u64)> {
        let n = prop_oneof![2_u64..100, 2_u64..2_000_000, 2..=u64::MAX];
        let ramp = prop_oneof![0_u64..1_000, 0_u64..3_600_000_000_000, 0..=u64::MAX];
        (n, ramp).prop_flat_map(|(n, ramp)| (Just(n), Just(ramp), 0..n - 1))
    }

    proptest! {
        #[test]
        fn instants_are_monotone_within_the_ramp_and_evenly_spaced((n, ramp_ns, i) in load()) {
            let ramp = Duration::from_nanos(ramp_ns);
            let (this, next) = (intended_ns(i, n, ramp), intended_ns(i + 1, n, ramp));
            prop_assert!(this <= next);
            prop_assert!(ramp_ns == 0 && next == 0 || next < ramp_ns);
            // Every gap is ⌊ramp/n⌋ or one nanosecond more, so any two differ by at most one.
            let gap = next - this;
            prop_assert!(gap == ramp_ns / n || gap == ramp_ns / n + 1, "gap {gap} of {ramp_ns}/{n}");
        }

        #[test]
        fn no_rounding_adds_up((n, ramp_ns, i) in load()) {
            let at = u128::from(intended_ns(i, n, Duration::from_nanos(ramp_ns)));
            let exact = u128::from(i) * u128::from(ramp_ns);
            prop_assert!(at * u128::from(n) <= exact && exact - at * u128::from(n) < u128::from(n));
        }
    }

    proptest! {
        #[test]
        fn the_busiest_window_is_found_wherever_it_begins(gaps in proptest::collection::vec(0_u64..4_000_000, 0..200)) {
            let instants: Vec<u64> = gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) }).collect();
            let mut busiest = Busiest::default();
            instants.iter().for_each(|&at| busiest.event(at));
            let within = |from: &u64| instants.iter().filter(|&at| (*from..from + WINDOW_NS).contains(at)).count() as u64;
            prop_assert_eq!(busiest.most(), instants.iter().map(within).max().unwrap_or(0));
        }
    }

    #[test]
    fn the_edges_are_the_start_and_the_end() {
        assert_eq!(intended_ns(0, u64::MAX, Duration::MAX), 0);
        assert_eq!(intended_ns(u64::MAX - 1, u64::MAX, Duration::MAX), u64::MAX - 1);
        assert_eq!(intended_ns(11_999, 12_000, Duration::from_secs(3)), 2_999_750_000);
        assert_eq!(intended_ns(7, 9, Duration::ZERO), 0);
        assert_eq!(intended_ns(0, 0, Duration::from_secs(1)), 0);
    }
}
