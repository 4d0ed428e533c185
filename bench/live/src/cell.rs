//! One cell, from nothing to its record and back to nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use brimful_evidence::record::{CommandRecord, EarlyEnd, Evidence, Life, Role, Turned};
use brimful_loadgen_plan::outcome::{LoadOutcome, LoadPoint};
use brimful_loadgen_plan::plan::{Behaviour, Sources};
use brimful_loadgen_plan::probe::Sample;
use brimful_plan::cell::Cell;
use brimful_plan::fault::Fault;
use brimful_plan::topology::Layout;
use brimful_target::clock::monotonic_ns;
use brimful_target_plan::{Ready, TargetOutcome};

use super::cgroup::{self, Group};
use super::interrupt::{Interrupt, LOOK};
use super::journal::Book;
use super::machine;
use super::message::{Failed, Order, Place, Said, SandboxOrder, Tell};
use super::observe::Glance;
use super::own_host::OwnHost;
use super::process::{Heard, Key, START_LEAD_NS, Worker, in_words, role_name};
use super::scratch::{self, Scratch};
use super::sysctl::Reading;
use super::turns::Turns;

mod account;
mod change;
mod command;
mod error;
mod inside;
mod life;
mod rising;
mod watch;

use self::change::Changing;
use self::life::Upkeep;

pub use error::CellError;
use error::{garbled, out_of_turn, worker_failed};

/// From one observation to the next.
pub const OBSERVE_EVERY: Duration = Duration::from_millis(100);

/// How long a worker may take to be ready, or to give its account, before the cell is given up.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a worker may be silent in its account once a signal has asked for the end: a shard of 20,000 needs some milliseconds.
const BRIEF: Duration = Duration::from_secs(1);

/// The most points of the timeline of a load in a record. Each shard keeps 600 of its own, at instants of its own.
const TIMELINE_MOST: usize = 1_200;

/// How long a sandbox may take beyond that to fill a connection-tracking table: 130,000 entries a second were measured on
/// a machine of two processors, and 2,000,000 is the most that is tried.
const FILL_PATIENCE: Duration = Duration::from_secs(60);

/// How often the kubelet tries a probe whose answer broke off, in one tick (`pkg/kubelet/prober/prober.go`, `maxProbeRetries`).
const PROBE_ATTEMPTS: u32 = 3;

/// Something to show while a cell runs.
#[derive(Clone, Debug)]
pub enum Live {
    /// What is being done now.
    Step(&'static str),
    /// The load, summed over its shards.
    Load(LoadPoint),
    /// A probe ended.
    Probe(Sample),
    /// How the table stands.
    Table(Glance),
    /// A signal has asked for the end, and it is on its way.
    Stopping,
    /// So many of the cell's processes are gone.
    Gone {
        /// How many.
        gone: usize,
        /// Of how many.
        of: usize,
    },
}

/// What was gathered in a cell.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Sysctls, asked and given.
    pub sysctls: Vec<Reading>,
    /// Whether the sandbox took a user namespace.
    pub user_namespace: bool,
    /// What each target shard said when ready.
    pub ready: Vec<Ready>,
    /// What each target shard counted.
    pub target: Vec<Option<TargetOutcome>>,
    /// Target shards that ended by themselves.
    pub early_ends: Vec<EarlyEnd>,
    /// What is known of the shards that are commands.
    pub commands: Vec<CommandRecord>,
    /// What each of these wrote, by its shard.
    pub logs: BTreeMap<u32, String>,
    /// The load, merged.
    pub load: LoadOutcome,
    /// When it was told to rise no further, in nanoseconds since the start.
    pub enough_at_ns: Option<u64>,
    /// Load shards without an account.
    pub missing_shards: Vec<u32>,
    /// Every probe.
    pub samples: Vec<Sample>,
    /// What was turned while it ran.
    pub turned: Vec<Turned>,
    /// The target's lives; empty where nothing could restart it.
    pub lives: Vec<Life>,
    /// Every result of the startup probe.
    pub startup: Vec<Sample>,
    /// Every result of the readiness probe.
    pub readiness: Vec<Sample>,
    /// What was seen from outside.
    pub evidence: Evidence,
    /// Processor time of the observer over wall time.
    pub observer_cpu_fraction: f64,
    /// How long it was watched, in nanoseconds.
    pub duration_ns: u64,
    /// Whether a signal cut it short.
    pub interrupted: bool,
    /// From the beginning to the start instant.
    pub setup: Duration,
    /// From the end of the last probe to the last process gone.
    pub teardown: Duration,
}

