//! The loop of one shard: open what is due, look at what happened, sleep until the next instant.

use brimful_loadgen_plan::address::{Endpoint, Planner};
use brimful_loadgen_plan::outcome::{LoadPoint, Phase};
use brimful_loadgen_plan::plan::{
    Behaviour, LoadPlan, OWN_DESCRIPTORS, SLOW_ANSWER_BYTES, SLOW_RECEIVE_BYTES, open_at_once,
};
use brimful_target::clock::monotonic_ns;
use brimful_target::limits;
use rustix::event::epoll::{Event, EventFlags};
use rustix::fd::BorrowedFd;

use super::disconnected::Away;
use super::exchange::Talk;
use super::schedule::Course;
use super::socket::{self, Handshake, Peer};
use super::storm::Storm;
use super::table::Table;
use super::tally::Tally;
use super::waiter::{self, EVENTS, Happened, Waiter};
use super::{Connections, Held, LoadError, Schedule};

mod due;
mod exchange;
mod reconnect;

/// A running shard.
pub(super) struct Shard<'a, F> {
    planner: &'a Planner<'a>,
    shard: u32,
    schedule: Schedule,
    /// Whether the plan has a ramp, without which lateness means nothing.
    paced: bool,
    on_point: F,
    waiter: Waiter,
    table: Table,
    course: Course,
    talk: Option<Talk>,
    away: Option<Away>,
    storm: Option<Storm>,
    /// What a connection that talks says.
    request: Vec<u8>,
    /// The receive buffer a socket is given, where it is not the kernel's own.
    receive_bytes: Option<usize>,
    tally: Tally,
    /// The next connection to open, and its number within the shard.
    next: Option<Endpoint>,
    number: u64,
    spares_used: u64,
}

impl<'a, F: FnMut(LoadPoint)> Shard<'a, F> {
    /// Sets up the loop; nothing is opened yet.
    ///
    /// # Errors
    /// When memory or the kernel refuse.
    pub(super) fn new(
        plan: &LoadPlan,
        planner: &'a Planner<'a>,
        shard: u32,
        schedule: Schedule,
        stop: BorrowedFd<'_>,
        on_point: F,
    ) -> Result<Self, LoadError> {
        let connections = planner.connections_of(shard);
        let limit = limits::nofile().map_err(|source| LoadError::SetUp { call: "getrlimit", source })?.soft;
        let open = open_at_once(plan.connections, plan.ramp, plan.behaviour).div_ceil(u64::from(plan.shards.max(1)));
        // No descriptor can have a number at or above the limit.
        let room = usize::try_from(open.saturating_add(OWN_DESCRIPTORS).min(limit)).unwrap_or(usize::MAX);
        let no_memory = |source| LoadError::Memory { connections: open, source };
        let now_ns = monotonic_ns();
        // Three sequences of chance for each shard.
        let chance = |which: u64| (plan.seed, u64::from(shard) * 3 + which);
        let (path, receive_bytes) = match plan.behaviour {
            Behaviour::SlowReader { .. } => (format!("/bytes/{SLOW_ANSWER_BYTES}"), Some(SLOW_RECEIVE_BYTES)),
            _ => (plan.path.clone(), None),
        };
        Ok(Self {
            planner,
            shard,
            schedule,
            paced: !plan.ramp.is_zero(),
            on_point,
            waiter: Waiter::new(stop)?,
            table: Table::with_room(room).map_err(no_memory)?,
            course: Course::new(plan.behaviour, connections, room).map_err(no_memory)?,
            talk: Talk::new(plan.behaviour, chance(0), now_ns).map_err(no_memory)?,
            away: Away::new(plan.comeback, chance(1), now_ns).map_err(no_memory)?,
            storm: plan.comeback.storm.map(|storm| Storm::new(storm, schedule.t0_ns, chance(2))),
            request: format!("GET {path} HTTP/1.1\r\nHost: brimful\r\n\r\n").into_bytes(),
            receive_bytes,
            tally: Tally::new(connections),
            next: planner.of_shard(shard, 0),
            number: 0,
            spares_used: 0,
        })
    }

