//! The configurable server that brimful puts under load.
//!
//! Everything a real server gets wrong under many connections is a setting with a name here: the backlog it asks
//! for, how it accepts, what it does when `accept4` says `EMFILE`, how many descriptors a connection costs.
//! Floor 0: it knows neither the load, nor the probe, nor any verdict, and it never enters a sandbox by itself;
//! whoever runs it has set namespaces and limits before.

pub mod clock;
pub mod errno;
pub mod limits;
mod plan;
mod report;

pub use plan::{Accept, AcceptPause, OnEmfile, Plan};
pub use report::{Listening, Outcome, Ready};
