//! Where idle connections rest: one epoll set and one slot each, no task and no timer.
//!
//! Each is armed once (`EPOLLONESHOT`), so a connection that woke stays in the set, disarmed, while a task has it,
//! and is armed again with a single call. Closing a descriptor takes it out of the set by itself.

use std::cell::RefCell;
use std::convert::Infallible;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use brimful_target_plan::leak::Leak;
use brimful_target_plan::wire::Site;
use brimful_target_plan::{AtMax, ExtraFd, TargetPlan};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use rustls::ServerConfig;
use slab::Slab;

use crate::answer::{AtOnce, at_once, converse};
use crate::cap::Cap;
use crate::certificate;
use crate::error::TargetError;
use crate::readable::readable;
use crate::spare::spares;
use crate::tally::Counters;

/// What wakes a connection that is ignored: its end. (Data that it sends is not read; the end comes all the same.)
const ENDS: epoll::EventFlags = epoll::EventFlags::RDHUP.union(epoll::EventFlags::ONESHOT);
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
    /// Whether it is beyond the cap, and never read.
    pub(crate) ignored: bool,
}

/// Every connection that is open. A slot is empty while a task has its connection.
#[derive(Debug)]
pub(crate) struct Rest {
    epoll: OwnedFd,
    slots: RefCell<Slab<Option<Connection>>>,
    extra_fds: u32,
    extra_fd_kind: ExtraFd,
    leak: Leak,
    /// How many are allowed.
    pub(crate) cap: Cap,
    /// How long answers are held back.
    pub(crate) answer_delay: Duration,
    /// What there is to be had.
    pub(crate) site: Site,
    /// What TLS is spoken with.
    pub(crate) tls: Option<Arc<ServerConfig>>,
    /// The service whose health is told over gRPC.
    pub(crate) grpc_service: Option<String>,
    /// What the server counts.
    pub(crate) counters: Counters,
}

impl Rest {
    /// An empty set, of a server that gives this document of consent.
    pub(crate) fn new(plan: &TargetPlan, consent: Option<String>) -> Result<Self, TargetError> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|errno| TargetError::Events(errno.into()))?;
        Ok(Self {
            epoll,
            slots: RefCell::default(),
            extra_fds: plan.extra_fds_per_connection,
            extra_fd_kind: plan.extra_fd_kind,
            leak: Leak::new(plan.leak_one_in),
            cap: Cap::new(plan),
            answer_delay: plan.answer_delay,
            site: Site { health_path: plan.health_path.clone(), consent },
            tls: plan.tls.then(|| certificate::config(plan.listen.ip())).transpose()?,
            grpc_service: plan.grpc_service.clone(),
            counters: Counters::default(),
        })
    }

    /// What is to become of one connection more; `None` when it is within the cap.
    pub(crate) fn beyond_cap(&self) -> Option<AtMax> {
        self.cap.beyond(self.counters.0.held())
    }

    /// Takes in a connection just accepted: lays it to rest, or does with it what is to be done beyond the cap. One whose
    /// extra descriptors cannot be had, or that cannot be watched, is closed and counted.
    pub(crate) fn admit(&self, socket: OwnedFd) {
        match self.beyond_cap() {
            None | Some(AtMax::Wait) => self.welcome(socket),
            Some(AtMax::Close) => {
                drop(socket);
                self.counters.0.capped();
            }
            Some(AtMax::Ignore) => {
                if self.lay(Connection { socket, extra: Box::default(), ignored: true }, ENDS) {
                    self.cap.ignores();
                    self.counters.0.capped();
                }
            }
        }
    }

    fn welcome(&self, socket: OwnedFd) {
        match spares(self.extra_fds, self.extra_fd_kind) {
            Ok(extra) => {
                self.lay(Connection { socket, extra, ignored: false }, WAKES);
            }
            Err(errno) => self.counters.0.extra_fd_error(errno),
        }
    }

    /// Gives a connection a slot, to be woken by `wakes`; `false` when it cannot be watched, and is closed.
    fn lay(&self, connection: Connection, wakes: epoll::EventFlags) -> bool {
        let tally = &self.counters.0;
        let mut slots = self.slots.borrow_mut();
        let slot = slots.vacant_entry();
        let data = epoll::EventData::new_u64(slot.key() as u64);
        match epoll::add(&self.epoll, &connection.socket, data, wakes) {
            Ok(()) => {
                slot.insert(Some(connection));
                tally.kept();
                true
            }
            Err(errno) => {
                tally.accept_error(errno);
                false
            }
        }
    }

    /// Lays a connection to rest again after its request was answered.
    pub(crate) fn put_back(&self, key: usize, connection: Connection) {
        let data = epoll::EventData::new_u64(key as u64);
        match epoll::modify(&self.epoll, &connection.socket, data, WAKES) {
            Ok(()) => self.fill(key, connection),
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
            self.cap.left();
        }
    }

    /// Closes a connection that its peer ended, or leaves it as it is for good. It is disarmed, so that nothing wakes it any more.
    pub(crate) fn ended(&self, key: usize, connection: Connection) {
        if self.leak.picks() {
            self.fill(key, connection);
            self.counters.0.leaked();
        } else {
            drop(connection);
            self.forget(key);
        }
    }

    fn fill(&self, key: usize, connection: Connection) {
        if let Some(slot) = self.slots.borrow_mut().get_mut(key) {
            *slot = Some(connection);
        }
    }

    fn take(&self, key: usize) -> Option<Connection> {
        self.slots.borrow_mut().get_mut(key).and_then(Option::take)
    }

    /// Closes what hung up, answers what asks in one piece, and hands whatever else speaks to a task of its own.
    fn woken(self: &Rc<Self>, key: usize, why: epoll::EventFlags) {
        let Some(connection) = self.take(key) else { return };
        if connection.ignored {
            drop(connection);
            self.cap.ignored_left();
            return self.forget(key);
        }
        match sign(&connection.socket, why) {
            Sign::Speech => match at_once(&connection.socket, self) {
                AtOnce::Answered => self.put_back(key, connection),
                AtOnce::Talk(head) => {
                    tokio::task::spawn_local(converse(Rc::clone(self), key, connection, head));
                }
                AtOnce::Ended => self.ended(key, connection),
                AtOnce::Broken => {
                    drop(connection);
                    self.forget(key);
                }
            },
            Sign::End => self.ended(key, connection),
            Sign::Break => {
                drop(connection);
                self.forget(key);
            }
        }
    }
}

/// Why a connection woke.
enum Sign {
    /// There is something to read.
    Speech,
    /// The peer ended it in good order, and everything before the end is read.
    End,
    /// It was reset, or failed.
    Break,
}

/// A peer that sent a request and then its FIN still wants the answer, so there the buffer is looked at.
fn sign(socket: &OwnedFd, why: epoll::EventFlags) -> Sign {
    if why.intersects(epoll::EventFlags::HUP | epoll::EventFlags::ERR) {
        return Sign::Break;
    }
    if !why.contains(epoll::EventFlags::RDHUP) {
        return Sign::Speech;
    }
    match recv(socket, &mut [0_u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Ok((_, 0)) => Sign::End,
        Ok(_) | Err(Errno::AGAIN) => Sign::Speech,
        Err(_) => Sign::Break,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_is_small() {
        assert_eq!(size_of::<Option<Connection>>(), 24);
    }
}
