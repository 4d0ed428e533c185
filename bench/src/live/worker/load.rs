//! The worker that opens and holds one shard of the load.

use brimful_loadgen::hold::{self, Schedule, Word};
use brimful_loadgen::plan::{Behaviour, LoadPlan};
use brimful_target::limits;

use super::super::message::{Failed, Place, Said, Tell, chain};
use super::super::namespace;
use super::orders::{Orders, say};

pub(super) fn run(place: Option<&Place>, plan: &LoadPlan, shard: u32, mut orders: Orders) -> Result<(), Failed> {
    match place {
        Some(place) => namespace::enter(place)?,
        // Whatever the order says: half-open load is for sandboxes, which have no way out.
        None if plan.behaviour == Behaviour::HalfOpen => {
            return Err(Failed { what: "half-open load is for a sandbox only".to_owned(), hint: None, machine: false });
        }
        None => {}
    }
    limits::raise_nofile().map_err(super::os("raise the load's own descriptor limit"))?;
    say(&Said::Waiting);
    let Some(t0_ns) = orders.start() else { return Ok(()) };
    let Some(words) = orders.readiness() else { return Ok(()) };
    let schedule = Schedule { t0_ns, hold_until_ns: None };
    let hear = || if orders.latest() == Some(Tell::Enough) { Word::Enough } else { Word::End };
    let held = hold::run_shard_hearing(plan, shard, schedule, words, hear, |point| say(&Said::Point(point)))
        .map_err(|error| Failed { what: chain(&error), hint: None, machine: true })?;
    say(&Said::LoadDone(Box::new(held.outcome)));
    // Both ends are held until all accounts are in: a server that went first would look like one that hung up. Then
    // the kernel closes both at once, when the processes end.
    while orders.next().is_some() {}
    std::mem::forget(held.connections);
    Ok(())
}
