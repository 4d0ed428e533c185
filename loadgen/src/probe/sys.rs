//! The one call before a command of an exec probe begins that no crate wraps.
#![expect(
    unsafe_code,
    reason = "what runs between fork and exec is handed over by an unsafe method of the standard library"
)]

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use brimful_target_plan::Nofile;
use rustix::process::{Pid, Resource, Rlimit, Signal, getpid, getppid, set_parent_process_death_signal, setrlimit};

/// Has the command killed when the thread that starts it ends, as every process of brimful is, and gives it descriptor limits of its own:
/// the prober, which needs descriptors to start it, keeps what it has. Both survive `execve`, the first except into a program that gains
/// privileges (`PR_SET_PDEATHSIG`, prctl(2)).
pub(super) fn born(command: &mut Command, nofile: Option<Nofile>) {
    let parent: Pid = getpid();
    let bind = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // A parent that died before that call sends nothing.
        if getppid() != Some(parent) {
            return Err(io::ErrorKind::NotConnected.into());
        }
        if let Some(Nofile { soft, hard }) = nofile {
            setrlimit(Resource::Nofile, Rlimit { current: Some(soft), maximum: Some(hard) })?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec only what is async-signal-safe may be called. These are three system calls, and an error made of a
    // number alone: nothing is allocated and no lock is taken.
    unsafe { command.pre_exec(bind) };
}
