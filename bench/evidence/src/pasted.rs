//! A ticket: outputs of the usual tools, pasted one after another, read as a snapshot. Pure.
//!
//! Each line is known by its form, so that order, prompts and what stands between do not matter. A prompt line (`$ cat
//! /proc/812/limits`) says what the lines below it are of, where their form alone does not. What is not understood is counted and
//! left out; what is not shown is not known, and never zero.

mod address;
mod capture;
mod counted;
mod prompt;
mod small;
mod socket;

use std::collections::{BTreeMap, HashSet};

use prompt::Prompt;

use super::inet_diag::{Entry, State};
use super::proc::Limits;
use super::snapshot::ports::PortRange;
use super::snapshot::tally::Tally;
use super::snapshot::{Listener, Namespace, Process, Snapshot, Symptoms, Watched, names};

/// The most lines that are read.
pub const MOST_LINES: usize = 1_000_000;

/// A ticket that was read.
#[derive(Clone, Debug, Default)]
pub struct Ticket {
    /// The first readings of counters that were shown twice; `None` where none was.
    pub before: Option<Snapshot>,
    /// The last readings.
    pub after: Snapshot,
    /// What else was shown.
    pub symptoms: Symptoms,
    /// How many lines of each kind were understood.
    pub understood: BTreeMap<&'static str, u64>,
    /// How many were not.
    pub not_understood: u64,
}

/// What is gathered while a ticket is read.
#[derive(Debug, Default)]
struct Reading {
    listeners: Vec<Listener>,
    entries: Vec<Entry>,
    complete: bool,
    totals: BTreeMap<&'static str, u64>,
    states_counted: bool,
    first: BTreeMap<String, u64>,
    last: BTreeMap<String, u64>,
    sysctls: BTreeMap<String, String>,
    host: BTreeMap<String, u64>,
    processes: BTreeMap<u32, Process>,
    symptoms: Symptoms,
    captured: capture::Capture,
    understood: BTreeMap<&'static str, u64>,
    not_understood: u64,
}

/// Reads a ticket.
#[must_use]
pub fn read(text: &str) -> Ticket {
    let mut reading = Reading::default();
    let mut prompt = Prompt::default();
    for line in text.lines().take(MOST_LINES) {
        if let Some(next) = Prompt::parse(line) {
            reading.begun(&next);
            prompt = next;
        } else if !line.trim().is_empty() {
            match reading.line(line, &prompt) {
                Some(kind) => *reading.understood.entry(kind).or_insert(0) += 1,
                None => reading.not_understood += 1,
            }
        }
    }
    reading.finish()
}

impl Reading {
    /// A command that was typed, of which the words alone say something.
    fn begun(&mut self, prompt: &Prompt) {
        if let Some(set) = prompt.ulimit_set() {
            self.symptoms.shell_nofile_set = Some(set);
            *self.understood.entry("ulimit").or_insert(0) += 1;
        }
        self.complete |= prompt.lists_every_socket();
    }

