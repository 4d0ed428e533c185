//! What a shard does with connections that are gone: counts them, and sees to it that they come back.

use brimful_loadgen_plan::outcome::LoadPoint;
use rustix::fd::BorrowedFd;

use super::Shard;
use crate::hold::disconnected::Absent;
use crate::hold::socket;
use crate::hold::storm::Strike;

/// The loss of a connection that has not been lost.
pub(super) const NEVER_AWAY: u64 = u64::MAX;

impl<F: FnMut(LoadPoint)> Shard<'_, F> {
    /// What was known of the handshake on descriptor `at`, which is over.
    pub(super) fn settled(&mut self, at: usize) -> Option<Absent> {
        self.away.as_mut()?.settled(at)
    }

    /// A handshake was completed on descriptor `at`.
    pub(super) fn is_established(&mut self, at: usize, absent: Option<Absent>, now_ns: u64, took_ns: u64) {
        self.counts_established(absent, now_ns, took_ns);
        self.course.established(at, now_ns);
        if let Some(talk) = &mut self.talk {
            talk.begin(at, now_ns);
        }
    }

    /// Counts a completed handshake, of one that was away or of one that was not.
    pub(super) fn counts_established(&mut self, absent: Option<Absent>, now_ns: u64, took_ns: u64) {
        match absent.filter(|absent| absent.since_ns != NEVER_AWAY) {
            Some(absent) => self.tally.is_back(now_ns.saturating_sub(absent.since_ns), took_ns),
            None => self.tally.established(self.since_start(now_ns), took_ns),
        }
    }

    /// A connection failed, or was lost in the moment it was established.
    pub(super) fn leaves(&mut self, absent: Absent, now_ns: u64) {
        let Some(away) = &mut self.away else { return };
        let since_ns = absent.since_ns.min(now_ns);
        if !away.leaves(Absent { since_ns, ..absent }, now_ns) && absent.tries > 0 {
            self.tally.given_up();
        }
    }

    /// The peer ended the held connection on descriptor `at`, which is still open.
    pub(super) fn lost(&mut self, at: usize, now_ns: u64) {
        if self.away.is_some()
            && let Some(destination) = self.table.socket(at).and_then(|socket| self.destination(at, socket))
        {
            self.leaves(Absent { destination, since_ns: now_ns, tries: 0 }, now_ns);
        }
    }

    /// Where a connection goes. One that was reset has forgotten it (`ENOTCONN`); then any of the plan's will do, and the descriptor's number
    /// spreads them.
    fn destination(&self, at: usize, socket: BorrowedFd<'_>) -> Option<std::net::SocketAddr> {
        socket::destination(socket).or_else(|| self.planner.destination(at as u64))
    }

    /// Has the storm close its next connection, which comes back at once. Says whether there was one.
    pub(super) fn strike(&mut self, now_ns: u64) -> bool {
        let (Some(storm), table) = (&mut self.storm, &self.table) else { return false };
        match storm.next(now_ns, |from| table.held_from(from)) {
            Strike::Calm => false,
            Strike::Over => {
                self.storm = None;
                false
            }
            Strike::At(at) => {
                let destination = self.table.socket(at).and_then(|socket| self.destination(at, socket));
                self.close(at);
                if let (Some(away), Some(destination)) = (&mut self.away, destination) {
                    away.storms(destination, now_ns);
                }
                true
            }
        }
    }
}