    /// Opens and holds until the stop descriptor is ready, which is true, or else the schedule ends. Can be called again.
    ///
    /// # Errors
    /// When waiting fails.
    pub(super) fn run(&mut self) -> Result<bool, LoadError> {
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            let now_ns = self.do_due();
            if now_ns >= self.wake_for_point_ns() {
                self.take_point(now_ns);
            }
            let ended = self.over(now_ns);
            let until_ns = if ended { now_ns } else { self.wake_ns() };
            self.waiter.wait(until_ns, now_ns, &mut events)?;
            if self.see(&mut events) || ended {
                self.see_the_rest(&mut events)?;
                return Ok(!ended);
            }
        }
    }

    /// Leaves what is still planned unopened.
    pub(super) fn open_no_more(&mut self) {
        self.next = None;
    }

    /// The outcome, with the connections still open.
    pub(super) fn finish(mut self) -> Held {
        let at_ns = self.since_start(monotonic_ns());
        let (outcome, end) = self.tally.close(at_ns);
        (self.on_point)(end);
        let open = outcome.held + outcome.pending;
        Held { outcome, connections: Connections { open, _table: self.table, _waiter: self.waiter } }
    }

    /// Deals with what happened, and says whether it is time to stop.
    fn see(&mut self, events: &mut Vec<Event>) -> bool {
        let now_ns = monotonic_ns();
        let mut stop = false;
        for event in events.drain(..) {
            match waiter::happened(event) {
                Happened::Stop => stop = true,
                Happened::Time => {}
                Happened::Socket(at, flags) => self.see_socket(at, flags, now_ns),
            }
        }
        if self.next.is_none() && self.tally.pending() == 0 && !self.course.renews() && self.away.is_none() {
            self.table.no_more_handshakes();
        }
        stop
    }

    /// Looks once at everything that has happened up to the end, so that the last counts are those of the end.
    fn see_the_rest(&mut self, events: &mut Vec<Event>) -> Result<(), LoadError> {
        // Every socket is reported once; a second report takes a peer that goes on talking, and need not be waited for.
        for _ in 0..=self.tally.open() / EVENTS as u64 {
            self.waiter.wait(0, 0, events)?;
            let full = events.len() == events.capacity();
            self.see(events);
            if !full {
                break;
            }
        }
        Ok(())
    }

    fn see_socket(&mut self, at: usize, flags: EventFlags, now_ns: u64) {
        let Some(socket) = self.table.socket(at) else { return };
        if let Some(started_ns) = self.table.started_ns(at) {
            let took_ns = now_ns.saturating_sub(started_ns);
            match socket::handshake(socket, flags) {
                Handshake::Pending => return,
                Handshake::Established => {
                    let absent = self.settled(at);
                    self.is_established(at, absent, now_ns, took_ns);
                }
                Handshake::Refused(errno) => {
                    self.tally.refused(Phase::Connect, errno.raw_os_error());
                    self.course.refused_at(at, started_ns, now_ns);
                    if let Some(absent) = self.settled(at) {
                        self.leaves(absent, now_ns);
                    }
                    return self.table.close(at);
                }
                Handshake::Reset(errno) => {
                    let absent = self.settled(at);
                    self.counts_established(absent, now_ns, took_ns);
                    self.tally.lost(Some(errno.raw_os_error()));
                    if let Some(absent) = absent {
                        self.leaves(absent, now_ns);
                    }
                    return self.table.close(at);
                }
            }
            self.table.handshake_done(at);
        }
        let peer = self.hear(at, flags, now_ns);
        self.see_peer(at, peer, now_ns);
    }

    /// Counts and closes a connection whose peer is gone.
    fn see_peer(&mut self, at: usize, peer: Peer, now_ns: u64) {
        match peer {
            Peer::Alive => return,
            Peer::Closed => self.tally.lost(None),
            Peer::Gone(errno) => self.tally.lost(Some(errno.raw_os_error())),
        }
        self.lost(at, now_ns);
        self.ended(at);
        self.table.close(at);
    }

    /// Descriptor `at` is over, whoever ended it.
    fn ended(&mut self, at: usize) {
        self.course.ended(at);
        let broken = self.talk.as_mut().is_some_and(|talk| talk.end(at) && !talk.reads_in_turns());
        if broken {
            self.tally.beat_broken();
        }
    }

    fn take_point(&mut self, now_ns: u64) {
        let point = self.tally.take_point(self.since_start(now_ns));
        (self.on_point)(point);
    }

    /// Whether the schedule has ended: from then on nothing is opened or closed, so that the end is a state.
    fn over(&self, now_ns: u64) -> bool {
        self.schedule.hold_until_ns.is_some_and(|end| now_ns >= end)
    }

    /// The next instant at which there is something to do.
    fn wake_ns(&self) -> u64 {
        let due_ns = self.next.map_or(u64::MAX, |endpoint| self.instant(endpoint.intended_ns));
        due_ns
            .min(self.course.next_ns())
            .min(self.talk.as_ref().map_or(u64::MAX, Talk::next_ns))
            .min(self.away.as_ref().map_or(u64::MAX, Away::next_ns))
            .min(self.storm.as_ref().map_or(u64::MAX, Storm::next_ns))
            .min(self.wake_for_point_ns())
            .min(self.schedule.hold_until_ns.unwrap_or(u64::MAX))
    }

    fn wake_for_point_ns(&self) -> u64 {
        self.instant(self.tally.next_point_ns())
    }

    /// From the cell's time to the common clock's.
    fn instant(&self, since_start_ns: u64) -> u64 {
        self.schedule.t0_ns.saturating_add(since_start_ns)
    }

    /// From the common clock's time to the cell's.
    fn since_start(&self, instant_ns: u64) -> u64 {
        instant_ns.saturating_sub(self.schedule.t0_ns)
    }
}
