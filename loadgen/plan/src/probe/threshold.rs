//! What the kubelet makes of a row of results: restart the container, take it out of service. Pure.
//!
//! A worker counts how many times in a row it saw the same result, and sets it only when the row reaches its threshold
//! (`pkg/kubelet/prober/worker.go`, `doProbe`). A probe that errored is thrown away before it is counted: it neither
//! lengthens nor breaks a row.

use super::{ProbePlan, Sample};

/// When liveness would have restarted the container: the end of the probe that completes the first row of
/// `failure_threshold` failures, in nanoseconds from the first intended probe. `None` when it would not have.
///
/// Samples are in the order in which they were taken. Liveness begins as a success; once failed the worker is on hold
/// until there is a new container, so nothing after the first completed row matters.
#[must_use]
pub fn would_restart_at_ns(samples: &[Sample], plan: &ProbePlan) -> Option<u64> {
    let mut row = Row::default();
    counted(samples)
        .find(|sample| row.add(sample.outcome.passed()) >= plan.failure_threshold && !sample.outcome.passed())
        .map(|sample| since_first(samples, sample))
}

/// When readiness would have taken the container out of service: the end of the probe that completes the first row of
/// `failure_threshold` failures after a row of `success_threshold` successes had put it in, in nanoseconds from the
/// first intended probe. `None` when it was never ready, or stayed so. Readiness begins as a failure.
#[must_use]
pub fn out_of_service_at_ns(samples: &[Sample], plan: &ProbePlan) -> Option<u64> {
    let mut row = Row::default();
    let mut ready = false;
    for sample in counted(samples) {
        let length = row.add(sample.outcome.passed());
        if sample.outcome.passed() {
            ready |= length >= plan.success_threshold;
        } else if ready && length >= plan.failure_threshold {
            return Some(since_first(samples, sample));
        }
    }
    None
}

/// How often the same result was seen in a row.
#[derive(Default)]
struct Row {
    passed: bool,
    length: u32,
}

impl Row {
    /// Adds a result and returns the length of the row it belongs to.
    fn add(&mut self, passed: bool) -> u32 {
        self.length = if passed == self.passed { self.length.saturating_add(1) } else { 1 };
        self.passed = passed;
        self.length
    }
}

fn counted(samples: &[Sample]) -> impl Iterator<Item = &Sample> {
    samples.iter().filter(|sample| !sample.discarded)
}

fn since_first(samples: &[Sample], sample: &Sample) -> u64 {
    sample.ended_ns.saturating_sub(samples.first().map_or(0, |first| first.intended_ns))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::probe::made_up::{plan, samples_of};

    fn with_thresholds(failure: u32, success: u32) -> ProbePlan {
        ProbePlan { failure_threshold: failure, success_threshold: success, ..plan() }
    }

    /// Samples written as `+` passed, `-` failed, `?` discarded: one a second from 5 s on, each taking half a second.
    #[test]
    fn rows_are_counted_as_the_worker_counts_them() {
        let cases = [
            // results, failure and success threshold, restart at half-seconds, out of service at half-seconds
            ("", 3, 1, None, None),
            ("+++", 3, 1, None, None),
            ("---", 3, 1, Some(5), None),
            ("-", 1, 1, Some(1), None),
            ("+--+--+", 3, 1, None, None),
            ("+--+---", 3, 1, Some(13), Some(13)),
            ("--?-", 3, 1, Some(7), None),
            ("+-?--+", 3, 1, Some(9), Some(9)),
            ("?????", 1, 1, None, None),
            ("+-+-++---", 3, 2, Some(17), Some(17)),
            ("+-+---", 3, 2, Some(11), None),
            ("---+---", 3, 1, Some(5), Some(13)),
        ];
        for (results, failure, success, restart, out) in cases {
            let (samples, plan) = (samples_of(results), with_thresholds(failure, success));
            let halves = |n: u64| n * 500_000_000;
            assert_eq!(would_restart_at_ns(&samples, &plan), restart.map(halves), "restart: {results}");
            assert_eq!(out_of_service_at_ns(&samples, &plan), out.map(halves), "out of service: {results}");
        }
    }

    proptest! {
        #[test]
        fn a_restart_needs_exactly_a_row_of_failures(results in "[+?-]{0,40}", failure in 1_u32..6) {
            let at = would_restart_at_ns(&samples_of(&results), &with_thresholds(failure, 1));
            let row = "-".repeat(failure as usize);
            prop_assert_eq!(at.is_some(), results.replace('?', "").contains(&row));
        }

        #[test]
        fn what_was_thrown_away_changes_no_decision(results in "[+?-]{1,40}", failure in 1_u32..6) {
            let plan = with_thresholds(failure, 1);
            let mut all = samples_of(&results);
            all.insert(0, samples_of("+")[0].clone());
            let kept: Vec<_> = all.iter().filter(|s| !s.discarded).cloned().collect();
            prop_assert_eq!(would_restart_at_ns(&all, &plan), would_restart_at_ns(&kept, &plan));
            prop_assert_eq!(out_of_service_at_ns(&all, &plan), out_of_service_at_ns(&kept, &plan));
        }

        #[test]
        fn what_comes_later_cannot_undo_a_restart(results in "[+?-]{0,30}", more in "[+?-]{0,30}", failure in 1_u32..6) {
            let plan = with_thresholds(failure, 1);
            if let Some(at) = would_restart_at_ns(&samples_of(&results), &plan) {
                prop_assert_eq!(would_restart_at_ns(&samples_of(&format!("{results}{more}")), &plan), Some(at));
            }
        }
    }
}
