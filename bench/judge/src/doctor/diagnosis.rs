//! What the doctor answers: the paths of its JSON (`docs/doctor.md`). Pure.

use std::collections::BTreeMap;

use brimful_evidence::snapshot::NotSeen;
use brimful_plan::expect::{CauseName, Why};
use serde::{Deserialize, Serialize};

use crate::cause::ProofLine;
use crate::cure::Cure;
use crate::verdict::{RuledOut, Undecided};

/// The version of the paths. A new one only when a path is removed or changes its meaning.
pub const SCHEMA_VERSION: u32 = 1;

/// What the doctor found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Diagnosis {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Who says it.
    pub tool: Tool,
    /// Of which host.
    pub host: Host,
    /// Who was looked at, in words.
    pub scope: String,
    /// How long was watched, in milliseconds; `null` where there was one reading only.
    pub window_ms: Option<u64>,
    /// The answer in one sentence.
    pub headline: String,
    /// The causes that the evidence shows, the root first; empty where no limit is met now.
    pub causes: Vec<Found>,
    /// The causes that it excludes.
    pub ruled_out: Vec<RuledOut>,
    /// The causes that it does not tell, and what would.
    pub undecided: Vec<Undecided>,
    /// Limits on the way up, the one that binds first at the front.
    pub binds_first: Vec<Bound>,
    /// What is no cause now, and may become one.
    pub advice: Vec<Advice>,
    /// Every listener.
    pub listeners: Vec<ListenerRow>,
    /// Every process that listens, or that a cause or an advice is about.
    pub processes: Vec<ProcessRow>,
    /// Every network namespace.
    pub namespaces: Vec<NamespaceRow>,
    /// Common mistakes that what was seen invites.
    pub traps: Vec<String>,
    /// What could not be read.
    pub not_seen: Vec<NotSeen>,
}

/// Who says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// The version of brimful.
    pub version: String,
}

/// Of which host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// `uname -r`; empty for a ticket.
    pub kernel: String,
    /// What is one for the whole host: `fs.file-nr.allocated`, `softnet.dropped`.
    pub numbers: BTreeMap<String, u64>,
}

/// What kind of thing a cause is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SubjectKind {
    /// The whole host.
    Host,
    /// A network namespace.
    Namespace,
    /// A process.
    Process,
    /// A listener.
    Listener,
}

/// What a cause is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// What kind of thing.
    pub kind: SubjectKind,
    /// In words: `nginx (process 812)`.
    pub name: String,
    /// The process, where there is one.
    pub pid: Option<u32>,
    /// The listener's address, where it is one.
    pub address: Option<String>,
}

/// A cause that the evidence shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// Its name; `undetermined` where something is wrong and the evidence does not say what.
    pub cause: CauseName,
    /// The reason within it.
    pub why: Option<Why>,
    /// What it is about.
    pub subject: Subject,
    /// What it is.
    pub words: String,
    /// The evidence.
    pub proof: Vec<ProofLine>,
    /// What to change.
    pub cure: Option<Cure>,
    /// What would tell more; empty for a cause that is shown.
    pub collect: Vec<String>,
}

impl Found {
    /// `accept-queue (somaxconn-clamp)`.
    #[must_use]
    pub fn name(&self) -> String {
        let why = self.why.map(|why| format!(" ({why})")).unwrap_or_default();
        format!("{}{why}", self.cause)
    }
}

/// A limit on the way up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Bound {
    /// Which: `ulimit.nofile`, `fs.file-max`, `net.netfilter.nf_conntrack_max`, `net.ipv4.ip_local_port_range`.
    pub limit: String,
    /// Whose.
    pub subject: String,
    /// How much of it is used.
    pub used: u64,
    /// How much there is.
    pub of: u64,
    /// For how many more connections that is enough.
    pub room: u64,
    /// How many connections there are when it is met: those of now and the room.
    pub at_connections: u64,
    /// How that was reckoned.
    pub because: String,
}

/// What is no cause now, and may become one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Advice {
    /// The cause it may become.
    pub cause: CauseName,
    /// What it is about.
    pub subject: String,
    /// What was seen, and what to do.
    pub text: String,
}

/// A listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ListenerRow {
    /// Where it listens.
    pub address: String,
    /// The inode of its network namespace.
    pub namespace: u64,
    /// Waiting to be accepted (`Recv-Q`).
    pub recv_q: u32,
    /// The most that waited while it was watched.
    pub recv_q_max: Option<u32>,
    /// The limit in force (`Send-Q`); the queue holds one more.
    pub send_q: u32,
    /// `net.core.somaxconn` of its namespace now.
    pub somaxconn: Option<u64>,
    /// What bounds it, in words.
    pub clamp: String,
    /// Packets dropped at it since it began to listen.
    pub drops: Option<u32>,
    /// Of which while it was watched.
    pub drops_now: Option<u64>,
    /// Half-open connections at its port.
    pub syn_recv: Option<u64>,
    /// Connections at its port that a program holds.
    pub held: Option<u64>,
    /// Who holds it.
    pub owners: Vec<String>,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ProcessRow {
    /// Its id; 0 where a ticket does not say.
    pub pid: u32,
    /// Its program.
    pub name: String,
    /// The inode of its network namespace.
    pub namespace: u64,
    /// Where it lives: unit, container, login.
    pub home: Option<String>,
    /// Open descriptors.
    pub descriptors: Option<u64>,
    /// How many more than at the first look; negative for fewer.
    pub growth: Option<i64>,
    /// Its soft limit.
    pub nofile_soft: Option<u64>,
    /// Its hard limit.
    pub nofile_hard: Option<u64>,
    /// Where the limit comes from, as far as it can be read.
    pub limit_from: Option<String>,
    /// Descriptors by kind.
    pub kinds: BTreeMap<String, u64>,
    /// TCP sockets by state.
    pub sockets: BTreeMap<String, u64>,
    /// Share of the watched time on a processor, in per cent of one.
    pub cpu_percent: Option<u64>,
    /// Periods in which its control group was stopped, of those watched.
    pub throttled: Option<[u64; 2]>,
}

/// SYNs without an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    /// To where.
    pub to: String,
    /// How many.
    pub sockets: u64,
    /// How many of them were sent again.
    pub again: u64,
}

/// A network namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NamespaceRow {
    /// Its inode.
    pub id: u64,
    /// In words.
    pub name: String,
    /// TCP sockets by state.
    pub sockets: BTreeMap<String, u64>,
    /// SYNs without an answer, by destination.
    pub syn_sent: Vec<Waiting>,
    /// Entries of its connection-tracking table.
    pub conntrack: Option<u64>,
    /// Packets that the full table dropped while it was watched.
    pub conntrack_drops_now: Option<u64>,
    /// Local ports in use towards the destination that has most.
    pub ports: Option<PortsRow>,
    /// How far counters of trouble moved while it was watched; those that stood still are left out.
    pub moved: BTreeMap<String, u64>,
}

/// Local ports towards one destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PortsRow {
    /// To where.
    pub to: String,
    /// How many are in use.
    pub used: u64,
    /// Of which in `TIME_WAIT`.
    pub time_wait: u64,
    /// How many there are.
    pub of: Option<u64>,
}
