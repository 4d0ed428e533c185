//! The worker that is the health check.

use std::thread;
use std::time::Duration;

use brimful_loadgen::probe::{self, ProbePlan};
use brimful_target::limits::{self, Nofile};
use tokio::sync::oneshot;

use super::super::message::{Failed, Place, Said};
use super::super::namespace;
use super::chain;
use super::orders::{Orders, say};

pub(super) fn run(
    place: Option<&Place>,
    nofile: Option<u64>,
    plan: &ProbePlan,
    until: Option<Duration>,
    mut orders: Orders,
) -> Result<(), Failed> {
    if let Some(place) = place {
        namespace::enter(place)?;
    }
    let raised = limits::raise_nofile().map_err(super::os("raise the probe's own descriptor limit"))?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(super::os("start a runtime"))?;
    // The runtime has its descriptors by now: what is short is what a probe opens.
    if let Some(soft) = nofile {
        give_limit(Nofile { soft, hard: raised.hard })?;
    }
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

fn give_limit(want: Nofile) -> Result<(), Failed> {
    let Nofile { soft, hard } = want;
    let refused = |what: String| Failed {
        what: format!("cannot set the probe's own descriptor limit to {soft}: {what}"),
        hint: Some(format!("give a limit of at most {hard}, which is as far as brimful itself may go")),
        machine: true,
    };
    let given = limits::set_nofile(want).map_err(|error| refused(error.to_string()))?;
    if given == want { Ok(()) } else { Err(refused(format!("the kernel gave {}", given.soft))) }
}
