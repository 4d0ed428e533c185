//! The gatherer: who has registered, when everybody starts, what came of each. It is itself member 0. Pure.
//!
//! The barrier opens when every member is ready, or at the end of the window for registering with those that are. Whoever comes later is
//! refused and opens nothing: half a load that begins while the rest is held is another experiment than the one that was planned.

use std::collections::BTreeMap;

use brimful_loadgen_plan::outcome::{LoadOutcome, LoadPoint};

use super::account::{Account, Fate, Gathered};
use super::clock::Offset;
use super::wire::{FromGatherer, FromMember, Hello, VERSION, printable};
use super::{FleetPlan, LEAD_NS, SECOND_NS, STOPPED_NS, Windows, ns, seconds};

/// A connection, by a number that is never used again.
pub type Peer = u64;

/// How long a connection may stand without having said who it is, in nanoseconds.
const STRANGER_NS: u64 = 5 * SECOND_NS;
/// Connections that have not said who they are, at most, besides one for each member.
const STRANGERS_MOST: usize = 64;

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Somebody connected.
    Came {
        /// The connection.
        peer: Peer,
        /// From where, in words.
        from: String,
    },
    /// A line of the protocol.
    Line {
        /// Whose.
        peer: Peer,
        /// What it says.
        message: FromMember,
    },
    /// A connection ended, or what came over it was no line.
    Gone {
        /// Which.
        peer: Peer,
        /// Why, in words.
        why: String,
    },
    /// Something of the gatherer's own share.
    Own(Own),
    /// A signal asked for the end.
    Signal(String),
    /// Time has passed.
    Tick,
}

/// Something that happened to the share of this machine.
#[derive(Clone, Debug, PartialEq)]
pub enum Own {
    /// It could begin.
    Ready,
    /// How it stands.
    Point(LoadPoint),
    /// It is over.
    Done(Box<LoadOutcome>),
    /// It cannot be done.
    Failed(String),
}

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Say this to a connection.
    Say(Peer, FromGatherer),
    /// End a connection, after what was said to it.
    Close(Peer),
    /// Start the gatherer's own share at this instant.
    Start {
        /// By the gatherer's clock.
        t0_ns: u64,
    },
    /// Stop the gatherer's own share.
    Stop,
    /// Something to tell a person.
    Tell(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Absent,
    Registered(Peer),
    Ready(Peer),
    Running(Peer),
    /// Its fate is in its account.
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Registering { until_ns: u64 },
    Started { t0_ns: u64, until_ns: u64 },
    Over,
}

#[derive(Debug)]
struct Connection {
    from: String,
    since_ns: u64,
    index: Option<u32>,
}

#[derive(Debug)]
struct Slot {
    stage: Stage,
    account: Account,
    heard_ns: u64,
}

/// The state machine.
#[derive(Debug)]
pub struct Gatherer {
    plan: FleetPlan,
    windows: Windows,
    began_ns: u64,
    phase: Phase,
    slots: Vec<Slot>,
    peers: BTreeMap<Peer, Connection>,
    waited_ns: Option<u64>,
    stopped: Option<String>,
    told: usize,
}

/// The connection that stands for the gatherer's own share.
const SELF: Peer = Peer::MAX;

impl Gatherer {
    /// One that begins now.
    #[must_use]
    pub fn new(plan: FleetPlan, windows: Windows, now_ns: u64) -> Self {
        let slot =
            |index| Slot { stage: Stage::Absent, account: Account::new(index, plan.share(index)), heard_ns: now_ns };
        let slots = (0..plan.members).map(slot).collect();
        let until_ns = now_ns.saturating_add(ns(windows.register));
        let mut gatherer = Self {
            plan,
            windows,
            began_ns: now_ns,
            phase: Phase::Registering { until_ns },
            slots,
            peers: BTreeMap::new(),
            waited_ns: None,
            stopped: None,
            told: 0,
        };
        if let Some(own) = gatherer.slots.first_mut() {
            own.stage = Stage::Registered(SELF);
            own.account.clock = Some(Offset::default());
        }
        gatherer
    }

    /// What the fleet does.
    #[must_use]
    pub fn plan(&self) -> &FleetPlan {
        &self.plan
    }

    /// The next instant at which something happens by itself.
    #[must_use]
    pub fn wakes_at_ns(&self) -> u64 {
        let strangers = self.peers.values().filter(|peer| peer.index.is_none()).map(|peer| peer.since_ns + STRANGER_NS);
        let phase = match self.phase {
            Phase::Registering { until_ns } | Phase::Started { until_ns, .. } => until_ns,
            Phase::Over => u64::MAX,
        };
        strangers.fold(phase, u64::min)
    }