    fn line(&mut self, line: &str, prompt: &Prompt) -> Option<&'static str> {
        if let Some(seen) = socket::parse(line) {
            self.socket(seen);
            return Some("sockets");
        }
        if let Some(drops) = socket::drops(line) {
            // The second line of `ss -m`, about the socket above it.
            if let Some(listener) = self.listeners.last_mut().filter(|listener| listener.drops.is_none()) {
                listener.drops = Some(drops);
            }
            return Some("sockets");
        }
        if let Some(counted) = counted::parse(line, prompt.command()) {
            for (name, value) in counted {
                self.first.entry(name.clone()).or_insert(value);
                self.last.insert(name, value);
            }
            return Some("counters");
        }
        if self.captured.line(line) {
            return Some("capture");
        }
        if let Some((name, value)) = small::sysctl(line) {
            self.sysctl(&name, value);
            return Some("sysctls");
        }
        if let Some(limits) = small::limits(line) {
            self.process(prompt.pid()).nofile = Some(limits);
            return Some("limits");
        }
        if let Some(ns) = small::request_ns(line) {
            self.symptoms.request_ns.push(ns);
            return Some("times");
        }
        if let Some((state, n)) = socket::counted(line) {
            // `ss -tan | awk '{print $1}' | sort | uniq -c`: a state that is not there has no socket.
            self.totals.insert(state.name(), n);
            self.states_counted = true;
            return Some("sockets");
        }
        if let Some((established, time_wait)) = small::summary(line) {
            self.totals.insert(State::ESTABLISHED.name(), established);
            self.totals.insert(State::TIME_WAIT.name(), time_wait);
            return Some("sockets");
        }
        if line.to_ascii_lowercase().contains("too many open files") {
            self.symptoms.too_many_open_files = true;
            return Some("messages");
        }
        let number = line.trim().parse().ok()?;
        self.number(number, prompt)
    }

    /// A line that is one number: the command above it says of what.
    fn number(&mut self, number: u64, prompt: &Prompt) -> Option<&'static str> {
        if let Some(name) = prompt.sysctl() {
            self.sysctl(&name, number.to_string());
            return Some("sysctls");
        }
        if prompt.is_ulimit() {
            self.symptoms.shell_nofile = Some(number);
            return Some("ulimit");
        }
        if prompt.counts_descriptors() {
            self.process(prompt.pid()).descriptors = Some(number);
            return Some("descriptors");
        }
        if prompt.counts_lsof() {
            let sockets = prompt.only_sockets();
            let field = if sockets { &mut self.symptoms.lsof_sockets } else { &mut self.symptoms.lsof_lines };
            *field = Some(number);
            return Some("lsof");
        }
        // `grep -c 'too many open files'`: nought is nothing, more is a message.
        if prompt.counts_emfile() {
            self.symptoms.too_many_open_files |= number > 0;
            return Some("messages");
        }
        None
    }

    fn socket(&mut self, seen: socket::Seen) {
        for (name, pid) in &seen.owners {
            let process = self.process(Some(*pid));
            process.name.clone_from(name);
        }
        let entry = seen.entry;
        if entry.state == State::LISTEN {
            let owners = seen.owners.iter().map(|(_, pid)| *pid).collect();
            self.listeners.push(Listener {
                address: entry.local,
                waiting: entry.recv_queue,
                limit: entry.send_queue,
                drops: seen.drops,
                inode: 0,
                owners,
                watched: Some(Watched::one(entry.recv_queue, entry.send_queue)),
            });
        } else {
            self.entries.push(entry);
        }
    }

    fn sysctl(&mut self, name: &str, value: String) {
        let numbers: Vec<u64> = value.split_ascii_whitespace().filter_map(|n| n.parse().ok()).collect();
        match (name, numbers.as_slice()) {
            ("fs.file-nr", [allocated, _, max]) => {
                self.host.insert(names::FILES.to_owned(), *allocated);
                self.host.insert(names::FILES_MAX.to_owned(), *max);
            }
            ("fs.nr_open", [n]) => {
                self.host.insert(names::NR_OPEN.to_owned(), *n);
            }
            ("net.netfilter.nf_conntrack_max" | "net.nf_conntrack_max", [n]) => {
                self.host.insert(names::CONNTRACK_MAX.to_owned(), *n);
            }
            ("net.netfilter.nf_conntrack_count", [n]) => {
                self.last.insert(names::CONNTRACK.to_owned(), *n);
            }
            _ => {}
        }
        self.sysctls.insert(name.to_owned(), value);
    }

    /// A process by its id; what is shown without one belongs to the process 0, which is none.
    fn process(&mut self, pid: Option<u32>) -> &mut Process {
        let pid = pid.unwrap_or(0);
        self.processes.entry(pid).or_insert_with(|| Process { pid, ..Process::default() })
    }

    fn finish(mut self) -> Ticket {
        let listening: HashSet<u16> = self.listeners.iter().map(|listener| listener.address.port()).collect();
        let text = |name: &str| self.sysctls.get(name).map_or("", String::as_str);
        let range = PortRange::parse(text(names::PORT_RANGE), text(names::RESERVED_PORTS));
        let mut tally = Tally::new(listening, range);
        self.entries.iter().for_each(|entry| tally.count(entry));
        let (mut sockets, _) = tally.finish();
        // Half-open ones that were only counted do not say at which port they are, or how often they were answered.
        let counted = self.states_counted && !self.totals.contains_key(State::SYN_RECV.name());
        sockets.complete = self.complete || counted;
        for (state, n) in self.totals {
            sockets.states.entry(state).or_insert(n);
        }
        let shown = sockets.complete || !sockets.states.is_empty();
        let namespace = Namespace {
            own: true,
            counters: self.last,
            sysctls: self.sysctls,
            listeners: (!self.listeners.is_empty()).then_some(self.listeners),
            sockets: shown.then_some(sockets),
            ..Namespace::default()
        };
        let again = self.first != namespace.counters && !self.first.is_empty();
        let before = again.then(|| Snapshot {
            namespaces: vec![Namespace { counters: self.first, listeners: None, sockets: None, ..namespace.clone() }],
            ..Snapshot::default()
        });
        let after = Snapshot {
            host: self.host,
            namespaces: vec![namespace],
            processes: self.processes.into_values().collect(),
            ..Snapshot::default()
        };
        self.symptoms.captured = self.captured.finish();
        Ticket {
            before,
            after,
            symptoms: self.symptoms,
            understood: self.understood,
            not_understood: self.not_understood,
        }
    }
}

/// Limits as the parsers give them.
type Nofile = Limits;

#[cfg(test)]
mod tests;
