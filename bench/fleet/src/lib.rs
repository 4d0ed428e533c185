//! A fleet: one load over several machines. Index 0 gathers; the others register with it, wait at a barrier, start at an instant that
//! all agree on, and give it their accounts.
//!
//! Both ends are pure state machines that take events and instants and return what to do; [`shell`] is their hands. Each end counts
//! time by its own monotonic clock; [`clock`] says how one is read on the other.

pub mod account;
pub mod clock;
pub mod gatherer;
pub mod member;
pub mod wire;

pub mod shell;

pub mod report;
pub mod summary;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

use brimful_loadgen_plan::plan::{Behaviour, Comeback, share_of};
use serde::{Deserialize, Serialize};

/// The most members of a fleet: each costs the gatherer a connection and a few hundred kilobytes while it gives its account.
pub const MEMBERS_MOST: u32 = 1_000;

/// What the fleet does together: every member is told the same, and each says it to the gatherer, which refuses one that was told otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetPlan {
    /// How many members there are, 1 to [`MEMBERS_MOST`]; their indices count from 0.
    pub members: u32,
    /// The server.
    pub address: SocketAddr,
    /// Connections of all of them together, at least one each.
    pub connections: u64,
    /// Over which time each opens its share, in nanoseconds.
    pub ramp_ns: u64,
    /// How long it is held after that, in nanoseconds.
    pub hold_ns: u64,
    /// What each connection does.
    pub behaviour: Behaviour,
    /// Whether those that are lost come back.
    pub comeback: Comeback,
    /// The scenario that the load is part of.
    pub scenario: Option<String>,
}

impl FleetPlan {
    /// How many connections are a member's.
    #[must_use]
    pub fn share(&self, index: u32) -> u64 {
        share_of(self.connections, index, self.members)
    }

    /// From the start to the end of the load, in nanoseconds.
    #[must_use]
    pub fn lasts_ns(&self) -> u64 {
        self.ramp_ns.saturating_add(self.hold_ns)
    }

    /// In what it differs from the gatherer's, in words.
    #[must_use]
    pub fn difference(&self, gatherers: &Self) -> String {
        let scenario = |plan: &Self| wire::printable(plan.scenario.as_deref().unwrap_or("none"));
        let pairs = [
            ("members", self.members.to_string(), gatherers.members.to_string()),
            ("address", self.address.to_string(), gatherers.address.to_string()),
            ("connections", self.connections.to_string(), gatherers.connections.to_string()),
            ("ramp", format!("{} ns", self.ramp_ns), format!("{} ns", gatherers.ramp_ns)),
            ("hold", format!("{} ns", self.hold_ns), format!("{} ns", gatherers.hold_ns)),
            ("behaviour", format!("{:?}", self.behaviour), format!("{:?}", gatherers.behaviour)),
            ("comeback", format!("{:?}", self.comeback), format!("{:?}", gatherers.comeback)),
            ("scenario", scenario(self), scenario(gatherers)),
        ];
        let apart = pairs.into_iter().filter(|(_, mine, theirs)| mine != theirs);
        apart.map(|(name, mine, theirs)| format!("{name} {mine} instead of {theirs}")).collect::<Vec<_>>().join(", ")
    }

    /// From one point of a timeline that is sent to the next, in nanoseconds: the same for every member, so that the sum of their timelines has
    /// no more points than one of them.
    #[must_use]
    pub fn step_ns(&self) -> u64 {
        self.lasts_ns().div_ceil(POINTS_MOST * SECOND_NS).max(1) * SECOND_NS
    }
}

/// How long is waited for what. Nothing here is waited for without an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// For members to register and be ready, from the gatherer's beginning; and for the gatherer to be found, from a member's.
    pub register: Duration,
    /// For accounts, from the end of the load.
    pub gather: Duration,
}

/// From the barrier to the start, in nanoseconds: for the word to reach everybody before the instant comes.
pub const LEAD_NS: u64 = SECOND_NS;

/// How long the gatherer waits for accounts once a signal has asked for the end, in nanoseconds.
pub const STOPPED_NS: u64 = 3 * SECOND_NS;

/// Points of a timeline that is sent, at most.
const POINTS_MOST: u64 = 600;

const SECOND_NS: u64 = 1_000_000_000;

/// Nanoseconds of a time, cut to 64 bits.
#[must_use]
pub fn ns(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Seconds, for words.
#[expect(clippy::cast_precision_loss, reason = "for people, to a tenth")]
fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}
