//! The load itself: opens a shard's connections at their intended instants and holds them, closes them when their time
//! is over, has them talk, or begins them anew when they are gone ([`brimful_loadgen_plan::plan::Behaviour`], [`brimful_loadgen_plan::plan::Comeback`]).
//!
//! One thread, one epoll and about [`BYTES_PER_CONNECTION`] bytes of user memory for each connection, so that a
//! generator of 20,000 weighs less than the server it measures; churn takes 16 bytes more, half-open 8, one that talks about 70
//! ([`BYTES_PER_TALKER`] and its entry in a map), and one that is silent beside it nothing. It never stops at a failure: every errno is counted by
//! phase, because under load the errno is the diagnosis. It judges nothing.

mod answer;
mod disconnected;
mod exchange;
mod lifetimes;
mod renewals;
mod schedule;
mod shard;
mod socket;
mod storm;
mod table;
mod tally;
mod timeline;
mod waiter;
mod wheel;

use std::io;

use rustix::fd::{AsFd as _, BorrowedFd};

use brimful_loadgen_plan::address::{AddressError, Planner};
use brimful_loadgen_plan::outcome::{LoadOutcome, LoadPoint};
use brimful_loadgen_plan::plan::LoadPlan;

pub use disconnected::TRIES_MOST;
pub use exchange::BYTES_PER_TALKER;
pub use renewals::RENEWALS_EACH;
use shard::Shard;
pub use table::BYTES_PER_CONNECTION;
use table::Table;
use waiter::Waiter;

/// When a load starts and ends, in nanoseconds of the clock that all processes share
/// ([`brimful_target::clock::monotonic_ns`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The start of the cell: the intended instants and every instant of the outcome count from here. It may lie in
    /// the future, then opening waits for it, or in the past, then the first connections are late and `lag` says so.
    pub t0_ns: u64,
    /// When to stop by itself; `None` waits for the stop descriptor alone.
    pub hold_until_ns: Option<u64>,
}

/// A load that has ended, with its connections still open.
///
/// Closing many connections takes the kernel real time (12,000 take about 0.1 s), so it is left to whoever drops
/// `connections`: report first, then drop or exit.
#[derive(Debug)]
#[must_use = "dropping it closes every connection"]
pub struct Held {
    /// What the shard came to.
    pub outcome: LoadOutcome,
    /// The sockets: every held connection, and every one still in its handshake.
    pub connections: Connections,
}

/// The open sockets of a shard. Dropping it closes them all.
#[derive(Debug)]
pub struct Connections {
    open: u64,
    _table: Table,
    _waiter: Waiter,
}

impl Connections {
    /// How many were open at the end of the load: held, or still in their handshake.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.open
    }
}

/// A shard that could not begin, or lost what it stands on. A connection that fails is never an error: it is counted.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The plan does not work out.
    #[error("the load's addresses do not work out")]
    Address(#[from] AddressError),
    /// There is no memory for the table of connections.
    #[error("no memory for {connections} connections\nhint: use more shards, or fewer connections")]
    Memory {
        /// How many the shard was to open.
        connections: u64,
        /// What the allocator says.
        #[source]
        source: std::collections::TryReserveError,
    },
    /// The kernel refuses what the loop runs on: `epoll_create1(2)`, `timerfd_create(2)` or `epoll_ctl(2)` on the
    /// stop descriptor (`EPERM` for a regular file).
    #[error("cannot set up the load's event loop: {call}\nhint: raise the descriptor limit above what is open")]
    SetUp {
        /// The system call.
        call: &'static str,
        /// Its errno.
        #[source]
        source: io::Error,
    },
    /// `epoll_wait(2)` or `timerfd_settime(2)` failed in the middle of a load.
    #[error("the load's event loop broke: {call}")]
    Wait {
        /// The system call.
        call: &'static str,
        /// Its errno.
        #[source]
        source: io::Error,
    },
}

/// What a word that has come asks of a running load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Open no more than there are, and go on with those.
    Enough,
    /// End.
    End,
}

/// Opens the connections of one shard and holds them until the schedule ends or `stop` becomes ready: readable,
/// hung up or in error, as a pipe does when its writer says a word or dies. Nothing is read from `stop`.
///
/// `on_point` is called about every 100 ms, when the last planned connection was attempted, and once at the end; it runs between two system calls of the load, so
/// it should be brief. Stopping within the ramp leaves `attempted` below `requested`.
///
/// A failure in the phase `connect` makes a half-open connection begin anew; one of the generator's own (`socket`,
/// `bind`) does not, nor does the end of one that was established after all. Where connections come back, both of the latter do too, but
/// for the generator's own failure at a first opening.
///
/// The thread is blocked for the whole time. The descriptor limit is used as it is found: raise it before.
///
/// # Errors
/// When the plan does not work out, memory or the kernel refuse the set-up, or waiting itself fails.
pub fn run_shard(
    plan: &LoadPlan,
    shard: u32,
    schedule: Schedule,
    stop: BorrowedFd<'_>,
    on_point: impl FnMut(LoadPoint),
) -> Result<Held, LoadError> {
    run_shard_hearing(plan, shard, schedule, stop, || Word::End, on_point)
}

/// The same for a load that can be told [`Word::Enough`]: each time `words` is ready, `hear` is asked which word came.
/// It must take all that is to be read, or the same word is heard again. After *enough* `attempted` stays below
/// `requested`; everything else goes on, the closing and renewing of what is there too.
///
/// # Errors
/// As [`run_shard`].
pub fn run_shard_hearing(
    plan: &LoadPlan,
    shard: u32,
    schedule: Schedule,
    words: BorrowedFd<'_>,
    mut hear: impl FnMut() -> Word,
    on_point: impl FnMut(LoadPoint),
) -> Result<Held, LoadError> {
    let planner = Planner::new(plan)?;
    if shard >= plan.shards {
        return Err(AddressError::NoSuchShard { shard, shards: plan.shards }.into());
    }
    let mut load = Shard::new(plan, &planner, shard, schedule, words, on_point)?;
    while load.run()? && hear() == Word::Enough {
        load.open_no_more();
    }
    Ok(load.finish())
}

/// Goes through a load like the plan's with no connection in it, and gives its empty outcome. A process that has done so finds its own pages
/// in memory: what faults they cost is neither the lag of its first connections nor counted as memory of any.
///
/// # Errors
/// As [`run_shard`].
pub fn rehearse(plan: &LoadPlan) -> Result<LoadOutcome, LoadError> {
    let failed = |source: rustix::io::Errno| LoadError::SetUp { call: "pipe2", source: source.into() };
    let (stop, _writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(failed)?;
    let nothing = LoadPlan { connections: 0, ..plan.clone() };
    let schedule = Schedule { t0_ns: 0, hold_until_ns: Some(0) };
    Ok(run_shard(&nothing, 0, schedule, stop.as_fd(), |_| ())?.outcome)
}

#[cfg(test)]
mod tests;
