//! The worker that opens and holds one shard of the load.

use brimful_loadgen::hold::{self, Schedule, Word};
use brimful_loadgen_plan::plan::{Behaviour, LoadPlan};
use brimful_target::limits;

use super::super::message::{Failed, Place, Said, Tell, chain};
use super::super::namespace;
use super::orders::{Orders, rehearse, say};

pub(super) fn run(
    place: Option<&Place>,
    plan: &LoadPlan,
    shard: u32,
    in_turn: bool,
    mut orders: Orders,
) -> Result<(), Failed> {
    match place {
        Some(place) => namespace::enter(place)?,
        // Whatever the order says: half-open load is for sandboxes, which have no way out.
        None if plan.behaviour == Behaviour::HalfOpen => {
            return Err(Failed { what: "half-open load is for a sandbox only".to_owned(), hint: None, machine: false });
        }
        None => {}
    }
    limits::raise_nofile().map_err(super::os("raise the load's own descriptor limit"))?;
    let broken = |error| Failed { what: chain(&error), hint: None, machine: true };
    let nothing = hold::rehearse(plan).map_err(broken)?;
    rehearse(&Said::LoadDone(Box::new(nothing)));
    say(&Said::Waiting);
    let Some(t0_ns) = orders.start() else { return Ok(()) };
    let turn = if in_turn { wait_for_turn(&mut orders) } else { Turn::Opens };
    let mut hold_until_ns = match turn {
        Turn::Opens => None,
        // Nothing is opened after the end: what comes of it is an account of nothing attempted.
        Turn::TooLate => Some(0),
        Turn::Abandoned => return Ok(()),
    };
    let words = loop {
        if let Some(words) = orders.readiness() {
            break words;
        }
        // Words that came with the start.
        match orders.latest() {
            Some(Tell::Stop | Tell::Enough) => hold_until_ns = Some(0),
            Some(_) => {}
            None => return Ok(()),
        }
    };
    let schedule = Schedule { t0_ns, hold_until_ns };
    let hear = || if orders.latest() == Some(Tell::Enough) { Word::Enough } else { Word::End };
    let held = hold::run_shard_hearing(plan, shard, schedule, words, hear, |point| say(&Said::Point(point)))
        .map_err(broken)?;
    say(&Said::LoadDone(Box::new(held.outcome)));
    // Both ends are held until all accounts are in: a server that went first would look like one that hung up. Then
    // the kernel closes both at once, when the processes end.
    while orders.next().is_some() {}
    std::mem::forget(held.connections);
    Ok(())
}

/// What became of a shard's turn to open.
enum Turn {
    /// It has come.
    Opens,
    /// The load ended before.
    TooLate,
    /// brimful is gone.
    Abandoned,
}

fn wait_for_turn(orders: &mut Orders) -> Turn {
    let mut enough = false;
    loop {
        match orders.next() {
            Some(Tell::Open) if !enough => return Turn::Opens,
            Some(Tell::Enough) => enough = true,
            Some(Tell::Stop) => return Turn::TooLate,
            Some(
                Tell::Open
                | Tell::Leave { .. }
                | Tell::Start { .. }
                | Tell::Watch { .. }
                | Tell::BaseLine
                | Tell::Begin { .. }
                | Tell::Hold
                | Tell::Turn { .. },
            ) => {}
            None => return Turn::Abandoned,
        }
    }
}
