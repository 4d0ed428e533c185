//! A record as the rows of the cause table want it: derived quantities, each absent where it was not read. Pure.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::net::SocketAddr;

use brimful_evidence::record::{
    EarlyEnd, Life, ListenerEvidence, NamespaceEvidence, ProcessEvidence, Record, Role, Turned,
};
use brimful_evidence::series::Series;
use brimful_loadgen_plan::probe::Sample;
use brimful_plan::cell::KnobValue;
use brimful_plan::change::Turn;

use super::descriptors::Descriptors;
use super::queue::Queue;
use super::spans::{interval_ns, known};
use crate::wording::nanos;

/// A record and what follows from it.
pub struct View<'a> {
    /// The record itself.
    pub record: &'a Record,
    /// The end of what was watched, in nanoseconds since the start of the cell.
    pub end_ns: u64,
    /// The probe's time-out, in nanoseconds.
    pub timeout_ns: u64,
    /// The probes that did not pass, in order.
    pub(crate) failed: Vec<&'a Sample>,
    /// The accept queue the probe has to pass; `None` where it was not read.
    pub queue: Option<Queue<'a>>,
    /// The processes that serve the probe, as far as their descriptors were read: of a command's, first the one that opened the most.
    pub targets: Vec<Descriptors<'a>>,
    /// Which target process serves the probe.
    pub(crate) shard: u32,
}

impl<'a> View<'a> {
    /// Looks at a record.
    pub fn of(record: &'a Record) -> Self {
        let last_probe = record.probe.samples.iter().map(|s| s.ended_ns).max().unwrap_or(0);
        let end_ns = record.duration_ns.max(last_probe);
        let shard = serving_shard(record);
        let per_connection = 1 + u64::from(record.cell.target.plan.extra_fds_per_connection);
        let listened_ns = listened_ns(record, end_ns);
        // A process of a command is one of one life; what went before it is another.
        let there_ns = |p: &ProcessEvidence| if p.member.is_some() { end_ns } else { listened_ns };
        let targets = record.evidence.processes.iter().filter(|p| p.role == Role::Target && p.shard == shard);
        Self {
            record,
            end_ns,
            timeout_ns: nanos(record.probe.plan.timeout),
            failed: record.probe.samples.iter().filter(|s| !s.outcome.passed()).collect(),
            queue: probed_listener(record).and_then(|(name, l)| Queue::of(name, l, end_ns, listened_ns)),
            targets: busiest_first(
                targets.filter_map(|p| Descriptors::of(p, per_connection, end_ns, there_ns(p))).collect(),
            ),
            shard,
        }
    }

