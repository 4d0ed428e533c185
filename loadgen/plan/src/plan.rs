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
    /// handshake stays half done and takes a place in the SYN queue. A connection that the kernel gives up is begun anew
    /// from the same source, so that the number in `SYN_SENT` stays at the plan (`crate::hold::RENEWALS_EACH`). One
    /// that is established all the same is held like an idle one.
    HalfOpen,
    /// It is closed by the client after this time, in good order, and leaves a `TIME_WAIT` at the client. A planned
    /// source is used once, so no `TIME_WAIT` stands in a later one's way; where the kernel chooses the sources it
    /// runs out of them, which is `EADDRNOTAVAIL` of `connect(2)`.
    Churn {
        /// From the completed handshake, as the client sees it, to the close.
        lifetime: Duration,
    },
    /// A share of them sends a request from time to time and reads its answer; the others are held in silence.
    Heartbeat {
        /// From one request of a connection to its next, above zero. The first one comes within the first interval, at a phase of
        /// chance, so that connections which were opened together do not beat together.
        interval: Duration,
        /// How many of a hundred connections beat, by chance; the others are idle.
        share_percent: u32,
    },
    /// It asks for an answer of [`SLOW_ANSWER_BYTES`] and reads that slowly, so that it piles up at the server; when it has all of it,
    /// it asks again. Its own receive buffer is small ([`SLOW_RECEIVE_BYTES`]).
    SlowReader {
        /// In bytes a second; 0 for one that never reads.
        rate: u64,
    },
    /// Like an idle one; where it is closed by the server, reset, or fails to be established, it comes back ([`LoadPlan::comeback`]).
    Reconnect,
}

/// What a slow reader asks for at a time, in bytes (`/bytes/N` of the built-in server): above the first send buffer of a socket (16 KiB of
/// `net.ipv4.tcp_wmem`), and little enough that ten thousand of them fit into a few gigabytes.
pub const SLOW_ANSWER_BYTES: u64 = 256 * 1_024;

/// The receive buffer that a slow reader asks for, in bytes; the kernel doubles it (`socket(7)`, `SO_RCVBUF`). Otherwise it would take in
/// megabytes that nobody reads (`net.ipv4.tcp_rmem`).
pub const SLOW_RECEIVE_BYTES: usize = 4_096;

/// How the pause before a connection comes back grows with each try in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// It does not come back.
    #[default]
    None,
    /// By the base each time.
    Linear,
    /// To twice as much each time.
    Exponential,
    /// By chance between nothing and what [`Policy::Exponential`] waits, so that those who were lost together do not come back together.
    Jittered,
}

/// An instant at which clients close their connections and open them anew at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Storm {
    /// Since the start of the load.
    pub at: Duration,
    /// How many of a hundred connections take part, by chance.
    pub share_percent: u32,
}

/// Whether and how connections that are gone come back. Each comes from a source of its own, one of those beyond the planned ones, because
/// its old one may rest in `TIME_WAIT`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Comeback {
    /// After a loss or a failure that is not the generator's own.
    pub policy: Policy,
    /// The first pause; without a meaning for [`Policy::None`].
    pub base: Duration,
    /// The longest pause, not below `base`.
    pub cap: Duration,
    /// A storm, besides.
    pub storm: Option<Storm>,
}

impl Comeback {
    /// Whether nobody comes back: what is said by leaving it out.
    #[must_use]
    pub fn is_never(&self) -> bool {
        *self == Self::default()
    }

    /// How often connections of a load may want a source port besides their first, as a multiple of the connections: one for losses, because a
    /// port can be used again by the time all others have been, and one for a storm.
    #[must_use]
    pub fn more_sources(&self) -> u64 {
        u64::from(self.policy != Policy::None) + u64::from(self.storm.is_some())
    }
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
    /// Whether they come back.
    #[serde(default, skip_serializing_if = "Comeback::is_never")]
    pub comeback: Comeback,
    /// The path that a heartbeat asks for.
    #[serde(default = "root", skip_serializing_if = "is_root")]
    pub path: String,
    /// Where chance begins: phases of heartbeats, jitter, who takes part in a storm.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub seed: u64,
}

impl LoadPlan {
    /// Whether its shards open one after the other, as many at a time as there are processors: without a ramp, where there are several.
    ///
    /// As many processes that open as there are processors open as fast as the machine can. More of them take turns on the processors all
    /// the same, and together fill the server's queues meanwhile: a SYN that is dropped there comes again after a second, and
    /// the end of the load waits for it.
    #[must_use]
    pub fn opens_in_turns(&self) -> bool {
        self.ramp.is_zero() && self.shards > 1
    }
}

fn root() -> String {
    "/".to_owned()
}

