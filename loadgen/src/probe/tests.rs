//! The probe against real sockets on loopback, and what the tests of its parts share.

mod exec;
mod grpc;
mod http;
mod https;
mod tcp;

use std::net::SocketAddr;
use std::time::Duration;

use brimful_loadgen_plan::probe::{Action, ProbePlan, Sample};
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
