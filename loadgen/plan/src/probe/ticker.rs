//! When the next probe is due: the kubelet's worker loop, without its clock. Pure.
//!
//! One goroutine probes, waits for a tick of a `time.Ticker`, probes again (`pkg/kubelet/prober/worker.go`, `run`).
//! The ticker's channel holds one tick: the first that fires while the worker is busy is delivered the moment it is
//! free, every further one is dropped. Ticks keep their places, so a late probe shifts nothing behind it.

use std::time::Duration;

use super::ProbePlan;

/// One decision: when the next probe is due, and what was dropped on the way to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Nanoseconds since the start of the container: the tick, or, where the worker was busy when it fired, the moment
    /// at which the worker should have been free. Never later than the start of the probe, so that whatever the prober
    /// itself is late counts as lag, and the kubelet's way of probing one after the other does not.
    pub intended_ns: u64,
    /// Ticks dropped since the decision before, because the worker was busy and one tick was waiting already.
    pub missed_ticks: u64,
}

/// The worker loop as a state machine: it is told when a probe ended, and answers when the next one is due.
///
/// Every tick is used exactly once: it starts a probe, is dropped and counted, or lies before the initial delay.
#[derive(Clone, Debug)]
pub struct Ticker {
    period_ns: u64,
    timeout_ns: u64,
    /// Index of the last tick that was used; tick `k` fires at `k` periods.
    used: u64,
    intended_ns: u64,
}

impl Ticker {
    /// A ticker for this plan, and its first decision: the first tick that is not before the initial delay
    /// (`doProbe` returns at once while the container is younger, so the delay is rounded up to whole periods).
    #[must_use]
    pub fn new(plan: &ProbePlan) -> (Self, Due) {
        // A plan's period is above zero; one that is not must still not divide by zero.
        let period_ns = nanoseconds(plan.period).max(1);
        let used = nanoseconds(plan.initial_delay).div_ceil(period_ns);
        let intended_ns = used.saturating_mul(period_ns);
        let ticker = Self { period_ns, timeout_ns: nanoseconds(plan.timeout), used, intended_ns };
        (ticker, Due { intended_ns, missed_ticks: 0 })
    }

    /// The next decision, after the probe that was due last ended at `ended_ns` (nanoseconds since the start of the
    /// container) and took `attempts` attempts, each of which may rightly take a whole timeout.
    pub fn after(&mut self, ended_ns: u64, attempts: u32) -> Due {
        let rightly_busy = self.timeout_ns.saturating_mul(u64::from(attempts.max(1)));
        let free_ns = ended_ns.min(self.intended_ns.saturating_add(rightly_busy)).max(self.intended_ns);
        let fired = (ended_ns / self.period_ns).max(self.used);
        let missed_ticks = (fired - self.used).saturating_sub(1);
        let tick_ns = (self.used + 1).saturating_mul(self.period_ns);
        self.intended_ns = if fired > self.used { tick_ns.max(free_ns) } else { tick_ns };
        self.used = fired.max(self.used + 1);
        Due { intended_ns: self.intended_ns, missed_ticks }
    }
}

/// A duration as nanoseconds, at most `u64::MAX` (584 years).
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::probe::made_up::plan;

    const MS: u64 = 1_000_000;

    fn ticker(period_ms: u64, timeout_ms: u64, delay_ms: u64) -> (Ticker, Due) {
        let mut plan = plan();
        plan.period = Duration::from_millis(period_ms);
        plan.timeout = Duration::from_millis(timeout_ms);
        plan.initial_delay = Duration::from_millis(delay_ms);
        Ticker::new(&plan)
    }

    fn due(intended_ms: u64, missed_ticks: u64) -> Due {
        Due { intended_ns: intended_ms * MS, missed_ticks }
    }

    #[test]
    fn a_quick_probe_is_followed_by_the_next_tick() {
        let (mut t, first) = ticker(1_000, 1_000, 0);
        assert_eq!(first, due(0, 0));
        assert_eq!(t.after(3 * MS, 1), due(1_000, 0));
        assert_eq!(t.after(1_003 * MS, 1), due(2_000, 0));
    }

    #[test]
    fn the_initial_delay_is_rounded_up_to_a_tick() {
        assert_eq!(ticker(10_000, 1_000, 0).1, due(0, 0));
        assert_eq!(ticker(10_000, 1_000, 1).1, due(10_000, 0));
        assert_eq!(ticker(10_000, 1_000, 10_000).1, due(10_000, 0));
        assert_eq!(ticker(10_000, 1_000, 10_001).1, due(20_000, 0));
    }

    #[test]
    fn one_tick_waits_for_a_busy_worker_and_the_others_are_dropped() {
        let (mut t, _) = ticker(1_000, 3_500, 0);
        // Ticks 1, 2 and 3 fire meanwhile: 1 is delivered at 3.5 s, 2 and 3 are not.
        assert_eq!(t.after(3_500 * MS, 1), due(3_500, 2));
        assert_eq!(t.after(3_600 * MS, 1), due(4_000, 0));
    }

    #[test]
    fn being_late_by_oneself_counts_from_the_moment_of_being_free() {
        let (mut t, _) = ticker(1_000, 500, 0);
        // It should have been given up at 0.5 s and tick 1 have been met; the prober slept until 2.7 s.
        assert_eq!(t.after(2_700 * MS, 1), due(1_000, 1));
        let (mut t, _) = ticker(1_000, 1_500, 0);
        assert_eq!(t.after(1_700 * MS, 1), due(1_500, 0));
    }

    #[test]
    fn retries_keep_the_worker_rightly_busy() {
        let (mut t, _) = ticker(1_000, 1_000, 0);
        assert_eq!(t.after(3_000 * MS, 3), due(3_000, 2));
    }

    proptest! {
        #[test]
        fn no_tick_is_invented_lost_or_shifted(
            period in 1_u64..2_000,
            timeout in 1_u64..3_000,
            delay in 0_u64..5_000,
            probes in proptest::collection::vec((0_u64..3_000, 0_u64..9_000, 1_u32..4), 1..60),
        ) {
            let (mut t, first) = ticker(period, timeout, delay);
            prop_assert!(first.intended_ns >= delay * MS && first.intended_ns < (delay + period) * MS);
            prop_assert_eq!(first.intended_ns % (period * MS), 0);
            let mut used = first.intended_ns / (period * MS);
            let mut last = first;
            let mut ended = 0;
            for (lag, took, attempts) in probes {
                let started = ended.max(last.intended_ns) + lag * MS / 10;
                ended = started + took * MS / 3;
                let next = t.after(ended, attempts);
                used += 1 + next.missed_ticks;
                // Intended instants only grow, and never lie in the time in which the worker was rightly busy.
                prop_assert!(next.intended_ns >= last.intended_ns);
                prop_assert!(next.intended_ns >= ended.min(last.intended_ns + timeout * MS * u64::from(attempts)));
                if next.intended_ns > ended {
                    // It waits for a tick, which is the very next one on the grid laid at the start: no drift.
                    prop_assert_eq!(next.intended_ns, used * period * MS);
                    prop_assert!(next.intended_ns - ended <= period * MS);
                    prop_assert_eq!(next.missed_ticks, 0);
                } else {
                    // It starts at once on a tick that fired: all that fired are used up, none that did not.
                    prop_assert_eq!(used, ended / (period * MS));
                }
                last = next;
            }
        }
    }
}
