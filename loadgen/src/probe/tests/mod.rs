//! The probe against real sockets on loopback, and what the tests of its parts share.

mod exec;
mod grpc;
mod http;
mod https;
mod tcp;

use std::net::SocketAddr;
use std::time::Duration;

use brimful_target::clock::monotonic_ns;

use super::*;

/// An httpGet of `/healthz` with the kubelet's defaults.
pub(in crate::probe) fn plan() -> ProbePlan {
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
pub(in crate::probe) fn samples_of(results: &str) -> Vec<Sample> {
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

/// Runs a future on a runtime of this thread.
pub(in crate::probe) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap().block_on(future)
}

/// The first `n` samples of a plan.
fn take(n: usize, plan: &ProbePlan) -> Vec<Sample> {
    let enough = tokio::sync::Notify::new();
    let mut samples = Vec::new();
    let on_sample = |sample: &Sample| {
        samples.push(sample.clone());
        if samples.len() == n {
            enough.notify_one();
        }
    };
    block_on(run(plan, monotonic_ns(), None, enough.notified(), on_sample)).unwrap();
    samples
}

/// One probe of this address with this timeout.
fn one(action: Action, address: SocketAddr, timeout: Duration) -> Sample {
    take(1, &ProbePlan { action, address, timeout, ..plan() }).remove(0)
}
