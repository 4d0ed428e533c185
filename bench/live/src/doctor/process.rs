//! Processes, from outside, through their folders in `/proc`.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, read_to_string};
use std::io;
use std::path::Path;

use brimful_evidence::cgroup::cpu_stat;
use brimful_evidence::proc::{self, limits_nofile};
use brimful_evidence::snapshot::link::Link;
use brimful_evidence::snapshot::{Home, NotSeen, Process, Throttle};
use rustix::fs::{Mode, OFlags, fstat};

use super::{DoctorError, Roots, Whom, birth};
use crate::{cgroup, descriptors};

/// A process and the inodes of its sockets.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) process: Process,
    pub(super) sockets: Vec<u32>,
}

/// Descriptors that are looked at one by one in a look at a host, a microsecond each. One process gets half of what is left at most, so that
/// none is without.
const MOST_DESCRIPTORS: u64 = 500_000;
/// What each is looked at nevertheless: a server's listeners are among its first.
const LEAST_DESCRIPTORS: u64 = 256;

/// What a look at processes left out.
#[derive(Debug)]
pub(super) struct LeftOut {
    /// Descriptors that may still be looked at.
    room: u64,
    /// Those that were not, and of how many processes.
    beyond: u64,
    crowded: u64,
    /// Processes that kept their descriptors to themselves.
    forbidden: u64,
    because: String,
}

impl Default for LeftOut {
    fn default() -> Self {
        Self { room: MOST_DESCRIPTORS, beyond: 0, crowded: 0, forbidden: 0, because: String::new() }
    }
}

impl LeftOut {
    /// How many descriptors of the next process are looked at.
    fn share(&self) -> u64 {
        (self.room / 2).max(LEAST_DESCRIPTORS)
    }

    fn note(&mut self, listed: &Listed) {
        self.room = self.room.saturating_sub(listed.count - listed.beyond);
        self.beyond += listed.beyond;
        self.crowded += u64::from(listed.beyond > 0);
    }

    pub(super) fn told(&self) -> impl Iterator<Item = NotSeen> {
        let forbidden = (self.forbidden > 0).then(|| NotSeen {
            what: format!("descriptors and sockets of {} of other users (run it as root)", count(self.forbidden)),
            because: self.because.clone(),
        });
        let beyond = (self.beyond > 0).then(|| NotSeen {
            what: format!("what {} descriptors of {} are", self.beyond, count(self.crowded)),
            because: "no more are looked at one by one: name a process or a container".to_owned(),
        });
        forbidden.into_iter().chain(beyond)
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
pub(super) fn read(
    roots: &Roots,
    pid: u32,
    mounts: &str,
    left_out: &mut LeftOut,
    listed: &mut HashMap<u32, Listed>,
) -> Option<Seen> {
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
    match list(&folder.join("fd"), left_out.share(), listed.get(&pid)) {
        Ok(seen) => {
            left_out.note(&seen);
            process.descriptors = Some(seen.count);
            process.kinds.clone_from(&seen.kinds);
            sockets.clone_from(&seen.sockets);
            listed.insert(pid, seen);
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            left_out.forbidden += 1;
            left_out.because = error.to_string();
        }
        // Gone meanwhile.
        Err(_) => return None,
    }
    Some(Seen { process, sockets })
}

/// What a look at a process's descriptors gave.
#[derive(Clone, Debug, Default)]
pub(super) struct Listed {
    count: u64,
    /// Of these, how many were not looked at.
    beyond: u64,
    kinds: BTreeMap<String, u64>,
    sockets: Vec<u32>,
}

/// The descriptors of a folder: how many, and of the first `most` their kinds and the inodes of the sockets among them. Where there are as many as at an
/// earlier look, that is taken for this one: looking at each of 100,000 takes longer than all the rest.
fn list(folder: &Path, most: u64, earlier: Option<&Listed>) -> io::Result<Listed> {
    let opened = rustix::fs::open(folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    // The kernel gives the number of open descriptors as the folder's size since Linux 6.2 (f1f1f2569901); before that it is 0.
    let size = u64::try_from(fstat(&opened)?.st_size).unwrap_or(0);
    if let Some(earlier) = earlier.filter(|earlier| earlier.count == size && size > 0) {
        return Ok(earlier.clone());
    }
    let mut listed = Listed::default();
    listed.beyond = descriptors::each(&opened, most, |_, link| {
        listed.count += 1;
        match link {
            Some(Link::Socket(inode)) => {
                listed.sockets.push(inode);
                count_kind(&mut listed.kinds, "socket");
            }
            Some(Link::Other(kind)) => count_kind(&mut listed.kinds, kind),
            None => {}
        }
    })?;
    listed.count += listed.beyond;
    Ok(listed)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_all_the_room_nobody_gets_none_and_what_is_left_out_is_told() {
        let mut left_out = LeftOut::default();
        assert_eq!((left_out.share(), left_out.told().count()), (MOST_DESCRIPTORS / 2, 0));
        for (count, beyond) in [(300_000, 50_000), (40, 0), (400_000, 150_030)] {
            left_out.note(&Listed { count, beyond, ..Listed::default() });
        }
        assert_eq!(left_out.share(), LEAST_DESCRIPTORS);
        let told: Vec<String> = left_out.told().map(|not_seen| not_seen.what).collect();
        assert_eq!(told, ["what 200030 descriptors of 2 processes are"]);
    }

    #[test]
    fn descriptors_beyond_the_first_are_counted_and_not_looked_at() {
        let root = tempfile::tempdir().unwrap();
        for number in 0..5 {
            std::os::unix::fs::symlink("socket:[7]", root.path().join(number.to_string())).unwrap();
        }
        let listed = list(root.path(), 3, None).unwrap();
        assert_eq!((listed.count, listed.beyond, listed.kinds["socket"], listed.sockets.len()), (5, 2, 3, 3));
    }
}
