//! The record of one cell in one block: everything that was seen, and no opinion about it.

use std::collections::BTreeMap;

use brimful_loadgen_plan::outcome::LoadOutcome;
use brimful_loadgen_plan::plan::LoadPlan;
use brimful_loadgen_plan::probe::{ProbePlan, Sample};
use brimful_plan::cell::{Cell, KnobValue};
use brimful_plan::change::Turn;
use brimful_plan::predict::Prediction;
use brimful_target_plan::{Ready, TargetOutcome};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::series::Series;
use crate::server_log::Words;

/// The version of [`Record`]'s form. A reader refuses a higher one.
pub const RECORD_VERSION: u32 = 1;

/// The machine and the kernel a record was made on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// `uname -r`.
    pub kernel: String,
    /// `uname -m`.
    pub arch: String,
    /// Processors this process may run on.
    pub cpus: u32,
    /// `MemTotal`, in bytes.
    pub memory_bytes: u64,
    /// The hard `RLIMIT_NOFILE` of brimful itself.
    pub nofile_hard: u64,
    /// Whether the sandbox was made with a user namespace, because brimful lacked the privilege to do without.
    pub user_namespace: bool,
    /// `qemu-tcg` or `qemu-kvm` in a guest of `brimful vm run`, absent elsewhere. Under `qemu-tcg` a second is not a second.
    #[serde(default, rename = "virtual", skip_serializing_if = "Option::is_none")]
    pub virtual_machine: Option<String>,
}

impl Host {
    /// Whether durations mean what they mean elsewhere: not where every instruction was translated.
    #[must_use]
    pub fn times_mean_something(&self) -> bool {
        self.virtual_machine.as_deref() != Some("qemu-tcg")
    }
}

/// What a knob was asked to be, and what the kernel gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct KnobReading {
    /// The value in the scenario.
    pub asked: KnobValue,
    /// The value read back from the kernel; `null` where it could not be read.
    pub given: Option<KnobValue>,
    /// Why they differ, or why it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How a target process ended before it was told to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyEnd {
    /// Which shard.
    pub shard: u32,
    /// When, in nanoseconds since the start of the cell.
    pub at_ns: u64,
    /// `exit status 1`, `signal 9`.
    pub how: String,
    /// The last words on its standard error.
    pub said: String,
}

/// Something that was turned while the cell ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Turned {
    /// What.
    pub what: Turn,
    /// When it was due, in nanoseconds since the start of the cell.
    pub due_ns: u64,
    /// When it was done: read back, or, for a restart, when the new process listened. `None` where it never was.
    pub done_ns: Option<u64>,
    /// What was read back afterwards, in words; `None` where there is nothing to be read back, or it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given: Option<String>,
    /// Why it was not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Why a life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LifeEndWhy {
    /// Liveness failed as often as it may.
    Liveness,
    /// The startup probe did.
    Startup,
    /// The scenario said so: it was told to stop, to be started again at once.
    Change,
    /// The scenario had it killed.
    Killed,
    /// By itself.
    ByItself,
}

/// How a life ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LifeEnd {
    /// Why.
    pub why: LifeEndWhy,
    /// When that was decided, or seen, in nanoseconds since the start of the cell.
    pub decided_ns: u64,
    /// When the last process of it was gone; `None` where the cell ended first.
    pub gone_ns: Option<u64>,
    /// Whether it outlived its grace and was killed.
    pub killed: bool,
    /// `exit status 0`, `signal 9`.
    pub how: String,
}

/// One life of the target: what Kubernetes calls a container. All its shards live and die together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Life {
    /// When its processes were started, in nanoseconds since the start of the cell; 0 for the first.
    pub started_ns: u64,
    /// When all of them listened; `None` where that did not come.
    pub listening_ns: Option<u64>,
    /// When the startup probe had passed; without one, when it listened.
    pub up_ns: Option<u64>,
    /// When readiness put it into service and took it out again; empty without a readiness probe.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ready: Vec<(u64, bool)>,
    /// How it ended; `None` for the one that stood at the end.
    pub end: Option<LifeEnd>,
}

