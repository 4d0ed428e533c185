//! Plans and samples for the tests of this module's parts.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Action, Outcome, ProbePlan, Sample};

/// An httpGet of `/healthz` with the kubelet's defaults.
pub(super) fn plan() -> ProbePlan {
    ProbePlan {
        action: Action::http_get("/healthz"),
        address: SocketAddr::from(([127, 0, 0, 1], 9)),
        period: Duration::from_secs(10),
        timeout: Duration::from_secs(1),
        initial_delay: Duration::ZERO,
        failure_threshold: 3,
        success_threshold: 1,
    }
}

/// Samples written as `+` passed, `-` failed, `?` discarded: one a second from 5 s on, each taking half a second.
pub(super) fn samples_of(results: &str) -> Vec<Sample> {
    let sample = |(seq, result): (usize, char)| {
        let intended_ns = (5 + seq as u64) * 1_000_000_000;
        Sample {
            seq: seq as u64,
            intended_ns,
            started_ns: intended_ns,
            ended_ns: intended_ns + 500_000_000,
            connect_ns: Some(1),
            tls_ns: None,
            first_byte_ns: None,
            outcome: if result == '+' { Outcome::Ok } else { Outcome::ResponseTimeout },
            status: None,
            message: String::new(),
            missed_ticks: 0,
            discarded: result == '?',
        }
    };
    results.chars().enumerate().map(sample).collect()
}
