//! The worker that is the health check.

use std::thread;
use std::time::Duration;

use brimful_loadgen::probe::{self, ProbePlan};
use brimful_target::limits;
use tokio::sync::oneshot;

use super::super::message::{Failed, Place, Said};
use super::super::namespace;
use super::chain;
use super::orders::{Orders, say};

pub(super) fn run(
    place: Option<&Place>,
    plan: &ProbePlan,
    until: Option<Duration>,
    mut orders: Orders,
) -> Result<(), Failed> {
    if let Some(place) = place {
        namespace::enter(place)?;
    }
    limits::raise_nofile().map_err(super::os("raise the probe's own descriptor limit"))?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(super::os("start a runtime"))?;
    say(&Said::Waiting);
    let Some(t0_ns) = orders.start() else { return Ok(()) };
    let (stop, stopped) = oneshot::channel();
    let ears = thread::Builder::new().name("orders".to_owned()).spawn(move || {
        // Any further line is the word to stop, and so is the end of the pipe.
        let _told = orders.next();
        stop.send(()).ok();
    });
    ears.map_err(super::os("start a thread"))?;
    let until_ns = until.map(|until| u64::try_from(until.as_nanos()).unwrap_or(u64::MAX));
    let done = runtime.block_on(probe::run(
        plan,
        t0_ns,
        until_ns,
        async {
            stopped.await.ok();
        },
        |sample| say(&Said::Sample(sample.clone())),
    ));
    done.map_err(|error| Failed { what: chain(&error), hint: None, machine: true })?;
    say(&Said::ProbeDone);
    Ok(())
}
