//! The probes of one or more blocks in numbers. Pure. The thresholds are the kubelet's (`facts`: worker.go).

use std::collections::BTreeMap;

use brimful_loadgen::latency::{Distribution, Latency};
use brimful_loadgen::probe::{Outcome, ProbePlan, Sample};

use super::words::nanos;

/// What a series of probes came to.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    /// Probes that ended.
    pub(crate) sent: u64,
    /// Probes that passed.
    pub(crate) ok: u64,
    /// How many ended in which way.
    pub(crate) outcomes: BTreeMap<Outcome, u64>,
    /// The first probe that failed.
    pub(crate) first_failure: Option<Sample>,
    /// Time from the intended instant to a passing answer. Whatever did not pass (a refusal too) is censored at the
    /// time-out: all that is known of its answer is that none came before.
    pub(crate) latency: Distribution,
    /// When liveness would have restarted the container, in nanoseconds since the first intended probe.
    pub(crate) would_restart_ns: Option<u64>,
}

impl Summary {
    /// Sums up the probes of one block.
    pub(crate) fn of(plan: &ProbePlan, samples: &[Sample]) -> Self {
        let mut answered = Latency::new();
        let mut outcomes = BTreeMap::new();
        for sample in samples {
            *outcomes.entry(sample.outcome).or_insert(0) += 1;
            if sample.outcome.passed() {
                answered.record(sample.latency_ns());
            }
        }
        let (sent, ok) = (samples.len() as u64, answered.count());
        Self {
            sent,
            ok,
            outcomes,
            first_failure: samples.iter().find(|s| !s.outcome.passed()).cloned(),
            latency: Distribution { answered, censored: sent - ok, deadline_ns: nanos(plan.timeout) },
            would_restart_ns: would_restart_ns(plan, samples),
        }
    }

    /// Probes that did not pass.
    pub(crate) fn failed(&self) -> u64 {
        self.sent - self.ok
    }

    /// Adds another block's probes. The earliest restart is kept.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.sent += other.sent;
        self.ok += other.ok;
        for (&outcome, &n) in &other.outcomes {
            *self.outcomes.entry(outcome).or_insert(0) += n;
        }
        self.first_failure = self.first_failure.take().or_else(|| other.first_failure.clone());
        self.latency.answered.merge(&other.latency.answered);
        self.latency.censored += other.latency.censored;
        self.would_restart_ns = match (self.would_restart_ns, other.would_restart_ns) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}

/// When `failureThreshold` probes in a row had failed, from the first intended instant; liveness restarts at once then.
fn would_restart_ns(plan: &ProbePlan, samples: &[Sample]) -> Option<u64> {
    let first = samples.first()?.intended_ns;
    let mut in_a_row = 0;
    for sample in samples {
        in_a_row = if sample.outcome.passed() { 0 } else { in_a_row + 1 };
        if in_a_row >= plan.failure_threshold.max(1) {
            return Some(sample.ended_ns.saturating_sub(first));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use brimful_loadgen::latency::Quantile;

    use super::*;
    use crate::judge::support::{probe_plan, sample};

    #[test]
    fn three_failures_in_a_row_restart_and_a_pass_between_them_does_not() {
        let plan = probe_plan();
        let row =
            |outcomes: &[Outcome]| outcomes.iter().enumerate().map(|(i, &o)| sample(i as u64, o)).collect::<Vec<_>>();
        let (ok, bad) = (Outcome::Ok, Outcome::ConnectTimeout);
        assert_eq!(would_restart_ns(&plan, &row(&[ok, bad, bad, ok, bad, bad])), None);
        assert_eq!(would_restart_ns(&plan, &row(&[ok, bad, bad, bad])), Some(4_001_000_000));
        assert_eq!(would_restart_ns(&plan, &[]), None);
    }

    #[test]
    fn what_failed_is_known_only_from_below() {
        let samples = [sample(0, Outcome::Ok), sample(1, Outcome::Refused), sample(2, Outcome::ResponseTimeout)];
        let mut summary = Summary::of(&probe_plan(), &samples);
        assert_eq!((summary.sent, summary.ok, summary.failed()), (3, 1, 2));
        assert_eq!(summary.latency.quantile(0.5), Some(Quantile::AtLeast(1_000_000_000)));
        summary.merge(&summary.clone());
        assert_eq!((summary.sent, summary.outcomes[&Outcome::Refused], summary.latency.censored), (6, 2, 4));
    }
}
