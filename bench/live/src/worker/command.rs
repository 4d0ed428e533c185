//! The worker that keeps a server which is not brimful's own. Three processes stand in a row, so that nothing of the command is left
//! however anything of it dies:
//!
//! 1. This one enters the sandbox, makes a namespace of process ids, and waits. It dies with brimful.
//! 2. Its only child, [`init`], is the first process of that namespace: it starts the command, adopts what the command leaves behind, and speaks
//!    with brimful. It dies with this one, and when it dies the kernel kills everything else in the namespace.
//! 3. [`start`] sets limits and user, and becomes the command.

mod account;
pub(super) mod init;
pub(super) mod start;
pub(super) mod user;

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use brimful_target_plan::Nofile;
use nix::sched::{CloneFlags, unshare};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::getppid;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::super::message::{CommandOrder, Failed, Place};
use super::super::process::WORKER;
use super::super::{cgroup, namespace};

/// The word for the first process of the namespace on its command line, and for the one that becomes the command.
pub(super) const INIT: &str = "init";
/// The same.
pub(super) const START: &str = "start";

/// What is handed down.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Handed {
    nofile: Option<Nofile>,
    user_namespace: bool,
    order: CommandOrder,
}

/// Keeps the command until its init ends; returns that one's exit status.
pub(super) fn run(
    place: Option<&Place>,
    group: Option<&Path>,
    nofile: Option<Nofile>,
    order: CommandOrder,
) -> Result<u8, Failed> {
    // First of all: in a user namespace the group's files would belong to somebody else.
    if let Some(group) = group {
        cgroup::enter(group)?;
    }
    if let Some(place) = place {
        namespace::enter(place)?;
    }
    let handed = Handed { nofile, user_namespace: place.is_some_and(|place| place.user_namespace), order };
    keep_first(INIT, &handed)
}

/// Makes a namespace of process ids, starts its first process in a role that is handed `order`, and waits for its exit status. The kernel
/// ends everything in the namespace with that process, which dies with this one.
pub(super) fn keep_first<T: Serialize>(role: &str, order: &T) -> Result<u8, Failed> {
    let text = in_memory(order).map_err(super::os("keep the order"))?;
    unshare(CloneFlags::CLONE_NEWPID).map_err(|errno| Failed {
        what: format!("cannot make a namespace of process ids: {errno}"),
        hint: Some("run brimful as root, or where user namespaces are allowed".to_owned()),
        machine: true,
    })?;
    // From here on no thread can be made in this process (`kernel/fork.c`, `copy_process`), and none is needed.
    let mut first = Command::new("/proc/self/exe")
        .arg0("brimful")
        .args([WORKER, role, &brimful(), &text.as_raw_fd().to_string()])
        .spawn()
        .map_err(super::os("start the first process of a namespace"))?;
    let ended = first.wait().map_err(super::os("wait for the first process of a namespace"))?;
    Ok(ended.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// The process id of brimful, this one's parent.
fn brimful() -> String {
    getppid().map_or_else(String::new, |pid| pid.as_raw_nonzero().to_string())
}

/// A value in a file that the next program inherits: longer than an argument can be, and nowhere on a disk.
fn in_memory<T: Serialize>(value: &T) -> io::Result<File> {
    let mut file = File::from(memfd_create("brimful-order", MemfdFlags::empty())?);
    file.write_all(&serde_json::to_vec(value)?)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

/// What [`in_memory`] wrote, by the number of the inherited descriptor.
pub(super) fn inherited<T: DeserializeOwned>(number: &str) -> Result<T, Failed> {
    let failed = |error: io::Error| super::os("read the order")(error);
    let number: u32 = number.parse().map_err(|error| failed(io::Error::other(error)))?;
    let file = File::open(format!("/proc/self/fd/{number}")).map_err(failed)?;
    serde_json::from_reader(file).map_err(|error| failed(error.into()))
}
