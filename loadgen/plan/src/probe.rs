//! A kubelet's health check as data: what is asked, when each probe is due, and what its results mean.
//!
//! The rules are the kubelet's own (`pkg/kubelet/prober/worker.go`): one deadline over the whole probe, a serial worker on a ticker,
//! thresholds that count in a row.

mod plan;
mod ticker;

mod sample;

pub mod header;
mod summary;
mod threshold;

#[cfg(test)]
mod made_up;

pub use plan::{Action, Exec, Header, HttpGet, Ids, ProbePlan, Scheme};
pub use sample::{Outcome, Sample};
pub use summary::Summary;
pub use threshold::{out_of_service_at_ns, would_restart_at_ns};
pub use ticker::{Due, Ticker, nanoseconds};
