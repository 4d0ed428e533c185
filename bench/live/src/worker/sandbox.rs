//! The worker that makes a cell's namespaces, holds them, and observes from inside them what happens.

use std::fs::File;
use std::path::{Path as FsPath, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use brimful_plan::cell::{Path, Sandbox};
use brimful_plan::knob::sysctl_path;
use brimful_target::clock::monotonic_ns;
use rustix::thread::gettid;
use rustix::time::ClockId;

use super::super::message::{Failed, Hand, Place, Said, SandboxOrder, Tell};
use super::super::namespace::{self, Made};
use super::super::observe::{Observer, Side, SideName, cpu_ns};
use super::super::sysctl::{self, Reading, SysctlError};
use super::super::{fault, link, turn};
use super::orders::{Next, Orders, say};

/// How long the sandbox waits for its next line when it has nothing to observe yet; only bounds a look at the clock.
const IDLE_WAIT: Duration = Duration::from_secs(1);

/// How many observations pass between two reports to whoever watches live.
const GLANCE_EVERY: u64 = 3;

pub(super) fn run(order: &SandboxOrder, orders: Orders) -> Result<(), Failed> {
    if order.sandbox == Sandbox::Host {
        return here(order, orders);
    }
    let user_namespace = namespace::make(order.connections)? == Made::InUserNamespace;
    link::loopback()?;
    if order.ipv6_sources > 0 {
        link::ipv6_sources(order.ipv6_sources)?;
    }
    let client = match order.path {
        Path::Loopback => None,
        Path::Veth => Some(join_client()?),
    };
    let sysctls = order.sysctls.iter().map(|(name, value)| set_everywhere(name, value, client.as_ref())).collect();
    make_faults(order, client.as_ref())?;
    let pid = std::process::id();
    let place = |tid: u32| Some(Place { pid, tid, user_namespace });
    let mut observer = Observer::new(
        PathBuf::from("/proc"),
        Side::of_this_thread(SideName::Server),
        client.as_ref().map(ClientSide::side).transpose()?,
        &order.target_ports,
    );
    if let Some(folder) = &order.target_cgroup {
        observer.watch_cgroup(folder);
    }
    say(&Said::SandboxReady { server: place(pid), client: place(client.as_ref().map_or(pid, |c| c.tid)), sysctls });
    watch(observer, order.every, client, orders);
    Ok(())
}

/// Makes nothing and sets nothing: the namespaces and the sysctls that there are will do, and are read.
fn here(order: &SandboxOrder, orders: Orders) -> Result<(), Failed> {
    let sysctls = order.sysctls.iter().map(|(name, value)| sysctl::compare(name, value)).collect();
    let mut observer =
        Observer::new(PathBuf::from("/proc"), Side::of_this_thread(SideName::Server), None, &order.target_ports);
    if let Some(folder) = &order.target_cgroup {
        observer.watch_cgroup(folder);
    }
    say(&Said::SandboxReady { server: None, client: None, sysctls });
    watch(observer, order.every, None, orders);
    Ok(())
}

/// Observes on the schedule until told to stop, gives account, and then holds the namespaces until brimful lets go.
fn watch(mut observer: Observer, every: Duration, client: Option<ClientSide>, mut orders: Orders) {
    let every_ns = u64::try_from(every.as_nanos()).unwrap_or(u64::MAX);
    let mut start: Option<(u64, u64)> = None;
    let mut rounds = 0_u64;
    loop {
        let wait = start
            .map_or(IDLE_WAIT, |(t0, _)| Duration::from_nanos((t0 + rounds * every_ns).saturating_sub(monotonic_ns())));
        match orders.next_within(wait) {
            Next::Over => return,
            Next::Tell(Tell::Watch { role, shard, pid, tree: false }) => observer.watch(role, shard, pid),
            Next::Tell(Tell::Watch { role, shard, pid, tree: true }) => observer.watch_tree(role, shard, pid),
            Next::Tell(Tell::BaseLine) => {
                observer.sample(0);
                say(&Said::BaseLine);
            }
            Next::Tell(Tell::Start { t0_ns }) => {
                start = Some((t0_ns, cpu_ns(ClockId::ProcessCPUTime)));
                rounds = 1;
            }
            Next::Tell(Tell::Stop) => break,
            Next::Tell(Tell::Turn { number, what }) => {
                let given = match &what {
                    Hand::Sysctl { name, value } => set_everywhere(name, value, client.as_ref())
                        .map(|reading| reading.given)
                        .map_err(|error| Failed { what: error.to_string(), hint: None, machine: true }),
                    Hand::Nofile { of, nofile } => turn::nofile(of, *nofile),
                    Hand::Shell { nofile, beside } => turn::shell(beside, *nofile),
                    Hand::Relisten { of, ports, backlog } => turn::relisten(of, ports, *backlog),
                };
                observer.look_again();
                say(&Said::Turned { number, at_ns: monotonic_ns(), given });
            }
            // Said to others only.
            Next::Tell(Tell::Open | Tell::Enough | Tell::Begin { .. } | Tell::Hold | Tell::Leave { .. }) => {}
            Next::Nothing => {
                let Some((t0, _)) = start else { continue };
                let now = monotonic_ns();
                if now < t0 + rounds * every_ns {
                    continue;
                }
                let glance = observer.sample(now - t0);
                if rounds.is_multiple_of(GLANCE_EVERY) {
                    say(&Said::Glance(glance));
                }
                // A round that came too late is not made up: the schedule goes on at the next instant still to come.
                rounds = (now - t0) / every_ns + 1;
            }
        }
    }
    let cpu_fraction = match start {
        Some((t0, cpu)) => {
            let wall = monotonic_ns().saturating_sub(t0);
            // The last round is taken when nothing is measured any more, so it is no part of what the observer costs a measurement.
            let cpu = cpu_ns(ClockId::ProcessCPUTime).saturating_sub(cpu);
            observer.sample_last(wall);
            fraction(cpu, wall)
        }
        None => 0.0,
    };
    say(&Said::Observed { evidence: Box::new(observer.finish()), cpu_fraction });
    while orders.next().is_some() {}
}

#[expect(clippy::cast_precision_loss, reason = "nanoseconds of a run are far below 2^52")]
fn fraction(part: u64, whole: u64) -> f64 {
    part as f64 / (whole.max(1)) as f64
}

fn set_everywhere(name: &str, value: &str, client: Option<&ClientSide>) -> Result<Reading, SysctlError> {
    let set = |name: &str, value: &str| match sysctl_path(name) {
        Ok(path) => sysctl::set(FsPath::new("/proc/sys"), &path, name, value),
        Err(_) => Err(SysctlError::Absent { name: name.to_owned() }),
    };
    if let Some(client) = client {
        let (name, value) = (name.to_owned(), value.to_owned());
        client.run(move || set(&name, &value))??;
    }
    set(name, value)
}

/// Makes the ordered faults, each in the namespace it belongs to, and what half-open load needs.
fn make_faults(order: &SandboxOrder, client: Option<&ClientSide>) -> Result<(), Failed> {
    if order.ghosts > 0 {
        let Some(client) = client else {
            return Err(fault::needs_veth(
                "half-open load needs an address that the server cannot reach, and loopback has none",
            ));
        };
        client.run(link::ghosts_client).map_err(|_| gone())??;
        link::ghosts_server(order.ghosts)?;
    }
    for fault in &order.faults {
        match (fault::side(fault), client) {
            (SideName::Client, Some(client)) => {
                let (fault, path, ports) = (fault.clone(), order.path, order.target_ports.clone());
                client.run(move || fault::apply(&fault, path, &ports)).map_err(|_| gone())??;
            }
            (SideName::Client, None) | (SideName::Server, _) => fault::apply(fault, order.path, &order.target_ports)?,
        }
    }
    Ok(())
}

type Work = Box<dyn FnOnce() + Send>;

/// A thread in the client's namespace, which holds it and works in it.
struct ClientSide {
    tid: u32,
    work: Sender<Work>,
}

/// The client's thread is gone: it cannot be, short of a panic in it.
impl From<ThreadGone> for SysctlError {
    fn from(_: ThreadGone) -> Self {
        Self::Absent { name: "the client's namespace".to_owned() }
    }
}

struct ThreadGone;

impl ClientSide {
    fn start() -> Result<Self, Failed> {
        let (work, orders): (Sender<Work>, Receiver<Work>) = channel();
        let (ready, made) = channel();
        let body = move || {
            let outcome = namespace::make_for_thread().map(|()| gettid().as_raw_nonzero().get().unsigned_abs());
            let fine = outcome.is_ok();
            if ready.send(outcome).is_ok() && fine {
                orders.iter().for_each(|work| work());
            }
        };
        thread::Builder::new().name("client-netns".to_owned()).spawn(body).map_err(super::os("start a thread"))?;
        let tid = made.recv().map_err(|_| gone())??;
        Ok(Self { tid, work })
    }

    fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ThreadGone> {
        let (answer, answered) = channel();
        let boxed: Work = Box::new(move || {
            // The receiver waits below.
            answer.send(work()).ok();
        });
        self.work.send(boxed).map_err(|_| ThreadGone)?;
        answered.recv().map_err(|_| ThreadGone)
    }

    fn side(&self) -> Result<Side, Failed> {
        self.run(|| Side::of_this_thread(SideName::Client)).map_err(|_| gone())
    }
}

fn gone() -> Failed {
    Failed { what: "the client's namespace is gone".to_owned(), hint: None, machine: false }
}

/// Makes the client's namespace and joins it to this one by a veth pair.
fn join_client() -> Result<ClientSide, Failed> {
    let client = ClientSide::start()?;
    client.run(link::loopback).map_err(|_| gone())??;
    let namespace = File::open(format!("/proc/self/task/{}/ns/net", client.tid))
        .map_err(super::os("open the client's namespace"))?;
    link::veth_server(&namespace)?;
    client.run(link::veth_client).map_err(|_| gone())??;
    Ok(client)
}
