//! One cell: a combination of knob values, resolved into everything a run needs to know.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use brimful_loadgen_plan::plan::{Behaviour, Comeback};
use brimful_loadgen_plan::probe::Action;
use brimful_target_plan::Nofile;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::change::Change;
use super::command::Command;
use super::fault::Fault;
use super::kubelet::Restart;

/// Where client and server stand to each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Path {
    /// One network namespace; traffic crosses `lo`.
    #[default]
    Loopback,
    /// Two network namespaces joined by a veth pair.
    Veth,
}

/// Where a cell is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sandbox {
    /// In network namespaces made for it.
    #[default]
    Netns,
    /// The same in a guest of `brimful vm run`, where knobs of the whole host may be varied too.
    Vm,
    /// Right here: in the namespaces and with the limits that brimful was started with. Nothing is made and nothing is
    /// written; see [`super::host`].
    Host,
}

impl Sandbox {
    /// Whether it is what most are; a record leaves it out then, as those from before there was another did.
    #[must_use]
    pub fn is_netns(&self) -> bool {
        *self == Self::Netns
    }
}

/// How the load names its source ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceChoice {
    /// Addresses and ports planned up front.
    #[default]
    Auto,
    /// The kernel's choice from `ip_local_port_range`: slow in large numbers, and what real clients do.
    Kernel,
}

/// The value of a knob: a number, a word or a switch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum KnobValue {
    /// `raise-nofile = true`.
    Switch(bool),
    /// `backlog = 511`.
    Number(u64),
    /// `on-emfile = "spin"`, `nofile = "1024:20000"`, `ip_local_port_range = "1024 60999"`.
    Word(String),
}

impl fmt::Display for KnobValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Switch(value) => value.fmt(f),
            Self::Number(value) => value.fmt(f),
            Self::Word(value) => value.fmt(f),
        }
    }
}

/// What a knob was asked to be, and what this machine could be asked for at most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnobSetting {
    /// The value in the scenario.
    pub asked: KnobValue,
    /// The value the run will set; differs from `asked` only where the axis is named in `[matrix] clamp`.
    pub set: KnobValue,
    /// Why the two differ.
    pub clamped_because: Option<String>,
}

/// The server side of a cell. Addresses are as in the scenario; the run resolves them for its sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetSetup {
    /// The plan of the first shard; shard `n` listens on port + n.
    pub plan: brimful_target_plan::TargetPlan,
    /// Target processes, at least 1, each with its own limits and port.
    pub shards: u32,
    /// Processor time the target may use, in per cent of one processor, by a cgroup's quota; `None` for all it can get.
    pub cpu_percent: Option<u32>,
    /// The server where it is not brimful's own; of `plan` only the address, the health path and the extra descriptors
    /// are meant then. Left out of a record where it says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Command>,
}

impl TargetSetup {
    /// The backlog that it passes to `listen(2)`; `None` for a command of which nobody has stated it.
    #[must_use]
    pub fn backlog(&self) -> Option<u32> {
        match &self.command {
            Some(command) => command.backlog,
            None => Some(self.plan.backlog),
        }
    }
}

/// What ends a ramp before its plan does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RampUntil {
    /// The health check has failed as often in a row as its failure threshold allows: the kubelet would restart.
    Unhealthy,
}

/// The client side of a cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadSetup {
    /// Connections to open.
    pub connections: u64,
    /// Over which time.
    pub ramp: Duration,
    /// How long they are held after the ramp.
    pub hold: Duration,
    /// What they do.
    pub behaviour: Behaviour,
    /// Whether they come back.
    #[serde(default, skip_serializing_if = "Comeback::is_never")]
    pub comeback: Comeback,
    /// Where they come from.
    pub source: SourceChoice,
    /// What ends the ramp early; the hold counts from there. `None` for nothing. Left out of a record where it says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ramp_until: Option<RampUntil>,
}

/// The health check of a cell; its address follows from the target's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeSetup {
    /// What is done.
    pub action: Action,
    /// `periodSeconds`.
    pub period: Duration,
    /// `timeoutSeconds`.
    pub timeout: Duration,
    /// `initialDelaySeconds`.
    pub initial_delay: Duration,
    /// `failureThreshold`.
    pub failure_threshold: u32,
    /// `successThreshold`.
    pub success_threshold: u32,
    /// The prober's own soft descriptor limit, lowered once it stands: what it has open stays open, and a number below
    /// that leaves it without a socket. `None` for as many as it may have.
    pub nofile: Option<u64>,
    /// `host`: the address it asks, where that is not the one listened on. Left out of a record where it says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<IpAddr>,
    /// The port it asks, where that is not the one listened on; `None` for the health listener's, or else the main one.
    /// Left out of a record where it says nothing, so that records from before it read and write the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// One combination of knob values and everything that follows from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// `name=value` pairs of the axes that vary, joined by `,`, in the scenario's order; `base` when nothing varies. Unique in its scenario.
    pub id: String,
    /// Every axis of the matrix under its full dotted name (`sysctl.net.core.somaxconn`, `ulimit.nofile`, `target.backlog`), in the scenario's order.
    pub knobs: IndexMap<String, KnobSetting>,
    /// Where it is run.
    #[serde(default, skip_serializing_if = "Sandbox::is_netns")]
    pub sandbox: Sandbox,
    /// Where client and server stand.
    pub path: Path,
    /// What is wrong with the path; nothing in a record from before anything could be.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// Sysctls to set in the server's namespace (and in the client's where there are two), by dotted name without the `sysctl.` prefix.
    pub sysctls: IndexMap<String, String>,
    /// Descriptor limits the target is born with; `None` leaves it what brimful itself has.
    pub nofile: Option<Nofile>,
    /// The server.
    pub target: TargetSetup,
    /// The load.
    pub load: LoadSetup,
    /// The health check.
    pub probe: ProbeSetup,
    /// What is turned while it runs, in the order of time. Left out of a record where nothing is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// That the target is restarted as the kubelet would. `None` where its failures are only counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
}

impl Cell {
    /// How long the cell itself runs, from the first intended instant: ramp and hold.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.load.ramp + self.load.hold
    }
}
