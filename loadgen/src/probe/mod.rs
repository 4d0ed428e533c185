//! A kubelet's health check, to the letter.
//!
//! The rules are the kubelet's own (`pkg/probe/http/http.go`, `pkg/probe/tcp/tcp.go`, `pkg/kubelet/prober/worker.go`):
//! a new connection each time, one deadline over the whole probe, 200 to 399 passes, no retry inside one probe,
//! a serial worker on a ticker.

mod plan;
mod sample;

pub use plan::{Action, ProbePlan};
pub use sample::{Outcome, Sample};
