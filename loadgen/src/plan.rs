//! What a load is asked to be: pure data, the same for every shard.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a connection does once it is established.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Behaviour {
    /// Nothing: it is held open in silence.
    #[default]
    Idle,
}

/// Where the connections come from.
///
/// Letting the kernel search for a source port makes opening quadratic in the number held
/// (`net/ipv4/inet_hashtables.c`, `__inet_hash_connect`), so ports are named unless a scenario asks otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Sources {
    /// Every connection is bound to a planned address and port with `SO_REUSEADDR`.
    Named {
        /// The first source address; the next ones follow it numerically.
        first: IpAddr,
        /// How many addresses may be used, at least 1.
        addresses: u32,
        /// The lowest source port.
        first_port: u16,
        /// The highest source port, not below `first_port`.
        last_port: u16,
        /// Ports never used, such as those of the listeners; sorted, without duplicates.
        skip: Vec<u16>,
    },
    /// The kernel chooses address and port (`ip_local_port_range`).
    Kernel,
}

/// A whole load, over all its shards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LoadPlan {
    /// Connections to open, over all shards.
    pub connections: u64,
    /// Processes they are spread over, at least 1. Connection `i` belongs to shard `i % shards`.
    pub shards: u32,
    /// The time over which the intended instants are evenly spread; zero means all at the start, as fast as it goes.
    pub ramp: Duration,
    /// What an established connection does.
    pub behaviour: Behaviour,
    /// Where they come from.
    pub sources: Sources,
    /// Where they go, in turn; at least one.
    pub destinations: Vec<SocketAddr>,
}
