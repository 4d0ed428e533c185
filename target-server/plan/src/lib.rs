//! What a target is asked to be, and what it says of itself: the pure half of the target server.
//!
//! Floor 0, and the lowest: scenarios, records and verdicts name these types without the server, its sockets or its runtime.
//! No clock, file, environment, process or socket is reached from here.

mod plan;

mod pause;
mod validation;

pub mod health;
pub mod leak;
pub mod pace;
pub mod sniff;
pub mod wire;

mod nofile;
mod outcome;

pub use nofile::Nofile;
pub use outcome::{Listening, Ready, TargetOutcome};
pub use plan::{Accept, AcceptPause, AtMax, ExtraFd, OnEmfile, TargetPlan};
pub use validation::InvalidTarget;
