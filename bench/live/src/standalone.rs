//! A load without a cell: shards in the namespace brimful itself is in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use brimful_evidence::record::Role;
use brimful_loadgen_plan::outcome::{LoadOutcome, LoadPoint};
use brimful_loadgen_plan::plan::LoadPlan;
use brimful_target::clock::monotonic_ns;

use super::interrupt::{Interrupt, LOOK};
use super::machine;
use super::message::{Failed, Order, Said, Tell};
use super::process::{Heard, Key, START_LEAD_NS, Worker};
use super::turns::{Turns, sum};

/// Who says when a load begins and ends.
pub trait Conductor {
    /// The instant of `CLOCK_MONOTONIC` at which the load starts, in nanoseconds. Asked from when every shard is ready, again and again until
    /// there is one.
    fn start(&mut self) -> Option<u64>;
    /// Whether it is to end now, before its time or before it began.
    fn stopped(&mut self) -> bool;
    /// How it stands.
    fn point(&mut self, point: LoadPoint);
}

/// The conductor of a load that nobody else has a part in: it starts as soon as it can, and ends with a signal.
#[derive(Debug)]
pub struct AtOnce<'a, S> {
    /// Whether a signal came.
    pub interrupt: &'a Interrupt,
    /// Shows how it stands.
    pub show: S,
}

impl<S: FnMut(LoadPoint)> Conductor for AtOnce<'_, S> {
    fn start(&mut self) -> Option<u64> {
        Some(monotonic_ns() + START_LEAD_NS)
    }

    fn stopped(&mut self) -> bool {
        self.interrupt.seen().is_some()
    }

    fn point(&mut self, point: LoadPoint) {
        (self.show)(point);
    }
}

/// Opens a load, holds it for `duration` from its first intended instant or until it is stopped, and returns what it came to.
///
/// # Errors
/// When a shard cannot be started, or breaks.
pub fn load(plan: &LoadPlan, duration: Duration, conductor: &mut impl Conductor) -> Result<LoadOutcome, Failed> {
    let failed = |what: String| Failed { what, hint: None, machine: true };
    let (mouth, ear) = channel();
    let mut shards = BTreeMap::new();
    for shard in 0..plan.shards {
        let order = Order::Load { place: None, plan: plan.clone(), shard, in_turn: plan.opens_in_turns() };
        let worker = Worker::start(Key { role: Role::Load, shard }, &order, mouth.clone())
            .map_err(|error| failed(format!("cannot start a worker process: {error}")))?;
        shards.insert(shard, worker);
    }
    let mut turns = Turns::new(plan, machine::cpus());
    let mut waiting = shards.len();
    let mut points: BTreeMap<u32, LoadPoint> = BTreeMap::new();
    let mut outcome = LoadOutcome::default();
    let mut end_ns: Option<u64> = None;
    let mut stopped = false;
    let mut untold: BTreeSet<u32> = shards.keys().copied().collect();
    while !untold.is_empty() {
        let now = monotonic_ns();
        if waiting == 0
            && !stopped
            && end_ns.is_none()
            && let Some(t0_ns) = conductor.start()
        {
            end_ns = Some(t0_ns.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)));
            for worker in shards.values_mut() {
                worker.tell(&Tell::Start { t0_ns }).ok();
            }
            open_in_turn(&mut turns, &mut shards);
        }
        if !stopped && (conductor.stopped() || end_ns.is_some_and(|end| now >= end)) {
            stopped = true;
            for worker in shards.values_mut() {
                // One that has ended is heard of below.
                worker.tell(&Tell::Stop).ok();
            }
        }
        let until_end = end_ns.map_or(LOOK, |end| Duration::from_nanos(end.saturating_sub(now)));
        let (key, heard) = match ear.recv_timeout(until_end.min(LOOK).max(Duration::from_millis(1))) {
            Ok(heard) => heard,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        match heard {
            Heard::Said(Said::Waiting) => waiting = waiting.saturating_sub(1),
            Heard::Said(Said::Point(point)) => {
                points.insert(key.shard, point);
                turns.attempted(key.shard, point.attempted);
                open_in_turn(&mut turns, &mut shards);
                conductor.point(sum(points.values()));
            }
            Heard::Said(Said::LoadDone(shard)) => {
                outcome.merge(&shard);
                untold.remove(&key.shard);
            }
            Heard::Said(Said::Failed(failed)) => return Err(failed),
            Heard::Closed if !untold.contains(&key.shard) => {}
            // Told to stop before it began, it has nothing to tell.
            Heard::Closed if stopped && end_ns.is_none() => {
                untold.remove(&key.shard);
            }
            Heard::Closed => {
                let words = shards.get_mut(&key.shard).map(Worker::last_words).unwrap_or_default();
                return Err(failed(format!("a load worker broke: {words}")));
            }
            Heard::Said(other) => return Err(failed(format!("a load worker spoke out of turn: {other:?}"))),
            Heard::Garbled(line) => return Err(failed(format!("a load worker spoke gibberish: {line}"))),
        }
    }
    for worker in shards.values_mut() {
        worker.kill();
    }
    Ok(outcome)
}

/// Tells those shards to open whose turn has come.
fn open_in_turn(turns: &mut Turns, shards: &mut BTreeMap<u32, Worker>) {
    for shard in turns.due() {
        if let Some(worker) = shards.get_mut(&shard) {
            // One that has ended is heard of through its closed output.
            worker.tell(&Tell::Open).ok();
        }
    }
}
