//! Two snapshots side by side, or one: how far things moved, and who is meant. Pure.

use std::net::SocketAddr;

use brimful_evidence::inet_diag::State;
use brimful_evidence::snapshot::ports::PortRange;
use brimful_evidence::snapshot::tally::AtPort;
use brimful_evidence::snapshot::{Listener, Namespace, NotSeen, Process, Snapshot, Symptoms, names};

use super::Scope;
use super::diagnosis::{Subject, SubjectKind};
use crate::wording::count;

/// What is judged.
pub(super) struct Case<'a> {
    before: Option<&'a Snapshot>,
    pub(super) after: &'a Snapshot,
    pub(super) symptoms: &'a Symptoms,
    pub(super) scope: &'a Scope,
    /// A host, rather than a ticket.
    pub(super) live: bool,
}

/// A listener, where it is, and what it was before.
#[derive(Clone, Copy)]
pub(super) struct Heard<'a> {
    pub(super) namespace: &'a Namespace,
    pub(super) now: &'a Listener,
    before: Option<&'a Listener>,
    /// Connections that a program took while it was watched; `None` where that is not known.
    pub(super) taken: Option<u64>,
}

impl<'a> Case<'a> {
    pub(super) fn new(
        before: Option<&'a Snapshot>,
        after: &'a Snapshot,
        symptoms: &'a Symptoms,
        scope: &'a Scope,
        live: bool,
    ) -> Self {
        Self { before, after, symptoms, scope, live }
    }

    /// How long was watched; `None` for a ticket, whose times are not known.
    pub(super) fn window_ns(&self) -> Option<u64> {
        let before = self.before.filter(|_| self.live)?;
        Some(self.after.at_ns.saturating_sub(before.at_ns))
    }

    pub(super) fn host(&self, name: &str) -> Option<u64> {
        let own = || self.after.namespaces.first().and_then(|ns| ns.counters.get(name).copied());
        self.after.host.get(name).copied().or_else(own)
    }

    /// How far a number of the host moved. One that is nought since boot has not moved; one total alone says nothing else.
    pub(super) fn host_grew(&self, name: &str) -> Option<u64> {
        let now = self.host(name)?;
        let own = |before: &'a Snapshot| before.namespaces.first().and_then(|ns| ns.counters.get(name).copied());
        let before = self.before.and_then(|before| before.host.get(name).copied().or_else(|| own(before)));
        grown(before, now)
    }

    /// How far a counter of a namespace moved; counters of each processor are summed.
    pub(super) fn grew(&self, namespace: &Namespace, name: &str) -> Option<u64> {
        let sum = |namespace: &Namespace| {
            let of_each = format!("{name}.cpu");
            let each = namespace.counters.iter().filter(|(n, _)| *n == name || n.starts_with(&of_each));
            each.map(|(_, value)| *value).reduce(u64::wrapping_add)
        };
        let now = sum(namespace)?;
        grown(self.earlier(namespace).and_then(sum), now)
    }

