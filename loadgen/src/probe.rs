//! A kubelet's health check, to the letter.
//!
//! The rules are the kubelet's own (`pkg/probe/{http,tcp,grpc,exec}`, `pkg/kubelet/prober/worker.go`):
//! a new connection each time, one deadline over the whole probe, 200 to 399 passes, no retry of a probe that failed,
//! a serial worker on a ticker.
//!
//! [`run`] is the hand; what it is told and what becomes of its samples is pure, in `brimful_loadgen_plan::probe`.

mod alarm;
mod closer;
mod connect;
mod marks;
mod sys;

mod classify;
mod fault;
mod redirect;
mod wording;

mod attempt;
mod exec;
mod grpc;
mod http;
mod http1;
mod http2;
mod page;
mod run;
mod tls;

#[cfg(test)]
mod tests;

pub use page::{Page, PageError, page};
pub use run::{ProbeError, run};
