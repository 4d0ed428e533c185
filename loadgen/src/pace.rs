//! The pacer: when each connection of a load is meant to be opened. Pure; it owns no clock.
//!
//! Latency and lateness both count from these instants, so they are exact: no rounding adds up over a ramp, and no
//! refill at second boundaries makes the very bursts that a load should measure.

use std::time::Duration;

/// The intended instant of connection `i` of `n` (counted from 0) in nanoseconds since the start of the load:
/// ⌊i · ramp / n⌋.
///
/// Instants never decrease, start at 0, stay before the end of the ramp, and neighbouring gaps differ by at most 1 ns.
/// A ramp of zero puts every connection at 0; so does `n` = 0, which has none. A ramp beyond 584 years counts as that.
///
/// ```
/// use std::time::Duration;
/// # use brimful_loadgen::pace::intended_ns;
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

    #[test]
    fn the_edges_are_the_start_and_the_end() {
        assert_eq!(intended_ns(0, u64::MAX, Duration::MAX), 0);
        assert_eq!(intended_ns(u64::MAX - 1, u64::MAX, Duration::MAX), u64::MAX - 1);
        assert_eq!(intended_ns(11_999, 12_000, Duration::from_secs(3)), 2_999_750_000);
        assert_eq!(intended_ns(7, 9, Duration::ZERO), 0);
        assert_eq!(intended_ns(0, 0, Duration::from_secs(1)), 0);
    }
}
