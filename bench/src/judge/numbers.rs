//! What a cell, or one block of it, came to in numbers, and which numbers are alike but for noise. Pure.
//!
//! It describes and never tests: a difference beyond noise is no proof, and one within it is not shown to be nothing.

use std::collections::BTreeMap;

use super::report::{At, LoadReport, ProbeReport};
use crate::plan::gate::Metric;

/// Two latencies are alike where they are apart by less than this part of the probe's time-out: on a machine that is busy with its
/// own load, healthy cells show up to 16 ms at the 99th percentile of a second's budget, and the next time another number.
const NOISE_OF_THE_TIMEOUT: f64 = 1.0 / 50.0;

/// A number, or what is known of it from below.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Seen {
    /// The number.
    Exact(f64),
    /// A quantile among probes that were never answered.
    AtLeast(f64),
}

/// The metrics of a cell or of one block, each where it is known, in the unit of [`Metric`].
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Numbers {
    pub(crate) values: BTreeMap<Metric, Seen>,
    /// The probe's time-out, in nanoseconds.
    pub(crate) timeout_ns: u64,
    /// Probes that ended.
    pub(crate) probes: u64,
    /// Connections asked for.
    pub(crate) requested: u64,
}

impl Numbers {
    pub(crate) fn of(probe: &ProbeReport, load: &LoadReport) -> Self {
        let exact = |number: Option<f64>| number.map(Seen::Exact);
        let values = Metric::ALL.into_iter().filter_map(|metric| {
            let seen = match metric {
                Metric::FailureRate => exact(probe.failure_rate),
                Metric::RestrictedMean => exact(probe.restricted_mean_ns.map(|ns| ns as f64)),
                Metric::P50 => probe.latency_ns.p50.map(Seen::from),
                Metric::P90 => probe.latency_ns.p90.map(Seen::from),
                Metric::P99 => probe.latency_ns.p99.map(Seen::from),
                Metric::LoadRate => exact(load.rate_per_s),
                Metric::LoadHeld => exact(Some(load.held as f64)),
            };
            Some((metric, seen?))
        });
        Self { values: values.collect(), timeout_ns: probe.timeout_ns, probes: probe.sent, requested: load.requested }
    }

    pub(crate) fn get(&self, metric: Metric) -> Option<Seen> {
        self.values.get(&metric).copied()
    }

    /// The share of the connections asked for that are open at the end; 1 where none was asked for.
    pub(crate) fn held_share(&self) -> f64 {
        match self.get(Metric::LoadHeld) {
            Some(Seen::Exact(held) | Seen::AtLeast(held)) if self.requested > 0 => held / self.requested as f64,
            _ => 1.0,
        }
    }
}

/// Whether two values of a metric are apart by no more than noise: what a gate tolerates where nobody says otherwise
/// ([`Metric::default_tolerance`]), and for latencies a fiftieth of the probe's time-out besides.
pub(crate) fn alike(metric: Metric, a: f64, b: f64, timeout_ns: u64) -> bool {
    let apart = (a - b).abs();
    let tolerance = metric.default_tolerance();
    match metric {
        Metric::FailureRate => apart <= tolerance,
        Metric::LoadRate | Metric::LoadHeld => apart <= tolerance * a.max(b),
        Metric::RestrictedMean | Metric::P50 | Metric::P90 | Metric::P99 => {
            apart <= (tolerance * a.max(b)).max(NOISE_OF_THE_TIMEOUT * timeout_ns as f64)
        }
    }
}

impl From<At> for Seen {
    fn from(at: At) -> Self {
        match at {
            At::Exact(ns) => Self::Exact(ns as f64),
            At::AtLeast { at_least_ns } => Self::AtLeast(at_least_ns as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_difference_that_no_health_check_feels_is_noise() {
        for (metric, a, b, is) in [
            (Metric::FailureRate, 0.0, 0.004, true),
            (Metric::FailureRate, 0.0, 0.01, false),
            (Metric::P99, 2e6, 15e6, true),
            (Metric::P99, 2e6, 40e6, false),
            (Metric::P99, 500e6, 540e6, true),
            (Metric::LoadHeld, 1_142.0, 12_000.0, false),
            (Metric::LoadRate, 4_000.0, 3_900.0, true),
        ] {
            assert_eq!(alike(metric, a, b, SECOND), is, "{metric} {a} {b}");
        }
    }

    proptest! {
        #[test]
        fn likeness_is_mutual_and_everything_is_like_itself(
            metric in proptest::sample::select(Metric::ALL.to_vec()), a in 0.0..1e10_f64, b in 0.0..1e10_f64,
        ) {
            prop_assert!(alike(metric, a, a, SECOND));
            prop_assert_eq!(alike(metric, a, b, SECOND), alike(metric, b, a, SECOND));
        }
    }
}