    /// A counter of the server's namespace, if it was read.
    pub(crate) fn counter(&self, name: &str) -> Option<&'a Series> {
        self.record.evidence.server.counters.get(name).and_then(known)
    }

    /// How much a counter of the server's namespace grew; `None` where it was not read, or ran backwards.
    pub(crate) fn grew(&self, name: &str) -> Option<u64> {
        self.counter(name).and_then(|s| s.last.checked_sub(s.first))
    }

    /// How much a counter of the server's namespace grew within one of its readings around an instant.
    pub(crate) fn grew_near(&self, name: &str, at_ns: u64) -> Option<u64> {
        self.growth(self.counter(name)?, at_ns, at_ns)
    }

    /// How much a series grew from one of its readings before `from_ns` to one after `to_ns`; `None` where it ran backwards.
    pub(crate) fn growth(&self, series: &Series, from_ns: u64, to_ns: u64) -> Option<u64> {
        let slack = interval_ns(series, self.end_ns);
        series.at(to_ns.saturating_add(slack)).checked_sub(series.at(from_ns.saturating_sub(slack)))
    }

    /// The namespaces that were watched with the beginning of their series' names: the server's, and the client's where it is another.
    pub(crate) fn sides(&self) -> impl Iterator<Item = (&'static str, &'a NamespaceEvidence)> + use<'a> {
        let evidence = &self.record.evidence;
        std::iter::once(("server", &evidence.server)).chain(evidence.client.iter().map(|client| ("client", client)))
    }

    /// The namespace the probe connects from: on loopback the server's.
    pub(crate) fn client_side(&self) -> (&'static str, &'a NamespaceEvidence) {
        let evidence = &self.record.evidence;
        evidence.client.as_ref().map_or(("server", &evidence.server), |client| ("client", client))
    }

    /// A host-wide quantity, if it was read.
    pub(crate) fn host(&self, name: &str) -> Option<&'a Series> {
        self.record.evidence.host.get(name).and_then(known)
    }

    /// The sockets of the server's namespace in a state at the probed port, if they were counted.
    pub fn at_the_probed_port(&self, state: &str) -> Option<&'a Series> {
        sockets(&self.record.evidence.server, state, &self.record.probe.plan.address.port().to_string())
    }

    /// How many sockets listen on the probed address, read or not.
    pub(crate) fn sockets_at_the_address(&self) -> usize {
        let probed = self.queue.as_ref().and_then(|q| address_of(q.name));
        let names = self.record.evidence.server.listeners.keys();
        names.filter(|name| probed.is_some() && address_of(name) == probed).count()
    }

    /// The sockets that share the probe's address, where there are several (`SO_REUSEPORT`), as far as their queues were read.
    pub(crate) fn shared_queues(&self) -> Vec<Queue<'a>> {
        let listeners = &self.record.evidence.server.listeners;
        let Some(probed) = self.queue.as_ref().and_then(|q| address_of(q.name)) else { return Vec::new() };
        let sharing = listeners.iter().filter(|(name, _)| address_of(name) == Some(probed));
        let listened_ns = listened_ns(self.record, self.end_ns);
        sharing.filter_map(|(name, l)| Queue::of(name, l, self.end_ns, listened_ns)).collect()
    }

    /// Connections taken from the accept queues between two instants: those that entered a queue (`Tcp.PassiveOpens`,
    /// counted in `tcp_create_openreq_child`) less what the queues grew by. `None` where either was not read.
    pub(crate) fn taken_between(&self, from_ns: u64, to_ns: u64) -> Option<u64> {
        let entered = self.counter("Tcp.PassiveOpens")?;
        let waiting = |t: u64| -> Option<u64> {
            let mut sum = 0_u64;
            for listener in self.record.evidence.server.listeners.values() {
                sum = sum.saturating_add(known(&listener.recv_q)?.at(t));
            }
            Some(sum)
        };
        let (before, after) = (waiting(from_ns)?, waiting(to_ns)?);
        Some((entered.at(to_ns).saturating_add(before)).saturating_sub(entered.at(from_ns).saturating_add(after)))
    }

    /// New connections a second while the load grew; `None` when fewer than two were attempted at different instants.
    pub(crate) fn arrivals_per_s(&self) -> Option<f64> {
        let outcome = &self.record.load.outcome;
        let (first, last) = (outcome.first_attempt_ns?, outcome.last_attempt_ns?);
        let ns = last.checked_sub(first).filter(|&ns| ns > 0)?;
        Some(outcome.attempted as f64 * 1e9 / ns as f64)
    }

    /// New connections between two instants, the load being evenly spaced by design.
    pub(crate) fn arrivals_between(&self, from_ns: u64, to_ns: u64) -> Option<u64> {
        let outcome = &self.record.load.outcome;
        let (first, last) = (outcome.first_attempt_ns?, outcome.last_attempt_ns?);
        let ns = to_ns.min(last).saturating_sub(from_ns.max(first));
        Some((self.arrivals_per_s()? * ns as f64 / 1e9).round() as u64)
    }

    /// A sysctl as it was given; where it is no axis, as the scenario set it. `None` where nothing says.
    pub(crate) fn sysctl(&self, name: &str) -> Option<u64> {
        if let Some(knob) = self.record.knobs.get(&format!("sysctl.{name}")) {
            return knob.given.as_ref().and_then(as_number);
        }
        self.record.cell.sysctls.get(name).and_then(|text| text.trim().parse().ok())
    }

    /// A sysctl as it stood at an instant: as given, unless it was set anew before.
    pub(crate) fn sysctl_at(&self, name: &str, at_ns: u64) -> Option<u64> {
        let done = |turned: &&Turned| turned.done_ns.is_some_and(|done_ns| done_ns <= at_ns);
        let set = |turned: &Turned| match &turned.what {
            Turn::Set { knob, .. } if knob.strip_prefix("sysctl.") == Some(name) => turned.given.as_ref()?.parse().ok(),
            _ => None,
        };
        self.record.turned.iter().rev().filter(done).find_map(set).or_else(|| self.sysctl(name))
    }

    /// The backlog that the program had asked for at an instant: a new configuration is asked for with the next `listen(2)`.
    pub(crate) fn backlog_asked_at(&self, at_ns: u64) -> Option<u64> {
        let of = |turned: &Turned| match &turned.what {
            Turn::Configure { knob, value: KnobValue::Number(value) } if knob == "target.backlog" => Some(*value),
            _ => None,
        };
        if self.record.turned.iter().all(|turned| of(turned).is_none()) {
            return self.backlog_asked();
        }
        let (mut asked, mut configured) = (self.record.cell.target.backlog().map(u64::from), None);
        for turned in self.record.turned.iter().filter(|turned| turned.done_ns.is_some_and(|done| done <= at_ns)) {
            configured = of(turned).or(configured);
            if !turned.what.is_of_a_knob() {
                asked = configured.or(asked);
            }
        }
        asked
    }

    /// The backlog the program passed to `listen(2)` for the probed listener: its own word, or else the scenario's, or else the
    /// limit in force where that is less than `net.core.somaxconn`, which only cuts down. `None` where none of them tells.
    pub(crate) fn backlog_asked(&self) -> Option<u64> {
        let port = self.record.probe.plan.address.port();
        let said = self.record.target.ready.iter().flat_map(|r| &r.listening).find(|l| l.address.port() == port);
        let stated = said.map(|l| l.backlog).or_else(|| self.record.cell.target.backlog());
        let seen = || {
            let limit = self.queue.as_ref()?.limit.first;
            self.sysctl("net.core.somaxconn").filter(|&somaxconn| limit < somaxconn).map(|_| limit)
        };
        stated.map(u64::from).or_else(seen)
    }

    /// The open descriptors of all processes that serve the probe together; `None` where none was read.
    pub(crate) fn descriptors_together(&self) -> Option<Cow<'a, Series>> {
        match &self.targets[..] {
            [] => None,
            [one] => Some(Cow::Borrowed(one.open)),
            several => Some(Cow::Owned(sum(several.iter().map(|target| target.open)))),
        }
    }

    /// How often the serving process met an errno at accept or at an extra descriptor, by its own account. Extra evidence: a verdict never needs it.
    pub(crate) fn own_account(&self, errno: &str) -> Option<u64> {
        let outcome = self.record.target.outcomes.get(self.shard as usize)?.as_ref()?;
        let of = |errors: &std::collections::BTreeMap<String, u64>| errors.get(errno).copied().unwrap_or(0);
        Some(of(&outcome.accept_errors) + of(&outcome.extra_fd_errors))
    }

    /// The end of the serving process, where it ended by itself.
    pub(crate) fn early_end(&self) -> Option<&'a EarlyEnd> {
        self.record.target.early_ends.iter().find(|end| end.shard == self.shard)
    }

    /// Why a source of evidence was not available, by the beginning of its name.
    pub(crate) fn unavailable(&self, source: &str) -> Option<&'a str> {
        let mut sources = self.record.evidence.sources.iter().filter(|s| s.name.starts_with(source));
        sources.find_map(|s| s.unavailable_because.as_deref())
    }

    /// Whether a cause that explains so many of the failed probes explains the outcome: more than half of them.
    pub(crate) fn explains_most(&self, explained: usize) -> bool {
        explained * 2 > self.failed.len()
    }
}

