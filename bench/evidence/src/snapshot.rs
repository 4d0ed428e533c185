//! A live host as it was at one instant: what the doctor read, and what it could not read. Pure.
//!
//! Two of them, a moment apart, are what is judged: a total since boot proves nothing, a counter that moves does. What was not
//! read is absent and stands in [`Snapshot::not_seen`] with its reason; it is never zero.

pub mod home;
pub mod link;
pub mod names;
pub mod ports;
pub mod symptoms;
pub mod tally;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

pub use home::Home;
pub use symptoms::Symptoms;
pub use tally::Sockets;

use super::proc::Limits;

/// A host at one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// When, in nanoseconds of a clock that both snapshots share.
    pub at_ns: u64,
    /// `uname -r`; empty where it is not known.
    pub kernel: String,
    /// What is one for the whole host, by name (see [`names`]).
    pub host: BTreeMap<String, u64>,
    /// Its network namespaces, the one that was looked from first.
    pub namespaces: Vec<Namespace>,
    /// Its processes, by pid.
    pub processes: Vec<Process>,
    /// What could not be read.
    pub not_seen: Vec<NotSeen>,
}

/// Something that could not be read: never taken for zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NotSeen {
    /// What, `the descriptors of 12 processes of other users`.
    pub what: String,
    /// Why not.
    pub because: String,
}

/// A network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespace {
    /// Its inode, as `readlink /proc/PID/ns/net` shows it; 0 where it is not known.
    pub id: u64,
    /// Whether it is the one that the doctor itself is in.
    pub own: bool,
    /// A process in it, by which it was entered.
    pub by: Option<u32>,
    /// Counters by name: `TcpExt.ListenDrops`, `nf_conntrack.drop`.
    pub counters: BTreeMap<String, u64>,
    /// Sysctls by dotted name, as they were read.
    pub sysctls: BTreeMap<String, String>,
    /// Its listening TCP sockets; `None` where they could not be had.
    pub listeners: Option<Vec<Listener>>,
    /// Its other TCP sockets, counted; `None` where they could not be had.
    pub sockets: Option<Sockets>,
}

impl Namespace {
    /// A sysctl that is one number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.sysctls.get(name)?.trim().parse().ok()
    }
}

/// A listening TCP socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where it listens.
    pub address: SocketAddr,
    /// Connections waiting to be accepted (`Recv-Q`).
    pub waiting: u32,
    /// The limit in force (`Send-Q`); the queue holds one more.
    pub limit: u32,
    /// Packets dropped at it since it began to listen; `None` where it was not told.
    pub drops: Option<u32>,
    /// Its inode; 0 where it is not known.
    pub inode: u32,
    /// Processes that hold it.
    pub owners: Vec<u32>,
    /// How full it was between the two snapshots; `None` in the first.
    pub watched: Option<Watched>,
}

/// An accept queue over a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched {
    /// How often it was read.
    pub readings: u32,
    /// How often it was full: more waiting than the limit.
    pub full: u32,
    /// The fewest that waited.
    pub least: u32,
    /// The most that waited.
    pub most: u32,
}

impl Watched {
    /// A stretch of one reading.
    #[must_use]
    pub fn one(waiting: u32, limit: u32) -> Self {
        Self { readings: 1, full: u32::from(waiting > limit), least: waiting, most: waiting }
    }

    /// The stretch with one more reading.
    #[must_use]
    pub fn and(self, waiting: u32, limit: u32) -> Self {
        Self {
            readings: self.readings.saturating_add(1),
            full: self.full.saturating_add(u32::from(waiting > limit)),
            least: self.least.min(waiting),
            most: self.most.max(waiting),
        }
    }
}

/// A process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// The name of its program, at most 15 bytes (`/proc/PID/comm`).
    pub name: String,
    /// The inode of its network namespace; 0 where it is not known.
    pub namespace: u64,
    /// Open descriptors; `None` where they may not be read.
    pub descriptors: Option<u64>,
    /// Descriptors by kind: `socket`, `file`, `pipe`, `eventpoll`; empty where they were not looked at.
    pub kinds: BTreeMap<String, u64>,
    /// Its `RLIMIT_NOFILE`.
    pub nofile: Option<Limits>,
    /// Where it lives: a unit, a container, a session.
    pub home: Home,
    /// Where its limit comes from, as far as it can be read.
    pub limit_from: Option<String>,
    /// Its TCP sockets by state.
    pub sockets: BTreeMap<String, u64>,
    /// Inodes of its sockets in `CLOSE_WAIT`, ascending.
    pub close_wait: Vec<u32>,
    /// Processor time, in nanoseconds.
    pub cpu_ns: Option<u64>,
    /// The control group whose quota it lives under.
    pub throttle: Option<Throttle>,
}

/// What a control group's `cpu.stat` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Throttle {
    /// Its folder.
    pub group: String,
    /// Periods in which it wanted to run.
    pub periods: u64,
    /// Periods in which its quota was used up.
    pub throttled: u64,
    /// Time for which it was stopped, in nanoseconds.
    pub throttled_ns: u64,
}
