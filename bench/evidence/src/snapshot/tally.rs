//! The TCP sockets of a namespace, counted as they come: however many there are, little is kept. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use super::ports::PortRange;
use crate::inet_diag::{Entry, State};

/// Destinations that are kept by name.
const DESTINATIONS: usize = 32;

/// The sockets of a namespace, without its listeners.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sockets {
    /// Whether sockets of every state were listed; where they were not, a state that is absent is not zero.
    pub complete: bool,
    /// By state: `ESTABLISHED`.
    pub states: BTreeMap<&'static str, u64>,
    /// By listening port, those at the port.
    pub ports: BTreeMap<u16, AtPort>,
    /// SYNs that wait for an answer, by destination, the most first.
    pub syn_sent: Vec<Destination>,
    /// Local ports in use, by source and destination, the most first.
    pub outgoing: Vec<Outgoing>,
    /// Half-open connections whose answer was sent again.
    pub syn_recv_again: u64,
}

impl Sockets {
    /// How many are in a state.
    #[must_use]
    pub fn in_state(&self, state: State) -> u64 {
        self.states.get(state.name()).copied().unwrap_or(0)
    }
}

/// The sockets at a listening port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AtPort {
    /// Connected and taken by a program.
    pub held: u64,
    /// Half-open.
    pub syn_recv: u64,
    /// Inodes of those that a program has taken, in ascending order once counting is over.
    pub taken: Vec<u32>,
}

/// SYNs to one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// To where.
    pub to: SocketAddr,
    /// How many sockets wait.
    pub sockets: u64,
    /// How many of them have sent their SYN again.
    pub again: u64,
}

/// Local ports towards one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// From which address.
    pub from: IpAddr,
    /// To where.
    pub to: SocketAddr,
    /// Ports of the range in use, those in `TIME_WAIT` too.
    pub ports: u64,
    /// Of which in `TIME_WAIT`.
    pub time_wait: u64,
}

/// Counts sockets.
#[derive(Debug)]
pub struct Tally {
    listening: HashSet<u16>,
    range: Option<PortRange>,
    sockets: Sockets,
    syn_sent: HashMap<SocketAddr, (u64, u64)>,
    outgoing: HashMap<(IpAddr, SocketAddr), (u64, u64)>,
    /// State of each socket that belongs to a program, by inode.
    pub by_inode: HashMap<u32, State>,
}

impl Tally {
    /// A tally that knows which ports are listened on and which may be given to connections.
    #[must_use]
    pub fn new(listening: HashSet<u16>, range: Option<PortRange>) -> Self {
        Self {
            listening,
            range,
            sockets: Sockets::default(),
            syn_sent: HashMap::new(),
            outgoing: HashMap::new(),
            by_inode: HashMap::new(),
        }
    }

    /// Counts a socket that does not listen.
    pub fn count(&mut self, entry: &Entry) {
        let again = entry.retransmits > 0;
        *self.sockets.states.entry(entry.state.name()).or_insert(0) += 1;
        if entry.inode != 0 {
            self.by_inode.insert(entry.inode, entry.state);
        }
        if self.listening.contains(&entry.local.port()) {
            let at = self.sockets.ports.entry(entry.local.port()).or_default();
            match entry.state {
                State::SYN_RECV => at.syn_recv += 1,
                _ if entry.inode != 0 => {
                    at.held += 1;
                    at.taken.push(entry.inode);
                }
                _ => {}
            }
        }
        match entry.state {
            State::SYN_RECV => self.sockets.syn_recv_again += u64::from(again),
            State::SYN_SENT => {
                let (sockets, repeated) = self.syn_sent.entry(entry.remote).or_insert((0, 0));
                *sockets += 1;
                *repeated += u64::from(again);
            }
            _ => {}
        }
        // A server's own end of a connection has the listener's port, and is no use of a local one.
        let port = entry.local.port();
        if entry.state != State::SYN_RECV
            && !self.listening.contains(&port)
            && self.range.as_ref().is_some_and(|range| range.has(port))
        {
            let (ports, waiting) = self.outgoing.entry((entry.local.ip(), entry.remote)).or_insert((0, 0));
            *ports += 1;
            *waiting += u64::from(entry.state == State::TIME_WAIT);
        }
    }

    /// What was counted.
    #[must_use]
    pub fn finish(mut self) -> (Sockets, HashMap<u32, State>) {
        let mut syn_sent: Vec<Destination> =
            self.syn_sent.into_iter().map(|(to, (sockets, again))| Destination { to, sockets, again }).collect();
        syn_sent.sort_by(|a, b| b.sockets.cmp(&a.sockets).then(a.to.cmp(&b.to)));
        syn_sent.truncate(DESTINATIONS);
        let mut outgoing: Vec<Outgoing> = self
            .outgoing
            .into_iter()
            .map(|((from, to), (ports, time_wait))| Outgoing { from, to, ports, time_wait })
            .collect();
        outgoing.sort_by(|a, b| b.ports.cmp(&a.ports).then(a.to.cmp(&b.to)).then(a.from.cmp(&b.from)));
        outgoing.truncate(DESTINATIONS);
        self.sockets.ports.values_mut().for_each(|at| at.taken.sort_unstable());
        (Sockets { complete: true, syn_sent, outgoing, ..self.sockets }, self.by_inode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inet_diag::Family;

    fn entry(state: State, local: &str, remote: &str, inode: u32) -> Entry {
        Entry {
            family: Family::V4,
            state,
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
            recv_queue: 0,
            send_queue: 0,
            retransmits: u8::from(state == State::SYN_SENT),
            drops: None,
            inode,
            uid: 0,
        }
    }

    #[test]
    fn each_end_is_counted_for_what_it_uses() {
        let mut tally = Tally::new([8_080].into(), PortRange::parse("40000 40999", ""));
        let (server, client) = ("127.0.0.1:8080", "127.0.0.1:40001");
        for (state, local, remote, inode) in [
            (State::ESTABLISHED, server, client, 9),
            (State::ESTABLISHED, client, server, 10),
            (State::ESTABLISHED, server, "127.0.0.1:40002", 0),
            (State::SYN_RECV, server, "127.0.0.1:40003", 0),
            (State::TIME_WAIT, "127.0.0.1:40004", server, 0),
            (State::SYN_SENT, "127.0.0.1:40005", "10.0.0.1:443", 12),
            (State::SYN_SENT, "127.0.0.1:1000", "10.0.0.1:443", 13),
        ] {
            tally.count(&entry(state, local, remote, inode));
        }
        let (sockets, by_inode) = tally.finish();
        assert_eq!((sockets.in_state(State::ESTABLISHED), by_inode.len()), (3, 4));
        let at = &sockets.ports[&8_080];
        assert_eq!((at.held, at.syn_recv, at.taken.as_slice()), (1, 1, [9].as_slice()));
        assert_eq!((sockets.syn_sent[0].sockets, sockets.syn_sent[0].again), (2, 2));
        let out: Vec<_> = sockets.outgoing.iter().map(|o| (o.to.port(), o.ports, o.time_wait)).collect();
        assert_eq!(out, [(8_080, 2, 1), (443, 1, 0)]);
    }
}
