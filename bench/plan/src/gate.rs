//! What a gate holds a run to: the metrics it looks at, how far each may move, and how far it may go at all.

use std::fmt;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// A number that one block of one cell comes to, and that two runs or two arms can be compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Metric {
    /// Probes that did not pass over all that ended, 0 to 1. Compared by difference.
    #[serde(rename = "failure-rate")]
    FailureRate,
    /// The mean of min(latency, time-out) over all probes, in nanoseconds. Compared by ratio, as every one below.
    #[serde(rename = "latency.restricted-mean")]
    RestrictedMean,
    /// The median latency of the health check, in nanoseconds; not known where it falls among the censored.
    #[serde(rename = "latency.p50")]
    P50,
    /// The 90th percentile.
    #[serde(rename = "latency.p90")]
    P90,
    /// The 99th percentile.
    #[serde(rename = "latency.p99")]
    P99,
    /// Connections opened a second, from the first attempt to the last. More is better.
    #[serde(rename = "load.rate")]
    LoadRate,
    /// Connections open at the end, as the client sees it. More is better.
    #[serde(rename = "load.held")]
    LoadHeld,
}

impl Metric {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 7] =
        [Self::FailureRate, Self::RestrictedMean, Self::P50, Self::P90, Self::P99, Self::LoadRate, Self::LoadHeld];

    /// Its name in scenarios, reports and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FailureRate => "failure-rate",
            Self::RestrictedMean => "latency.restricted-mean",
            Self::P50 => "latency.p50",
            Self::P90 => "latency.p90",
            Self::P99 => "latency.p99",
            Self::LoadRate => "load.rate",
            Self::LoadHeld => "load.held",
        }
    }

    /// The metric of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }

    /// The name most like this one, where one is alike.
    #[must_use]
    pub fn nearest(name: &str) -> Option<&'static str> {
        crate::wording::nearest(name, Self::ALL.map(Self::name))
    }

    /// Whether more of it is better.
    #[must_use]
    pub const fn more_is_better(self) -> bool {
        matches!(self, Self::LoadRate | Self::LoadHeld)
    }

    /// How far it may move for the worse where `[gate]` does not say: 0.5 percentage points of failures, a tenth of anything else.
    #[must_use]
    pub const fn default_tolerance(self) -> f64 {
        match self {
            Self::FailureRate => 0.005,
            Self::RestrictedMean | Self::P50 | Self::P90 | Self::P99 | Self::LoadRate | Self::LoadHeld => 0.1,
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a gate looks at whatever anybody says: no time-out can hide from them.
pub const ALWAYS: [Metric; 2] = [Metric::FailureRate, Metric::RestrictedMean];

/// The metrics of a gate that names none: those that no time-out can hide from, and the tail.
pub const DEFAULT_METRICS: [Metric; 3] = [Metric::FailureRate, Metric::RestrictedMean, Metric::P99];

/// `[gate]`: what a run is held to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// Blocks to run unless the command line says otherwise; `None` for as many as the test needs.
    pub blocks: Option<u32>,
    /// What is tested, in this order; failure rate and restricted mean are always among them.
    pub metrics: Vec<Metric>,
    /// A glob over cell ids (without the arm); `None` for every cell.
    pub cells: Option<String>,
    /// How far each metric may move for the worse: a share of the baseline's (0.1 for a tenth), for the failure rate a difference.
    pub tolerance: IndexMap<Metric, f64>,
    /// What a metric may not pass at all, in its own unit (nanoseconds, a share, connections); a floor where more is better.
    pub ceiling: IndexMap<Metric, f64>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            blocks: None,
            metrics: DEFAULT_METRICS.to_vec(),
            cells: None,
            tolerance: IndexMap::new(),
            ceiling: IndexMap::new(),
        }
    }
}

impl Gate {
    /// The metrics that are tested, those that always are among them, in the order in which metrics are shown.
    #[must_use]
    pub fn tested(&self) -> Vec<Metric> {
        Metric::ALL.into_iter().filter(|metric| ALWAYS.contains(metric) || self.metrics.contains(metric)).collect()
    }

    /// How far a metric may move for the worse.
    #[must_use]
    pub fn tolerance_of(&self, metric: Metric) -> f64 {
        self.tolerance.get(&metric).copied().unwrap_or_else(|| metric.default_tolerance())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_has_one_name_everywhere() {
        for metric in Metric::ALL {
            assert_eq!(Metric::named(metric.name()), Some(metric));
            assert_eq!(serde_json::to_value(metric).unwrap(), metric.name());
        }
        assert_eq!(Metric::named("latency.p98"), None);
        assert_eq!(Metric::nearest("failure_rate"), Some("failure-rate"));
    }
}