    /// What was gathered, once there is no more to come.
    #[must_use]
    pub fn gathered(&self) -> Option<Gathered> {
        let accounts = || self.slots.iter().map(|slot| slot.account.clone()).collect();
        (self.phase == Phase::Over).then(|| Gathered {
            accounts: accounts(),
            waited_ns: self.waited_ns,
            stopped: self.stopped.clone(),
        })
    }

    /// Takes in what happened at an instant of the gatherer's clock.
    pub fn hear(&mut self, event: Event, now_ns: u64) -> Vec<Action> {
        let mut todo = Vec::new();
        match event {
            Event::Came { peer, from } => self.came(peer, from, now_ns, &mut todo),
            Event::Line { peer, message } => self.line(peer, message, now_ns, &mut todo),
            Event::Gone { peer, why } => {
                if let Some(Connection { index: Some(index), .. }) = self.peers.remove(&peer) {
                    self.lost(index, peer, &why, now_ns, &mut todo);
                }
            }
            Event::Own(own) => self.own(own, now_ns, &mut todo),
            Event::Signal(name) => self.stop(name, now_ns, &mut todo),
            Event::Tick => {}
        }
        self.settle(now_ns, &mut todo);
        todo
    }

    fn came(&mut self, peer: Peer, from: String, now_ns: u64, todo: &mut Vec<Action>) {
        let strangers = self.peers.values().filter(|peer| peer.index.is_none()).count();
        if strangers >= STRANGERS_MOST + self.slots.len() || self.phase == Phase::Over {
            todo.push(Action::Close(peer));
            return;
        }
        self.peers.insert(peer, Connection { from, since_ns: now_ns, index: None });
    }

    fn line(&mut self, peer: Peer, message: FromMember, now_ns: u64, todo: &mut Vec<Action>) {
        let Some(connection) = self.peers.get(&peer) else { return };
        let Some(index) = connection.index else {
            match message {
                FromMember::Hello(hello) => self.register(peer, &hello, now_ns, todo),
                _ => self.turn_away(peer, false, "it did not say who it is".to_owned(), todo),
            }
            return;
        };
        let Some(slot) = self.slots.get_mut(usize::try_from(index).unwrap_or(usize::MAX)) else { return };
        slot.heard_ns = now_ns;
        match (message, slot.stage) {
            (FromMember::Ping { at_ns }, _) => {
                todo.push(Action::Say(peer, FromGatherer::Pong { at_ns, gatherer_ns: now_ns }));
            }
            (FromMember::Ready { clock }, Stage::Registered(at)) if at == peer => {
                slot.stage = Stage::Ready(peer);
                slot.account.clock = Some(clock);
            }
            (FromMember::Point { point }, Stage::Running(at)) if at == peer => slot.account.counters = Some(point),
            (FromMember::Done(told), Stage::Running(at)) if at == peer => {
                let account = &mut slot.account;
                account.give(told.outcome, told.used, told.clock);
                slot.stage = Stage::Over;
                todo.extend([Action::Say(peer, FromGatherer::Thanks), Action::Close(peer)]);
            }
            (FromMember::Failed { what }, Stage::Registered(at) | Stage::Ready(at) | Stage::Running(at))
                if at == peer =>
            {
                self.lost(index, peer, &printable(&what), now_ns, todo);
                self.peers.remove(&peer);
                todo.push(Action::Close(peer));
            }
            // A line that crossed with one of ours, or one said twice.
            _ => {}
        }
    }

