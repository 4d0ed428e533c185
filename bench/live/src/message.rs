//! What brimful and its workers say to each other: one JSON object a line, orders on standard input, answers on standard output.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use brimful_evidence::record::{Evidence, Role};
use brimful_evidence::server_log::Words;
use brimful_loadgen_plan::outcome::{LoadOutcome, LoadPoint};
use brimful_loadgen_plan::plan::LoadPlan;
use brimful_loadgen_plan::probe::{ProbePlan, Sample};
use brimful_plan::cell::{Path, Sandbox};
use brimful_plan::command::StopSignal;
use brimful_plan::fault::Fault;
use brimful_target_plan::{Nofile, Ready, TargetOutcome, TargetPlan};
use serde::{Deserialize, Serialize};

use super::observe::Glance;
use super::sysctl::{Reading, SysctlError};

/// The namespaces of a sandbox, named by the process and threads that hold them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The sandbox worker.
    pub pid: u32,
    /// The thread whose network namespace is meant.
    pub tid: u32,
    /// Whether its user namespace has to be entered first.
    pub user_namespace: bool,
}

/// The first line to a worker: what it is to be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Order {
    /// Make namespaces, hold them, and observe what happens in them.
    Sandbox(SandboxOrder),
    /// Be the server.
    Target {
        /// Where; `None` for the namespace brimful itself is in.
        place: Option<Place>,
        /// The control group to be in from the beginning, by its folder.
        cgroup: Option<PathBuf>,
        /// Descriptor limits to be born with.
        nofile: Option<Nofile>,
        /// Whether it gives up `CAP_SYS_ADMIN`, which lets a process by where `fs.file-max` is met; a command never does.
        ordinary: bool,
        /// What server.
        server: Server,
    },
    /// Be one shard of the load.
    Load {
        /// Where.
        place: Option<Place>,
        /// The whole load.
        plan: LoadPlan,
        /// Which shard of it.
        shard: u32,
        /// Whether it opens nothing before it is told [`Tell::Open`].
        in_turn: bool,
    },
    /// Be the health check.
    Probe {
        /// Where.
        place: Option<Place>,
        /// Its own soft descriptor limit, at least the ten or so that the worker itself needs; `None` for as many as it may have.
        nofile: Option<u64>,
        /// Where a command is run that is the probe; `None` for a probe that is none.
        container: Option<Container>,
        /// The probe.
        plan: ProbePlan,
        /// No probe is begun at or after this age of the cell; `None` for no end.
        until: Option<Duration>,
        /// Whether it waits for [`Tell::Begin`] before it asks anything.
        held: bool,
    },
}

/// The two kinds of server. Either is one worker, which dies with everything that it has started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Server {
    /// brimful's own.
    Builtin(TargetPlan),
    /// Any other.
    Command(CommandOrder),
}

/// A server that is not brimful's own, ready to be started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CommandOrder {
    /// The program's file.
    pub program: PathBuf,
    /// What it is called with, its own name first.
    pub argv: Vec<String>,
    /// Variables on top of brimful's own.
    pub env: Vec<(String, String)>,
    /// Where it is started.
    pub directory: PathBuf,
    /// The folder of its files, which become those of `user`.
    pub folder: PathBuf,
    /// Whom it runs as; `None` for whom brimful runs as.
    pub user: Option<String>,
    /// Where a connection says that it is ready.
    pub ready: SocketAddr,
    /// How long it may take until then.
    pub start_timeout: Duration,
    /// What asks it to end.
    pub stop_signal: StopSignal,
}

/// Where a command is run that is the probe; what it is born with stands in the probe's plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Container {
    /// The control group of the target, by its folder.
    pub cgroup: Option<PathBuf>,
    /// Whom it runs as, by name; `None` for whom brimful runs as.
    pub user: Option<String>,
}

/// What a sandbox is to be made of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SandboxOrder {
    /// Whether it is made, or what there is will do.
    pub sandbox: Sandbox,
    /// One namespace or two.
    pub path: Path,
    /// Dotted names and values. All are tried; each has its answer in [`Said::SandboxReady`].
    pub sysctls: Vec<(String, String)>,
    /// How many connections there are to be, so that the kernel's tables are made for them.
    pub connections: u64,
    /// The ports the target will listen on, shards and health included.
    pub target_ports: Vec<u16>,
    /// IPv6 addresses that the load binds on `lo`; 0 for a load over IPv4.
    pub ipv6_sources: u32,
    /// What is to be wrong with the path. Each is made and read back before the sandbox is ready.
    pub faults: Vec<Fault>,
    /// Addresses from which half-open load comes; 0 for none. Needs [`Path::Veth`].
    pub ghosts: u32,
    /// The control group whose processor time the target uses, by its folder; observed from outside.
    pub target_cgroup: Option<PathBuf>,
    /// From one observation to the next.
    pub every: Duration,
}

