//! What a load came to: counted by each shard, merged into one. Pure.

use serde::{Deserialize, Serialize};

use crate::latency::Latency;

/// The step of a connection's life in which something failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Making the socket: the generator's own descriptors or memory.
    Socket,
    /// Naming the source address and port.
    Bind,
    /// The handshake.
    Connect,
    /// After it was established: the peer closed or reset it.
    Hold,
}

/// Failures of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// Where it happened.
    pub phase: Phase,
    /// The errno's name; `EOF` for a peer that closed in good order.
    pub errno: String,
    /// How many connections.
    pub count: u64,
}

/// The state of a load at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadPoint {
    /// Nanoseconds since the start of the cell.
    pub at_ns: u64,
    /// Connections whose opening was tried.
    pub attempted: u64,
    /// Connections whose handshake was completed, now open or not.
    pub established: u64,
    /// Connections open now.
    pub held: u64,
    /// Connections that failed in any phase.
    pub failed: u64,
}

/// What one shard, or all of them merged, came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadOutcome {
    /// Connections asked for.
    pub requested: u64,
    /// Connections whose opening was tried; below `requested` when the load was stopped during its ramp.
    pub attempted: u64,
    /// Connections whose handshake was completed.
    pub established: u64,
    /// Connections open at the end, as the client sees it.
    pub held: u64,
    /// Connections still in their handshake at the end.
    pub pending: u64,
    /// Every failure by phase and errno, sorted, one row a kind.
    pub failures: Vec<Failure>,
    /// From the call of `connect(2)` to its completion, for every established connection, in nanoseconds.
    pub connect_latency: Latency,
    /// How late each attempt was behind its intended instant, in nanoseconds.
    pub lag: Latency,
    /// When the first attempt was made, in nanoseconds since the start of the cell; `None` when there was none.
    pub first_attempt_ns: Option<u64>,
    /// When the last attempt was made.
    pub last_attempt_ns: Option<u64>,
    /// When the last handshake was completed.
    pub last_established_ns: Option<u64>,
    /// The load as it grew, at most one point each 100 ms and shard, in time order.
    pub timeline: Vec<LoadPoint>,
}