/// Runs one cell in a fresh sandbox. `book` is given where sysctls of the whole host may be changed for it; they are put back when this returns.
///
/// # Errors
/// When it could not be set up, or a worker other than the target broke. A target that dies during the cell is no error: that is a finding.
pub fn run(
    cell: &Cell,
    layout: &Layout,
    interrupt: &Interrupt,
    book: Option<&Book>,
    show: &mut dyn FnMut(Live),
) -> Result<Gathered, CellError> {
    let began = monotonic_ns();
    let mut stage = Stage::new(interrupt, book, cell, layout);
    let t0_ns = stage.set_up(cell, layout, show).inspect_err(|error| {
        if matches!(error, CellError::Interrupted) {
            show(Live::Stopping);
        }
    })?;
    stage.gathered.setup = since(began, t0_ns);
    show(Live::Step("running"));
    stage.watch(cell, layout, show)?;
    let over = monotonic_ns();
    show(Live::Step("tearing down"));
    stage.finish(show)?;
    stage.gathered.teardown = since(over, monotonic_ns());
    Ok(stage.gathered)
}

fn since(from_ns: u64, to_ns: u64) -> Duration {
    Duration::from_nanos(to_ns.saturating_sub(from_ns))
}

/// Where the server and where the client goes; `None` for right here.
type Places = (Option<Place>, Option<Place>);

/// The workers of a cell and what has come from them.
struct Stage<'a> {
    interrupt: &'a Interrupt,
    workers: BTreeMap<Key, Worker>,
    mouth: Sender<(Key, Heard)>,
    ear: Receiver<(Key, Heard)>,
    points: BTreeMap<u32, LoadPoint>,
    /// Workers asked for their account that have not given it.
    awaited: BTreeSet<Key>,
    /// Workers that closed their output: nothing more will come of them.
    silent: BTreeSet<Key>,
    /// Whose turn it is to open.
    turns: Option<Turns>,
    t0_ns: u64,
    gathered: Gathered,
    /// The target's lives, and who asks after it.
    upkeep: Upkeep,
    /// What is still to be changed.
    changing: Changing,
    /// The target's control group. After the workers, because it is removed when it is dropped, and must be empty by then.
    group: Option<Group>,
    /// The folders of commands, removed when they are dropped.
    scratches: Vec<Scratch>,
    /// What the cell changed of the host; put back after everything else.
    own_host: OwnHost<'a>,
}

impl<'a> Stage<'a> {
    fn new(interrupt: &'a Interrupt, book: Option<&'a Book>, cell: &Cell, layout: &Layout) -> Self {
        let (mouth, ear) = channel();
        Self {
            interrupt,
            workers: BTreeMap::new(),
            mouth,
            ear,
            points: BTreeMap::new(),
            awaited: BTreeSet::new(),
            silent: BTreeSet::new(),
            turns: None,
            t0_ns: 0,
            gathered: Gathered::default(),
            upkeep: Upkeep::new(cell, layout),
            changing: Changing::new(cell),
            group: None,
            scratches: Vec::new(),
            own_host: OwnHost::new(book),
        }
    }

    /// Everything up to the start instant, which is returned.
    fn set_up(&mut self, cell: &Cell, layout: &Layout, show: &mut dyn FnMut(Live)) -> Result<u64, CellError> {
        show(Live::Step("making the sandbox"));
        let places = self.sandbox(cell, layout)?;
        show(Live::Step("starting target, load and probe"));
        self.workers(cell, layout, places)?;
        self.start(cell)
    }

    fn add(&mut self, role: Role, shard: u32, order: &Order) -> Result<(), CellError> {
        let key = Key { role, shard };
        let worker = Worker::start(key, order, self.mouth.clone())?;
        self.workers.insert(key, worker);
        self.silent.remove(&key);
        Ok(())
    }

