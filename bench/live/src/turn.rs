//! What can be turned under a running target from outside: its limits, and the backlog of its sockets. Each is read back.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};

use brimful_evidence::inet_diag::Family;
use brimful_evidence::snapshot::link::Link;
use brimful_target::limits::nofile_of;
use brimful_target_plan::Nofile;
use rlimit::Resource;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::listen;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::descriptors;
use super::message::{Failed, Processes, chain};
use super::netlink::sock_diag::{SockDiag, SockDiagError};
use super::observe::{children, members};

/// The most processes of a target, its children's children included, that are looked for.
const PROCESSES_MOST: usize = 4_096;

/// Gives every process of the target another `RLIMIT_NOFILE`, and says what the first of them has then.
///
/// # Errors
/// `EPERM` where the hard limit would be raised, or the process is another user's, without the privilege; and when nothing of it is there.
pub(super) fn nofile(of: &Processes, want: Nofile) -> Result<String, Failed> {
    let all = family(of)?;
    for pid in &all {
        let set = rlimit::prlimit(raw(*pid), Resource::NOFILE, Some((want.soft, want.hard)), None);
        match set {
            // One that has ended meanwhile needs none.
            Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => {}
            set => set.map_err(|error| {
                refused(&format!("set the descriptor limit of process {pid} to {}", print(want)), &error)
            })?,
        }
    }
    first_limit(&all)
}

/// Types `ulimit -n` into a shell, as the advice goes, and says what that shell has then and what the target has.
///
/// # Errors
/// When there is no shell, or it refuses.
pub(super) fn shell(beside: &Processes, want: Nofile) -> Result<String, Failed> {
    let script = format!("ulimit -Sn {} && ulimit -Hn {} && ulimit -n", want.soft, want.hard);
    let said = Command::new("/bin/sh")
        .args(["-c", &script])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| refused("start a shell", &error))?;
    if !said.status.success() {
        let words = String::from_utf8_lossy(&said.stderr).trim().to_owned();
        return Err(Failed { what: format!("the shell refused: {words}"), hint: None, machine: true });
    }
    let shell = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    let target = first_limit(&family(beside)?)?;
    Ok(format!("{shell} in the shell, {target} in the target"))
}

/// Calls `listen(2)` again on every socket of the target that listens on one of these ports, through a copy of its
/// descriptor (`pidfd_getfd(2)`, Linux 5.6), and says the limits that are in force then.
///
/// # Errors
/// `EPERM` where the target may not be traced, and when it has no such socket.
pub(super) fn relisten(of: &Processes, ports: &[u16], backlog: u32) -> Result<String, Failed> {
    let before = listeners(ports)?;
    let inodes: BTreeSet<u32> = before.iter().map(|(inode, _)| *inode).collect();
    let length = i32::try_from(backlog).unwrap_or(i32::MAX);
    let mut done = BTreeSet::new();
    for pid in family(of)? {
        for (number, inode) in sockets(pid, &inodes) {
            if done.contains(&inode) {
                continue;
            }
            let socket = copy(pid, number).map_err(|errno| Failed {
                what: format!("cannot take a copy of descriptor {number} of process {pid}: {errno}"),
                hint: Some(
                    "pidfd_getfd(2) needs the right to trace the process (ptrace_scope, CAP_SYS_PTRACE)".to_owned(),
                ),
                machine: true,
            })?;
            listen(&socket, length).map_err(|errno| refused("listen again", &errno.into()))?;
            done.insert(inode);
        }
    }
    if done.is_empty() {
        return Err(Failed { what: "the target has no socket that listens".to_owned(), hint: None, machine: false });
    }
    let after = listeners(ports)?;
    let limits: BTreeSet<u32> =
        after.iter().filter(|(inode, _)| done.contains(inode)).map(|(_, limit)| *limit).collect();
    let limits: Vec<String> = limits.iter().map(u32::to_string).collect();
    Ok(format!("a limit of {} for a backlog of {backlog}", limits.join(" and ")))
}

/// Inode and limit of every socket of this namespace that listens on one of the ports.
fn listeners(ports: &[u16]) -> Result<Vec<(u32, u32)>, Failed> {
    let failed = |error: SockDiagError| Failed { what: chain(&error), hint: None, machine: true };
    let mut diag = SockDiag::open().map_err(failed)?;
    let mut all = Vec::new();
    for family in Family::BOTH {
        let found = diag.listeners(family, Vec::new, |found, entry| {
            if ports.contains(&entry.local.port()) {
                found.push((entry.inode, entry.send_queue));
            }
        });
        // A kernel without IPv6 has no list of its sockets.
        match found {
            Ok(found) => all.extend(found),
            Err(error) if family == Family::V4 => return Err(failed(error)),
            Err(_) => {}
        }
    }
    Ok(all)
}

