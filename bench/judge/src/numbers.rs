//! What a cell, or one block of it, came to in numbers, and which numbers are alike but for noise. Pure.
//!
//! It describes and never tests: a difference beyond noise is no proof, and one within it is not shown to be nothing.

use std::collections::BTreeMap;

use brimful_plan::gate::Metric;

use super::compare::{Scale, scale};
use super::metric::{self, Value};
use super::report::{LoadReport, ProbeReport};

/// Two latencies are alike where they are apart by less than this part of the probe's time-out: on a machine that is busy with its
/// own load, healthy cells show up to 16 ms at the 99th percentile of a second's budget, and the next time another number.
const NOISE_OF_THE_TIMEOUT: f64 = 1.0 / 50.0;

/// The metrics of a cell or of one block, each where it is known, in the unit of [`Metric`].
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Numbers {
    pub(crate) values: BTreeMap<Metric, Value>,
    /// The probe's time-out, in nanoseconds.
    pub(crate) timeout_ns: u64,
    /// Probes that ended.
    pub(crate) probes: u64,
    /// Connections asked for.
    pub(crate) requested: u64,
}

impl Numbers {
    pub(crate) fn of(probe: &ProbeReport, load: &LoadReport) -> Self {
        let values = Metric::ALL.into_iter().filter_map(|m| Some((m, metric::seen(m, probe, load)?)));
        Self { values: values.collect(), timeout_ns: probe.timeout_ns, probes: probe.sent, requested: load.requested }
    }

    pub(crate) fn get(&self, metric: Metric) -> Option<Value> {
        self.values.get(&metric).copied()
    }

    /// The share of the connections asked for that are open at the end; 1 where none was asked for.
    pub(crate) fn held_share(&self) -> f64 {
        match self.get(Metric::LoadHeld) {
            Some(Value::Known(held)) if self.requested > 0 => held / self.requested as f64,
            _ => 1.0,
        }
    }
}

/// Whether two values of a metric are apart by no more than noise: what a gate tolerates where nobody says otherwise
/// ([`Metric::default_tolerance`]), and for latencies a fiftieth of the probe's time-out besides.
pub(crate) fn alike(metric: Metric, a: f64, b: f64, timeout_ns: u64) -> bool {
    let apart = (a - b).abs();
    let tolerance = metric.default_tolerance();
    match scale(metric) {
        Scale::Difference => apart <= tolerance,
        Scale::Ratio => {
            let latency = if metric::is_latency(metric) { NOISE_OF_THE_TIMEOUT * timeout_ns as f64 } else { 0.0 };
            apart <= (tolerance * a.max(b)).max(latency)
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
