//! What a shard does when an instant has come: it opens a connection, closes one, or begins one anew.

use brimful_target::clock::monotonic_ns;
use rustix::event::epoll::EventFlags;
use rustix::fd::AsFd as _;

use super::Shard;
use crate::address::Endpoint;
use crate::hold::socket::{self, Handshake, Peer};
use crate::hold::table;
use crate::outcome::{LoadPoint, Phase};

/// How many connections are opened, and how many closed, between two looks at epoll. Opening one takes about 16 µs, so
/// a handshake that ends meanwhile is seen at most about 0.13 ms late, and the looks (0.3 µs each) cost a quarter of a
/// percent.
const BATCH: usize = 8;

/// Whether a connection is opened as planned or begun anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    First,
    Renewal,
}

impl<F: FnMut(LoadPoint)> Shard<'_, F> {
    /// Closes and opens what is due, one batch of each at most, and returns the time. Closing comes first: it makes
    /// room under the descriptor limit.
    pub(super) fn do_due(&mut self) -> u64 {
        let mut now_ns = monotonic_ns();
        for _ in 0..BATCH {
            let Some(at) = self.course.to_close(now_ns).filter(|_| !self.over(now_ns)) else { break };
            self.close(at);
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
            } else if let Some(number) = self.course.take_renewal(now_ns) {
                // A number that was opened once has an endpoint.
                let Some(endpoint) = self.planner.of_shard(self.shard, number) else { break };
                now_ns = self.open(endpoint, number, Attempt::Renewal);
            } else {
                break;
            }
        }
        now_ns
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
        match attempt {
            Attempt::First => {
                let late_ns = started_ns.saturating_sub(self.instant(endpoint.intended_ns));
                self.tally.attempted(self.since_start(started_ns), self.paced.then_some(late_ns));
            }
            Attempt::Renewal => self.tally.renewed(),
        }
        let socket = match made {
            Ok(socket) => socket,
            Err((phase, errno)) => {
                self.tally.refused(phase, errno.raw_os_error());
                return started_ns;
            }
        };
        let handshake = socket::begin(&socket, endpoint.destination);
        let now_ns = monotonic_ns();
        match handshake {
            Handshake::Established | Handshake::Pending => {
                let pending = handshake == Handshake::Pending;
                if let Err(errno) = self.waiter.watch(socket.as_fd(), pending) {
                    self.tally.refused(Phase::Socket, errno.raw_os_error());
                    return now_ns;
                }
                let at = table::index(socket.as_fd());
                self.table.insert(socket, pending.then_some(started_ns));
                if pending {
                    self.course.begun(at, number);
                } else {
                    self.tally.established(self.since_start(now_ns), now_ns.saturating_sub(started_ns));
                    self.course.established(at, now_ns);
                }
            }
            Handshake::Refused(errno) => {
                self.tally.refused(Phase::Connect, errno.raw_os_error());
                self.course.refused(number, started_ns, now_ns);
            }
            Handshake::Reset(errno) => {
                self.tally.established(self.since_start(now_ns), now_ns.saturating_sub(started_ns));
                self.tally.lost(Some(errno.raw_os_error()));
            }
        }
        now_ns
    }

    /// Closes a held connection whose time is over, unless the peer was first.
    fn close(&mut self, at: usize) {
        // What has arrived is read before: closing over unread data is a reset instead of a FIN (`tcp_close`).
        match self.table.socket(at).map(|socket| socket::peer(socket, EventFlags::IN)) {
            Some(Peer::Alive) => self.tally.closed(),
            Some(Peer::Closed) => self.tally.lost(None),
            Some(Peer::Gone(errno)) => self.tally.lost(Some(errno.raw_os_error())),
            None => {}
        }
        self.course.ended(at);
        self.table.close(at);
    }
}
