//! What a shard does when an instant has come: it opens a connection, closes one, begins one anew, or has one talk.

use brimful_loadgen_plan::address::Endpoint;
use brimful_loadgen_plan::outcome::{LoadPoint, Phase};
use brimful_target::clock::monotonic_ns;
use rustix::event::epoll::EventFlags;
use rustix::fd::AsFd as _;

use super::Shard;
use super::reconnect::NEVER_AWAY;
use crate::hold::disconnected::Absent;
use crate::hold::socket::{self, Handshake, Peer};
use crate::hold::table;

/// How many connections are opened, and how many closed, between two looks at epoll. Opening one takes about 16 µs, so
/// a handshake that ends meanwhile is seen at most about 0.13 ms late, and the looks (0.3 µs each) cost a quarter of a
/// percent.
const BATCH: usize = 8;

/// Whether a connection is opened as planned or begun anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    First,
    Renewal,
    Comeback(Absent),
}

impl<F: FnMut(LoadPoint)> Shard<'_, F> {
    /// Closes, opens and has talk what is due, one batch of each at most, and returns the time. Closing comes first: it
    /// makes room under the descriptor limit.
    pub(super) fn do_due(&mut self) -> u64 {
        let mut now_ns = monotonic_ns();
        for _ in 0..BATCH {
            let Some(at) = self.course.to_close(now_ns).filter(|_| !self.over(now_ns)) else { break };
            self.close(at);
            now_ns = monotonic_ns();
        }
        for _ in 0..BATCH {
            if self.over(now_ns) || !self.strike(now_ns) {
                break;
            }
            now_ns = monotonic_ns();
        }
        for _ in 0..BATCH {
            if self.over(now_ns) {
                break;
            }
            if let Some(endpoint) = self.next.filter(|next| self.instant(next.intended_ns) <= now_ns) {
                let number = self.number;
                self.number += 1;
                self.next = self.planner.of_shard(self.shard, self.number);
                now_ns = self.open(endpoint, number, Attempt::First);
                if self.next.is_none() {
                    // Whoever waits for this shard to be done hears of it at once.
                    self.take_point(now_ns);
                }
            } else if let Some(number) = self.course.take_renewal(now_ns) {
                // A number that was opened once has an endpoint.
                let Some(endpoint) = self.planner.of_shard(self.shard, number) else { break };
                now_ns = self.open(endpoint, number, Attempt::Renewal);
            } else if let Some(absent) = self.away.as_mut().and_then(|away| away.take_due(now_ns)) {
                let endpoint = self.endpoint_again(absent);
                now_ns = self.open(endpoint, u64::MAX, Attempt::Comeback(absent));
            } else {
                break;
            }
        }
        for _ in 0..BATCH {
            if self.over(now_ns) || !self.talk(now_ns) {
                break;
            }
            now_ns = monotonic_ns();
        }
        now_ns
    }

    /// A source of its own for a connection that comes back.
    fn endpoint_again(&mut self, absent: Absent) -> Endpoint {
        let source = self.planner.again(self.shard, self.spares_used, absent.destination);
        self.spares_used += 1;
        Endpoint { shard: self.shard, source, destination: absent.destination, intended_ns: 0 }
    }

    /// Opens connection `number` of the shard, and returns the time after it.
    fn open(&mut self, endpoint: Endpoint, number: u64, attempt: Attempt) -> u64 {
        let spares = std::iter::from_fn(|| {
            let spare = self.planner.spare(self.shard, self.spares_used, endpoint.destination)?;
            self.spares_used += 1;
            Some(spare)
        });
        let made = socket::make(endpoint.source, endpoint.destination, spares);
        let started_ns = monotonic_ns();
        let absent = match attempt {
            Attempt::First => {
                let late_ns = started_ns.saturating_sub(self.instant(endpoint.intended_ns));
                self.tally.attempted(self.since_start(started_ns), self.paced.then_some(late_ns));
                // Away from the first failure on, should there be one.
                Absent { destination: endpoint.destination, since_ns: NEVER_AWAY, tries: 0 }
            }
            Attempt::Renewal => {
                self.tally.renewed();
                Absent { destination: endpoint.destination, since_ns: NEVER_AWAY, tries: 0 }
            }
            Attempt::Comeback(absent) => {
                self.tally.comes_back();
                absent
            }
        };
        let socket = match made {
            Ok(socket) => socket,
            Err((phase, errno)) => {
                self.tally.refused(phase, errno.raw_os_error());
                if attempt != Attempt::First {
                    self.leaves(absent, started_ns);
                }
                return started_ns;
            }
        };
        if let Some(bytes) = self.receive_bytes {
            socket::receive_little(socket.as_fd(), bytes);
        }
        let handshake = socket::begin(&socket, endpoint.destination);
        let now_ns = monotonic_ns();
        let took_ns = now_ns.saturating_sub(started_ns);
        match handshake {
            Handshake::Established | Handshake::Pending => {
                let pending = handshake == Handshake::Pending;
                if let Err(errno) = self.waiter.watch(socket.as_fd(), pending) {
                    self.tally.refused(Phase::Socket, errno.raw_os_error());
                    if attempt != Attempt::First {
                        self.leaves(absent, now_ns);
                    }
                    return now_ns;
                }
                let at = table::index(socket.as_fd());
                self.table.insert(socket, pending.then_some(started_ns));
                if pending {
                    self.course.begun(at, number);
                    if let Some(away) = &mut self.away {
                        away.begun(at, absent);
                    }
                } else {
                    self.is_established(at, Some(absent), now_ns, took_ns);
                }
            }
            Handshake::Refused(errno) => {
                self.tally.refused(Phase::Connect, errno.raw_os_error());
                self.course.refused(number, started_ns, now_ns);
                self.leaves(absent, now_ns);
            }
            Handshake::Reset(errno) => {
                self.counts_established(Some(absent), now_ns, took_ns);
                self.tally.lost(Some(errno.raw_os_error()));
                self.leaves(absent, now_ns);
            }
        }
        now_ns
    }

    /// Closes a held connection whose time is over, or which a storm takes, unless the peer was first.
    pub(super) fn close(&mut self, at: usize) {
        // What has arrived is read before: closing over unread data is a reset instead of a FIN (`tcp_close`).
        match self.table.socket(at).map(|socket| socket::peer(socket, EventFlags::IN)) {
            Some(Peer::Alive) => self.tally.closed(),
            Some(Peer::Closed) => self.tally.lost(None),
            Some(Peer::Gone(errno)) => self.tally.lost(Some(errno.raw_os_error())),
            None => {}
        }
        self.ended(at);
        self.table.close(at);
    }
}
