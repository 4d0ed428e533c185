//! Processes, from outside, through their folders in `/proc`.

use std::collections::BTreeMap;
use std::fs::{self, read_to_string};
use std::io;
use std::path::Path;

use rustix::fs::{Dir, Mode, OFlags, readlinkat};

use super::{DoctorError, Roots, Whom, birth};
use crate::evidence::cgroup::cpu_stat;
use crate::evidence::proc::{self, limits_nofile};
use crate::evidence::snapshot::link::Link;
use crate::evidence::snapshot::{Home, NotSeen, Process, Throttle};
use crate::live::cgroup;

/// A process and the inodes of its sockets.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) process: Process,
    pub(super) sockets: Vec<u32>,
}

/// How many processes kept their descriptors to themselves.
#[derive(Debug, Default)]
pub(super) struct Forbidden {
    count: u64,
    because: String,
}

impl Forbidden {
    pub(super) fn told(&self) -> Option<NotSeen> {
        (self.count > 0).then(|| NotSeen {
            what: format!("descriptors and sockets of {} of other users (run it as root)", count(self.count)),
            because: self.because.clone(),
        })
    }
}

fn count(n: u64) -> String {
    if n == 1 { "1 process".to_owned() } else { format!("{n} processes") }
}

/// Every process there is, in ascending order.
pub(super) fn all(proc_root: &Path) -> Result<Vec<u32>, DoctorError> {
    let failed = |source| DoctorError::Processes { path: proc_root.display().to_string(), source };
    let mut pids: Vec<u32> = fs::read_dir(proc_root)
        .map_err(failed)?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    Ok(pids)
}

/// Who is meant by name. Each is there, and may be read.
pub(super) fn meant(roots: &Roots, whom: &Whom, pids: &[u32]) -> Result<Vec<u32>, DoctorError> {
    let meant: Vec<u32> = match whom {
        Whom::Host | Whom::Port(_) => return Ok(Vec::new()),
        Whom::Process(pid) if pids.contains(pid) => vec![*pid],
        Whom::Process(pid) => return Err(DoctorError::NoProcess { pid: *pid }),
        Whom::Container(name) => {
            let lives = |pid: &&u32| {
                let groups = read_to_string(roots.proc.join(pid.to_string()).join("cgroup")).unwrap_or_default();
                groups.lines().any(|line| line.splitn(3, ':').nth(2).is_some_and(|path| path.contains(name.as_str())))
            };
            let found: Vec<u32> = pids.iter().filter(lives).copied().collect();
            if found.is_empty() {
                return Err(DoctorError::NoContainer { name: name.clone() });
            }
            found
        }
    };
    for pid in &meant {
        match fs::read_dir(roots.proc.join(pid.to_string()).join("fd")) {
            Err(source) if source.kind() == io::ErrorKind::PermissionDenied => {
                return Err(DoctorError::Forbidden { pid: *pid, source });
            }
            // One that ended meanwhile is seen as gone.
            Ok(_) | Err(_) => {}
        }
    }
    Ok(meant)
}

/// The inode of a process's network namespace; `None` where it may not be read.
pub(super) fn namespace_of(folder: &Path) -> Option<u64> {
    let link = fs::read_link(folder.join("ns/net")).ok()?;
    link.to_str()?.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()
}

/// One process; `None` for one that is gone, and for a thread of the kernel, which has no descriptors to speak of.
pub(super) fn read(roots: &Roots, pid: u32, mounts: &str, forbidden: &mut Forbidden) -> Option<Seen> {
    let folder = roots.proc.join(pid.to_string());
    let text = |name: &str| read_to_string(folder.join(name)).ok();
    let stat = proc::stat(&text("stat")?).ok()?;
    if stat.has_ended() {
        return None;
    }
    let tick_ns = 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1);
    let groups = text("cgroup").unwrap_or_default();
    let nofile = text("limits").and_then(|text| limits_nofile(&text).ok());
    let home = Home::parse(&groups);
    let mut process = Process {
        pid,
        name: text("comm").unwrap_or_default().trim().to_owned(),
        namespace: namespace_of(&folder).unwrap_or(0),
        limit_from: nofile.and_then(|limits| birth::of(roots, pid, &home, limits)),
        nofile,
        home,
        cpu_ns: Some(stat.utime_ticks.saturating_add(stat.stime_ticks).saturating_mul(tick_ns)),
        throttle: throttle(roots, &groups, mounts),
        ..Process::default()
    };
    let mut sockets = Vec::new();
    match descriptors(&folder.join("fd"), &mut sockets) {
        Ok((count, kinds)) => {
            process.descriptors = Some(count);
            process.kinds = kinds;
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            forbidden.count += 1;
            forbidden.because = error.to_string();
        }
        // Gone meanwhile.
        Err(_) => return None,
    }
    Some(Seen { process, sockets })
}

/// How many descriptors there are, of which kinds, and the inodes of the sockets among them.
fn descriptors(folder: &Path, sockets: &mut Vec<u32>) -> io::Result<(u64, BTreeMap<String, u64>)> {
    let opened = rustix::fs::open(folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
    let mut listed = 0_u64;
    let mut buffer = Vec::with_capacity(64);
    for entry in Dir::read_from(&opened)? {
        let entry = entry?;
        if entry.file_name().to_bytes().starts_with(b".") {
            continue;
        }
        listed += 1;
        // A descriptor may be closed before it is looked at.
        let Ok(link) = readlinkat(&opened, entry.file_name(), buffer) else {
            buffer = Vec::with_capacity(64);
            continue;
        };
        match Link::parse(&link.to_string_lossy()) {
            Link::Socket(inode) => {
                sockets.push(inode);
                count_kind(&mut kinds, "socket");
            }
            Link::Other(kind) => count_kind(&mut kinds, kind),
        }
        buffer = link.into_bytes();
    }
    Ok((listed, kinds))
}

fn count_kind(kinds: &mut BTreeMap<String, u64>, kind: &str) {
    match kinds.get_mut(kind) {
        Some(count) => *count += 1,
        None => {
            kinds.insert(kind.to_owned(), 1);
        }
    }
}

/// The group that stops it most, of its own and those around it.
fn throttle(roots: &Roots, groups: &str, mounts: &str) -> Option<Throttle> {
    let read = |folder: &Path| {
        let text = read_to_string(roots.file(folder).join("cpu.stat")).ok()?;
        let mut found = Throttle { group: folder.display().to_string(), ..Throttle::default() };
        cpu_stat(&text, |name, value| match name {
            "nr_periods" => found.periods = value,
            "nr_throttled" => found.throttled = value,
            _ => found.throttled_ns = value,
        })
        .ok()?;
        (found.periods > 0).then_some(found)
    };
    let folders = cgroup::folders(groups, mounts);
    folders.iter().filter_map(|folder| read(folder)).max_by_key(|found| found.throttled)
}
