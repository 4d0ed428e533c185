//! The worker that is the server under test.

use std::future::pending;
use std::path::Path;
use std::thread;

use brimful_target::{Server, TargetError, limits};
use brimful_target_plan::{Nofile, TargetPlan};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use tokio::sync::{mpsc, oneshot};

use super::super::message::{Failed, Place, Said, Tell, chain};
use super::super::{cgroup, namespace};
use super::orders::{Orders, say};

/// What the server's process has from the beginning.
pub(super) struct Born<'a> {
    /// The folder of its control group.
    pub(super) group: Option<&'a Path>,
    /// Its descriptor limits.
    pub(super) nofile: Option<Nofile>,
    /// Whether it is no administrator.
    pub(super) ordinary: bool,
}

pub(super) fn run(place: Option<&Place>, born: &Born<'_>, plan: TargetPlan, mut orders: Orders) -> Result<(), Failed> {
    // First of all: in a user namespace the group's files would belong to somebody else.
    if let Some(group) = born.group {
        cgroup::enter(group)?;
    }
    if let Some(place) = place {
        namespace::enter(place)?;
    }
    if let Some(want) = born.nofile {
        give_limit(want)?;
    }
    if born.ordinary {
        no_administrator()?;
    }
    // First the runtime: its descriptors are among those the server counts as its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(super::os("start a runtime within the descriptor limit"))?;
    let mut server = {
        let _inside = runtime.enter();
        Server::bind(plan).map_err(failed)?
    };
    let (start, started) = oneshot::channel();
    let (stop, mut stopped) = mpsc::channel::<()>(1);
    let ears = thread::Builder::new().name("orders".to_owned()).spawn(move || {
        if let Some(t0_ns) = orders.start() {
            // The server may have ended by itself meanwhile.
            start.send(t0_ns).ok();
            while !matches!(orders.next(), Some(Tell::Stop | Tell::Leave { .. }) | None) {}
        }
        drop(stop);
        while orders.next().is_some() {}
    });
    let ears = ears.map_err(super::os("start a thread"))?;
    say(&Said::TargetReady(server.ready().clone()));
    let started = async {
        match started.await {
            Ok(t0_ns) => Some(t0_ns),
            Err(_) => pending().await,
        }
    };
    let outcome = runtime
        .block_on(server.run(started, async {
            stopped.recv().await;
        }))
        .map_err(failed)?;
    let exited = outcome.exited_on_emfile;
    say(&Said::TargetDone(outcome));
    if exited {
        return Err(Failed { what: "accept4: EMFILE (on-emfile = \"exit\")".to_owned(), hint: None, machine: false });
    }
    // Both ends are held until all accounts are in; then the kernel closes both at once, when the processes end.
    ears.join().ok();
    std::mem::forget(server);
    Ok(())
}

/// Gives up what no server has: with `CAP_SYS_ADMIN` it would not meet `fs.file-max` (`alloc_empty_file`, `fs/file_table.c`).
fn no_administrator() -> Result<(), Failed> {
    let failed = |error: rustix::io::Errno| super::os("give up CAP_SYS_ADMIN")(error.into());
    let mut sets = capabilities(None).map_err(failed)?;
    sets.effective.remove(CapabilitySet::SYS_ADMIN);
    set_capabilities(None, sets).map_err(failed)
}

pub(super) fn give_limit(want: Nofile) -> Result<(), Failed> {
    let Nofile { soft, hard } = want;
    let refused = |error: std::io::Error| Failed {
        what: format!("cannot set the target's descriptor limit to {soft}:{hard}: {error}"),
        hint: Some("raise brimful's own hard limit first, or add `clamp = [\"ulimit.nofile\"]` to [matrix]".to_owned()),
        machine: true,
    };
    let given = limits::set_nofile(want).map_err(refused)?;
    if given == want {
        Ok(())
    } else {
        let what =
            format!("the descriptor limit {soft}:{hard} did not take: the kernel gave {}:{}", given.soft, given.hard);
        Err(Failed { what, hint: None, machine: true })
    }
}

fn failed(error: TargetError) -> Failed {
    Failed { what: chain(&error), hint: Some(error.hint()), machine: false }
}
