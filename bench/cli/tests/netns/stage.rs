//! A cell played by hand: the binary's own workers, given their orders line by line, with what a scenario file cannot say.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use brimful_evidence::record::{Evidence, Role};
use brimful_live::message::{Failed, Order, Place, Said, SandboxOrder, Server, Tell};
use brimful_live::process::{WORKER, role_name};
use brimful_loadgen_plan::outcome::LoadOutcome;
use brimful_loadgen_plan::plan::{Behaviour, Comeback, LoadPlan, Sources};
use brimful_loadgen_plan::probe::{Action, ProbePlan, Sample};
use brimful_plan::cell::{Path, Sandbox};
use brimful_plan::fault::Fault;
use brimful_plan::topology;
use brimful_target::clock::monotonic_ns;
use brimful_target_plan::TargetPlan;

use super::support::{BRIMFUL, Reachable};

/// Where the target listens.
pub(super) const PORT: u16 = 23_380;

/// How long anybody may take to answer; the longest filling of a table took 3 s.
const PATIENCE: Duration = Duration::from_secs(60);

/// As whom the workers are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// As the tests are.
    Same,
    /// As an ordinary user, in a user namespace; only root can become that.
    Nobody,
}

/// Everybody the tests can be here.
pub(super) fn everybody() -> Vec<Who> {
    let root = std::fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
    if root { vec![Who::Same, Who::Nobody] } else { vec![Who::Same] }
}

/// A sandbox order with nothing wrong.
pub(super) fn plain(path: Path) -> SandboxOrder {
    SandboxOrder {
        sandbox: Sandbox::Netns,
        path,
        sysctls: Vec::new(),
        connections: 0,
        target_ports: vec![PORT],
        ipv6_sources: 0,
        faults: Vec::new(),
        ghosts: 0,
        target_cgroup: None,
        every: Duration::from_millis(100),
    }
}

/// A sandbox order with one fault.
pub(super) fn faulty(path: Path, fault: Fault) -> SandboxOrder {
    SandboxOrder { faults: vec![fault], ..plain(path) }
}

/// The server's address on a path.
pub(super) fn server(path: Path) -> SocketAddr {
    let ip = match path {
        Path::Loopback => topology::LOOPBACK_SERVER,
        Path::Veth => topology::VETH_SERVER,
    };
    SocketAddr::new(ip.into(), PORT)
}

/// A load that is opened at once.
pub(super) fn load(path: Path, connections: u64, behaviour: Behaviour, first: Ipv4Addr) -> LoadPlan {
    let (first_port, last_port) = (1_024, 20_000);
    LoadPlan {
        connections,
        shards: 1,
        ramp: Duration::ZERO,
        behaviour,
        sources: Sources::Named { first: first.into(), addresses: 1, first_port, last_port, skip: Vec::new() },
        destinations: vec![server(path)],
        comeback: Comeback::default(),
        path: "/".to_owned(),
        seed: 0,
    }
}

/// A health check over HTTP, four times a second.
pub(super) fn probe(path: Path) -> ProbePlan {
    ProbePlan {
        action: Action::http_get("/healthz"),
        address: server(path),
        period: Duration::from_millis(250),
        timeout: Duration::from_millis(1_000),
        initial_delay: Duration::ZERO,
        failure_threshold: 3,
        success_threshold: 1,
    }
}

/// What is played in a sandbox.
pub(super) struct Play {
    /// The server.
    pub(super) target: TargetPlan,
    /// Its control group.
    pub(super) cgroup: Option<PathBuf>,
    /// The load.
    pub(super) load: LoadPlan,
    /// The health check.
    pub(super) probe: ProbePlan,
    /// Its descriptor limit.
    pub(super) probe_nofile: Option<u64>,
    /// For how long.
    pub(super) length: Duration,
}

/// What came of it.
pub(super) struct Account {
    /// From outside.
    pub(super) evidence: Evidence,
    /// The load's own.
    pub(super) load: LoadOutcome,
    /// Every probe.
    pub(super) samples: Vec<Sample>,
}

impl Account {
    /// How far a counter of the server's namespace grew.
    pub(super) fn grown(&self, name: &str) -> u64 {
        self.evidence.server.counters.get(name).unwrap_or_else(|| panic!("{name} was not read")).delta()
    }

    /// The most sockets in a state at the target's port, in the namespace of the server.
    pub(super) fn most(&self, state: &str) -> u64 {
        self.evidence.server.sockets[state][&PORT.to_string()].max
    }

    /// The most sockets in a state towards the target's port, in the namespace of the client.
    pub(super) fn most_at_client(&self, state: &str) -> u64 {
        let side = self.evidence.client.as_ref().unwrap_or(&self.evidence.server);
        side.sockets[state][&PORT.to_string()].max
    }
}

/// A worker process.
struct Actor {
    role: Role,
    child: Child,
    ear: Receiver<Said>,
}

