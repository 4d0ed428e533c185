//! What the connections of a load did besides being held: heartbeats, comebacks, slow reading. Pure.

use brimful_loadgen_plan::latency::Latency;
use brimful_loadgen_plan::outcome::LoadOutcome;
use serde::{Deserialize, Serialize};

use super::stats::{Lag, LatencySummary, LoadReport};
use crate::wording::{count, counted, short_time};

/// What came of the heartbeats of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HeartbeatReport {
    /// Requests sent.
    pub sent: u64,
    /// Requests answered in full, with whatever status.
    pub answered: u64,
    /// Those among the answered whose answer took longer than the interval.
    pub late: u64,
    /// Those among the answered with a status other than 200 to 399, or with none that could be read.
    pub bad_status: u64,
    /// Times a request was due and not sent, because the last one had no answer yet.
    pub missed: u64,
    /// Requests whose connection ended before their answer.
    pub broken: u64,
    /// Requests that the socket did not take.
    pub refused: u64,
    /// From the sending of a request to the last byte of its answer, of those answered.
    pub latency_ns: LatencySummary,
    /// How late the requests were sent.
    pub lag_ns: Lag,
}

/// What came of connections that were to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReconnectReport {
    /// Openings beyond the first of a connection.
    pub attempted: u64,
    /// Connections that were away and were established again, each time counted.
    pub back: u64,
    /// Connections that failed too often in a row to be tried again.
    pub given_up: u64,
    /// From the loss of a connection to its return, of those that are back.
    pub away_ns: LatencySummary,
}

impl HeartbeatReport {
    /// `None` for a load without heartbeats.
    pub(super) fn of(outcome: &LoadOutcome) -> Option<Self> {
        let beats = &outcome.heartbeats;
        (!beats.is_none()).then(|| Self {
            sent: beats.sent,
            answered: beats.answered,
            late: beats.late,
            bad_status: beats.bad_status,
            missed: beats.missed,
            broken: beats.broken,
            refused: beats.refused,
            latency_ns: LatencySummary::of(&outcome.heartbeat_latency),
            lag_ns: Lag { p99: outcome.heartbeat_lag.quantile(0.99) },
        })
    }
}

impl ReconnectReport {
    /// `None` for a load whose connections did not come back.
    pub(super) fn of(outcome: &LoadOutcome) -> Option<Self> {
        let back = &outcome.reconnects;
        (!back.is_none()).then(|| Self {
            attempted: back.attempted,
            back: back.back,
            given_up: back.given_up,
            away_ns: LatencySummary::of(&outcome.back_latency),
        })
    }
}

impl LatencySummary {
    pub(super) fn of(latency: &Latency) -> Self {
        Self { p50: latency.quantile(0.5), p99: latency.quantile(0.99), max: latency.max() }
    }
}

/// What the connections of a load did, in words; `None` for nothing.
pub fn words(load: &LoadReport) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(beats) = &load.heartbeats {
        let p99 = (beats.answered > 0).then(|| format!(" (p99 {})", short_time(beats.latency_ns.p99)));
        let answered = format!("{} of {}", count(beats.answered), counted(beats.sent, "heartbeat"));
        parts.push(format!("{answered} answered{}", p99.unwrap_or_default()));
        let besides = [
            (beats.late, "late"),
            (beats.bad_status, "with a bad status"),
            (beats.broken, "cut off"),
            (beats.missed, "not sent, because the last had no answer"),
            (beats.refused, "not taken by their socket"),
        ];
        parts.extend(besides.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", count(*n))));
    }
    if let Some(back) = &load.reconnects {
        let p99 = (back.back > 0).then(|| format!(" (away p99 {})", short_time(back.away_ns.p99)));
        let tried = counted(back.attempted, "new attempt");
        parts.push(format!("{} came back in {tried}{}", counted(back.back, "connection"), p99.unwrap_or_default()));
        if back.given_up > 0 {
            parts.push(format!("{} given up", count(back.given_up)));
        }
    }
    if load.read_bytes > 0 {
        parts.push(format!("{} bytes read slowly", count(load.read_bytes)));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(outcome: &LoadOutcome) -> LoadReport {
        LoadReport::of(outcome)
    }

    #[test]
    fn a_load_that_only_holds_has_nothing_to_tell() {
        let held = report(&LoadOutcome { requested: 5, attempted: 5, held: 5, ..LoadOutcome::default() });
        assert_eq!((held.heartbeats, held.reconnects, words(&held)), (None, None, None));
    }

    #[test]
    fn what_was_not_answered_is_told_beside_what_was() {
        let mut outcome = LoadOutcome::default();
        outcome.heartbeats.sent = 1_200;
        outcome.heartbeats.answered = 1_100;
        outcome.heartbeats.broken = 60;
        outcome.heartbeats.missed = 40;
        outcome.heartbeat_latency.record(2_000_000);
        outcome.reconnects.attempted = 3;
        outcome.reconnects.given_up = 1;
        outcome.read_bytes = 4_096;
        assert_eq!(
            words(&report(&outcome)).unwrap(),
            "1,100 of 1,200 heartbeats answered (p99 2ms), 60 cut off, 40 not sent, because the last had no answer, \
             0 connections came back in 3 new attempts, 1 given up, 4,096 bytes read slowly"
        );
    }
}
