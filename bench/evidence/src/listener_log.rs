//! Listeners over time: which socket of one reading is the successor of which one of the reading before.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::inet_diag::Entry;
use super::record::ListenerEvidence;

/// One listener as last read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerReading {
    /// Connections waiting to be accepted.
    pub recv_q: u64,
    /// The limit in force; the queue holds one more.
    pub limit: u64,
    /// Drops so far, over all sockets that succeeded each other at this address; `None` where the kernel tells none.
    pub drops: Option<u64>,
}

/// The listeners on some ports.
///
/// A listener is known by its address and port. Several sockets at one address (`SO_REUSEPORT`) are told apart by
/// their inode, and get `#2`, `#3` behind the address of all but the first. A socket that takes the place of one that
/// is gone, after a restart, continues its series; its drops are counted on from there, so that they never fall.
#[derive(Debug)]
pub struct ListenerLog {
    ports: Vec<u16>,
    places: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    address: SocketAddr,
    key: String,
    /// The socket of the last reading, if there was one.
    inode: Option<u32>,
    /// Drops of the sockets before it.
    earlier_drops: u64,
    reading: Option<ListenerReading>,
    evidence: ListenerEvidence,
}

impl ListenerLog {
    /// A log of listeners on these ports, and of no others.
    #[must_use]
    pub fn new(ports: &[u16]) -> Self {
        Self { ports: ports.to_vec(), places: Vec::new() }
    }

    /// Takes a reading of all listeners of the namespace, at nanoseconds since the start of the cell.
    pub fn record(&mut self, at_ns: u64, listeners: &[Entry]) {
        let mine = |entry: &&Entry| self.ports.contains(&entry.local.port());
        let mut newcomers: Vec<&Entry> = Vec::new();
        let mut seen = vec![false; self.places.len()];
        for entry in listeners.iter().filter(mine) {
            let known = self.places.iter().position(|p| p.address == entry.local && p.inode == Some(entry.inode));
            match known.and_then(|at| Some((self.places.get_mut(at)?, seen.get_mut(at)?))) {
                Some((place, seen)) => {
                    *seen = true;
                    place.record(at_ns, entry);
                }
                None => newcomers.push(entry),
            }
        }
        for (place, _) in self.places.iter_mut().zip(seen).filter(|(_, seen)| !seen) {
            place.vacate();
        }
        newcomers.sort_by_key(|entry| entry.inode);
        for entry in newcomers {
            self.seat(at_ns, entry);
        }
    }

    /// The listener on the first of the ports, the fullest where there are several.
    #[must_use]
    pub fn main(&self) -> Option<ListenerReading> {
        let port = self.ports.first()?;
        let here = self.places.iter().filter(|place| place.address.port() == *port);
        here.filter_map(|place| place.reading).max_by_key(|reading| reading.recv_q)
    }

    /// Drops at all listeners together, so far.
    #[must_use]
    pub fn drops(&self) -> u64 {
        self.places.iter().map(|place| place.evidence.drops.last).fold(0, u64::saturating_add)
    }

    /// What was seen, by address and port as text, `127.0.0.1:23380` or `[::]:23380`.
    #[must_use]
    pub fn into_evidence(self) -> BTreeMap<String, ListenerEvidence> {
        self.places.into_iter().map(|place| (place.key, place.evidence)).collect()
    }

    fn seat(&mut self, at_ns: u64, entry: &Entry) {
        let same_address = |place: &&mut Place| place.address == entry.local;
        if let Some(place) = self.places.iter_mut().filter(same_address).find(|place| place.inode.is_none()) {
            place.record(at_ns, entry);
            return;
        }
        let before = self.places.iter().filter(|place| place.address == entry.local).count();
        let key = if before == 0 { entry.local.to_string() } else { format!("{}#{}", entry.local, before + 1) };
        let mut place = Place {
            address: entry.local,
            key,
            inode: None,
            earlier_drops: 0,
            reading: None,
            evidence: ListenerEvidence::default(),
        };
        place.record(at_ns, entry);
        self.places.push(place);
    }
}