    fn register(&mut self, peer: Peer, hello: &Hello, now_ns: u64, todo: &mut Vec<Action>) {
        if hello.version != VERSION {
            let why = format!("it speaks version {}, the gatherer version {VERSION}", hello.version);
            return self.turn_away(peer, false, why, todo);
        }
        if hello.plan != self.plan {
            let why = format!("it was told of another fleet than the gatherer: {}", hello.plan.difference(&self.plan));
            return self.turn_away(peer, false, why, todo);
        }
        let index = usize::try_from(hello.index).unwrap_or(usize::MAX);
        let since = self.since_start(now_ns);
        let Some(slot) = self.slots.get_mut(index).filter(|_| index > 0) else {
            let why =
                format!("there is no member {} besides the gatherer in a fleet of {}", hello.index, self.plan.members);
            return self.turn_away(peer, false, why, todo);
        };
        if let Some(since) = since {
            slot.account.refused += 1;
            if slot.account.fate == Fate::Missing && slot.stage == Stage::Absent {
                slot.account.fate = Fate::Late;
                slot.account.at_ns = Some(since);
                slot.account.from = self.peers.get(&peer).map(|connection| connection.from.clone());
                todo.push(Action::Tell(format!("member {index} came late, and is refused")));
            }
            let why = if since > 0 {
                format!("the fleet has started without it, {:.1} s ago", seconds(since))
            } else {
                "the fleet is about to start without it".to_owned()
            };
            return self.turn_away(peer, true, why, todo);
        }
        if let Stage::Registered(other) | Stage::Ready(other) = slot.stage {
            slot.account.refused += 1;
            let from = self.peers.get(&other).map_or("?", |connection| &connection.from);
            let why = format!("member {index} has registered already, from {from}");
            return self.turn_away(peer, false, why, todo);
        }
        if let Some(connection) = self.peers.get_mut(&peer) {
            connection.index = Some(hello.index);
            slot.account.from = Some(connection.from.clone());
        }
        slot.stage = Stage::Registered(peer);
        slot.account.fate = Fate::Unready;
        slot.account.why = None;
        slot.heard_ns = now_ns;
        let waits_ns = match self.phase {
            Phase::Registering { until_ns } => until_ns.saturating_sub(now_ns),
            Phase::Started { .. } | Phase::Over => 0,
        };
        todo.push(Action::Say(peer, FromGatherer::Welcome { waits_ns }));
    }

    fn turn_away(&mut self, peer: Peer, late: bool, why: String, todo: &mut Vec<Action>) {
        self.peers.remove(&peer);
        if !late {
            todo.push(Action::Tell(format!("somebody is turned away: {why}")));
        }
        todo.extend([Action::Say(peer, FromGatherer::Refused { late, why }), Action::Close(peer)]);
    }

    /// A member's connection is over, or its part.
    fn lost(&mut self, index: u32, peer: Peer, why: &str, now_ns: u64, todo: &mut Vec<Action>) {
        let since = self.since_start(now_ns);
        let Some(slot) = self.slots.get_mut(usize::try_from(index).unwrap_or(usize::MAX)) else { return };
        match slot.stage {
            Stage::Registered(at) | Stage::Ready(at) if at == peer => {
                // It may come again: the barrier waits for it until its window ends.
                slot.stage = Stage::Absent;
                slot.account.fate = Fate::Unready;
                slot.account.why = Some(why.to_owned());
                todo.push(Action::Tell(format!("member {index} went before the start: {why}")));
            }
            Stage::Running(at) if at == peer => {
                slot.stage = Stage::Over;
                slot.account.fate = Fate::Lost;
                slot.account.at_ns = since;
                slot.account.why = Some(why.to_owned());
                todo.push(Action::Tell(format!("member {index} is lost: {why}")));
            }
            Stage::Absent | Stage::Registered(_) | Stage::Ready(_) | Stage::Running(_) | Stage::Over => {}
        }
    }

    fn own(&mut self, own: Own, now_ns: u64, todo: &mut Vec<Action>) {
        let Some(slot) = self.slots.first_mut() else { return };
        slot.heard_ns = now_ns;
        match own {
            Own::Ready => {
                if slot.stage == Stage::Registered(SELF) {
                    slot.stage = Stage::Ready(SELF);
                }
            }
            Own::Point(point) => slot.account.counters = Some(point),
            Own::Done(mut outcome) => {
                outcome.sample_timeline(self.plan.step_ns());
                if slot.stage == Stage::Running(SELF) {
                    slot.account.give(*outcome, Offset::default(), Offset::default());
                }
                slot.stage = Stage::Over;
            }
            Own::Failed(what) => self.lost(0, SELF, &what, now_ns, todo),
        }
    }

    fn stop(&mut self, name: String, now_ns: u64, todo: &mut Vec<Action>) {
        self.stopped = Some(name);
        todo.push(Action::Stop);
        match self.phase {
            Phase::Registering { .. } => self.over(todo),
            Phase::Started { t0_ns, .. } => {
                self.phase = Phase::Started { t0_ns, until_ns: now_ns.saturating_add(STOPPED_NS) };
                for slot in &self.slots {
                    if let Stage::Running(peer) = slot.stage {
                        todo.extend((peer != SELF).then_some(Action::Say(peer, FromGatherer::Stop)));
                    }
                }
            }
            Phase::Over => {}
        }
    }

