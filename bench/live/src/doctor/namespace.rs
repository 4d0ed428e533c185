//! One network namespace, entered for as long as it takes to open a conversation about its sockets.
//!
//! A thread of its own enters it (`setns(2)`), because what a thread reads below `/proc/sys/net` and asks over netlink is its own
//! namespace's. The conversation stays in that namespace when the thread is gone, and counters are read from outside through
//! `/proc/PID/net`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{File, read_to_string};
use std::path::{Path, PathBuf};
use std::{io, thread};

use brimful_evidence::inet_diag::{Entry, Family, State, StateSet};
use brimful_evidence::named_log::NamedLog;
use brimful_evidence::per_cpu::stat_table;
use brimful_evidence::snapshot::ports::PortRange;
use brimful_evidence::snapshot::tally::Tally;
use brimful_evidence::snapshot::{Listener, Namespace, NotSeen, Sockets, names};
use brimful_evidence::{counters, nftables};
use nix::sched::{CloneFlags, setns};

use super::Roots;
use crate::message::chain;
use crate::netlink::netfilter::Netfilter;
use crate::netlink::sock_diag::{SockDiag, SockDiagError};

/// Every state but that of listeners.
const CONNECTED: StateSet = StateSet::of(&[
    State::ESTABLISHED,
    State::SYN_SENT,
    State::SYN_RECV,
    State::FIN_WAIT1,
    State::FIN_WAIT2,
    State::TIME_WAIT,
    State::CLOSE_WAIT,
    State::LAST_ACK,
    State::CLOSING,
]);

/// A namespace that is looked into.
#[derive(Debug)]
pub(super) struct Eye {
    id: u64,
    own: bool,
    by: Option<u32>,
    net: PathBuf,
    inside: Result<Inside, String>,
}

/// What had to be opened inside.
#[derive(Debug)]
struct Inside {
    diag: Result<SockDiag, SockDiagError>,
    filters: Option<Netfilter>,
    sysctls: BTreeMap<String, String>,
}

impl Eye {
    /// In the namespace that the doctor itself is in.
    pub(super) fn own(roots: &Roots, id: u64) -> Self {
        Self { id, own: true, by: None, net: roots.proc.join("self/net"), inside: Ok(Inside::here(&roots.proc)) }
    }

    /// In the namespace of a process.
    pub(super) fn of(roots: &Roots, id: u64, pid: u32) -> Self {
        let folder = roots.proc.join(pid.to_string());
        let inside = enter(&folder.join("ns/net"), &roots.proc).map_err(|error| format!("cannot enter it: {error}"));
        Self { id, own: false, by: Some(pid), net: folder.join("net"), inside }
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Everything in it, and the state of each of its sockets by inode.
    pub(super) fn read(&mut self, roots: &Roots, not_seen: &mut Vec<NotSeen>) -> (Namespace, HashMap<u32, State>) {
        let name = self.name();
        let mut missed = |what: &str, because: String| {
            not_seen.push(NotSeen { what: format!("{what} of {name}"), because });
        };
        let mut namespace =
            Namespace { id: self.id, own: self.own, by: self.by, counters: self.counters(), ..Namespace::default() };
        if namespace.counters.is_empty() {
            missed("the counters", format!("{} cannot be read", self.net.join("netstat").display()));
        }
        let mut by_inode = HashMap::new();
        match &mut self.inside {
            Err(because) => missed("listeners, sockets and sysctls", because.clone()),
            Ok(inside) => {
                if self.own {
                    inside.sysctls = sysctls(&roots.proc);
                }
                namespace.sysctls.clone_from(&inside.sysctls);
                namespace.counters.extend(inside.filtered());
                match inside.sockets() {
                    Ok((listeners, sockets, states)) => {
                        namespace.listeners = Some(listeners);
                        namespace.sockets = Some(sockets);
                        by_inode = states;
                    }
                    Err(because) => missed("listeners and sockets", because),
                }
            }
        }
        (namespace, by_inode)
    }

    /// Inode, length and limit of every accept queue.
    pub(super) fn queues(&mut self) -> Vec<(u32, u32, u32)> {
        let Ok(Inside { diag: Ok(diag), .. }) = &mut self.inside else { return Vec::new() };
        let mut found = Vec::new();
        for family in Family::BOTH {
            let each = |queues: &mut Vec<_>, e: &Entry| queues.push((e.inode, e.recv_queue, e.send_queue));
            // A list that could not be had is a reading less.
            found.extend(diag.listeners(family, Vec::new, each).unwrap_or_default());
        }
        found
    }

    fn name(&self) -> String {
        self.by.map_or_else(
            || "this network namespace".to_owned(),
            |pid| format!("the network namespace of process {pid}"),
        )
    }

    fn counters(&self) -> BTreeMap<String, u64> {
        let mut found = BTreeMap::new();
        for file in ["netstat", "snmp"] {
            let read = read_to_string(self.net.join(file)).ok().and_then(|text| counters::parse(&text).ok());
            found.extend(read.unwrap_or_default());
        }
        // There is no such table where nothing tracks connections.
        if let Ok(text) = read_to_string(self.net.join("stat/nf_conntrack")) {
            let mut table = BTreeMap::new();
            let each = |name: &str, value| {
                table.insert(format!("nf_conntrack.{name}"), value);
            };
            if stat_table(&text, each).is_ok() {
                found.extend(table);
            }
        }
        found
    }
}

type Dumped = (Vec<Listener>, Sockets, HashMap<u32, State>);

impl Inside {
    /// Opened by the calling thread, for the namespace that it is in.
    fn here(proc_root: &Path) -> Self {
        Self { diag: SockDiag::open(), filters: Netfilter::open().ok(), sysctls: sysctls(proc_root) }
    }