impl Actor {
    fn start(who: Who, binary: &std::path::Path, role: Role, order: &Order) -> Self {
        let me = std::process::id().to_string();
        let words = [WORKER, role_name(role), &me];
        let mut command = match who {
            Who::Same => Command::new(binary),
            Who::Nobody => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(binary);
                command
            }
        };
        let mut child = command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a worker");
        let (mouth, ear) = channel();
        let output = BufReader::new(child.stdout.take().expect("its output"));
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if mouth.send(serde_json::from_str(&line).expect("a line of a worker")).is_err() {
                    return;
                }
            }
        });
        let mut actor = Self { role, child, ear };
        actor.tell(order);
        actor
    }

    fn tell(&mut self, line: &impl serde::Serialize) {
        let mut text = serde_json::to_string(line).expect("JSON");
        text.push('\n');
        self.child.stdin.as_mut().expect("its input").write_all(text.as_bytes()).expect("it listens");
    }

    /// Hears until something is what is waited for.
    fn hear<T>(&self, mut wanted: impl FnMut(Said) -> Option<T>) -> Result<T, Failed> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.ear.recv_timeout(left) {
                Ok(Said::Failed(failed)) => return Err(failed),
                Ok(said) => {
                    if let Some(found) = wanted(said) {
                        return Ok(found);
                    }
                }
                Err(error) => panic!("the {} worker is silent: {error}", role_name(self.role)),
            }
        }
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// An end of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Server,
    Client,
}

/// A sandbox that stands.
pub(super) struct Stage {
    who: Who,
    binary: PathBuf,
    /// Where `binary` is, for an ordinary user.
    _copy: Option<Reachable>,
    sandbox: Actor,
    server: Option<Place>,
    client: Option<Place>,
}

impl Stage {
    /// Makes a sandbox, or hears why it cannot be made.
    pub(super) fn make(who: Who, order: SandboxOrder) -> Result<Self, Failed> {
        let copy = matches!(who, Who::Nobody).then(Reachable::copy);
        let binary = copy.as_ref().map_or_else(|| BRIMFUL.into(), Reachable::path);
        let sandbox = Actor::start(who, &binary, Role::Sandbox, &Order::Sandbox(order));
        let (server, client) = sandbox.hear(|said| match said {
            Said::SandboxReady { server, client, .. } => Some((server, client)),
            _ => None,
        })?;
        Ok(Self { who, binary, _copy: copy, sandbox, server, client })
    }

    /// A program of this machine in one of the namespaces.
    pub(super) fn enter(&self, side: Side, program: &str) -> Command {
        let place = match side {
            Side::Server => self.server,
            Side::Client => self.client,
        }
        .expect("a namespace of its own");
        let mut command = Command::new("nsenter");
        if place.user_namespace {
            command.arg(format!("--user=/proc/{}/ns/user", place.pid)).arg("--preserve-credentials");
        }
        command.arg(format!("--net=/proc/{}/task/{}/ns/net", place.pid, place.tid)).arg("--").arg(program);
        command
    }

    /// The binary in one of the namespaces.
    pub(super) fn inside(&self, side: Side) -> Command {
        self.enter(side, &self.binary.display().to_string())
    }

    /// Whether a health check stands with such a descriptor limit.
    pub(super) fn try_probe(&self, nofile: u64) -> Result<(), Failed> {
        let order = Order::Probe {
            place: self.client,
            nofile: Some(nofile),
            container: None,
            plan: probe(Path::Loopback),
            until: None,
            held: false,
        };
        let worker = Actor::start(self.who, &self.binary, Role::Probe, &order);
        worker.hear(|said| matches!(said, Said::Waiting).then_some(()))
    }

    /// Plays to the end.
    pub(super) fn play(mut self, play: Play) -> Account {
        let actor = |role, order: Order| Actor::start(self.who, &self.binary, role, &order);
        let Play { target, cgroup, load, probe, probe_nofile, length } = play;
        let mut target = actor(
            Role::Target,
            Order::Target {
                place: self.server,
                cgroup,
                nofile: None,
                ordinary: false,
                server: Server::Builtin(target),
            },
        );
        let mut load = actor(Role::Load, Order::Load { place: self.client, plan: load, shard: 0, in_turn: false });
        let until = Some(length);
        let mut probe = actor(
            Role::Probe,
            Order::Probe { place: self.client, nofile: probe_nofile, container: None, plan: probe, until, held: false },
        );
        let ready = |said| matches!(said, Said::TargetReady(_) | Said::Waiting).then_some(());
        for actor in [&target, &load, &probe] {
            actor.hear(ready).unwrap_or_else(|failed| panic!("{}: {failed}", role_name(actor.role)));
        }
        self.sandbox.tell(&Tell::BaseLine);
        self.sandbox.hear(|said| matches!(said, Said::BaseLine).then_some(())).expect("a base line");
        let start = Tell::Start { t0_ns: monotonic_ns() + 4_000_000 };
        for actor in [&mut self.sandbox, &mut target, &mut load, &mut probe] {
            actor.tell(&start);
        }
        let mut samples = Vec::new();
        probe
            .hear(|said| match said {
                Said::Sample(sample) => {
                    samples.push(sample);
                    None
                }
                said => matches!(said, Said::ProbeDone).then_some(()),
            })
            .expect("the probe");
        self.sandbox.tell(&Tell::Stop);
        let observed = |said| if let Said::Observed { evidence, .. } = said { Some(*evidence) } else { None };
        let evidence = self.sandbox.hear(observed).expect("the sandbox");
        load.tell(&Tell::Stop);
        let loaded = |said| if let Said::LoadDone(outcome) = said { Some(*outcome) } else { None };
        let load = load.hear(loaded).expect("the load");
        Account { evidence, load, samples }
    }
}