/// The descriptors of a process that are one of these sockets, with its inode. A process that is gone has none.
fn sockets(pid: u32, inodes: &BTreeSet<u32>) -> Vec<(i32, u32)> {
    let mut found = Vec::new();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    if let Ok(folder) = rustix::fs::open(format!("/proc/{pid}/fd"), flags, Mode::empty()) {
        // What was found before it ended is tried all the same.
        descriptors::each(&folder, u64::MAX, |number, link| {
            if let Some(Link::Socket(inode)) = link
                && inodes.contains(&inode)
            {
                found.push((number, inode));
            }
        })
        .ok();
    }
    found
}

fn copy(pid: u32, number: i32) -> Result<OwnedFd, Errno> {
    let pid = Pid::from_raw(raw(pid)).ok_or(Errno::SRCH)?;
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    pidfd_getfd(&process, number, PidfdGetfdFlags::empty())
}

/// All processes of a target. Of one that is a command, what was started by its init, which is brimful's own as the worker is; of any
/// other the workers and all below them (`/proc/PID/task/TID/children`), those named first.
fn family(of: &Processes) -> Result<Vec<u32>, Failed> {
    if of.trees {
        let mut all = Vec::new();
        for &keeper in &of.pids {
            let found = members(Path::new("/proc"), keeper);
            all.extend(found.map_err(|error| Failed { what: chain(&error), hint: None, machine: true })?);
        }
        return Ok(all);
    }
    let mut all: Vec<u32> = of.pids.clone();
    let mut next = 0;
    while let Some(pid) = all.get(next).copied().filter(|_| all.len() < PROCESSES_MOST) {
        next += 1;
        for child in children(Path::new("/proc"), pid).unwrap_or_default() {
            if !all.contains(&child) {
                all.push(child);
            }
        }
    }
    Ok(all)
}

/// What the first of them that is there has.
fn first_limit(all: &[u32]) -> Result<String, Failed> {
    all.iter().find_map(|pid| nofile_of(*pid).ok()).map(print).ok_or_else(nobody)
}

fn print(limit: Nofile) -> String {
    if limit.soft == limit.hard { limit.soft.to_string() } else { format!("{}:{}", limit.soft, limit.hard) }
}

fn raw(pid: u32) -> i32 {
    i32::try_from(pid).unwrap_or_default()
}

fn nobody() -> Failed {
    Failed { what: "the target is not there".to_owned(), hint: None, machine: false }
}

fn refused(what: &str, error: &io::Error) -> Failed {
    Failed { what: format!("cannot {what}: {error}"), hint: None, machine: true }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsRawFd as _;

    use super::*;

    fn just(pid: u32) -> Processes {
        Processes { pids: vec![pid], trees: false }
    }

    #[test]
    fn a_live_socket_listens_again_through_a_copy_of_its_descriptor() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let limit = || listeners(&[port]).unwrap().first().unwrap().1;
        assert_eq!(limit(), 128, "what Rust's standard library asks for");
        let given = relisten(&just(std::process::id()), &[port], 5).unwrap();
        assert_eq!((given.as_str(), limit()), ("a limit of 5 for a backlog of 5", 5));
        assert!(socket.as_raw_fd() >= 0);
        drop(socket);
        assert!(relisten(&just(std::process::id()), &[port], 5).is_err());
    }

    #[test]
    fn a_limit_reaches_a_running_process_and_its_children_but_not_from_a_shell() {
        let mut child = Command::new("sh").args(["-c", "sleep 60 & wait"]).spawn().unwrap();
        let pid = child.id();
        while family(&just(pid)).unwrap().len() < 2 {
            std::thread::yield_now();
        }
        let all = family(&just(pid)).unwrap();
        let before = nofile_of(pid).unwrap();
        // Of a command, what keeps it is none of it.
        let kept = Processes { pids: vec![std::process::id()], trees: true };
        assert!(family(&kept).unwrap().iter().all(|member| *member != std::process::id() && *member != pid));
        let lower = Nofile { soft: 64, hard: before.hard };
        let said = shell(&just(pid), Nofile { soft: 80, hard: before.hard }).unwrap();
        assert_eq!(said, format!("80 in the shell, {} in the target", print(before)));
        assert_eq!(nofile(&just(pid), lower).unwrap(), print(lower));
        assert!(all.iter().all(|pid| nofile_of(*pid).unwrap() == lower));
        let above = nofile(&just(pid), Nofile { soft: 64, hard: u64::MAX >> 1 });
        assert!(above.is_err(), "{above:?}");
        for pid in all.into_iter().rev() {
            rustix::process::kill_process(Pid::from_raw(raw(pid)).unwrap(), rustix::process::Signal::KILL).ok();
        }
        child.wait().unwrap();
    }
}
