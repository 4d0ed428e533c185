//! `exec`, as `pkg/probe/exec/exec.go` judges what a container runtime ran.
//!
//! Exit status 0 passes, any other fails, and what could not be run at all is an error, that the kubelet tries again and throws away. A
//! command that takes too long fails (`ExecProbeTimeout`, locked on since 1.34, from memory), and is killed with all it has started in its
//! process group.

use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command as StdCommand, ExitStatus, Stdio};

use brimful_loadgen_plan::probe::{Exec, Outcome};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

use super::attempt::End;
use super::marks::Marks;
use super::{sys, wording};

/// `maxReadLength`: bytes of what a command says that are kept; what comes after them is read and thrown away.
const OUTPUT_LIMIT: usize = 10 * 1_024;

/// Runs a command to its end.
pub(super) async fn run(plan: &Exec, marks: &Marks) -> End {
    marks.dialled("");
    let Some((program, arguments)) = plan.command.split_first() else {
        return errored("exec: no command".to_owned());
    };
    let mut running = match start(program, arguments, plan) {
        Ok(running) => running,
        Err(error) => return errored(wording::not_started(program, &error)),
    };
    let (stdout, stderr) = (running.child.stdout.take(), running.child.stderr.take());
    // All of it is waited for, also what a child of the command still has to say, as Go and the runtimes do.
    let (out, err, status) = tokio::join!(said(stdout), said(stderr), running.child.wait());
    // What it has left behind by then goes on, as it would in a container.
    running.group = None;
    let output = [out, err].concat();
    match status {
        Ok(status) => {
            marks.answered(code(status));
            if status.success() {
                End::passed(String::new())
            } else {
                failed(Outcome::BadStatus, wording::output(&output))
            }
        }
        Err(error) => errored(wording::not_started(program, &error)),
    }
}

/// One that was given up at its deadline.
pub(super) fn given_up(command: &[String]) -> End {
    failed(Outcome::ResponseTimeout, wording::command_timed_out(command))
}

fn failed(outcome: Outcome, message: String) -> End {
    End { outcome, message, errored: false }
}

fn errored(message: String) -> End {
    End { outcome: Outcome::LocalError, message, errored: true }
}

/// As a shell and the runtimes tell it: 128 and the signal, for a command that was killed.
fn code(status: ExitStatus) -> u16 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u16::try_from(code).ok()).unwrap_or(u16::MAX)
}

/// A command under way. Dropped before its end, it is killed, and with it whatever is in its process group.
struct Running {
    child: Child,
    group: Option<Pid>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            // Nobody left is what is hoped for. The group keeps its number from others while anybody is in it.
            kill_process_group(group, Signal::KILL).ok();
        }
    }
}

fn start(program: &str, arguments: &[String], plan: &Exec) -> io::Result<Running> {
    let mut command = StdCommand::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.envs(plan.env.iter().map(|(name, value)| (name, value)));
    if let Some(directory) = &plan.directory {
        command.current_dir(directory);
    }
    if let Some(user) = plan.user {
        command.uid(user.uid).gid(user.gid);
    }
    sys::born(&mut command, plan.nofile);
    let mut command = Command::from(command);
    command.process_group(0).kill_on_drop(true);
    let child = command.spawn()?;
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    Ok(Running { child, group })
}

/// The beginning of what is said; all of it is read.
async fn said(pipe: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let Some(mut pipe) = pipe else { return Vec::new() };
    let mut kept = Vec::new();
    let mut piece = [0; 4_096];
    while let Ok(read) = pipe.read(&mut piece).await {
        if read == 0 {
            break;
        }
        let room = OUTPUT_LIMIT.saturating_sub(kept.len()).min(read);
        kept.extend_from_slice(&piece[..room]);
    }
    kept
}

/// Whether there is no such program, rather than one that may not be run.
pub(super) fn is_missing(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::NOENT)
}
