//! The server as a whole: bind, say ready, run.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, pending, poll_fn};
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use brimful_target_plan::pace::Pace;
use brimful_target_plan::{Accept, OnEmfile, Ready, TargetOutcome, TargetPlan};
use tokio::task::LocalSet;

use crate::accept::Acceptor;
use crate::block::unless_blocked;
use crate::error::TargetError;
use crate::idle_set::{Rest, watch};
use crate::limits::{nofile, raise_nofile};
use crate::listen::{listen, listen_main, open_descriptors};
use crate::spare::{Reserve, SPARE_PATH, spare};
use crate::started::Started;
use crate::tally::Counters;

/// A server that listens. Its sockets live until it is dropped, so an [`TargetOutcome`] can be sent on before thousands of them are closed.
#[derive(Debug)]
pub struct Server {
    plan: TargetPlan,
    ready: Ready,
    /// One, or a `SO_REUSEPORT` group with those never accepted from at its end.
    listeners: Vec<OwnedFd>,
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
    /// A plan that contradicts itself, a limit that cannot be raised, an address that cannot be listened on, `/dev/null` that cannot be opened where the plan needs it.
    pub fn bind(plan: TargetPlan) -> Result<Self, TargetError> {
        Self::bind_consenting(plan, None)
    }

    /// [`Server::bind`], with a document that is given to whoever asks for it at [`CONSENT_PATH`](brimful_target_plan::wire::CONSENT_PATH): what may load
    /// this server, and until when. What it says is not looked at here.
    ///
    /// # Errors
    /// As [`Server::bind`].
    pub fn bind_consenting(plan: TargetPlan, consent: Option<String>) -> Result<Self, TargetError> {
        plan.check()?;
        let nofile = if plan.raise_nofile { raise_nofile() } else { nofile() }.map_err(TargetError::Nofile)?;
        let rest = Rc::new(Rest::new(&plan, consent)?);
        let reserve = reserve(&plan)?;

        let (listeners, mut listening) = listen_main(&plan)?;
        let health = plan.health_listen.map(|address| listen(address, plan.backlog, true)).transpose()?;
        let (health_listener, health) = health.unzip();
        listening.extend(health);

        let ready = Ready { listening, nofile, descriptors: open_descriptors()? };
        Ok(Self { plan, ready, listeners, health_listener, reserve, rest })
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
    /// [`TargetOutcome::exited_on_emfile`]; the caller then ends the process with an error). Closes only the connections that are
    /// being answered: the others, and the listeners, stay open until the server is dropped. To be called once.
    ///
    /// `started` gives the start of the cell in nanoseconds of [`clock::monotonic_ns`](crate::clock::monotonic_ns), from
    /// which the pauses of the accept loop and the blocks of the event loop count; without it (`None`, or never) there are no pauses.
    ///
    /// Runs on the calling thread alone, within a tokio runtime that has its I/O and time drivers enabled.
    ///
    /// # Errors
    /// [`TargetError::Events`] when the event queue fails. Nothing that happens to single connections is an error.
    pub async fn run(
        &mut self,
        started: impl Future<Output = Option<u64>>,
        stop: impl Future<Output = ()>,
    ) -> Result<TargetOutcome, TargetError> {
        let t0 = Started::default();
        let pace = self.plan.accept_rate.map(|rate| Cell::new(Pace::new(rate)));
        let clock = async {
            t0.at(started.await);
            pending::<Infallible>().await
        };
        let main = async {
            let one_per_turn = match self.plan.accept {
                Accept::Drain => false,
                Accept::OnePerWakeup => true,
                Accept::Dead => pending().await,
            };
            let stuck = usize::try_from(self.plan.reuseport_stuck).unwrap_or(usize::MAX);
            let (pause, pace) = (self.plan.accept_pause, pace.as_ref());
            let served = self.listeners.iter().take(self.listeners.len().saturating_sub(stuck));
            let loops = served
                .map(|listener| Box::pin(Acceptor { one_per_turn, pace, pause, ..self.acceptor(listener, &t0) }.run()));
            first_to_end(loops.collect()).await
        };
        let health = async {
            match &self.health_listener {
                Some(listener) => self.acceptor(listener, &t0).run().await,
                None => pending().await,
            }
        };
        let tasks = LocalSet::new();
        let serving = tasks.run_until(async {
            tokio::select! {
                biased;
                never = clock => match never {},
                failed = watch(&self.rest) => failed.map(|never| match never {}),
                ended = health => ended,
                ended = main => ended,
            }
        });
        unless_blocked(serving, || t0.left_of(self.plan.block), stop).await.unwrap_or(Ok(()))?;
        Ok(self.rest.counters.snapshot())
    }

    /// A loop that drains its queue as fast as it goes.
    fn acceptor<'a>(&'a self, listener: &'a OwnedFd, started: &'a Started) -> Acceptor<'a> {
        Acceptor {
            listener: listener.as_fd(),
            rest: &self.rest,
            on_emfile: self.plan.on_emfile,
            reserve: &self.reserve,
            one_per_turn: false,
            pace: None,
            pause: None,
            started,
        }
    }
}

/// What the first of these futures to end says.
async fn first_to_end<F: Future>(mut all: Vec<Pin<Box<F>>>) -> F::Output {
    poll_fn(|context| {
        for each in &mut all {
            if let Poll::Ready(said) = each.as_mut().poll(context) {
                return Poll::Ready(said);
            }
        }
        Poll::Pending
    })
    .await
}

/// The reserve where the plan wants one. Also proves that connections can have their extra descriptors at all.
fn reserve(plan: &TargetPlan) -> Result<Reserve, TargetError> {
    let reserve = Reserve::default();
    if plan.on_emfile == OnEmfile::ReserveFd || plan.extra_fds_per_connection > 0 {
        spare().map_err(|errno| TargetError::File { path: SPARE_PATH, source: errno.into() })?;
    }
    if plan.on_emfile == OnEmfile::ReserveFd {
        reserve.retake();
    }
    Ok(reserve)
}