/// A later line to a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tell {
    /// The cell starts at this instant of `CLOCK_MONOTONIC`, in nanoseconds.
    Start {
        /// The instant.
        t0_ns: u64,
    },
    /// To the sandbox: observe this process too.
    Watch {
        /// Its part.
        role: Role,
        /// Which of its kind.
        shard: u32,
        /// Its process id.
        pid: u32,
        /// Whether the worker only keeps a command, and what it has started is meant.
        tree: bool,
    },
    /// To the sandbox: take the base line now, from which every counter is counted, and say so ([`Said::BaseLine`]).
    BaseLine,
    /// To a shard of the load that waits for it: your turn to open has come.
    Open,
    /// To the load: open no more connections, and go on with those there are.
    Enough,
    /// To a probe: ask, of a container that was started so many nanoseconds after the start instant.
    Begin {
        /// Its age counts from here.
        born_ns: u64,
    },
    /// To a probe: ask no more until told to begin; the one in flight is given up.
    Hold,
    /// To the sandbox: turn this.
    Turn {
        /// Its number, which the answer repeats.
        number: u32,
        /// What.
        what: Hand,
    },
    /// To a target whose cell goes on without it: end as a container is asked to, within this time. What a command is sent is its stop signal.
    Leave {
        /// `terminationGracePeriodSeconds`.
        grace: Duration,
    },
    /// Finish, give account, end.
    Stop,
}

/// The processes of a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Processes {
    /// Its workers.
    pub pids: Vec<u32>,
    /// Whether these only keep commands, and what was started by them is meant.
    pub trees: bool,
}

/// What the sandbox can turn while a cell runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hand {
    /// A sysctl, in the server's namespace and, where there is one, in the client's.
    Sysctl {
        /// The dotted name.
        name: String,
        /// The value.
        value: String,
    },
    /// The descriptor limit of these processes and of all below them.
    Nofile {
        /// The target's.
        of: Processes,
        /// The limit.
        nofile: Nofile,
    },
    /// `ulimit -n`, typed into a shell.
    Shell {
        /// The limit.
        nofile: Nofile,
        /// The target's, to see what they have of it.
        beside: Processes,
    },
    /// `listen(2)` on the sockets that these processes, or any below them, have listening on these ports.
    Relisten {
        /// The target's.
        of: Processes,
        /// The ports.
        ports: Vec<u16>,
        /// The backlog to ask for.
        backlog: u32,
    },
}

/// A line from a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Said {
    /// The namespaces stand and the sysctls have been tried.
    SandboxReady {
        /// The server's namespace; `None` for the one that brimful itself is in.
        server: Option<Place>,
        /// The client's; the same where there is only one.
        client: Option<Place>,
        /// What became of each sysctl, in the order asked.
        sysctls: Vec<Result<Reading, SysctlError>>,
    },
    /// The server listens.
    TargetReady(Ready),
    /// The command takes connections.
    CommandReady {
        /// From its start until it did, in nanoseconds.
        after_ns: u64,
    },
    /// The worker has entered its place and waits for the start.
    Waiting,
    /// The base line is taken: what is counted from now on is the cell's.
    BaseLine,
    /// How the load stands.
    Point(LoadPoint),
    /// A probe ended.
    Sample(Sample),
    /// Something was turned, or could not be.
    Turned {
        /// The number of the order.
        number: u32,
        /// When, in nanoseconds of `CLOCK_MONOTONIC`.
        at_ns: u64,
        /// What was read back, in words.
        given: Result<String, Failed>,
    },
    /// How the table stands, for whoever watches live.
    Glance(Glance),
    /// The sandbox's account.
    Observed {
        /// What was seen.
        evidence: Box<Evidence>,
        /// Processor time of the observer over wall time since the start.
        cpu_fraction: f64,
    },
    /// The server's account.
    TargetDone(TargetOutcome),
    /// What there is to tell of a command: said when it has ended, or has not within its grace.
    CommandDone(Box<CommandAccount>),
    /// The shard's account.
    LoadDone(Box<LoadOutcome>),
    /// The health check is over.
    ProbeDone,
    /// The worker could not do what it was ordered to.
    Failed(Failed),
}

/// What is told of a command at its end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CommandAccount {
    /// How it ended; `None` where it had not.
    pub how: Option<String>,
    /// Whether it was asked to.
    pub asked: bool,
    /// What it wrote, message by message.
    pub words: Words,
    /// What it wrote, as it was: the beginning and the end of it.
    pub log: String,
}

/// Why a worker could not do its work, in words for the user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{what}")]
pub struct Failed {
    /// What failed, with the errno's name.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether this machine refuses, rather than the target or brimful.
    pub machine: bool,
}

/// An error with all its causes, in one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    text
}