    pub(super) fn earlier(&self, namespace: &Namespace) -> Option<&'a Namespace> {
        self.before?.namespaces.iter().find(|before| before.id == namespace.id)
    }

    /// The namespaces of whoever is meant; all of them where that is not known.
    pub(super) fn namespaces(&self) -> impl Iterator<Item = &'a Namespace> {
        let meant: Vec<u64> = match (self.scope.pids.as_slice(), self.scope.port) {
            ([], None) => Vec::new(),
            ([], Some(_)) => self.listeners().iter().map(|heard| heard.namespace.id).collect(),
            (pids, _) => self.after.processes.iter().filter(|p| pids.contains(&p.pid)).map(|p| p.namespace).collect(),
        };
        let everybody = meant.is_empty() || meant.contains(&0);
        self.everywhere().filter(move |namespace| everybody || meant.contains(&namespace.id))
    }

    /// Every namespace that was looked into: a packet passes the node's own before it reaches a pod's.
    pub(super) fn everywhere(&self) -> impl Iterator<Item = &'a Namespace> {
        self.after.namespaces.iter()
    }

    /// The listeners that are meant.
    pub(super) fn listeners(&self) -> Vec<Heard<'a>> {
        let meant = |listener: &&Listener| {
            let pids = &self.scope.pids;
            self.scope.port.is_none_or(|port| listener.address.port() == port)
                && (pids.is_empty() || listener.owners.iter().any(|owner| pids.contains(owner)))
        };
        let of = |namespace: &'a Namespace| {
            let earlier = self.earlier(namespace);
            namespace.listeners.iter().flatten().filter(meant).map(move |now| {
                let before = earlier.and_then(|ns| ns.listeners.as_ref()?.iter().find(|b| same(b, now)));
                let port = now.address.port();
                let then = earlier.and_then(|ns| at_port(ns, port));
                let taken = at_port(namespace, port).zip(then).map(|(now, then)| newly_taken(now, then));
                Heard { namespace, now, before, taken }
            })
        };
        self.after.namespaces.iter().flat_map(of).collect()
    }

    /// The processes that are meant.
    pub(super) fn processes(&self) -> Vec<&'a Process> {
        let owners: Vec<u32> = match self.scope.port {
            Some(_) => self.listeners().iter().flat_map(|heard| heard.now.owners.clone()).collect(),
            None => Vec::new(),
        };
        let meant = |process: &&Process| {
            let pids = &self.scope.pids;
            (pids.is_empty() || pids.contains(&process.pid))
                && (self.scope.port.is_none() || owners.contains(&process.pid))
        };
        self.after.processes.iter().filter(meant).collect()
    }

    pub(super) fn process(&self, pid: u32) -> Option<&'a Process> {
        self.after.processes.iter().find(|process| process.pid == pid)
    }

    pub(super) fn process_before(&self, pid: u32) -> Option<&'a Process> {
        self.before?.processes.iter().find(|process| process.pid == pid)
    }

    /// The listeners that a process holds, among those that are meant.
    pub(super) fn listeners_of(&self, pid: u32) -> Vec<Heard<'a>> {
        self.listeners().into_iter().filter(|heard| heard.now.owners.contains(&pid)).collect()
    }

    /// Whether it is not known who takes from this queue, or how many descriptors they have: then a queue that is not drained may be theirs.
    pub(super) fn owner_is_unknown(&self, heard: &Heard<'_>) -> bool {
        let known = |pid: &u32| self.process(*pid).is_some_and(|p| p.descriptors.is_some() && p.nofile.is_some());
        heard.now.owners.is_empty() || !heard.now.owners.iter().all(known)
    }

    pub(super) fn not_seen(&self) -> Vec<NotSeen> {
        self.after.not_seen.clone()
    }

    /// SYNs that wait for an answer and were sent again, at either look. `TCPSynRetrans` is no measure of that: it counts the
    /// answers that a server sends again as well.
    pub(super) fn syns_again(&self) -> u64 {
        let waiting = |ns: &Namespace| ns.sockets.iter().flat_map(|s| &s.syn_sent).map(|to| to.again).sum::<u64>();
        self.namespaces().map(|ns| waiting(ns).max(self.earlier(ns).map_or(0, waiting))).sum()
    }

    /// Whether nobody who is meant waits to be accepted, by every listener that was read: the line that says so.
    pub(super) fn nobody_waits(&self) -> Option<(String, String)> {
        let heard = self.listeners();
        let idle = |heard: &Heard<'_>| heard.most() == 0;
        match heard.as_slice() {
            [] => None,
            [one] if idle(one) => Some((one.source("recv_q"), format!("0 of {}", count(one.now.limit.into())))),
            many if many.iter().all(idle) => Some(("listeners.recv_q".to_owned(), format!("0 at all {}", many.len()))),
            _ => None,
        }
    }
}

impl<'a> Heard<'a> {
    /// Drops while it was watched.
    pub(super) fn dropped(&self) -> Option<u64> {
        grown(self.before.and_then(|before| before.drops).map(u64::from), self.now.drops?.into())
    }

    /// The most that waited.
    pub(super) fn most(&self) -> u32 {
        self.now.watched.map_or(self.now.waiting, |watched| watched.most)
    }

    /// The fewest that waited.
    pub(super) fn least(&self) -> u32 {
        self.now.watched.map_or(self.now.waiting, |watched| watched.least)
    }

