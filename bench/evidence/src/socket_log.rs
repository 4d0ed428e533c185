//! Sockets counted by state and port over time.

use std::collections::BTreeMap;

use super::inet_diag::{Entry, State, StateSet};
use super::series::Series;

/// The key for hanging connections to ports that were not named: a target's own upstream, for one.
pub const OTHER: &str = "other";
/// The key for sockets that were counted together, whatever their port.
pub const ALL: &str = "all";

/// The key, beside the states, for sockets in `SYN_SENT` whose SYN was sent again at least once.
pub const SYN_SENT_RETRANS: &str = "SYN_SENT_RETRANS";
/// The key, beside the states, for sockets in `SYN_RECV` whose SYN-ACK was sent again at least once.
pub const SYN_RECV_RETRANS: &str = "SYN_RECV_RETRANS";

/// What is counted at each port, in the order of the counts.
const COLUMNS: [&str; 5] =
    [State::SYN_RECV.name(), State::SYN_SENT.name(), State::CLOSE_WAIT.name(), SYN_RECV_RETRANS, SYN_SENT_RETRANS];

/// One dump's counts.
#[derive(Clone, Debug)]
pub struct Tally {
    ports: Vec<u16>,
    /// Per port, as [`COLUMNS`].
    counts: Vec<[u64; COLUMNS.len()]>,
    syn_sent_elsewhere: u64,
}

impl Tally {
    /// The states that are counted. `TIME_WAIT` is not among them: `/proc/net/sockstat` has its number for a few
    /// microseconds, and a dump of it may be the whole table.
    pub const STATES: StateSet = StateSet::of(&[State::SYN_RECV, State::SYN_SENT, State::CLOSE_WAIT]);

    /// Counts one socket: by its own port, but in `SYN_SENT` by the other end's.
    pub fn count(&mut self, entry: &Entry) {
        let (column, again, port) = match entry.state {
            State::SYN_RECV => (0, Some(3), entry.local.port()),
            State::SYN_SENT => (1, Some(4), entry.remote.port()),
            State::CLOSE_WAIT => (2, None, entry.local.port()),
            _ => return,
        };
        let place = self.ports.binary_search(&port).ok();
        let Some(counts) = place.and_then(|at| self.counts.get_mut(at)) else {
            self.syn_sent_elsewhere += u64::from(entry.state == State::SYN_SENT);
            return;
        };
        for column in std::iter::once(column).chain(again.filter(|_| entry.retransmits > 0)) {
            if let Some(count) = counts.get_mut(column) {
                *count += 1;
            }
        }
    }
}

/// The series of such counts.
#[derive(Debug)]
pub struct SocketLog {
    ports: Vec<u16>,
    series: BTreeMap<&'static str, BTreeMap<String, Series>>,
}

impl SocketLog {
    /// A log for these ports.
    #[must_use]
    pub fn new(ports: &[u16]) -> Self {
        let mut ports = ports.to_vec();
        ports.sort_unstable();
        ports.dedup();
        Self { ports, series: BTreeMap::new() }
    }

    /// A tally that has counted nothing yet.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally { ports: self.ports.clone(), counts: vec![[0; COLUMNS.len()]; self.ports.len()], syn_sent_elsewhere: 0 }
    }

    /// Takes the counts of a complete dump, at nanoseconds since the start of the cell. A port where nothing was found
    /// has a reading of zero.
    pub fn record(&mut self, at_ns: u64, tally: &Tally) {
        for (port, counts) in tally.ports.iter().zip(&tally.counts) {
            let port = port.to_string();
            for (column, count) in COLUMNS.into_iter().zip(counts) {
                self.push(at_ns, column, &port, *count);
            }
        }
        self.push(at_ns, State::SYN_SENT.name(), OTHER, tally.syn_sent_elsewhere);
    }

    /// Takes the number of sockets in a state, whatever their port.
    pub fn record_all(&mut self, at_ns: u64, state: State, count: u64) {
        self.push(at_ns, state.name(), ALL, count);
    }

    /// What was seen, by state (or [`SYN_SENT_RETRANS`], [`SYN_RECV_RETRANS`]) and then by port as text, [`OTHER`] or [`ALL`].
    #[must_use]
    pub fn into_evidence(self) -> BTreeMap<String, BTreeMap<String, Series>> {
        self.series.into_iter().map(|(state, ports)| (state.to_owned(), ports)).collect()
    }

    fn push(&mut self, at_ns: u64, column: &'static str, port: &str, count: u64) {
        let ports = self.series.entry(column).or_default();
        match ports.get_mut(port) {
            Some(series) => series.push(at_ns, count),
            None => {
                ports.insert(port.to_owned(), Series::starting(at_ns, count));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inet_diag::Family;

    fn socket(state: State, local: u16, remote: u16) -> Entry {
        Entry {
            family: Family::V4,
            state,
            local: ([10, 0, 0, 1], local).into(),
            remote: ([10, 0, 0, 2], remote).into(),
            recv_queue: 0,
            send_queue: 0,
            retransmits: 0,
            drops: None,
            inode: 0,
            uid: 0,
        }
    }

    #[test]
    fn each_state_is_counted_by_the_port_that_matters() {
        let mut log = SocketLog::new(&[81, 80]);
        let mut tally = log.tally();
        for entry in [
            socket(State::SYN_RECV, 80, 5000),
            socket(State::SYN_RECV, 80, 5001),
            socket(State::SYN_RECV, 99, 5002),
            socket(State::SYN_SENT, 5000, 81),
            socket(State::SYN_SENT, 5000, 443),
            socket(State::CLOSE_WAIT, 81, 5000),
            socket(State::CLOSE_WAIT, 5000, 81),
            socket(State::ESTABLISHED, 80, 5000),
            Entry { retransmits: 2, ..socket(State::SYN_RECV, 80, 5003) },
            Entry { retransmits: 1, ..socket(State::SYN_SENT, 5000, 81) },
            Entry { retransmits: 1, ..socket(State::SYN_SENT, 5000, 443) },
            Entry { retransmits: 1, ..socket(State::CLOSE_WAIT, 81, 5001) },
        ] {
            tally.count(&entry);
        }
        log.record(7, &tally);
        log.record_all(7, State::TIME_WAIT, 12);
        let seen = log.into_evidence();
        let table = [
            ("SYN_RECV", "80", Some(3)),
            ("SYN_RECV", "81", Some(0)),
            ("SYN_RECV", "99", None),
            (SYN_RECV_RETRANS, "80", Some(1)),
            (SYN_RECV_RETRANS, "81", Some(0)),
            ("SYN_SENT", "80", Some(0)),
            ("SYN_SENT", "81", Some(2)),
            ("SYN_SENT", OTHER, Some(2)),
            (SYN_SENT_RETRANS, "80", Some(0)),
            (SYN_SENT_RETRANS, "81", Some(1)),
            (SYN_SENT_RETRANS, OTHER, None),
            ("CLOSE_WAIT", "80", Some(0)),
            ("CLOSE_WAIT", "81", Some(2)),
            ("CLOSE_WAIT", "5000", None),
            ("TIME_WAIT", ALL, Some(12)),
            ("ESTABLISHED", "80", None),
        ];
        for (state, port, count) in table {
            assert_eq!(seen.get(state).and_then(|ports| ports.get(port)).map(|s| s.last), count, "{state} {port}");
        }
    }

    #[test]
    fn what_was_never_dumped_has_no_series() {
        assert!(SocketLog::new(&[80]).into_evidence().is_empty());
    }
}
