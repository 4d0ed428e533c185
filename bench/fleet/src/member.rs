//! A member: it finds the gatherer, registers, learns its clock, waits for the start, and gives its account. Pure.
//!
//! Before the start a lost connection is made again until the window for registering ends. After it a member without a gatherer stops its
//! share: nobody would hear of it, and a load that nobody measures is only harm.

use brimful_loadgen_plan::outcome::LoadPoint;

use super::clock::{Estimate, Offset};
use super::gatherer::Own;
use super::wire::{FromGatherer, FromMember, Hello, Told, VERSION, printable};
use super::{FleetPlan, LEAD_NS, SECOND_NS, Windows, ns};

/// From one question for the time to the next while the start is waited for, in nanoseconds; the first ones follow each other at once.
const ASK_EVERY_NS: u64 = SECOND_NS / 4;
/// Answers that are wanted before a member is ready.
const ANSWERS_LEAST: u64 = 8;
/// From a failed try to reach the gatherer to the next, in nanoseconds.
const AGAIN_NS: u64 = SECOND_NS / 2;
/// What the word of the gatherer may take on its way, in nanoseconds, beyond what it said it would take.
const MARGIN_NS: u64 = 10 * SECOND_NS;

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The connection to the gatherer stands.
    Connected,
    /// It could not be made, or has ended, or what came over it was no line.
    Gone(String),
    /// A line of the gatherer.
    Line(FromGatherer),
    /// Something of this member's share.
    Own(Own),
    /// A signal asked for the end.
    Signal(String),
    /// Time has passed.
    Tick,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Connect to the gatherer, not before this instant. A connection that stands is dropped.
    Connect {
        /// By this member's clock.
        at_ns: u64,
    },
    /// Say this.
    Say(FromMember),
    /// Start the share at this instant.
    Start {
        /// By this member's clock.
        t0_ns: u64,
    },
    /// Stop the share, or do not begin it.
    Stop,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The gatherer has its account.
    Gathered,
    /// The gatherer did not take it.
    Refused {
        /// Because the others had started.
        late: bool,
        /// In the gatherer's words.
        why: String,
    },
    /// The gatherer was not reached, or not heard of the start, in time.
    NotReached {
        /// What went wrong last.
        why: String,
    },
    /// The gatherer went while the share ran.
    Orphaned {
        /// What was seen of it.
        why: String,
    },
    /// The share was done, and the gatherer did not say that it has the account.
    Untold {
        /// What was seen of it.
        why: String,
    },
    /// Its own share could not be done.
    Failed,
    /// A signal asked for the end.
    Stopped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Calling { until_ns: u64 },
    Waiting { until_ns: u64, asked_ns: u64 },
    Running { t0_ns: u64, told_ns: u64 },
    Telling { until_ns: u64 },
    Over,
}

/// The state machine.
#[derive(Debug)]
pub struct Member {
    index: u32,
    plan: FleetPlan,
    windows: Windows,
    phase: Phase,
    register_until_ns: u64,
    ready: bool,
    told_ready: bool,
    clock: Estimate,
    used: Offset,
    at_start: Offset,
    point: Option<LoadPoint>,
    last: String,
    end: Option<End>,
}

impl Member {
    /// One that begins now, and what it does first.
    #[must_use]
    pub fn new(index: u32, plan: FleetPlan, windows: Windows, now_ns: u64) -> (Self, Vec<Action>) {
        let until_ns = now_ns.saturating_add(ns(windows.register));
        let member = Self {
            index,
            plan,
            windows,
            phase: Phase::Calling { until_ns },
            register_until_ns: until_ns,
            ready: false,
            told_ready: false,
            clock: Estimate::default(),
            used: Offset::default(),
            at_start: Offset::default(),
            point: None,
            last: "no answer came".to_owned(),
            end: None,
        };
        (member, vec![Action::Connect { at_ns: now_ns }])
    }

    /// The next instant at which something happens by itself.
    #[must_use]
    pub fn wakes_at_ns(&self) -> u64 {
        match self.phase {
            Phase::Calling { until_ns } | Phase::Telling { until_ns } => until_ns,
            Phase::Waiting { until_ns, asked_ns } => until_ns.min(asked_ns.saturating_add(ASK_EVERY_NS)),
            Phase::Running { told_ns, .. } => told_ns.saturating_add(SECOND_NS),
            Phase::Over => u64::MAX,
        }
    }

    /// How it ended, once it has.
    #[must_use]
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Takes in what happened at an instant of this member's clock.
    pub fn hear(&mut self, event: Event, now_ns: u64) -> Vec<Action> {
        let mut todo = Vec::new();
        if self.phase == Phase::Over {
            return todo;
        }
        match event {
            Event::Connected => {
                if let Phase::Calling { .. } = self.phase {
                    let hello = Hello { version: VERSION, index: self.index, plan: self.plan.clone() };
                    todo.push(Action::Say(FromMember::Hello(hello)));
                }
            }
            Event::Gone(why) => self.gone(why, now_ns, &mut todo),
            Event::Line(line) => self.line(line, now_ns, &mut todo),
            Event::Own(own) => self.own(own, now_ns, &mut todo),
            Event::Signal(name) => {
                if !matches!(self.phase, Phase::Calling { .. }) {
                    todo.push(Action::Say(FromMember::Failed { what: format!("stopped by {name}") }));
                }
                self.over(End::Stopped, &mut todo);
            }
            Event::Tick => {}
        }
        self.settle(now_ns, &mut todo);
        todo
    }