fn is_root(path: &str) -> bool {
    path == "/"
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_zero(seed: &u64) -> bool {
    *seed == 0
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

/// How many of `connections` the generator `index` of `of` opens, when each opens its share and the first ones what does not divide.
/// 0 from `of` on.
#[must_use]
pub fn share_of(connections: u64, index: u32, of: u32) -> u64 {
    let (index, of) = (u64::from(index), u64::from(of));
    if index >= of { 0 } else { connections / of + u64::from(index < connections % of) }
}

/// How long a handshake may take before [`open_at_once`] no longer allows for it: the first repeated SYN is sent after
/// one second (`TCP_TIMEOUT_INIT`, RFC 6298), so one loss on the way is within it.
const HANDSHAKE_ALLOWED: Duration = Duration::from_secs(1);

/// The most connections of a load that are open at the same time, over all shards; what [`shards_needed`] is to be
/// asked with. All of them, but for churn: there those whose intended instants lie within one lifetime and one second,
/// which is for handshakes that need a repeated SYN and for openings behind their time.
///
/// A server that answers later than that makes churn pile up in its handshakes, up to the whole plan; a process
/// then meets its descriptor limit, and the load says so (`EMFILE` in the phase `socket`).
#[must_use]
pub fn open_at_once(connections: u64, ramp: Duration, behaviour: Behaviour) -> u64 {
    let Behaviour::Churn { lifetime } = behaviour else { return connections };
    // A ramp is cut to 64 bits of nanoseconds where the instants are computed, too.
    let ramp_ns = ramp.as_nanos().min(u128::from(u64::MAX));
    let span_ns = lifetime.saturating_add(HANDSHAKE_ALLOWED).as_nanos();
    if span_ns >= ramp_ns {
        return connections;
    }
    // A window of length s over instants that are ramp/n apart, each rounded down, has at most ⌈s·n/ramp⌉ + 1 of them.
    // Both factors are below 2^64, and the quotient is at most n.
    let within = (u128::from(connections) * span_ns).div_ceil(ramp_ns);
    u64::try_from(within + 1).unwrap_or(u64::MAX).min(connections)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pace::intended_ns;

    proptest! {
        #[test]
        fn no_more_of_a_churn_are_open_than_is_said(n in 1_u64..500, ramp_ms in 0_u64..20_000, lifetime_ms in 0_u64..20_000) {
            let (ramp, lifetime) = (Duration::from_millis(ramp_ms), Duration::from_millis(lifetime_ms));
            let most = open_at_once(n, ramp, Behaviour::Churn { lifetime });
            let instants: Vec<u64> = (0..n).map(|i| intended_ns(i, n, ramp)).collect();
            let span_ns = (lifetime_ms + 1_000) * 1_000_000;
            for (i, &first) in instants.iter().enumerate() {
                let open = instants[i..].iter().take_while(|&&instant| instant - first <= span_ns).count();
                prop_assert!(open as u64 <= most, "{open} are open, {most} were said");
            }
            prop_assert!(most <= n);
            // Not much too many either: what one window holds, rounded up at both ends.
            let share = n as f64 * span_ns as f64 / (ramp_ms * 1_000_000).max(1) as f64;
            prop_assert!(most as f64 <= share + 2.0);
        }

        #[test]
        fn shards_are_enough_and_not_one_too_many(connections in 1_u64..10_000_000, hard in 65_u64..2_000_000) {
            let room = hard - OWN_DESCRIPTORS;
            let shards = u64::from(shards_needed(connections, hard));
            prop_assert!(shards * room >= connections);
            prop_assert!((shards - 1) * room < connections);
        }
    }

    proptest! {
        #[test]
        fn shares_are_even_and_make_the_whole(connections in 0_u64..10_000_000, of in 1_u32..2_000) {
            let shares: Vec<u64> = (0..of).map(|index| share_of(connections, index, of)).collect();
            prop_assert_eq!(shares.iter().sum::<u64>(), connections);
            prop_assert!(shares[0] - shares[shares.len() - 1] <= 1);
            prop_assert!(shares.is_sorted_by(|a, b| a >= b));
            prop_assert_eq!(share_of(connections, of, of), 0);
        }
    }

    #[test]
    fn no_load_has_one_shard_and_no_limit_is_too_small_to_answer() {
        assert_eq!(shards_needed(0, 20_000), 1);
        assert_eq!(shards_needed(1_000_000, 20_000), 51);
        assert_eq!(shards_needed(10, 3), 10);
        assert_eq!(shards_needed(u64::MAX, 0), u32::MAX);
    }

    #[test]
    fn what_stays_is_open_all_at_once() {
        let minute = Duration::from_secs(60);
        assert_eq!(open_at_once(1_000_000, minute, Behaviour::Idle), 1_000_000);
        assert_eq!(open_at_once(1_000_000, minute, Behaviour::HalfOpen), 1_000_000);
        let churn = |lifetime| Behaviour::Churn { lifetime };
        assert_eq!(open_at_once(60_000, minute, churn(Duration::from_secs(4))), 5_001);
        assert_eq!(open_at_once(60_000, Duration::ZERO, churn(Duration::from_secs(4))), 60_000);
        let longest = Duration::from_nanos(u64::MAX) - HANDSHAKE_ALLOWED - Duration::from_nanos(1);
        assert_eq!(open_at_once(u64::MAX, Duration::MAX, churn(longest)), u64::MAX);
        assert_eq!(open_at_once(u64::MAX, Duration::MAX, churn(Duration::MAX)), u64::MAX);
    }
}
