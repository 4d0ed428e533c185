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
    /// It never is established: its source is an address to which the server's answer finds no way, so that the
    /// handshake stays half done and takes a place in the SYN queue. A connection that the kernel gives up is begun anew.
    HalfOpen,
    /// It is closed by the client after this time, in good order, and leaves a `TIME_WAIT` at the client.
    Churn {
        /// From the completed handshake to the close.
        lifetime: Duration,
    },
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

/// Descriptors that a worker needs besides its connections: standard streams, epoll, timer, the pipes to its parent,
/// and as many again for what a runtime or a library opens. Counted at about 20; a margin of three times that costs
/// one shard in 300 at the usual hard limit of 20,000.
pub const OWN_DESCRIPTORS: u64 = 64;

/// How many shards `connections` need, when each process may raise its descriptor limit to `nofile_hard`
/// (`RLIMIT_NOFILE`, `getrlimit(2)`) and keeps [`OWN_DESCRIPTORS`] of them for itself. At least 1. A limit at or below
/// that margin counts as room for one connection: such a plan needs absurdly many processes, and the cost says so.
#[must_use]
pub fn shards_needed(connections: u64, nofile_hard: u64) -> u32 {
    let each = nofile_hard.saturating_sub(OWN_DESCRIPTORS).max(1);
    u32::try_from(connections.div_ceil(each)).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn shards_are_enough_and_not_one_too_many(connections in 1_u64..10_000_000, hard in 65_u64..2_000_000) {
            let room = hard - OWN_DESCRIPTORS;
            let shards = u64::from(shards_needed(connections, hard));
            prop_assert!(shards * room >= connections);
            prop_assert!((shards - 1) * room < connections);
        }
    }

    #[test]
    fn no_load_has_one_shard_and_no_limit_is_too_small_to_answer() {
        assert_eq!(shards_needed(0, 20_000), 1);
        assert_eq!(shards_needed(1_000_000, 20_000), 51);
        assert_eq!(shards_needed(10, 3), 10);
        assert_eq!(shards_needed(u64::MAX, 0), u32::MAX);
    }
}