    /// How many readings there were of its queue.
    pub(super) fn readings(&self) -> u32 {
        self.now.watched.map_or(1, |watched| watched.readings)
    }

    /// Whether it was full at some reading.
    pub(super) fn was_full(&self) -> bool {
        self.most() > self.now.limit
    }

    pub(super) fn at_port(&self) -> Option<&'a AtPort> {
        at_port(self.namespace, self.now.address.port())
    }

    pub(super) fn source(&self, what: &str) -> String {
        format!("listener.{}.{what}", self.now.address)
    }

    pub(super) fn subject(&self, case: &Case<'_>) -> Subject {
        let owner = self.now.owners.first().and_then(|pid| case.process(*pid));
        let of = owner.map(|process| format!(" of {}", called(process))).unwrap_or_default();
        Subject {
            kind: SubjectKind::Listener,
            name: format!("{}{of}", self.now.address),
            pid: self.now.owners.first().copied(),
            address: Some(self.now.address.to_string()),
        }
    }
}

/// `nginx (process 812)`.
pub(super) fn called(process: &Process) -> String {
    match (process.pid, process.name.as_str()) {
        (0, _) => "the process".to_owned(),
        (pid, "") => format!("process {pid}"),
        (pid, name) => format!("{name} (process {pid})"),
    }
}

pub(super) fn process_subject(process: &Process) -> Subject {
    let pid = (process.pid > 0).then_some(process.pid);
    Subject { kind: SubjectKind::Process, name: called(process), pid, address: None }
}

pub(super) fn namespace_subject(namespace: &Namespace) -> Subject {
    Subject { kind: SubjectKind::Namespace, name: namespace_name(namespace), pid: namespace.by, address: None }
}

pub(super) fn namespace_name(namespace: &Namespace) -> String {
    match namespace.by {
        Some(pid) => format!("the network namespace of process {pid}"),
        None => "this network namespace".to_owned(),
    }
}

pub(super) fn host_subject() -> Subject {
    Subject { kind: SubjectKind::Host, name: "the host".to_owned(), pid: None, address: None }
}

/// The ports that a namespace may give to connections.
pub(super) fn range(namespace: &Namespace) -> Option<PortRange> {
    let reserved = namespace.sysctls.get(names::RESERVED_PORTS).map_or("", String::as_str);
    PortRange::parse(namespace.sysctls.get(names::PORT_RANGE)?, reserved)
}

/// Half-open connections at a port: those that were listed, or all of the namespace, which is as many or more.
pub(super) fn half_open(heard: &Heard<'_>) -> Option<u64> {
    let sockets = heard.namespace.sockets.as_ref().filter(|sockets| sockets.complete)?;
    let at_port = heard.at_port().map(|at| at.syn_recv);
    Some(at_port.unwrap_or_else(|| sockets.in_state(State::SYN_RECV)))
}

/// Whether a destination is this listener: its own address, or any of the namespace's where it listens on all.
pub(super) fn is_at(listener: &Listener, to: SocketAddr) -> bool {
    let same = listener.address.ip().to_canonical() == to.ip().to_canonical() || listener.address.ip().is_unspecified();
    listener.address.port() == to.port() && same
}

fn at_port(namespace: &Namespace, port: u16) -> Option<&AtPort> {
    namespace.sockets.as_ref()?.ports.get(&port)
}

fn same(before: &Listener, now: &Listener) -> bool {
    before.address == now.address && before.inode == now.inode
}

/// How many of those that are held now were not held then. Both are in ascending order, so that one walk does.
fn newly_taken(now: &AtPort, then: &AtPort) -> u64 {
    let mut earlier = then.taken.iter().peekable();
    let is_new = |inode: &&u32| {
        while earlier.next_if(|old| old < inode).is_some() {}
        earlier.peek() != Some(inode)
    };
    now.taken.iter().filter(is_new).count() as u64
}

/// Nought since boot has not moved; any other total alone does not say.
fn grown(before: Option<u64>, now: u64) -> Option<u64> {
    match before {
        Some(before) => Some(now.saturating_sub(before)),
        None if now == 0 => Some(0),
        None => None,
    }
}
