//! The accept loop of one listener, and what it does when `accept4` fails.

use std::cell::Cell;
use std::future::pending;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use brimful_target_plan::pace::Pace;
use brimful_target_plan::{AcceptPause, AtMax, OnEmfile};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};

use crate::clock::monotonic_ns;
use crate::error::TargetError;
use crate::idle_set::Rest;
use crate::readable::readable;
use crate::refusal::{Backoff, Refusal, classify};
use crate::spare::Reserve;
use crate::started::Started;

/// Most connections accepted before answering has a turn: about a millisecond of accepting, so that a long queue does
/// not show up as latency of the health check on connections already open. (Measured: 3.2 to 4.8 µs each, epoll_ctl
/// included, within a tenth of the bare system calls.)
const ACCEPTS_PER_TURN: usize = 256;

/// One listener, and how its queue is emptied.
pub(crate) struct Acceptor<'a> {
    /// The listening socket, non-blocking.
    pub(crate) listener: BorrowedFd<'a>,
    /// Where accepted connections go.
    pub(crate) rest: &'a Rest,
    /// What to do at `EMFILE` and `ENFILE`.
    pub(crate) on_emfile: OnEmfile,
    /// The descriptor to give up, for [`OnEmfile::ReserveFd`].
    pub(crate) reserve: &'a Reserve,
    /// Whether everybody else has a turn after each accept.
    pub(crate) one_per_turn: bool,
    /// How fast it may accept, together with whoever else has this pace.
    pub(crate) pace: Option<&'a Cell<Pace>>,
    /// The pauses of this loop.
    pub(crate) pause: Option<AcceptPause>,
    /// The start of the cell, from which they count.
    pub(crate) started: &'a Started,
}

/// What the loop does next.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// Wait until the listener is readable anew.
    Await,
    /// Go on at once, after others had their turn.
    Again,
    /// Let this time pass first.
    Sleep(Duration),
    /// Wait until a connection is closed.
    Room,
    /// Never accept again.
    Leave,
    /// End the server.
    Exit,
}

/// What came of giving up the reserve.
enum Shed {
    /// One connection was accepted and closed.
    One,
    /// The queue was empty after all.
    Nothing,
    /// There is no reserve, or its number did not help.
    InVain,
}

impl Acceptor<'_> {
    /// Accepts for as long as the server runs; returns when the server is to end itself.
    pub(crate) async fn run(self) -> Result<(), TargetError> {
        let failed = TargetError::Events;
        let watched = readable(self.listener).map_err(failed)?;
        let mut backoff = Backoff::default();
        loop {
            let mut ready = watched.readable().await.map_err(failed)?;
            if let Some(left) = self.started.left_of(self.pause) {
                tokio::time::sleep(left).await;
                continue;
            }
            match self.turn(&mut backoff) {
                Next::Await => ready.clear_ready(),
                Next::Again => self.let_others().await,
                Next::Sleep(wait) => tokio::time::sleep(wait).await,
                Next::Room => self.rest.cap.room().await,
                Next::Leave => pending().await,
                Next::Exit => return Ok(()),
            }
        }
    }

    /// Lets everything else that is ready have its turn.
    async fn let_others(&self) {
        if self.one_per_turn {
            // This loop is polled again for whatever wakes the server, `yield_now` or not. A task stands in the queue with the
            // others: it runs after all that was ready before it, and once more after the runtime has looked for what is new.
            // It does not fail: nobody aborts it and it cannot panic.
            tokio::task::spawn_local(tokio::task::yield_now()).await.ok();
        } else {
            tokio::task::yield_now().await;
        }
    }

    /// Accepts until the queue is empty, something is in the way, or others are due.
    fn turn(&self, backoff: &mut Backoff) -> Next {
        if self.on_emfile == OnEmfile::ReserveFd {
            // Lost when its number was taken or lay above a lowered limit: what is free now goes to the reserve first.
            self.reserve.retake();
        }
        let most = if self.one_per_turn { 1 } else { ACCEPTS_PER_TURN };
        for _ in 0..most {
            if let Some(next) = self.restrained() {
                return next;
            }
            match accept_with(self.listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(socket) => {
                    self.advance(Pace::took);
                    backoff.reset();
                    self.rest.admit(socket);
                }
                Err(Errno::AGAIN) => {
                    self.advance(Pace::idle);
                    return Next::Await;
                }
                Err(errno) => {
                    self.advance(Pace::took);
                    self.rest.counters.0.accept_error(errno);
                    match classify(errno) {
                        Refusal::Transient => {}
                        Refusal::Lasting => return Next::Sleep(backoff.next()),
                        Refusal::Exhausted => {
                            if let Some(next) = self.exhausted(backoff) {
                                return next;
                            }
                        }
                    }
                }
            }
        }
        Next::Again
    }

    /// What the program's own cap and pace have the loop do instead of accepting.
    fn restrained(&self) -> Option<Next> {
        if self.rest.beyond_cap() == Some(AtMax::Wait) {
            if queue_is_empty(self.listener) {
                return Some(Next::Await);
            }
            self.rest.counters.0.waits_at_max();
            return Some(Next::Room);
        }
        self.pace?.get().wait(monotonic_ns()).map(Next::Sleep)
    }

    fn advance(&self, step: fn(&mut Pace, u64)) {
        if let Some(shared) = self.pace {
            let mut pace = shared.get();
            step(&mut pace, monotonic_ns());
            shared.set(pace);
        }
    }

    /// The reaction to `EMFILE` and `ENFILE`; `None` when it made room and the turn goes on.
    ///
    /// The errno comes with an empty queue too. A level-triggered loop then waits in `epoll_wait` and so does `Spin`;
    /// programs that do not look (`Sleep`, `Exit`, `StopAccepting`) react all the same, as the originals do.
    fn exhausted(&self, backoff: &mut Backoff) -> Option<Next> {
        let tally = &self.rest.counters.0;
        match self.on_emfile {
            OnEmfile::Spin => Some(if queue_is_empty(self.listener) { Next::Await } else { Next::Again }),
            OnEmfile::Sleep => Some(Next::Sleep(backoff.next())),
            OnEmfile::ReserveFd => match self.shed() {
                Shed::One => {
                    backoff.reset();
                    None
                }
                Shed::Nothing => Some(Next::Await),
                Shed::InVain => Some(Next::Sleep(backoff.next())),
            },
            OnEmfile::Exit => {
                tally.exited_on_emfile();
                Some(Next::Exit)
            }
            OnEmfile::StopAccepting => {
                tally.stopped_accepting();
                Some(Next::Leave)
            }
        }
    }

    /// Gives up the reserve, accepts, closes, takes the reserve again.
    fn shed(&self) -> Shed {
        if !self.reserve.retake() {
            return Shed::InVain;
        }
        self.reserve.give_up();
        let taken = accept_with(self.listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK);
        let came = match taken {
            Ok(socket) => {
                drop(socket);
                self.rest.counters.0.shed();
                Shed::One
            }
            Err(Errno::AGAIN) => Shed::Nothing,
            Err(errno) => {
                self.rest.counters.0.accept_error(errno);
                Shed::InVain
            }
        };
        // Should this fail, the next turn or the next EMFILE tries again, and waits where it must.
        self.reserve.retake();
        came
    }
}

/// Whether nothing waits in the accept queue. `accept4` cannot tell at `EMFILE`: it takes the descriptor number first.
fn queue_is_empty(listener: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::from_borrowed_fd(listener, PollFlags::IN)];
    matches!(poll(&mut polled, Some(&Timespec::default())), Ok(0))
}
