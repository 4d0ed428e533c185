//! The server as a whole: bind, say ready, run.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, pending};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use tokio::task::LocalSet;

use crate::accept::Acceptor;
use crate::error::TargetError;
use crate::limits::{nofile, raise_nofile};
use crate::listen::{listen, open_descriptors};
use crate::plan::{Accept, AcceptPause, OnEmfile, Plan};
use crate::report::{Outcome, Ready};
use crate::rest::{Rest, watch};
use crate::spare::{Reserve, SPARE_PATH, spare};
use crate::tally::Counters;

/// A server that listens. Its sockets live until it is dropped, so an [`Outcome`] can be sent on before thousands of them are closed.
#[derive(Debug)]
pub struct Server {
    plan: Plan,
    ready: Ready,
    listener: OwnedFd,
    health_listener: Option<OwnedFd>,
    reserve: Reserve,
    rest: Rc<Rest>,
}

impl Server {
    /// Raises the soft limit where the plan says so, then opens everything the server needs. From here on the kernel
    /// completes handshakes; nothing is accepted before [`Server::run`].
    ///
    /// Build the runtime first, so that its descriptors are among those that [`Ready`] counts.
    ///
    /// # Errors
    /// A limit that cannot be raised, an address that cannot be listened on, `/dev/null` that cannot be opened where the plan needs it.
    pub fn bind(plan: Plan) -> Result<Self, TargetError> {
        let nofile = if plan.raise_nofile { raise_nofile() } else { nofile() }.map_err(TargetError::Nofile)?;
        let rest = Rc::new(Rest::new(&plan)?);
        let reserve = reserve(&plan)?;

        let (listener, main) = listen(plan.listen, plan.backlog, false)?;
        let health = plan.health_listen.map(|address| listen(address, plan.backlog, true)).transpose()?;
        let (health_listener, health) = health.unzip();
        let listening = std::iter::once(main).chain(health).collect();

        let ready = Ready { listening, nofile, descriptors: open_descriptors()? };
        Ok(Self { plan, ready, listener, health_listener, reserve, rest })
    }

    /// What the server says of itself before the first accept.
    #[must_use]
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// A handle on the counters, to be read on this thread while [`Server::run`] is under way.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.rest.counters.clone()
    }

    /// Serves until `stop` is there, or until a failing accept ends the server (`on-emfile = "exit"`, told by
    /// [`Outcome::exited_on_emfile`]; the caller then ends the process with an error). Closes only the connections that are
    /// being answered: the others, and the listeners, stay open until the server is dropped. To be called once.
    ///
    /// `started` gives the start of the cell in nanoseconds of [`clock::monotonic_ns`](crate::clock::monotonic_ns), from
    /// which the pauses of the accept loop count; without it (`None`, or never) there are no pauses.
    ///
    /// Runs on the calling thread alone, within a tokio runtime that has its I/O and time drivers enabled.
    ///
    /// # Errors
    /// [`TargetError::Events`] when the event queue fails. Nothing that happens to single connections is an error.
    pub async fn run(
        &mut self,
        started: impl Future<Output = Option<u64>>,
        stop: impl Future<Output = ()>,
    ) -> Result<Outcome, TargetError> {
        let t0 = Cell::new(None);
        let clock = async {
            t0.set(started.await);
            pending::<Infallible>().await
        };
        let main = async {
            match self.plan.accept {
                Accept::Drain | Accept::OnePerWakeup => {
                    self.acceptor(&self.listener, self.plan.accept_pause, &t0).run().await
                }
                Accept::Dead => pending().await,
            }
        };
        let health = async {
            match &self.health_listener {
                Some(listener) => self.acceptor(listener, None, &t0).run().await,
                None => pending().await,
            }
        };
        // `stop` is asked first, at every turn of the loop: not even a spinning accept can starve it.
        let serving = async {
            tokio::select! {
                biased;
                () = stop => Ok(()),
                never = clock => match never {},
                failed = watch(&self.rest) => failed.map(|never| match never {}),
                ended = health => ended,
                ended = main => ended,
            }
        };
        LocalSet::new().run_until(serving).await?;
        Ok(self.rest.counters.snapshot())
    }

    fn acceptor<'a>(
        &'a self,
        listener: &'a OwnedFd,
        pause: Option<AcceptPause>,
        started: &'a Cell<Option<u64>>,
    ) -> Acceptor<'a> {
        Acceptor {
            listener: listener.as_fd(),
            rest: &self.rest,
            on_emfile: self.plan.on_emfile,
            reserve: &self.reserve,
            pause,
            started,
        }
    }
}

/// The reserve where the plan wants one. Also proves that connections can have their extra descriptors at all.
fn reserve(plan: &Plan) -> Result<Reserve, TargetError> {
    let reserve = Reserve::default();
    if plan.on_emfile == OnEmfile::ReserveFd || plan.extra_fds_per_connection > 0 {
        spare().map_err(|errno| TargetError::File { path: SPARE_PATH, source: errno.into() })?;
    }
    if plan.on_emfile == OnEmfile::ReserveFd {
        reserve.retake();
    }
    Ok(reserve)
}
