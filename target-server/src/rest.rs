//! Where idle connections rest: one epoll set and one slot each, no task and no timer.
//!
//! Each is armed once (`EPOLLONESHOT`), so a connection that woke stays in the set, disarmed, while a task has it,
//! and is armed again with a single call. Closing a descriptor takes it out of the set by itself.

use std::cell::RefCell;
use std::convert::Infallible;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use slab::Slab;

use crate::answer::converse;
use crate::error::TargetError;
use crate::plan::Plan;
use crate::readable::readable;
use crate::spare::spares;
use crate::tally::Counters;

/// What wakes a connection; `EPOLLERR` and `EPOLLHUP` come unasked.
const WAKES: epoll::EventFlags =
    epoll::EventFlags::IN.union(epoll::EventFlags::RDHUP).union(epoll::EventFlags::ONESHOT);
/// Most connections woken before other work has a turn: some hundred microseconds of it, 4 KiB of events.
const WAKES_PER_TURN: usize = 256;
/// `epoll_wait` only looks; the waiting is done by the runtime.
const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// What one connection costs: its socket and the descriptors that go with it.
#[derive(Debug)]
pub(crate) struct Connection {
    /// The accepted socket, non-blocking.
    pub(crate) socket: OwnedFd,
    /// `extra-fds-per-connection` descriptors that live as long as it.
    pub(crate) extra: Box<[OwnedFd]>,
}

/// Every connection that is open. A slot is empty while a task has its connection.
#[derive(Debug)]
pub(crate) struct Rest {
    epoll: OwnedFd,
    slots: RefCell<Slab<Option<Connection>>>,
    extra_fds: u32,
    /// The path that answers 200.
    pub(crate) health_path: String,
    /// What the server counts.
    pub(crate) counters: Counters,
}

impl Rest {
    /// An empty set.
    pub(crate) fn new(plan: &Plan) -> Result<Self, TargetError> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|errno| TargetError::Events(errno.into()))?;
        Ok(Self {
            epoll,
            slots: RefCell::default(),
            extra_fds: plan.extra_fds_per_connection,
            health_path: plan.health_path.clone(),
            counters: Counters::default(),
        })
    }

    /// Lays a connection just accepted to rest. One whose extra descriptors cannot be had, or that cannot be watched, is closed and counted.
    pub(crate) fn admit(&self, socket: OwnedFd) {
        let tally = &self.counters.0;
        let extra = match spares(self.extra_fds) {
            Ok(extra) => extra,
            Err(errno) => return tally.extra_fd_error(errno),
        };
        let mut slots = self.slots.borrow_mut();
        let slot = slots.vacant_entry();
        match epoll::add(&self.epoll, &socket, epoll::EventData::new_u64(slot.key() as u64), WAKES) {
            Ok(()) => {
                slot.insert(Some(Connection { socket, extra }));
                tally.kept();
            }
            Err(errno) => tally.accept_error(errno),
        }
    }

    /// Lays a connection to rest again after its request was answered.
    pub(crate) fn put_back(&self, key: usize, connection: Connection) {
        let data = epoll::EventData::new_u64(key as u64);
        match epoll::modify(&self.epoll, &connection.socket, data, WAKES) {
            Ok(()) => {
                if let Some(slot) = self.slots.borrow_mut().get_mut(key) {
                    *slot = Some(connection);
                }
            }
            Err(_gone) => {
                drop(connection);
                self.forget(key);
            }
        }
    }

    /// Frees the slot of a connection that is closed.
    pub(crate) fn forget(&self, key: usize) {
        if self.slots.borrow_mut().try_remove(key).is_some() {
            self.counters.0.left();
        }
    }

    fn take(&self, key: usize) -> Option<Connection> {
        self.slots.borrow_mut().get_mut(key).and_then(Option::take)
    }

    /// Closes what hung up and hands what speaks to a task of its own.
    fn woken(self: &Rc<Self>, key: usize, why: epoll::EventFlags) {
        let Some(connection) = self.take(key) else { return };
        if hung_up(&connection.socket, why) {
            drop(connection);
            self.forget(key);
        } else {
            tokio::task::spawn_local(converse(Rc::clone(self), key, connection));
        }
    }
}

/// Whether nothing can come any more. A peer that sent a request and then its FIN still wants the answer, so there the buffer is looked at.
fn hung_up(socket: &OwnedFd, why: epoll::EventFlags) -> bool {
    if why.intersects(epoll::EventFlags::HUP | epoll::EventFlags::ERR) {
        return true;
    }
    why.contains(epoll::EventFlags::RDHUP)
        && match recv(socket, &mut [0_u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Ok((_, received)) => received == 0,
            Err(errno) => errno != Errno::AGAIN,
        }
}

/// Waits for connections to wake, for as long as the server runs. Must run inside a `LocalSet`.
pub(crate) async fn watch(rest: &Rc<Rest>) -> Result<Infallible, TargetError> {
    let failed = TargetError::Events;
    // epoll sets nest: this one is readable when anything in it woke (epoll(7), "Questions and answers").
    let watched = readable(rest.epoll.as_fd()).map_err(failed)?;
    let mut events = Vec::with_capacity(WAKES_PER_TURN);
    loop {
        let mut ready = watched.readable().await.map_err(failed)?;
        match epoll::wait(&rest.epoll, spare_capacity(&mut events), Some(&AT_ONCE)) {
            Ok(woke) if woke < WAKES_PER_TURN => ready.clear_ready(),
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(failed(errno.into())),
        }
        for event in events.drain(..) {
            let (data, why) = (event.data, event.flags);
            rest.woken(data.u64() as usize, why);
        }
        tokio::task::yield_now().await;
    }
}