/// The server's own account. A verdict never needs it: a target that is not ours has none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetRecord {
    /// What each shard said when it was ready.
    pub ready: Vec<Ready>,
    /// What each shard counted; empty for a shard that gave no account.
    pub outcomes: Vec<Option<TargetOutcome>>,
    /// Shards that ended by themselves.
    pub early_ends: Vec<EarlyEnd>,
    /// What is known of each shard that is a command, which gives no account. Left out where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<CommandRecord>,
}

/// A shard that is a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandRecord {
    /// Which shard.
    pub shard: u32,
    /// From its start until it was ready, in nanoseconds.
    pub ready_after_ns: u64,
    /// How it ended when it was asked to: `exit status 0`; `None` where it had not within its grace, or was not asked.
    pub ended: Option<String>,
    /// What it wrote. It is heard as a witness, never as a proof.
    pub words: Words,
}

/// The load, over all shards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadRecord {
    /// What was planned.
    pub plan: LoadPlan,
    /// What it came to, merged over the shards that reported.
    pub outcome: LoadOutcome,
    /// Shards that ended without a report.
    pub missing_shards: Vec<u32>,
    /// When it was told to rise no further, in nanoseconds since the start of the cell, because the health check had failed
    /// as often as its threshold allows; it then stood at [`LoadOutcome::attempted`]. `None` where it rose to its plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_rising_at_ns: Option<u64>,
}

/// The health check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeRecord {
    /// What was planned.
    pub plan: ProbePlan,
    /// Every probe that ended, in order.
    pub samples: Vec<Sample>,
}

/// One listening socket, seen through inet_diag (`net/ipv4/inet_diag.c`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerEvidence {
    /// Connections waiting to be accepted (`Recv-Q`, `sk_ack_backlog`).
    pub recv_q: Series,
    /// The limit in force (`Send-Q`, `sk_max_ack_backlog`): min(backlog, somaxconn) at the time of `listen(2)`. The queue holds one more.
    pub limit: Series,
    /// Drops of any kind at this listener (`sk_drops`, from `INET_DIAG_SKMEMINFO`).
    pub drops: Series,
}

/// One network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamespaceEvidence {
    /// Counters by `Group.Name` (`TcpExt.ListenOverflows`, `Tcp.InSegs`, `Ip.InReceives`), unknown names kept. Totals as read, not deltas.
    /// Also `device.NAME.rx_dropped` and `tx_dropped`, `nf_conntrack.count`, and `nftables.TABLE.CHAIN.N.packets` for the `N`th counter of a chain.
    pub counters: BTreeMap<String, Series>,
    /// Listeners by address and port.
    pub listeners: BTreeMap<String, ListenerEvidence>,
    /// Sockets counted by state (`SYN_RECV`, `SYN_SENT`, `CLOSE_WAIT`, `TIME_WAIT`) and then by port: the local one, but for `SYN_SENT` the remote one.
    /// `SYN_SENT_RETRANS` and `SYN_RECV_RETRANS` are those among them that have sent their SYN or SYN-ACK again.
    pub sockets: BTreeMap<String, BTreeMap<String, Series>>,
}

/// Which part a process plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The server under test.
    Target,
    /// A shard of the load.
    Load,
    /// The health check.
    Probe,
    /// The process that holds the namespaces and observes.
    Sandbox,
}

/// One process, seen from outside through `/proc/PID`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessEvidence {
    /// Its part.
    pub role: Role,
    /// Which of its kind, from 0.
    pub shard: u32,
    /// Its process id, as brimful sees it.
    pub pid: u32,
    /// Which process of a command it is, where the shard is one. Left out where it says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<Member>,
    /// Open descriptors.
    pub descriptors: Series,
    /// `RLIMIT_NOFILE`, soft.
    pub nofile_soft: Series,
    /// `RLIMIT_NOFILE`, hard.
    pub nofile_hard: Series,
    /// Resident memory, in bytes (`/proc/PID/statm`).
    pub rss_bytes: Series,
    /// Processor time used, in nanoseconds, all threads (`/proc/PID/stat`, utime and stime).
    pub cpu_ns: Series,
    /// Time its main thread was ready to run and waited for a processor, in nanoseconds (`/proc/PID/schedstat`).
    pub runqueue_wait_ns: Series,
    /// Inotify instances among its descriptors; counted for targets alone, and not in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inotify: Option<Series>,
}

