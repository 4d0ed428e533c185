//! The worker that is the health check.
//!
//! A command is run in a namespace of process ids of its own: whatever it leaves behind ends with the probe, however brimful dies. So two
//! processes stand in a row, as with a target that is a command: [`keep`] waits for the first process of that namespace, [`inside`].

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use brimful_loadgen::probe;
use brimful_loadgen_plan::probe::{Action, Ids, ProbePlan};
use brimful_target::limits;
use brimful_target_plan::Nofile;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::super::message::{Container, Failed, Place, Said, Tell, chain};
use super::super::{cgroup, namespace, sys};
use super::command;
use super::orders::{Orders, say};

/// The word for the first process of a probe's namespace on its command line.
pub(super) const INSIDE: &str = "probe-inside";

/// What a prober is to do; handed down to the first process of its namespace, where it has one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Task {
    /// The probe.
    pub(super) plan: ProbePlan,
    /// No probe is begun at or after this age of the cell.
    pub(super) until: Option<Duration>,
    /// Whether it waits to be told to begin.
    pub(super) held: bool,
}

/// Probes with the limits of a node's process, or with so many descriptors.
pub(super) fn run(place: Option<&Place>, nofile: Option<u64>, task: Task, orders: Orders) -> Result<(), Failed> {
    if let Some(place) = place {
        namespace::enter(place)?;
    }
    let raised = limits::raise_nofile().map_err(super::os("raise the probe's own descriptor limit"))?;
    let runtime = runtime()?;
    // The runtime has its descriptors by now: what is short is what a probe opens.
    if let Some(soft) = nofile {
        give_limit(Nofile { soft, hard: raised.hard })?;
    }
    go(&runtime, &task, orders)
}

/// Goes where commands are to be run, and keeps the process that runs them; returns its exit status.
pub(super) fn keep(place: Option<&Place>, container: &Container, mut task: Task) -> Result<u8, Failed> {
    // First of all, as for the target: in a user namespace the group's files would belong to somebody else.
    if let Some(group) = &container.cgroup {
        cgroup::enter(group)?;
    }
    if let (Some(name), Action::Exec(exec)) = (&container.user, &mut task.plan.action) {
        let command::user::User { uid, gid } = command::start::whom(name)?;
        exec.user = Some(Ids { uid, gid });
    }
    if let Some(place) = place {
        namespace::enter(place)?;
    }
    command::keep_first(INSIDE, &task)
}

/// Probes as the first process of a namespace, with what was handed down by this number.
pub(super) fn inside(number: &str, orders: Orders) -> Result<(), Failed> {
    let task: Task = command::inherited(number)?;
    // A command has three streams and nothing of brimful's.
    sys::keep_inherited_descriptors_to_ourselves();
    go(&runtime()?, &task, orders)
}

fn runtime() -> Result<tokio::runtime::Runtime, Failed> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(super::os("start a runtime"))
}

/// Asks until the cell is over. A kubelet's prober rests now and then: until there is a container that has come up, and from
/// the decision to kill it to the next one. Its ticks keep their places all the while.
fn go(runtime: &tokio::runtime::Runtime, task: &Task, mut orders: Orders) -> Result<(), Failed> {
    let Task { plan, until, held } = task;
    say(&Said::Waiting);
    let Some(t0_ns) = orders.start() else { return Ok(()) };
    let (tell, mut told) = mpsc::unbounded_channel();
    // It measures to fractions of a millisecond among processes that use all there is, and hardly uses anything.
    sys::ask_for_short_slices();
    let ears = thread::Builder::new().name("orders".to_owned()).spawn(move || {
        // The end of the pipe ends the channel.
        while let Some(line) = orders.next() {
            if tell.send(line).is_err() {
                return;
            }
        }
    });
    ears.map_err(super::os("start a thread"))?;
    let until_ns = until.map(|until| u64::try_from(until.as_nanos()).unwrap_or(u64::MAX));
    runtime.block_on(async {
        let mut born_ns = (!*held).then_some(0);
        loop {
            let born = match born_ns.take() {
                Some(born) => born,
                None => match told.recv().await {
                    Some(Tell::Begin { born_ns }) => born_ns,
                    Some(Tell::Hold) => continue,
                    _ => break,
                },
            };
            // The age of the container counts from its own start, and the ticks from the first one's.
            let delay = plan.initial_delay.saturating_add(Duration::from_nanos(born));
            let now = ProbePlan { initial_delay: delay, ..plan.clone() };
            let mut on_hold = false;
            let stop = async {
                // Any other line is the word to stop, and so is the end of the pipe.
                on_hold = matches!(told.recv().await, Some(Tell::Hold));
            };
            let done = probe::run(&now, t0_ns, until_ns, stop, |sample| say(&Said::Sample(sample.clone()))).await;
            done.map_err(|error| Failed { what: chain(&error), hint: None, machine: true })?;
            if !on_hold {
                break;
            }
        }
        Ok(())
    })?;
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
