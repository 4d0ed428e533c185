//! The worker that is the health check.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use brimful_loadgen::probe::{self, ProbePlan};
use brimful_target::limits::{self, Nofile};
use tokio::sync::oneshot;

use super::super::cgroup;
use super::super::message::{Container, Failed, Place, Said, chain};
use super::super::namespace;
use super::orders::{Orders, say};

pub(super) fn run(
    place: Option<&Place>,
    nofile: Option<u64>,
    container: Option<&Container>,
    plan: &ProbePlan,
    until: Option<Duration>,
    mut orders: Orders,
) -> Result<(), Failed> {
    // First of all, as for the target: in a user namespace the group's files would belong to somebody else.
    if let Some(group) = container.and_then(|container| container.cgroup.as_deref()) {
        cgroup::enter(group)?;
    }
    if let Some(place) = place {
        namespace::enter(place)?;
    }
    let raised = match container {
        // What a command is born with is what this process has.
        Some(_) => limits::nofile().map_err(super::os("read the probe's own descriptor limit"))?,
        None => limits::raise_nofile().map_err(super::os("raise the probe's own descriptor limit"))?,
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(super::os("start a runtime"))?;
    // The runtime has its descriptors by now: what is short is what a probe opens.
    if let Some(want) = container.and_then(|container| container.nofile) {
        give_limit(want)?;
    }
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

/// A limit is on the number of a descriptor, so the worker's own count: its pipes, its runtime and the timer that it is
/// about to make. With just enough for these, every probe fails for want of a socket.
fn give_limit(want: Nofile) -> Result<(), Failed> {
    let Nofile { soft, hard } = want;
    let refused = |what: &str, hint: String| Failed {
        what: format!("cannot set the probe's own descriptor limit to {soft}: {what}"),
        hint: Some(hint),
        machine: true,
    };
    let needed = below_first_two_free().map_err(super::os("list the probe's own descriptors"))?;
    if soft < needed {
        let hint = format!("give at least {needed}: with that, every probe fails for want of a socket");
        return Err(refused(&format!("it needs {needed} for itself"), hint));
    }
    let far = || format!("give at most {hard}, which is as far as brimful itself may go");
    let given = limits::set_nofile(want).map_err(|error| refused(&error.to_string(), far()))?;
    if given == want { Ok(()) } else { Err(refused(&format!("the kernel gave {}", given.soft), far())) }
}

/// How many descriptor numbers there are before the second free one: the first is for the timer.
fn below_first_two_free() -> std::io::Result<u64> {
    let mut taken = BTreeSet::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        taken.extend(entry?.file_name().to_string_lossy().parse::<u64>());
    }
    // The listing itself is among them, under the first free number, which it now gives back.
    Ok((0..).find(|number| !taken.contains(number)).unwrap_or_default())
}
