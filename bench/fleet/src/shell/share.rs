//! This machine's share of the load, beside the thread in which the fleet speaks.

use std::net::SocketAddr;
use std::rc::Rc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use brimful_live::interrupt::{Interrupt, LOOK, StopSignal};
use brimful_live::message::Failed;
use brimful_live::standalone::{self, Conductor};
use brimful_loadgen_plan::outcome::{LoadOutcome, LoadPoint};
use brimful_loadgen_plan::plan::LoadPlan;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::LocalSet;

use super::{Link, News, Order, Tcp, gather, join};
use crate::account::Gathered;
use crate::gatherer::Own;
use crate::member::End;
use crate::{FleetPlan, Windows};

/// A fleet's end in a thread of its own, and the way to it.
#[derive(Debug)]
pub struct Fleet<T> {
    thread: JoinHandle<Result<T, Failed>>,
    news: UnboundedSender<News>,
    orders: UnboundedReceiver<Order>,
    interrupt: Interrupt,
    signalled: bool,
}

impl Fleet<Gathered> {
    /// Begins to gather.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn gather(
        at: SocketAddr,
        plans: (FleetPlan, Windows),
        interrupt: Interrupt,
        tell: fn(&str),
    ) -> Result<Self, Failed> {
        Self::begin(interrupt, move |runtime, link| {
            let gathered = LocalSet::new().block_on(runtime, gather(Rc::new(Tcp), at, plans, link, tell));
            gathered.map_err(|error| Failed {
                what: format!("cannot gather at {at}: {error}"),
                hint: Some("choose another place with --fleet-listen".to_owned()),
                machine: true,
            })
        })
    }
}

impl Fleet<End> {
    /// Begins to take part.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn join(
        gatherer: SocketAddr,
        index: u32,
        plans: (FleetPlan, Windows),
        interrupt: Interrupt,
    ) -> Result<Self, Failed> {
        Self::begin(interrupt, move |runtime, link| {
            Ok(LocalSet::new().block_on(runtime, join(Rc::new(Tcp), gatherer, index, plans, link)))
        })
    }
}

impl<T: Send + 'static> Fleet<T> {
    fn begin(
        interrupt: Interrupt,
        work: impl FnOnce(&tokio::runtime::Runtime, Link) -> Result<T, Failed> + Send + 'static,
    ) -> Result<Self, Failed> {
        let refused = |what: &str, error: std::io::Error| Failed {
            what: format!("cannot {what}: {error}"),
            hint: None,
            machine: true,
        };
        let (news, heard) = unbounded_channel();
        let (told, orders) = unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| refused("start a runtime", error))?;
        let thread = thread::Builder::new()
            .name("fleet".to_owned())
            .spawn(move || work(&runtime, Link { orders: told, news: heard }))
            .map_err(|error| refused("start a thread", error))?;
        Ok(Self { thread, news, orders, interrupt, signalled: false })
    }

    /// Says that the share cannot be done, and why.
    pub fn fail(&self, what: String) {
        self.tell(Own::Failed(what));
    }

    /// Opens and holds the share when the fleet says so; what it came to, or nothing when it never began. `show` is for people.
    ///
    /// # Errors
    /// When a shard cannot be started, or breaks; the fleet has been told.
    pub fn load(
        &mut self,
        plan: &LoadPlan,
        duration: Duration,
        show: impl FnMut(LoadPoint),
    ) -> Result<Option<LoadOutcome>, Failed> {
        let mut conductor = Conducted { fleet: self, t0_ns: None, ready: false, stopped: false, show };
        let loaded = standalone::load(plan, duration, &mut conductor);
        let began = conductor.t0_ns.is_some();
        match loaded {
            Ok(outcome) if began => {
                self.tell(Own::Done(Box::new(outcome.clone())));
                Ok(Some(outcome))
            }
            Ok(_) => Ok(None),
            Err(failed) => {
                self.fail(failed.to_string());
                Err(failed)
            }
        }
    }

    /// Waits for the fleet's end, which has a bound.
    ///
    /// # Errors
    /// What the end came to.
    pub fn end(mut self) -> Result<T, Failed> {
        while !self.thread.is_finished() {
            self.relay();
            thread::sleep(LOOK);
        }
        self.thread.join().unwrap_or_else(|_panic| {
            Err(Failed { what: "the fleet's thread broke".to_owned(), hint: None, machine: false })
        })
    }

    /// Tells the fleet of a signal, once.
    fn relay(&mut self) {
        if let Some(signal) = self.interrupt.seen().filter(|_| !self.signalled) {
            self.signalled = true;
            let name = match signal {
                StopSignal::Interrupt => "SIGINT",
                StopSignal::Terminate => "SIGTERM",
            };
            self.news.send(News::Signal(name.to_owned())).ok();
        }
    }

    fn tell(&self, own: Own) {
        // A fleet that has ended hears nothing, and has said so by its orders.
        self.news.send(News::Own(own)).ok();
    }
}

/// A share that begins and ends when the fleet says so.
struct Conducted<'a, T, S> {
    fleet: &'a mut Fleet<T>,
    t0_ns: Option<u64>,
    ready: bool,
    stopped: bool,
    show: S,
}

impl<T: Send + 'static, S> Conducted<'_, T, S> {
    fn listen(&mut self) {
        self.fleet.relay();
        loop {
            match self.fleet.orders.try_recv() {
                Ok(Order::Start { t0_ns }) => self.t0_ns = Some(t0_ns),
                Ok(Order::Stop) => self.stopped = true,
                Err(error) => {
                    self.stopped |= error == tokio::sync::mpsc::error::TryRecvError::Disconnected;
                    return;
                }
            }
        }
    }
}

impl<T: Send + 'static, S: FnMut(LoadPoint)> Conductor for Conducted<'_, T, S> {
    fn start(&mut self) -> Option<u64> {
        if !self.ready {
            self.ready = true;
            self.fleet.tell(Own::Ready);
        }
        self.listen();
        self.t0_ns
    }

    fn stopped(&mut self) -> bool {
        self.listen();
        self.stopped
    }

    fn point(&mut self, point: LoadPoint) {
        self.fleet.tell(Own::Point(point));
        (self.show)(point);
    }
}