    fn sockets(&mut self) -> Result<Dumped, String> {
        let diag = match &mut self.diag {
            Ok(diag) => diag,
            Err(error) => return Err(chain(error)),
        };
        let mut found: Vec<Entry> = Vec::new();
        for family in Family::BOTH {
            let each = |found: &mut Vec<Entry>, entry: &Entry| found.push(*entry);
            found.extend(diag.listeners(family, Vec::new, each).map_err(|error| chain(&error))?);
        }
        let listening: HashSet<u16> = found.iter().map(|entry| entry.local.port()).collect();
        let text = |name: &str| self.sysctls.get(name).map_or("", String::as_str);
        let range = PortRange::parse(text(names::PORT_RANGE), text(names::RESERVED_PORTS));
        let mut tally = Tally::new(listening, range);
        for family in Family::BOTH {
            let each = |entries: &mut Vec<Entry>, entry: &Entry| entries.push(*entry);
            let entries = diag.states(family, CONNECTED, Vec::new, each).map_err(|error| chain(&error))?;
            entries.iter().for_each(|entry| tally.count(entry));
        }
        let (sockets, mut by_inode) = tally.finish();
        by_inode.extend(found.iter().map(|entry| (entry.inode, State::LISTEN)));
        Ok((found.iter().map(listener).collect(), sockets, by_inode))
    }

    /// What rules that count have met, by table and chain.
    fn filtered(&mut self) -> BTreeMap<String, u64> {
        let Some(rules) = self.filters.as_mut().and_then(|filters| filters.rules().ok()) else {
            return BTreeMap::new();
        };
        let mut log = NamedLog::default();
        nftables::record(&mut log, 0, &rules);
        log.into_series().into_iter().map(|(name, series)| (name, series.last)).collect()
    }
}

fn listener(entry: &Entry) -> Listener {
    Listener {
        address: entry.local,
        waiting: entry.recv_queue,
        limit: entry.send_queue,
        drops: entry.drops,
        inode: entry.inode,
        owners: Vec::new(),
        watched: None,
    }
}

fn sysctls(proc_root: &Path) -> BTreeMap<String, String> {
    let read = |name: &str| {
        let text = read_to_string(proc_root.join("sys").join(name.replace('.', "/"))).ok()?;
        Some((name.to_owned(), text.trim().to_owned()))
    };
    names::SYSCTLS.iter().filter_map(|name| read(name)).collect()
}

/// Enters a namespace in a thread of its own, and opens there what must be opened there.
fn enter(namespace: &Path, proc_root: &Path) -> io::Result<Inside> {
    let namespace = File::open(namespace)?;
    let proc_root = proc_root.to_owned();
    let inside = move || {
        setns(namespace, CloneFlags::CLONE_NEWNET)?;
        Ok(Inside::here(&proc_root))
    };
    let thread = thread::Builder::new().name("look".to_owned()).spawn(inside)?;
    thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that looked has ended")))
}
