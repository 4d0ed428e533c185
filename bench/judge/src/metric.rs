//! What each metric comes to in each block of a cell. Pure.

use std::collections::BTreeMap;

use brimful_plan::expect::CellOutcome;
use brimful_plan::gate::Metric;
use serde::{Deserialize, Serialize};

use super::report::{At, BlockReport, CellReport, LoadReport, ProbeReport};

/// A metric of one block, in the metric's own unit: nanoseconds, a share of 0 to 1, connections, connections a second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// The value.
    Known(f64),
    /// Censored: known only from below.
    AtLeast {
        /// The probe's time-out, in nanoseconds.
        at_least: f64,
    },
}

impl Value {
    /// The number, where there is one.
    #[must_use]
    pub const fn known(self) -> Option<f64> {
        match self {
            Self::Known(value) => Some(value),
            Self::AtLeast { .. } => None,
        }
    }
}

/// The value of a metric in one block; `None` where there is none: a void block, a rate of a load that opened at one instant.
#[must_use]
pub fn of(metric: Metric, block: &BlockReport) -> Option<Value> {
    if is_void(block) {
        return None;
    }
    seen(metric, &block.probe, &block.load)
}

/// The value of a metric in what a probe and a load came to, of one block or of several together.
#[must_use]
pub fn seen(metric: Metric, probe: &ProbeReport, load: &LoadReport) -> Option<Value> {
    match metric {
        Metric::FailureRate => probe.failure_rate.map(Value::Known),
        Metric::RestrictedMean => probe.restricted_mean_ns.map(|ns| Value::Known(ns as f64)),
        Metric::P50 => probe.latency_ns.p50.map(Value::from),
        Metric::P90 => probe.latency_ns.p90.map(Value::from),
        Metric::P99 => probe.latency_ns.p99.map(Value::from),
        Metric::LoadRate => load.rate_per_s.map(Value::Known),
        Metric::LoadHeld => Some(Value::Known(load.held as f64)),
    }
}

/// The values of a cell by the number of the block; blocks without one are left out.
#[must_use]
pub fn by_block(metric: Metric, cell: &CellReport) -> BTreeMap<u32, Value> {
    cell.blocks.iter().filter_map(|block| Some((block.block, of(metric, block)?))).collect()
}

/// Whether the experiment itself did not work: such a block is no data, for no metric.
#[must_use]
pub fn is_void(block: &BlockReport) -> bool {
    block.outcome == CellOutcome::Void
}

/// Whether a metric is a latency: it then depends on the probe's time-out.
#[must_use]
pub const fn is_latency(metric: Metric) -> bool {
    match metric {
        Metric::RestrictedMean | Metric::P50 | Metric::P90 | Metric::P99 => true,
        Metric::FailureRate | Metric::LoadRate | Metric::LoadHeld => false,
    }
}

/// Whether a metric depends on how fast the machine is: then it says nothing where every instruction was translated.
#[must_use]
pub const fn is_timed(metric: Metric) -> bool {
    is_latency(metric) || matches!(metric, Metric::LoadRate)
}

impl From<At> for Value {
    fn from(at: At) -> Self {
        match at {
            At::Exact(ns) => Self::Known(ns as f64),
            At::AtLeast { at_least_ns } => Self::AtLeast { at_least: at_least_ns as f64 },
        }
    }
}
