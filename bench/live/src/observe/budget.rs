//! When an expensive reading may be taken again. Pure: it is told the time.

/// How long a burst of urgent readings may make the next calm one wait, in nanoseconds, beyond what the last one costs.
const CREDIT_NS: u64 = 2_000_000_000;
/// The least distance of two urgent readings, in multiples of what the last one cost: at most 5 % of a core.
const URGENT_MULTIPLE: u64 = 20;
/// What may be spent before it is earned, in nanoseconds: the longest pause that one reading may cause unasked.
const DEAR_NS: u64 = 50_000_000;

/// A share of one core for one kind of reading.
///
/// Every reading must be waited off: a hundred times what it cost, for one per cent. When something is happening, an
/// urgent reading may be taken before that, at most at 5 % of a core and only as long as little is owed: so the first
/// seconds of a disturbance are seen closely, and over a long one the share is kept all the same.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    multiple: u64,
    last: Option<Last>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    ended_ns: u64,
    cost_ns: u64,
    /// How long must be waited from `ended_ns` until all is paid.
    owed_ns: u64,
}

impl Budget {
    /// A budget of one `multiple`-th of a core.
    #[must_use]
    pub const fn one_in(multiple: u64) -> Self {
        Self { multiple, last: None }
    }

    /// Whether a reading may be taken now. The first one always may.
    #[must_use]
    pub fn allows(&self, now_ns: u64, urgent: bool) -> bool {
        let Some(last) = self.last else { return true };
        let since = now_ns.saturating_sub(last.ended_ns);
        let owed = last.owed_ns.saturating_sub(since);
        owed == 0 || (urgent && since >= last.cost_ns.saturating_mul(URGENT_MULTIPLE) && owed <= CREDIT_NS)
    }

    /// The same for a reading that should cost so much: one that is dear must be earned first, unless it is urgent, so that a run does not
    /// end in debt for it.
    #[must_use]
    pub fn allows_costing(&self, now_ns: u64, expected_ns: u64, urgent: bool) -> bool {
        let earned = |last: Last| now_ns.saturating_sub(last.ended_ns) >= expected_ns.saturating_mul(self.multiple);
        self.allows(now_ns, urgent) && (urgent || expected_ns < DEAR_NS || self.last.is_none_or(earned))
    }

    /// Forgets all that was spent: the next reading may be taken at once. For the last one, which disturbs nobody any more.
    pub fn forgive(&mut self) {
        self.last = None;
    }

    /// Notes a reading that ended now and took so long.
    pub fn spend(&mut self, ended_ns: u64, cost_ns: u64) {
        let before = self.last.map_or(0, |last| last.owed_ns.saturating_sub(ended_ns.saturating_sub(last.ended_ns)));
        let owed_ns = before.saturating_add(cost_ns.saturating_mul(self.multiple));
        self.last = Some(Last { ended_ns, cost_ns, owed_ns });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: u64 = 1_000_000;

    /// Rounds of 100 ms over some seconds; gives when readings of a fixed cost were taken, in milliseconds.
    fn readings(cost_ns: u64, seconds: u64, urgent: impl Fn(u64) -> bool) -> Vec<u64> {
        let mut budget = Budget::one_in(100);
        let mut taken = Vec::new();
        for ms in (0..seconds * 1000).step_by(100) {
            if budget.allows(ms * MS, urgent(ms)) {
                budget.spend(ms * MS, cost_ns);
                taken.push(ms);
            }
        }
        taken
    }

    #[test]
    fn a_cheap_reading_is_taken_every_round() {
        assert_eq!(readings(MS / 2, 2, |_| false).len(), 20);
    }

    #[test]
    fn a_dear_reading_is_taken_at_one_per_cent() {
        assert_eq!(readings(10 * MS, 5, |_| false), [0, 1000, 2000, 3000, 4000]);
        assert_eq!(readings(45 * MS, 10, |_| false), [0, 4500, 9000]);
    }

    #[test]
    fn trouble_is_looked_at_at_once_and_then_closely() {
        let taken = readings(10 * MS, 5, |ms| ms >= 400);
        assert_eq!(taken.iter().take(3).copied().collect::<Vec<_>>(), [0, 400, 600]);
    }

    #[test]
    fn what_is_dear_is_earned_first_unless_it_is_urgent() {
        let mut budget = Budget::one_in(100);
        assert!(budget.allows_costing(0, 200 * MS, false), "the first one always may");
        budget.spend(0, 10 * MS);
        let at = |ms, expected_ms, urgent| budget.allows_costing(ms * MS, expected_ms * MS, urgent);
        assert!(at(1_000, 40, false) && !at(1_000, 200, false) && at(1_000, 200, true));
        assert!(!at(19_999, 200, false) && at(20_000, 200, false));
    }

    #[test]
    fn what_is_forgiven_does_not_wait() {
        let mut budget = Budget::one_in(100);
        budget.spend(0, 1_000 * MS);
        assert!(!budget.allows(MS, true));
        budget.forgive();
        assert!(budget.allows(MS, false));
    }

    #[test]
    fn after_trouble_calm_readings_return_within_seconds() {
        let taken = readings(10 * MS, 20, |ms| ms < 10_000);
        let calm = taken.iter().find(|ms| **ms >= 10_000).copied();
        assert!(calm.is_some_and(|ms| ms <= 13_000), "{calm:?}");
    }

    proptest! {
        #[test]
        fn over_time_the_share_is_kept_whatever_happens(
            cost_us in 1_u64..60_000,
            urgent in proptest::collection::vec(any::<bool>(), 600),
        ) {
            let taken = readings(cost_us * 1000, 60, |ms| urgent.get((ms / 100) as usize).copied().unwrap_or(false));
            let cost_ms = taken.len() as u64 * cost_us / 1000;
            // One per cent of a minute, the credit, and the first reading.
            prop_assert!(cost_ms <= 600 + 20 + 2 * cost_us / 1000 + 1, "{} ms", cost_ms);
        }

        #[test]
        fn two_readings_are_never_nearer_than_five_per_cent(cost_us in 1_u64..60_000) {
            let taken = readings(cost_us * 1000, 20, |_| true);
            for pair in taken.windows(2) {
                prop_assert!((pair[1] - pair[0]) * 1000 >= cost_us * URGENT_MULTIPLE);
            }
        }
    }
}
