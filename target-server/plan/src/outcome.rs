//! What a target says of itself: when it is ready, and what it saw by the end.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::nofile::Nofile;

/// One socket the server listens on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listening {
    /// The address bound, with the port the kernel chose where 0 was asked.
    pub address: SocketAddr,
    /// The backlog passed to `listen(2)`; what the kernel keeps is read from outside, through inet_diag.
    pub backlog: u32,
    /// Whether only health checks are served here.
    pub health_only: bool,
}

/// Said once, when the server listens and before the first accept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// The main listener first, or every socket of its `SO_REUSEPORT` group, those never accepted from last; then the
    /// health listener where there is one.
    pub listening: Vec<Listening>,
    /// The descriptor limits in force, after `raise_nofile` took its effect.
    pub nofile: Nofile,
    /// Descriptors open before the first connection, extra and reserved ones included.
    pub descriptors: u64,
}

/// What the server counted between its start and its end. Counts are of events, not of connections, unless they say so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetOutcome {
    /// Connections taken from an accept queue and kept.
    pub accepted: u64,
    /// Connections taken with the reserved descriptor and closed at once.
    pub shed: u64,
    /// Connections beyond `max-connections` that were closed at once, or kept and never read (then they count in `accepted` too).
    #[serde(default)]
    pub capped: u64,
    /// Times an accept loop came to rest at `max-connections` with somebody in its queue.
    #[serde(default)]
    pub waits_at_max: u64,
    /// Connections that the peer ended and that are never closed here.
    #[serde(default)]
    pub leaked: u64,
    /// Connections open now (at the end: open when it was told to stop), those never read and those leaked included.
    pub held: u64,
    /// The largest number of connections open at once.
    pub held_max: u64,
    /// Health checks answered with 200.
    pub health_answers: u64,
    /// Requests answered otherwise.
    pub other_answers: u64,
    /// Failures of `accept4` by errno name. `EAGAIN` is not a failure. `ENOSPC`, which `accept4` never gives, is a connection
    /// closed because the epoll set would not watch it (`fs.epoll.max_user_watches`).
    pub accept_errors: BTreeMap<String, u64>,
    /// Extra descriptors that could not be opened for a connection, by errno name; the connection was then closed.
    pub extra_fd_errors: BTreeMap<String, u64>,
    /// Whether the accept loop was left for good (`on-emfile = "stop-accepting"`).
    pub stopped_accepting: bool,
    /// Whether the server ended itself at a failing accept (`on-emfile = "exit"`).
    pub exited_on_emfile: bool,
}

impl TargetOutcome {
    /// Takes in what the next process of the same server counted: counts of events are added up, and what is open is the later one's.
    pub fn followed_by(&mut self, next: &Self) {
        self.accepted += next.accepted;
        self.shed += next.shed;
        self.capped += next.capped;
        self.waits_at_max += next.waits_at_max;
        self.leaked += next.leaked;
        self.held = next.held;
        self.held_max = self.held_max.max(next.held_max);
        self.health_answers += next.health_answers;
        self.other_answers += next.other_answers;
        for (all, more) in
            [(&mut self.accept_errors, &next.accept_errors), (&mut self.extra_fd_errors, &next.extra_fd_errors)]
        {
            for (name, count) in more {
                *all.entry(name.clone()).or_default() += count;
            }
        }
        self.stopped_accepting |= next.stopped_accepting;
        self.exited_on_emfile |= next.exited_on_emfile;
    }
}