/// Sockets of a namespace in a state and at a port (for `SYN_SENT` the other end's), if they were counted.
pub(crate) fn sockets<'a>(namespace: &'a NamespaceEvidence, state: &str, port: &str) -> Option<&'a Series> {
    namespace.sockets.get(state)?.get(port).and_then(known)
}

/// The address of a listener's name: `127.0.0.1:8080`, `[::]:8080`, and `127.0.0.1:8080#2` for the second socket at one address.
pub(crate) fn address_of(name: &str) -> Option<SocketAddr> {
    name.split('#').next()?.parse().ok()
}

/// The listener the probe goes to: that of its very address, or else one on its port (`0.0.0.0`, `[::]`); the fullest where
/// several sockets share it (`SO_REUSEPORT`), because the kernel spreads the probes over all of them.
fn probed_listener(record: &Record) -> Option<(&str, &ListenerEvidence)> {
    let address: SocketAddr = record.probe.plan.address;
    let listeners = &record.evidence.server.listeners;
    let fullest = |fits: &dyn Fn(SocketAddr) -> bool| {
        let fitting = listeners.iter().filter(|(name, _)| address_of(name).is_some_and(fits));
        fitting.max_by_key(|(_, listener)| listener.recv_q.max)
    };
    let chosen =
        fullest(&|listens| listens == address).or_else(|| fullest(&|listens| listens.port() == address.port()));
    chosen.map(|(name, listener)| (name.as_str(), listener))
}

