//! The load and the probe: what clients and a kubelet do to a server.
//!
//! Floor 1: it knows the wire and the clock that all processes share, and it judges nothing. The pure parts
//! (`pace`, `seeded`, `address`, `latency`, `outcome`, `probe::ticker`, `probe::threshold`) own no clock, file or socket;
//! `hold` and `probe::run` are the hands.

pub mod address;
pub mod hold;
pub mod latency;
pub mod outcome;
pub mod pace;
pub mod plan;
pub mod probe;
pub mod seeded;