impl Place {
    fn record(&mut self, at_ns: u64, entry: &Entry) {
        self.inode = Some(entry.inode);
        let (recv_q, limit) = (u64::from(entry.recv_queue), u64::from(entry.send_queue));
        let drops = entry.drops.map(|drops| self.earlier_drops.saturating_add(drops.into()));
        self.evidence.recv_q.push(at_ns, recv_q);
        self.evidence.limit.push(at_ns, limit);
        if let Some(drops) = drops {
            self.evidence.drops.push(at_ns, drops);
        }
        self.reading = Some(ListenerReading { recv_q, limit, drops });
    }

    fn vacate(&mut self) {
        self.inode = None;
        self.reading = None;
        self.earlier_drops = self.evidence.drops.last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inet_diag::{Family, State};

    fn listener(address: &str, inode: u32, recv_queue: u32, drops: Option<u32>) -> Entry {
        Entry {
            family: Family::V4,
            state: State::LISTEN,
            local: address.parse().unwrap(),
            remote: "0.0.0.0:0".parse().unwrap(),
            recv_queue,
            send_queue: 128,
            retransmits: 0,
            drops,
            inode,
            uid: 0,
        }
    }

    #[test]
    fn only_the_ports_that_were_named_are_kept() {
        let mut log = ListenerLog::new(&[80, 81]);
        let others = [listener("0.0.0.0:22", 1, 0, None), listener("[::]:81", 2, 3, Some(4))];
        log.record(5, &others);
        assert_eq!(log.main(), None, "nothing on the first port");
        assert_eq!(log.into_evidence().into_keys().collect::<Vec<_>>(), ["[::]:81"]);
    }

    #[test]
    fn sockets_that_share_an_address_are_told_apart() {
        let mut log = ListenerLog::new(&[80]);
        let (a, b) = (listener("10.0.0.1:80", 7, 1, Some(0)), listener("10.0.0.1:80", 9, 5, Some(2)));
        log.record(1, &[b, a]);
        log.record(2, &[a, b]);
        assert_eq!(log.main().map(|r| r.recv_q), Some(5), "the fullest");
        assert_eq!(log.drops(), 2);
        let seen = log.into_evidence();
        assert_eq!(seen.get("10.0.0.1:80").map(|l| (l.recv_q.last, l.recv_q.reads)), Some((1, 2)));
        assert_eq!(seen.get("10.0.0.1:80#2").map(|l| (l.recv_q.last, l.drops.last)), Some((5, 2)));
    }

    #[test]
    fn a_successor_goes_on_counting_drops() {
        let mut log = ListenerLog::new(&[80]);
        for (at, sockets) in [
            (1, vec![listener("10.0.0.1:80", 7, 0, Some(30))]),
            (2, vec![]),
            (3, vec![]),
            (4, vec![listener("10.0.0.1:80", 12, 4, Some(0))]),
            (5, vec![listener("10.0.0.1:80", 13, 6, Some(5))]),
        ] {
            log.record(at, &sockets);
            assert_eq!(log.main().is_some(), !sockets.is_empty(), "at {at}");
        }
        let seen = log.into_evidence();
        assert_eq!(seen.len(), 1);
        let drops = seen.get("10.0.0.1:80").map(|l| l.drops.points.clone());
        assert_eq!(drops, Some(vec![(1, 30), (5, 35)]));
    }

    #[test]
    fn drops_that_the_kernel_does_not_tell_are_not_zero() {
        let mut log = ListenerLog::new(&[80]);
        log.record(1, &[listener("10.0.0.1:80", 7, 0, None)]);
        assert_eq!(log.main().and_then(|r| r.drops), None);
        assert!(log.into_evidence().values().all(|l| l.drops.reads == 0 && l.limit.reads == 1));
    }
}
