//! The configurable server that brimful puts under load.
//!
//! Everything a real server gets wrong under many connections is a setting with a name here: the backlog it asks
//! for, how it accepts, what it does when `accept4` says `EMFILE`, how many descriptors a connection costs.
//! Floor 0: it knows neither the load, nor the probe, nor any verdict, and it never enters a sandbox by itself;
//! whoever runs it has set namespaces and limits before.
//!
//! ```text
//! TargetPlan → Server::bind → Ready → Server::run ─┬→ accept: the queue of each listener ─┐
//!                                            └→ rest: idle connections ⇄ answer ←───┘ → tally → TargetOutcome
//! ```
//!
//! Plans, outcomes and all that is decided without a socket are `brimful-target-plan`. No idle connection owns a task; no task outlives its conversation.

mod accept;
mod answer;
mod block;
mod cap;
mod certificate;
pub mod clock;
pub mod errno;
mod error;
mod grpc;
mod idle_set;
pub mod limits;
mod listen;
mod readable;
mod refusal;
mod secure;
mod serve;
mod spare;
mod started;
mod sys;
mod tally;

pub use error::TargetError;
pub use serve::Server;
pub use tally::Counters;