    fn gone(&mut self, why: String, now_ns: u64, todo: &mut Vec<Action>) {
        match self.phase {
            Phase::Calling { .. } | Phase::Waiting { .. } => {
                self.last = why;
                self.told_ready = false;
                // Whoever answers next may have another clock.
                self.clock = Estimate::default();
                self.phase = Phase::Calling { until_ns: self.register_until_ns };
                todo.push(Action::Connect { at_ns: now_ns.saturating_add(AGAIN_NS) });
            }
            Phase::Running { .. } => self.over(End::Orphaned { why }, todo),
            Phase::Telling { .. } => self.over(End::Untold { why }, todo),
            Phase::Over => {}
        }
    }

    fn line(&mut self, line: FromGatherer, now_ns: u64, todo: &mut Vec<Action>) {
        match (line, self.phase) {
            (FromGatherer::Welcome { waits_ns }, Phase::Calling { .. }) => {
                let until_ns = now_ns.saturating_add(waits_ns).saturating_add(LEAD_NS + MARGIN_NS);
                self.phase = Phase::Waiting { until_ns, asked_ns: now_ns };
                todo.push(Action::Say(FromMember::Ping { at_ns: now_ns }));
            }
            (FromGatherer::Pong { at_ns, gatherer_ns }, phase) => {
                self.clock.hear(at_ns, gatherer_ns, now_ns);
                if let Phase::Running { t0_ns, .. } = phase
                    && let Some(clock) = self.clock.best(t0_ns)
                    && clock.error_ns < self.at_start.error_ns
                {
                    self.at_start = clock;
                }
                if let Phase::Waiting { until_ns, .. } = phase
                    && self.clock.heard() < ANSWERS_LEAST
                {
                    self.phase = Phase::Waiting { until_ns, asked_ns: now_ns };
                    todo.push(Action::Say(FromMember::Ping { at_ns: now_ns }));
                }
            }
            (FromGatherer::Start { t0_ns }, Phase::Waiting { .. }) => {
                let Some(clock) = self.clock.best(now_ns) else { return };
                let t0_ns = clock.on_ours(t0_ns);
                self.used = clock;
                self.at_start = clock;
                self.phase = Phase::Running { t0_ns, told_ns: now_ns };
                todo.push(Action::Start { t0_ns });
            }
            (FromGatherer::Refused { late, why }, Phase::Calling { .. } | Phase::Waiting { .. }) => {
                self.over(End::Refused { late, why: printable(&why) }, todo);
            }
            (FromGatherer::Stop, Phase::Running { .. }) => todo.push(Action::Stop),
            (FromGatherer::Thanks, Phase::Telling { .. }) => self.over(End::Gathered, todo),
            // A line that crossed with one of ours, or one said twice.
            _ => {}
        }
    }

    fn own(&mut self, own: Own, now_ns: u64, todo: &mut Vec<Action>) {
        match own {
            Own::Ready => self.ready = true,
            Own::Point(point) => self.point = Some(point),
            Own::Done(mut outcome) => {
                if let Phase::Running { .. } = self.phase {
                    outcome.sample_timeline(self.plan.step_ns());
                    let told = Told { outcome: *outcome, used: self.used, clock: self.at_start };
                    self.phase = Phase::Telling { until_ns: now_ns.saturating_add(ns(self.windows.gather)) };
                    self.last = "it did not say so in time".to_owned();
                    todo.push(Action::Say(FromMember::Done(Box::new(told))));
                } else {
                    self.over(End::Failed, todo);
                }
            }
            Own::Failed(what) => {
                if !matches!(self.phase, Phase::Calling { .. }) {
                    todo.push(Action::Say(FromMember::Failed { what }));
                }
                self.over(End::Failed, todo);
            }
        }
    }

    /// What follows from how things stand now.
    fn settle(&mut self, now_ns: u64, todo: &mut Vec<Action>) {
        match self.phase {
            Phase::Calling { until_ns } if now_ns >= until_ns => {
                self.over(End::NotReached { why: self.last.clone() }, todo);
            }
            Phase::Waiting { until_ns, .. } if now_ns >= until_ns => {
                self.over(End::NotReached { why: "it did not say when to start".to_owned() }, todo);
            }
            Phase::Waiting { until_ns, asked_ns } => {
                if self.ready
                    && !self.told_ready
                    && self.clock.heard() >= ANSWERS_LEAST
                    && let Some(clock) = self.clock.best(now_ns)
                {
                    self.told_ready = true;
                    todo.push(Action::Say(FromMember::Ready { clock }));
                }
                if now_ns >= asked_ns.saturating_add(ASK_EVERY_NS) {
                    self.phase = Phase::Waiting { until_ns, asked_ns: now_ns };
                    todo.push(Action::Say(FromMember::Ping { at_ns: now_ns }));
                }
            }
            Phase::Running { t0_ns, told_ns } if now_ns >= told_ns.saturating_add(SECOND_NS) => {
                self.phase = Phase::Running { t0_ns, told_ns: now_ns };
                todo.push(Action::Say(FromMember::Ping { at_ns: now_ns }));
                todo.extend(self.point.map(|point| Action::Say(FromMember::Point { point })));
            }
            Phase::Telling { until_ns } if now_ns >= until_ns => {
                self.over(End::Untold { why: self.last.clone() }, todo);
            }
            Phase::Calling { .. } | Phase::Running { .. } | Phase::Telling { .. } | Phase::Over => {}
        }
    }

    fn over(&mut self, end: End, todo: &mut Vec<Action>) {
        self.phase = Phase::Over;
        self.end = Some(end);
        todo.push(Action::Stop);
    }
}
