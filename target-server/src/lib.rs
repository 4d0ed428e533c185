//! The configurable server that brimful puts under load.
//!
//! Everything a real server gets wrong under many connections is a setting with a name here: the backlog it asks
//! for, how it accepts, what it does when `accept4` says `EMFILE`, how many descriptors a connection costs.
//! Floor 0: it knows neither the load, nor the probe, nor any verdict, and it never enters a sandbox by itself;
//! whoever runs it has set namespaces and limits before.
//!
//! ```text
//! Plan → Server::bind → Ready → Server::run ─┬→ accept: the queue of each listener ─┐
//!                                            └→ rest: idle connections ⇄ answer ←───┘ → tally → Outcome
//! ```
//!
//! `contradiction`, `health`, `leak`, `pace`, `pause`, `refusal`, `spoken` and `wire` are pure. No idle connection owns a task; no task outlives its conversation.

mod accept;
mod answer;
mod block;
mod cap;
mod certificate;
pub mod clock;
mod contradiction;
pub mod errno;
mod error;
mod grpc;
pub mod health;
mod leak;
pub mod limits;
mod listen;
mod pace;
mod pause;
mod plan;
mod readable;
mod refusal;
mod report;
mod rest;
mod secure;
mod serve;
mod spare;
mod spoken;
mod started;
mod sys;
mod tally;
mod wire;

pub use contradiction::Contradiction;
pub use error::TargetError;
pub use plan::{Accept, AcceptPause, AtMax, ExtraFd, OnEmfile, Plan};
pub use report::{Listening, Outcome, Ready};
pub use serve::Server;
pub use tally::Counters;
pub use wire::CONSENT_PATH;
