//! What a row of probes comes to. Pure.

use std::collections::BTreeMap;

use super::ticker::nanoseconds;
use super::{Outcome, ProbePlan, Sample, threshold};
use crate::latency::{Distribution, Latency, Quantile};

/// All probes of one container in numbers. `sent` is `ok + failed`, and the counts of `outcomes` add up to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Probes that ended.
    pub sent: u64,
    /// Probes that passed.
    pub ok: u64,
    /// Probes that did not pass, those thrown away included.
    pub failed: u64,
    /// Of the failed: those that the kubelet would have thrown away, so that they count to no threshold.
    pub discarded: u64,
    /// How many ended in each way; ways that did not occur are absent.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// `failed / sent`, 0 to 1; `None` when none was sent.
    pub failure_rate: Option<f64>,
    /// Ticks dropped because the serial prober was busy.
    pub missed_ticks: u64,
    /// Latency from the intended instant: answered where it passed, censored at the timeout where it failed.
    pub latency: Distribution,
    /// How late the prober itself was, in nanoseconds, for every probe.
    pub lag: Latency,
    /// When liveness would have restarted the container, in seconds from the first intended probe.
    pub would_restart_at_s: Option<f64>,
    /// When readiness would have taken it out of service, in seconds from the first intended probe.
    pub out_of_service_at_s: Option<f64>,
}

impl Summary {
    /// Sums up samples, in the order in which they were taken.
    #[must_use]
    pub fn of(samples: &[Sample], plan: &ProbePlan) -> Self {
        let mut outcomes = BTreeMap::new();
        let mut answered = Latency::new();
        let mut lag = Latency::new();
        for sample in samples {
            *outcomes.entry(sample.outcome).or_insert(0) += 1;
            lag.record(sample.lag_ns());
            if sample.outcome.passed() {
                answered.record(sample.latency_ns());
            }
        }
        let sent = samples.len() as u64;
        let ok = answered.count();
        Self {
            sent,
            ok,
            failed: sent - ok,
            discarded: samples.iter().filter(|sample| sample.discarded).count() as u64,
            outcomes,
            failure_rate: ratio(sent - ok, sent),
            missed_ticks: samples.iter().map(|sample| sample.missed_ticks).sum(),
            latency: Distribution { answered, censored: sent - ok, deadline_ns: nanoseconds(plan.timeout) },
            lag,
            would_restart_at_s: threshold::would_restart_at_ns(samples, plan).map(seconds),
            out_of_service_at_s: threshold::out_of_service_at_ns(samples, plan).map(seconds),
        }
    }

    /// The median latency, in nanoseconds; `None` when none was sent.
    #[must_use]
    pub fn p50(&self) -> Option<Quantile> {
        self.latency.quantile(0.5)
    }

    /// The latency that nine in ten stay within, in nanoseconds; `None` when none was sent.
    #[must_use]
    pub fn p90(&self) -> Option<Quantile> {
        self.latency.quantile(0.9)
    }

    /// The latency that 99 in 100 stay within, in nanoseconds; `None` when none was sent.
    #[must_use]
    pub fn p99(&self) -> Option<Quantile> {
        self.latency.quantile(0.99)
    }

    /// The largest latency, in nanoseconds; `None` when none was sent.
    #[must_use]
    pub fn max(&self) -> Option<Quantile> {
        self.latency.quantile(1.0)
    }

    /// The mean of min(latency, timeout) over all probes, in nanoseconds; `None` when none was sent.
    #[must_use]
    pub fn restricted_mean_ns(&self) -> Option<f64> {
        self.latency.restricted_mean()
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of probes are far below 2^52")]
fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[expect(clippy::cast_precision_loss, reason = "nanoseconds of a run are far below 2^52")]
fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::probe::made_up::{plan, samples_of};

    #[test]
    fn failures_are_censored_at_the_timeout_and_never_averaged_as_answers() {
        let summary = Summary::of(&samples_of("+++-?"), &ProbePlan { failure_threshold: 1, ..plan() });
        assert_eq!((summary.sent, summary.ok, summary.failed, summary.discarded), (5, 3, 2, 1));
        assert_eq!(summary.failure_rate, Some(0.4));
        let mut answered = Latency::new();
        (0..3).for_each(|_| answered.record(500_000_000));
        assert_eq!(summary.p50(), Some(Quantile::Exact(answered.max())));
        assert_eq!(summary.latency, Distribution { answered, censored: 2, deadline_ns: 1_000_000_000 });
        assert_eq!(summary.p90(), Some(Quantile::AtLeast(1_000_000_000)));
        assert_eq!(summary.max(), Some(Quantile::AtLeast(1_000_000_000)));
        assert_eq!(summary.restricted_mean_ns(), summary.latency.restricted_mean());
        assert_eq!(summary.would_restart_at_s, Some(3.5));
        assert_eq!(summary.out_of_service_at_s, Some(3.5));
    }

    #[test]
    fn no_probes_are_no_numbers() {
        let summary = Summary::of(&[], &plan());
        assert_eq!((summary.sent, summary.failure_rate, summary.p50()), (0, None, None));
        assert_eq!((summary.restricted_mean_ns(), summary.would_restart_at_s), (None, None));
    }

    proptest! {
        #[test]
        fn the_parts_add_up(results in "[+?-]{0,40}") {
            let summary = Summary::of(&samples_of(&results), &plan());
            prop_assert_eq!(summary.sent, summary.ok + summary.failed);
            prop_assert_eq!(summary.sent, summary.outcomes.values().sum::<u64>());
            prop_assert_eq!(summary.sent, summary.latency.count());
            prop_assert!(summary.discarded <= summary.failed);
        }
    }
}