    /// Makes the sandbox, and says where the server and where the client goes.
    fn sandbox(&mut self, cell: &Cell, layout: &Layout) -> Result<Places, CellError> {
        let sysctls = self.own_host.set(cell.sysctls.iter(), &mut self.gathered.sysctls)?;
        let target_ports = layout.ports();
        let ipv6_sources = match layout.load.sources {
            Sources::Named { first: IpAddr::V6(_), addresses, .. } => addresses,
            Sources::Named { .. } | Sources::Kernel => 0,
        };
        let ghosts = match (cell.load.behaviour, &layout.load.sources) {
            (Behaviour::HalfOpen, Sources::Named { addresses, .. }) => *addresses,
            _ => 0,
        };
        cgroup::sweep();
        scratch::sweep();
        self.group = match cell.target.cpu_percent {
            Some(percent) => Some(Group::make(percent).map_err(|failed| CellError::TargetDidNotStart { failed })?),
            None => None,
        };
        // Without a group of its own the target shares brimful's, and so what is taken from that.
        let target_cgroup = self.group.as_ref().map(|group| group.folder().to_owned()).or_else(cgroup::own);
        let order = SandboxOrder {
            sandbox: cell.sandbox,
            path: cell.path,
            sysctls,
            connections: cell.load.connections,
            target_ports,
            ipv6_sources,
            faults: cell.faults.clone(),
            ghosts,
            target_cgroup,
            every: OBSERVE_EVERY,
        };
        self.add(Role::Sandbox, 0, &Order::Sandbox(order))?;
        let filling = if cell.faults.contains(&Fault::ConntrackFull) { FILL_PATIENCE } else { Duration::ZERO };
        match self.hear_within(Role::Sandbox, PATIENCE + filling)? {
            (_, Said::SandboxReady { server, client, sysctls }) => {
                self.gathered.sysctls.extend(sysctls.into_iter().collect::<Result<Vec<_>, _>>()?);
                self.gathered.user_namespace = server.is_some_and(|place| place.user_namespace);
                Ok((server, client))
            }
            (key, other) => Err(out_of_turn(key, &other)),
        }
    }

    /// Starts everybody else, and waits until all are ready.
    fn workers(&mut self, cell: &Cell, layout: &Layout, (server, client): Places) -> Result<(), CellError> {
        for (shard, plan) in (0..).zip(&layout.targets) {
            let order = self.target(cell, plan, server)?;
            self.add(Role::Target, shard, &order)?;
            self.upkeep.orders.push(order);
        }
        for shard in 0..layout.load.shards {
            let order =
                Order::Load { place: client, plan: layout.load.clone(), shard, in_turn: layout.load.opens_in_turns() };
            self.add(Role::Load, shard, &order)?;
        }
        self.turns = Some(Turns::new(&layout.load, machine::cpus()));
        let restart = cell.restart.as_ref();
        let (startup, readiness) = (
            restart.and_then(|restart| restart.startup.as_ref()),
            restart.and_then(|restart| restart.readiness.as_ref()),
        );
        let setups = [
            Some((&cell.probe, &layout.probe)),
            startup.and_then(|setup| Some((setup, layout.startup.as_ref()?))),
            readiness.and_then(|setup| Some((setup, layout.readiness.as_ref()?))),
        ];
        for ((shard, check), (setup, plan)) in
            (0..).zip(life::CHECKS).zip(setups).filter_map(|(who, what)| Some((who, what?)))
        {
            let held = !self.upkeep.is_asked(check);
            let order = self.probe(cell, plan, (setup.nofile, held), (server, client))?;
            self.add(Role::Probe, shard, &order)?;
        }
        let mut ready: BTreeMap<u32, Ready> = BTreeMap::new();
        for _ in 1..self.workers.len() {
            match self.hear(Role::Target)? {
                (key, Said::TargetReady(said)) => {
                    ready.insert(key.shard, said);
                }
                (key, Said::CommandReady { after_ns }) => self.note_ready(key.shard, after_ns),
                (_, Said::Waiting) => {}
                (key, other) => return Err(out_of_turn(key, &other)),
            }
        }
        self.gathered.ready = ready.into_values().collect();
        Ok(())
    }