    /// What follows from how things stand now.
    fn settle(&mut self, now_ns: u64, todo: &mut Vec<Action>) {
        let gone: Vec<Peer> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.index.is_none() && now_ns >= peer.since_ns + STRANGER_NS)
            .map(|(peer, _)| *peer)
            .collect();
        for peer in gone {
            self.peers.remove(&peer);
            todo.push(Action::Close(peer));
        }
        match self.phase {
            Phase::Registering { until_ns } => {
                let ready = self.slots.iter().filter(|slot| matches!(slot.stage, Stage::Ready(_))).count();
                if ready > self.told {
                    self.told = ready;
                    todo.push(Action::Tell(format!("ready: {ready} of {}", self.fleet())));
                }
                let own = self.slots.first().map(|slot| slot.stage);
                if own == Some(Stage::Absent) {
                    // Without its own share it may not begin, and nobody else gathers.
                    self.over(todo);
                } else if ready == self.slots.len() || now_ns >= until_ns {
                    match own {
                        Some(Stage::Ready(_)) => self.start(now_ns, todo),
                        _ => self.over(todo),
                    }
                }
            }
            Phase::Started { until_ns, .. } => {
                let running = self.slots.iter().any(|slot| matches!(slot.stage, Stage::Running(_)));
                if !running || now_ns >= until_ns {
                    self.over(todo);
                }
            }
            Phase::Over => {}
        }
    }

    fn start(&mut self, now_ns: u64, todo: &mut Vec<Action>) {
        let t0_ns = now_ns.saturating_add(LEAD_NS);
        let until_ns = t0_ns.saturating_add(self.plan.lasts_ns()).saturating_add(ns(self.windows.gather));
        self.phase = Phase::Started { t0_ns, until_ns };
        self.waited_ns = Some(now_ns.saturating_sub(self.began_ns));
        let mut starting = 0;
        for slot in &mut self.slots {
            match slot.stage {
                Stage::Ready(SELF) => {
                    slot.stage = Stage::Running(SELF);
                    todo.push(Action::Start { t0_ns });
                }
                Stage::Ready(peer) => {
                    slot.stage = Stage::Running(peer);
                    todo.push(Action::Say(peer, FromGatherer::Start { t0_ns }));
                }
                Stage::Registered(peer) => {
                    slot.stage = Stage::Over;
                    let why = "it was not ready when the others started".to_owned();
                    slot.account.why = Some(why.clone());
                    todo.extend([Action::Say(peer, FromGatherer::Refused { late: true, why }), Action::Close(peer)]);
                }
                Stage::Absent | Stage::Running(_) | Stage::Over => continue,
            }
            starting += u32::from(matches!(slot.stage, Stage::Running(_)));
        }
        todo.push(Action::Tell(format!("start in {:.1} s: {starting} of {}", seconds(LEAD_NS), self.fleet())));
    }

    fn over(&mut self, todo: &mut Vec<Action>) {
        let t0_ns = match self.phase {
            Phase::Started { t0_ns, .. } => Some(t0_ns),
            Phase::Registering { .. } | Phase::Over => None,
        };
        for slot in &mut self.slots {
            if let Stage::Running(_) = slot.stage {
                slot.account.fate = Fate::Silent;
                slot.account.at_ns = t0_ns.map(|t0_ns| slot.heard_ns.saturating_sub(t0_ns));
                slot.account.why = Some("no account came before the end of the wait".to_owned());
            }
            if let Stage::Registered(peer) | Stage::Ready(peer) = slot.stage {
                slot.account.fate = Fate::Unready;
                if peer != SELF {
                    let why = "the gatherer has ended without a start".to_owned();
                    todo.push(Action::Say(peer, FromGatherer::Refused { late: false, why }));
                }
            }
            slot.stage = Stage::Over;
        }
        todo.extend(std::mem::take(&mut self.peers).into_keys().map(Action::Close));
        if t0_ns.is_none() {
            todo.push(Action::Stop);
        }
        self.phase = Phase::Over;
    }

    /// Nanoseconds since the agreed instant, 0 before it; `None` while there is none.
    /// How many there are in all, in words.
    fn fleet(&self) -> String {
        let members = self.slots.len();
        format!("{members} {}", if members == 1 { "member" } else { "members" })
    }

    /// How long ago the start was, once it is agreed on; 0 for one that is still to come.
    fn since_start(&self, now_ns: u64) -> Option<u64> {
        match self.phase {
            Phase::Started { t0_ns, .. } => Some(now_ns.saturating_sub(t0_ns)),
            Phase::Registering { .. } | Phase::Over => None,
        }
    }
}