/// One process of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Counts from 0, in the order in which they were found: the first is the one that was started.
    pub number: u32,
    /// Its name (`/proc/PID/comm`).
    pub name: String,
}

impl ProcessEvidence {
    /// Its place in the names of its series: `0` for shard 0, `0.2` for the third process of a command there.
    #[must_use]
    pub fn place(&self) -> String {
        match &self.member {
            Some(member) if member.number > 0 => format!("{}.{}", self.shard, member.number),
            Some(_) | None => self.shard.to_string(),
        }
    }
}

/// A source of evidence: whether it could be read, how often it was, and what reading it cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// `inet_diag.listeners`, `inet_diag.states`, `netstat`, `snmp`, `process.descriptors` and the like, with the side where there are two.
    pub name: String,
    /// Why it was not available; `None` when it was.
    pub unavailable_because: Option<String>,
    /// Successful readings.
    pub reads: u64,
    /// Time spent reading, in nanoseconds of wall clock.
    pub cost_ns: u64,
    /// The longest single reading, in nanoseconds.
    pub longest_ns: u64,
}

impl Source {
    /// Whether no verdict ever needs it: of a tracepoint it is kept only whether it would be there.
    #[must_use]
    pub fn is_extra(&self) -> bool {
        self.name.starts_with("tracepoint.")
    }
}

/// Everything that was observed from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// The server's namespace.
    pub server: NamespaceEvidence,
    /// The client's, where it is another one.
    pub client: Option<NamespaceEvidence>,
    /// The processes of the cell.
    pub processes: Vec<ProcessEvidence>,
    /// Host-wide quantities: `fs.file-nr.allocated`, `fs.file-nr.max`, `nf_conntrack.max`; and the target's control group, `cgroup.target.nr_periods`,
    /// `nr_throttled` and `throttled_ns`.
    pub host: BTreeMap<String, Series>,
    /// Each source, available or not.
    pub sources: Vec<Source>,
}

/// What the cell cost beyond its own time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// From the decision to run the cell to its start instant, in milliseconds.
    pub setup_ms: f64,
    /// From the end of the hold to the last process gone, in milliseconds.
    pub teardown_ms: f64,
    /// How long the cell waited before it began for the host's tables to be back at what they were before the run, in milliseconds.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cooldown_ms: f64,
    /// Processor time of the observer over wall time: 0.01 is one per cent of one core.
    pub observer_cpu_fraction: f64,
}

/// One cell in one block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// [`RECORD_VERSION`] at the time of writing.
    pub record_version: u32,
    /// The version of brimful that wrote it.
    pub tool_version: String,
    /// The scenario's name.
    pub scenario: String,
    /// What was to be run.
    pub cell: Cell,
    /// Counts from 0.
    pub block: u32,
    /// Attempts at this block before this one; each was void, and is kept beside it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub attempt: u32,
    /// The run's seed.
    pub seed: u64,
    /// Where it ran.
    pub host: Host,
    /// When the cell began, RFC 3339, UTC.
    pub started_at: String,
    /// How long it was watched from its start instant, in nanoseconds.
    pub duration_ns: u64,
    /// Whether it was broken off by a signal; what there is then is partial.
    pub interrupted: bool,
    /// Which limit was to bind first, as predicted before the cell ran; absent from records of a plan that was not priced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prediction: Option<Prediction>,
    /// Every knob of the matrix by its full name: asked and given.
    pub knobs: IndexMap<String, KnobReading>,
    /// The server's account.
    pub target: TargetRecord,
    /// The load.
    pub load: LoadRecord,
    /// The health check.
    pub probe: ProbeRecord,
    /// What was turned while the cell ran, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub turned: Vec<Turned>,
    /// The lives of the target, in order; empty where nothing could have restarted it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lives: Vec<Life>,
    /// The startup probe, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup: Option<ProbeRecord>,
    /// The readiness probe, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness: Option<ProbeRecord>,
    /// What was seen from outside.
    pub evidence: Evidence,
    /// What it cost.
    pub cost: Cost,
}

/// Whether a number says nothing, so that a record from before it reads and writes the same.
fn is_default<T: Default + PartialEq>(number: &T) -> bool {
    *number == T::default()
}
