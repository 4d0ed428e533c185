//! What the connections of a behaviour go through besides being held: which are to be closed, and which begun anew.
//! Pure. The loop is one for all behaviours: it asks here what is due and tells here what happened. For idle
//! connections there is nothing to ask, so they cost nothing here.

use std::collections::TryReserveError;

use brimful_loadgen_plan::plan::Behaviour;

use super::lifetimes::Lifetimes;
use super::renewals::Renewals;

/// The course that connections take. All instants are nanoseconds of the common clock.
#[derive(Debug)]
pub(super) enum Course {
    /// They are held for as long as the load lasts; whether they talk is another matter (`super::exchange`).
    Stay,
    /// They are closed in the order in which they were established.
    Churn(Lifetimes),
    /// They stay in their handshake, and are begun anew when it fails.
    HalfOpen(Renewals),
}

impl Course {
    /// The course of a behaviour, for a shard of `connections` on descriptors below `room`.
    ///
    /// # Errors
    /// When memory does not suffice.
    pub(super) fn new(behaviour: Behaviour, connections: u64, room: usize) -> Result<Self, TryReserveError> {
        Ok(match behaviour {
            Behaviour::Idle | Behaviour::Heartbeat { .. } | Behaviour::SlowReader { .. } | Behaviour::Reconnect => {
                Self::Stay
            }
            Behaviour::HalfOpen => Self::HalfOpen(Renewals::new(connections, room)?),
            Behaviour::Churn { lifetime } => Self::Churn(Lifetimes::new(lifetime, room)?),
        })
    }

    /// Connection `number` of the shard is in its handshake on descriptor `at`.
    pub(super) fn begun(&mut self, at: usize, number: u64) {
        if let Self::HalfOpen(renewals) = self {
            renewals.begun(at, number);
        }
    }

    /// The handshake of descriptor `at` was completed.
    pub(super) fn established(&mut self, at: usize, now_ns: u64) {
        if let Self::Churn(lifetimes) = self {
            lifetimes.begin(at, now_ns);
        }
    }

    /// A held connection on descriptor `at` is over, whoever ended it.
    pub(super) fn ended(&mut self, at: usize) {
        if let Self::Churn(lifetimes) = self {
            lifetimes.end(at);
        }
    }

    /// The handshake of connection `number`, begun at `started_ns`, has failed.
    pub(super) fn refused(&mut self, number: u64, started_ns: u64, now_ns: u64) {
        if let Self::HalfOpen(renewals) = self {
            renewals.given_up(number, started_ns, now_ns);
        }
    }

    /// The same, for the connection on descriptor `at`.
    pub(super) fn refused_at(&mut self, at: usize, started_ns: u64, now_ns: u64) {
        if let Self::HalfOpen(renewals) = self
            && let Some(number) = renewals.number(at)
        {
            renewals.given_up(number, started_ns, now_ns);
        }
    }

    /// The next instant at which a connection is to be closed or begun anew; `u64::MAX` when there is none.
    pub(super) fn next_ns(&self) -> u64 {
        match self {
            Self::Stay => u64::MAX,
            Self::Churn(lifetimes) => lifetimes.next_ns(),
            Self::HalfOpen(renewals) => renewals.next_ns(),
        }
    }

    /// The descriptor that is to be closed by `now_ns`, until [`Self::ended`] is told of it.
    pub(super) fn to_close(&self, now_ns: u64) -> Option<usize> {
        match self {
            Self::Churn(lifetimes) => lifetimes.due(now_ns),
            Self::Stay | Self::HalfOpen(_) => None,
        }
    }

    /// Takes out the number of a connection that is to be begun anew by `now_ns`.
    pub(super) fn take_renewal(&mut self, now_ns: u64) -> Option<u64> {
        match self {
            Self::HalfOpen(renewals) => renewals.take_due(now_ns),
            Self::Stay | Self::Churn(_) => None,
        }
    }

    /// Whether a handshake may begin besides the planned ones.
    pub(super) fn renews(&self) -> bool {
        matches!(self, Self::HalfOpen(renewals) if renewals.next_ns() != u64::MAX)
    }
}