    /// Agrees on the start instant with everybody, and returns it.
    fn start(&mut self, cell: &Cell) -> Result<u64, CellError> {
        let watched: Vec<(Key, u32)> = self.workers.values().map(|worker| (worker.key(), worker.pid())).collect();
        if let Some(sandbox) = self.workers.get_mut(&SANDBOX) {
            for (Key { role, shard }, pid) in watched {
                let tree = role == Role::Target && cell.target.command.is_some();
                sandbox.tell(&Tell::Watch { role, shard, pid, tree })?;
            }
        }
        self.base_line()?;
        let t0_ns = monotonic_ns() + START_LEAD_NS;
        self.t0_ns = t0_ns;
        for worker in self.workers.values_mut() {
            // One that has just died says so through its closed output.
            worker.tell(&Tell::Start { t0_ns }).ok();
        }
        self.open_in_turn();
        Ok(t0_ns)
    }

    /// Has the base line taken before anybody is told of a start: on a machine with no time to spare the observer would
    /// otherwise come to it after the first connections.
    fn base_line(&mut self) -> Result<(), CellError> {
        if let Some(sandbox) = self.workers.get_mut(&SANDBOX) {
            sandbox.tell(&Tell::BaseLine)?;
        }
        let mut meanwhile = Vec::new();
        loop {
            match self.hear(Role::Sandbox)? {
                (SANDBOX, Said::BaseLine) => break,
                (key, said) => meanwhile.push((key, Heard::Said(said))),
            }
        }
        // Heard again when the cell runs. Both ends of the channel are held here, so it is open.
        for heard in meanwhile {
            self.mouth.send(heard).ok();
        }
        Ok(())
    }

    /// The next thing said during set-up. `expected` is named when nobody says anything.
    fn hear(&mut self, expected: Role) -> Result<(Key, Said), CellError> {
        self.hear_within(expected, PATIENCE)
    }

    fn hear_within(&mut self, expected: Role, patience: Duration) -> Result<(Key, Said), CellError> {
        let deadline = monotonic_ns() + u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX / 2);
        loop {
            if self.interrupt.seen().is_some() {
                return Err(CellError::Interrupted);
            }
            match self.ear.recv_timeout(LOOK) {
                Ok((key, Heard::Said(Said::Failed(failed)))) => return Err(worker_failed(key, failed)),
                Ok((key, Heard::Said(said))) => return Ok((key, said)),
                Ok((key, Heard::Garbled(line))) => return Err(garbled(key, &line)),
                Ok((key, Heard::Closed)) => return Err(self.broke(key)),
                Err(_) if monotonic_ns() < deadline => {}
                Err(_) => return Err(CellError::Silent { role: role_name(expected) }),
            }
        }
    }

    fn note_target(&mut self, shard: u32, outcome: TargetOutcome) {
        let index = usize::try_from(shard).unwrap_or(usize::MAX);
        if self.gathered.target.len() <= index {
            self.gathered.target.resize(index + 1, None);
        }
        if let Some(slot) = self.gathered.target.get_mut(index) {
            match slot {
                // What an earlier life of it counted is its own as well.
                Some(earlier) => earlier.followed_by(&outcome),
                None => *slot = Some(outcome),
            }
        }
    }

    fn note_early_end(&mut self, key: Key, said: Option<String>) {
        if self.gathered.early_ends.iter().any(|end| end.shard == key.shard) {
            return;
        }
        let at_ns = monotonic_ns().saturating_sub(self.t0_ns);
        let (how, words) = self.autopsy(key);
        self.gathered.early_ends.push(EarlyEnd { shard: key.shard, at_ns, how, said: said.unwrap_or(words) });
    }

    /// How a worker ended, and its last words.
    fn autopsy(&mut self, key: Key) -> (String, String) {
        let Some(worker) = self.workers.get_mut(&key) else {
            return ("an unknown status".to_owned(), String::new());
        };
        // Its output is closed, so it has ended or will at once; `end` only makes sure of it.
        let how = worker.ended().ok().flatten().or_else(|| worker.end().ok());
        (how.map_or_else(|| "an unknown status".to_owned(), in_words), worker.last_words())
    }

    fn broke(&mut self, key: Key) -> CellError {
        let (how, words) = self.autopsy(key);
        let what =
            if words.is_empty() { format!("it ended with {how}") } else { format!("it ended with {how}: {words}") };
        worker_failed(key, Failed { what, hint: None, machine: false })
    }
}

const SANDBOX: Key = Key { role: Role::Sandbox, shard: 0 };
