//! Where a shard sleeps: one epoll over its sockets, its timer and the stop descriptor.
//!
//! Instants are waited for with a timerfd, not with epoll's own time-out: rustix rounds that up to milliseconds where
//! it must still run on kernels before `epoll_pwait2(2)` (5.11), which would turn a pace of 4,000 a second into bursts
//! of four. A timerfd is exact, has no timer slack (`fs/timerfd.c` starts a plain hrtimer) and is everywhere.

use std::io;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use super::{LoadError, table};

/// The most events taken at once: 3 KB of buffer, and more than one batch of openings completes.
pub(super) const EVENTS: usize = 256;

/// What a socket in its handshake is watched for: its end (`OUT`), and all that a held one is watched for. With the
/// edge-triggered flag `OUT` is reported once and never again (nothing is ever sent), so the interest need not be
/// changed afterwards: one `epoll_ctl(2)` for the whole life of a connection.
const HANDSHAKE: EventFlags = HELD.union(EventFlags::OUT);

/// What a held socket is watched for: data, and the peer's close or reset (`ERR` and `HUP` are always reported).
const HELD: EventFlags = EventFlags::IN.union(EventFlags::RDHUP).union(EventFlags::ET);

const STOP: u64 = u64::MAX;
const TIMER: u64 = u64::MAX - 1;

/// One thing that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happened {
    /// The stop descriptor is ready.
    Stop,
    /// The instant waited for has come.
    Time,
    /// A socket, by its descriptor number, with what epoll says of it.
    Socket(usize, EventFlags),
}

/// An epoll with a timer.
#[derive(Debug)]
pub(super) struct Waiter {
    epoll: OwnedFd,
    timer: OwnedFd,
    /// The instant the timer is set to, to save the call when it stays the same.
    armed_ns: u64,
}

impl Waiter {
    /// An epoll that watches `stop` for readiness, hang-up and errors.
    ///
    /// # Errors
    /// When the kernel refuses one of the calls, such as `EMFILE`, or `EPERM` for a `stop` that cannot be polled.
    pub(super) fn new(stop: BorrowedFd<'_>) -> Result<Self, LoadError> {
        let set_up = |call| move |errno: Errno| LoadError::SetUp { call, source: errno.into() };
        let epoll = epoll::create(CreateFlags::CLOEXEC).map_err(set_up("epoll_create1"))?;
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)
            .map_err(set_up("timerfd_create"))?;
        let stop_flags = EventFlags::IN | EventFlags::PRI | EventFlags::RDHUP;
        epoll::add(&epoll, stop, EventData::new_u64(STOP), stop_flags).map_err(set_up("epoll_ctl of stop"))?;
        // Edge-triggered, so the expiry need not be read; setting the timer anew clears it.
        epoll::add(&epoll, timer.as_fd(), EventData::new_u64(TIMER), EventFlags::IN | EventFlags::ET)
            .map_err(set_up("epoll_ctl of timer"))?;
        Ok(Self { epoll, timer, armed_ns: 0 })
    }

    /// Watches a socket for as long as it is open; `in_handshake` while its connection is not established.
    ///
    /// # Errors
    /// `ENOSPC` above `fs.epoll.max_user_watches`, `ENOMEM`.
    pub(super) fn watch(&self, socket: BorrowedFd<'_>, in_handshake: bool) -> Result<(), Errno> {
        // A descriptor number is far below the two reserved values.
        let data = EventData::new_u64(table::index(socket) as u64);
        epoll::add(&self.epoll, socket, data, if in_handshake { HANDSHAKE } else { HELD })
    }

    /// Fills `events` with what has happened, waiting for it until `until_ns` of the common clock; not at all when
    /// that is not after `now_ns`. A signal ends the wait early, with nothing.
    ///
    /// # Errors
    /// When `timerfd_settime(2)` or `epoll_wait(2)` fail, which only a broken descriptor can cause.
    pub(super) fn wait(&mut self, until_ns: u64, now_ns: u64, events: &mut Vec<Event>) -> Result<(), LoadError> {
        let broke = |call| move |errno: Errno| LoadError::Wait { call, source: io::Error::from(errno) };
        let time_out = if until_ns <= now_ns {
            Some(Timespec::default())
        } else {
            self.arm(until_ns).map_err(broke("timerfd_settime"))?;
            None
        };
        events.clear();
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(events), time_out.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(broke("epoll_wait")(errno)),
        }
    }

    fn arm(&mut self, at_ns: u64) -> Result<(), Errno> {
        if self.armed_ns == at_ns {
            return Ok(());
        }
        let it_value = timespec(at_ns);
        let once = Itimerspec { it_interval: Timespec::default(), it_value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &once)?;
        self.armed_ns = at_ns;
        Ok(())
    }
}

/// What an event of [`Waiter::wait`] means.
pub(super) fn happened(event: Event) -> Happened {
    let (data, flags) = (event.data, event.flags);
    match data.u64() {
        STOP => Happened::Stop,
        TIMER => Happened::Time,
        number => Happened::Socket(usize::try_from(number).unwrap_or(usize::MAX), flags),
    }
}

fn timespec(ns: u64) -> Timespec {
    // 2^64 ns are 1.8e10 s and the remainder is below 1e9, so both fit.
    Timespec {
        tv_sec: i64::try_from(ns / 1_000_000_000).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(ns % 1_000_000_000).unwrap_or(0),
    }
}