/// For how long the target was there: all the time, but for what lay between the end of one life and the next one's listening.
fn listened_ns(record: &Record, end_ns: u64) -> u64 {
    let gone = |life: &Life| life.end.as_ref().and_then(|end| end.gone_ns);
    let next = record.lives.iter().skip(1).map(|life| life.listening_ns.unwrap_or(end_ns)).chain([end_ns]);
    let away = record.lives.iter().zip(next).filter_map(|(life, next_ns)| Some(next_ns.saturating_sub(gone(life)?)));
    end_ns.saturating_sub(away.sum())
}

/// The target process behind the probe's port: the one that said it listens there, or else the first.
fn serving_shard(record: &Record) -> u32 {
    let port = record.probe.plan.address.port();
    let listens = |r: &brimful_target_plan::Ready| r.listening.iter().any(|l| l.address.port() == port);
    record.target.ready.iter().position(listens).and_then(|i| u32::try_from(i).ok()).unwrap_or(0)
}

/// A command's processes: the one whose descriptors grew most is the one that accepts. Others keep their order.
fn busiest_first(mut targets: Vec<Descriptors<'_>>) -> Vec<Descriptors<'_>> {
    targets.sort_by_key(|target| Reverse(target.open.max.saturating_sub(target.open.first)));
    targets
}

/// The sum of series, each of which is nothing before its first reading.
fn sum<'s>(series: impl Iterator<Item = &'s Series> + Clone) -> Series {
    let mut times: Vec<u64> = series.clone().flat_map(|one| &one.points).map(|&(at_ns, _)| at_ns).collect();
    times.sort_unstable();
    times.dedup();
    let begun = |one: &Series, at_ns: u64| one.points.first().is_some_and(|&(first_ns, _)| first_ns <= at_ns);
    let mut sum = Series::default();
    for at_ns in times {
        sum.push(at_ns, series.clone().filter(|one| begun(one, at_ns)).map(|one| one.at(at_ns)).sum());
    }
    sum
}

fn as_number(value: &KnobValue) -> Option<u64> {
    match value {
        KnobValue::Number(n) => Some(*n),
        KnobValue::Word(text) => text.trim().parse().ok(),
        KnobValue::Switch(on) => Some(u64::from(*on)),
    }
}

#[cfg(test)]
mod tests {
    use brimful_testing;

    use super::*;

    #[test]
    fn an_absent_counter_is_not_zero() {
        let record = brimful_testing::without_counters(brimful_testing::healthy(), &["TcpExt.TCPReqQFullDrop"]);
        let view = View::of(&record);
        assert_eq!((view.grew("TcpExt.TCPReqQFullDrop"), view.grew("TcpExt.ListenDrops")), (None, Some(0)));
    }

    #[test]
    fn a_counter_that_ran_backwards_is_unknown() {
        let mut record = brimful_testing::healthy();
        record
            .evidence
            .server
            .counters
            .insert("Tcp.OutRsts".into(), Series { first: 9, last: 3, max: 9, reads: 2, points: vec![(0, 9), (5, 3)] });
        assert_eq!(View::of(&record).grew("Tcp.OutRsts"), None);
    }

    #[test]
    fn a_listener_on_every_address_is_found_by_port() {
        let mut record = brimful_testing::healthy();
        let listener = record.evidence.server.listeners.remove(brimful_testing::ADDRESS).unwrap();
        record.evidence.server.listeners.insert("[::]:23380".into(), listener);
        assert_eq!(View::of(&record).queue.unwrap().name, "[::]:23380");
    }

    #[test]
    fn of_several_sockets_at_one_address_the_fullest_is_looked_at() {
        let mut record = brimful_testing::healthy();
        let second =
            ListenerEvidence { recv_q: Series::starting(0, 99), limit: Series::starting(0, 98), ..Default::default() };
        record.evidence.server.listeners.insert(format!("{}#2", brimful_testing::ADDRESS), second);
        assert_eq!(View::of(&record).queue.unwrap().name, "127.0.0.1:23380#2");
    }

    #[test]
    fn several_processes_are_added_up_from_when_each_was_there() {
        let (mut a, mut b) = (Series::starting(0, 5), Series::starting(20, 7));
        a.push(10, 6);
        b.push(30, 9);
        let both = sum([&a, &b].into_iter());
        assert_eq!(both.points, [(0, 5), (10, 6), (20, 13), (30, 15)]);
    }

    #[test]
    fn what_enters_and_does_not_wait_was_taken() {
        let record = brimful_testing::healthy();
        let view = View::of(&record);
        let taken = view.taken_between(0, 11_000_000_000).unwrap();
        assert!((11_900..=12_020).contains(&taken), "{taken}");
        assert_eq!(view.arrivals_per_s().map(f64::round), Some(4_000.0));
    }
}
