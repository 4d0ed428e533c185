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
//! `pause`, `refusal` and `wire` are pure. No idle connection owns a task; no task outlives its conversation.

mod accept;
mod answer;
pub mod clock;
pub mod errno;
mod error;
pub mod limits;
mod listen;
mod pause;
mod plan;
mod readable;
mod refusal;
mod report;
mod rest;
mod serve;
mod spare;
mod tally;
mod wire;

pub use error::TargetError;
pub use plan::{Accept, AcceptPause, AtMax, OnEmfile, Plan};
pub use report::{Listening, Outcome, Ready};
pub use serve::Server;
pub use tally::Counters;
