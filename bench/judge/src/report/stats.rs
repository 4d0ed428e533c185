//! Probe and load in numbers, as `report.json` has them. Pure.

use std::collections::BTreeMap;

use brimful_loadgen_plan::latency::Quantile;
use brimful_loadgen_plan::outcome::{LoadOutcome, Phase};
use brimful_loadgen_plan::probe::{ProbePlan, Sample, Summary};
use serde::{Deserialize, Serialize};

use super::talk::{HeartbeatReport, ReconnectReport};
use crate::wording::{nanos, outcome_name};

/// A quantile in nanoseconds: a plain number, or `{"at_least_ns": T}` where its rank falls among the probes that were never answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum At {
    /// The value, in nanoseconds.
    Exact(u64),
    /// Only known from below.
    AtLeast {
        /// The time-out, in nanoseconds.
        at_least_ns: u64,
    },
}

/// Quantiles of a latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Quantiles {
    /// The median.
    pub p50: Option<At>,
    /// The 90th percentile.
    pub p90: Option<At>,
    /// The 99th percentile.
    pub p99: Option<At>,
    /// The largest.
    pub max: Option<At>,
}

/// The health check of a cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ProbeReport {
    /// `timeoutSeconds`, in nanoseconds.
    pub timeout_ns: u64,
    /// Probes that ended.
    pub sent: u64,
    /// Probes that passed.
    pub ok: u64,
    /// Probes that did not.
    pub failed: u64,
    /// Ticks dropped because the serial prober was busy.
    pub missed_ticks: u64,
    /// How many ended in which way; ways that did not occur are left out.
    pub outcomes: BTreeMap<String, u64>,
    /// Failed over sent; `null` when none was sent.
    pub failure_rate: Option<f64>,
    /// The mean of min(latency, time-out) over all probes, in nanoseconds; one that was never answered counts as its time-out.
    pub restricted_mean_ns: Option<u64>,
    /// From the intended instant to the passing answer; whatever did not pass is known from below only.
    pub latency_ns: Quantiles,
    /// When liveness would have restarted the container, in seconds from the first intended probe; the earliest over the blocks; `null` when it would not.
    pub would_restart_at_s: Option<f64>,
    /// When readiness would have taken it out of service, likewise.
    pub out_of_service_at_s: Option<f64>,
    /// How the first failed probe ended.
    pub first_failure: Option<String>,
    /// What the kubelet would have said to it.
    pub first_message: Option<String>,
}

/// Failures of the load of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ErrorCount {
    /// In which step of a connection's life: `socket`, `bind`, `connect` or `hold`.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub phase: Phase,
    /// The errno's name.
    pub errno: String,
    /// How many connections.
    pub count: u64,
}

/// Lateness of the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Lag {
    /// The 99th percentile, in nanoseconds.
    pub p99: u64,
}

/// A latency in which nothing is censored, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LatencySummary {
    /// The median.
    pub p50: u64,
    /// The 99th percentile.
    pub p99: u64,
    /// The largest.
    pub max: u64,
}

/// The load of a cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LoadReport {
    /// Connections asked for.
    pub requested: u64,
    /// Connections tried.
    pub attempted: u64,
    /// Handshakes completed.
    pub established: u64,
    /// Open at the end, as the client sees it.
    pub held: u64,
    /// Still in their handshake at the end; for half-open load that is what was asked for.
    pub pending: u64,
    /// Closed by the client in good order (churn).
    #[serde(default)]
    pub closed: u64,
    /// Half-open connections that the kernel gave up and the load began anew.
    #[serde(default)]
    pub renewed: u64,
    /// Failures by phase and errno.
    pub errors: Vec<ErrorCount>,
    /// Attempts a second, first to last; `null` for fewer than two instants.
    pub rate_per_s: Option<f64>,
    /// How late the attempts were.
    pub lag_ns: Lag,
    /// The most attempts that one process of the load made within any 10 ms; absent in a report from before it was counted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub busiest_10ms: u64,
    /// Handshakes completed: from `connect(2)` to established.
    pub connect_latency_ns: LatencySummary,
    /// What came of the heartbeats; absent for a load without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeats: Option<HeartbeatReport>,
    /// What came of connections that were to come back; absent where none did or tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconnects: Option<ReconnectReport>,
    /// Bytes that slow readers have read; absent for none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub read_bytes: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl ProbeReport {
    pub(crate) fn of(plan: &ProbePlan, summary: &Summary, first_failure: Option<&Sample>) -> Self {
        let at = |q| summary.latency.quantile(q).map(At::from);
        Self {
            timeout_ns: nanos(plan.timeout),
            sent: summary.sent,
            ok: summary.ok,
            failed: summary.failed,
            missed_ticks: summary.missed_ticks,
            outcomes: summary.outcomes.iter().map(|(&o, &n)| (outcome_name(o).to_owned(), n)).collect(),
            failure_rate: summary.failure_rate,
            restricted_mean_ns: summary.restricted_mean_ns().map(|ns| ns.round() as u64),
            latency_ns: Quantiles { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1.0) },
            would_restart_at_s: summary.would_restart_at_s,
            out_of_service_at_s: summary.out_of_service_at_s,
            first_failure: first_failure.map(|s| outcome_name(s.outcome).to_owned()),
            first_message: first_failure.map(|s| s.message.clone()),
        }
    }
}

impl LoadReport {
    pub fn of(outcome: &LoadOutcome) -> Self {
        let span = outcome.last_attempt_ns.zip(outcome.first_attempt_ns).and_then(|(l, f)| l.checked_sub(f));
        Self {
            requested: outcome.requested,
            attempted: outcome.attempted,
            established: outcome.established,
            held: outcome.held,
            pending: outcome.pending,
            closed: outcome.closed,
            renewed: outcome.renewed,
            errors: outcome
                .failures
                .iter()
                .map(|f| ErrorCount { phase: f.phase, errno: f.errno.clone(), count: f.count })
                .collect(),
            rate_per_s: span.filter(|&ns| ns > 0).map(|ns| (outcome.attempted as f64 * 1e9 / ns as f64).round()),
            lag_ns: Lag { p99: outcome.lag.quantile(0.99) },
            busiest_10ms: outcome.busiest_10ms,
            connect_latency_ns: LatencySummary::of(&outcome.connect_latency),
            heartbeats: HeartbeatReport::of(outcome),
            reconnects: ReconnectReport::of(outcome),
            read_bytes: outcome.read_bytes,
        }
    }
}

impl From<Quantile> for At {
    fn from(quantile: Quantile) -> Self {
        match quantile {
            Quantile::Exact(ns) => Self::Exact(ns),
            Quantile::AtLeast(at_least_ns) => Self::AtLeast { at_least_ns },
        }
    }
}
