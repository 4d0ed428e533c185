//! Looks at a live host, twice and a moment apart. It only reads: nothing is set, sent or opened towards a program.
//!
//! It must not judge. What may not be read is told as not seen, unless it is exactly what was asked for.

mod birth;
mod error;
mod host;
mod namespace;
mod process;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

pub use error::DoctorError;

use brimful_evidence::inet_diag::State;
use brimful_evidence::snapshot::{NotSeen, Process, Snapshot, Watched};
use namespace::Eye;
use process::{Listed, Seen};

/// From one reading of the accept queues to the next.
const QUEUES_EVERY: Duration = Duration::from_millis(20);
/// The accept queues are read for so long at least (or all of a shorter window), however long the first look took.
const WATCH_AT_LEAST: Duration = Duration::from_millis(300);
/// Namespaces that are looked into; a node has one for each pod.
const MOST_NAMESPACES: usize = 128;
/// Processes that are looked at.
const MOST_PROCESSES: usize = 65_536;

/// Where the machine's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// `/proc`.
    pub proc: PathBuf,
    /// `/`, below which units of systemd and control groups are looked for.
    pub files: PathBuf,
}

impl Roots {
    /// Those of this machine.
    #[must_use]
    pub fn of_this_machine() -> Self {
        Self { proc: "/proc".into(), files: "/".into() }
    }

    /// A file by its absolute path.
    fn file(&self, path: &Path) -> PathBuf {
        self.files.join(path.strip_prefix("/").unwrap_or(path))
    }
}

/// Whom to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// Everybody.
    Host,
    /// One process.
    Process(u32),
    /// Whoever listens on a port.
    Port(u16),
    /// The processes whose control group's path has this in it.
    Container(String),
}

/// What two looks gave.
#[derive(Clone, Debug)]
pub struct Looks {
    /// The first.
    pub before: Snapshot,
    /// The second.
    pub after: Snapshot,
    /// The processes that were meant; empty for [`Whom::Host`] and [`Whom::Port`].
    pub meant: Vec<u32>,
}

/// Looks, watches the accept queues, and looks again: from the beginning of one look to that of the other is `window`, or more
/// where the first look takes nearly all of it. Ends the wait early when `stop` says so.
///
/// # Errors
/// When whoever was asked for is not there, or may not be read.
pub fn look(roots: &Roots, whom: &Whom, window: Duration, stop: &dyn Fn() -> bool) -> Result<Looks, DoctorError> {
    let begun = Instant::now();
    let pids = process::all(&roots.proc)?;
    let meant = process::meant(roots, whom, &pids)?;
    let mut not_seen = Vec::new();
    if pids.len() > MOST_PROCESSES {
        not_seen.push(NotSeen {
            what: format!("{} of {} processes", pids.len() - MOST_PROCESSES, pids.len()),
            because: "no more are looked at".to_owned(),
        });
    }
    let looked: Vec<u32> =
        if meant.is_empty() { pids.into_iter().take(MOST_PROCESSES).collect() } else { meant.clone() };
    let mut eyes = open(roots, &looked, &mut not_seen);
    let mut listed = HashMap::new();
    let first = Instant::now();
    let before = snapshot(roots, &looked, &mut eyes, &mut listed, begun, &not_seen);
    let left = window.saturating_sub(first.elapsed()).max(window.min(WATCH_AT_LEAST));
    let watched = watch(&mut eyes, left, stop);
    let mut after = snapshot(roots, &looked, &mut eyes, &mut listed, begun, &not_seen);
    for namespace in &mut after.namespaces {
        for listener in namespace.listeners.iter_mut().flatten() {
            let now = Watched::one(listener.waiting, listener.limit);
            let earlier = watched.get(&(namespace.id, listener.inode));
            listener.watched = Some(earlier.map_or(now, |seen| seen.and(listener.waiting, listener.limit)));
        }
    }
    Ok(Looks { before, after, meant })
}

/// Opens an eye in every network namespace that these processes are in, and in the doctor's own.
fn open(roots: &Roots, pids: &[u32], not_seen: &mut Vec<NotSeen>) -> Vec<Eye> {
    let own = process::namespace_of(&roots.proc.join("self"));
    let mut others: BTreeMap<u64, u32> = BTreeMap::new();
    for pid in pids {
        if let Some(id) = process::namespace_of(&roots.proc.join(pid.to_string())) {
            others.entry(id).or_insert(*pid);
        }
    }
    others.remove(&own.unwrap_or(0));
    if others.len() > MOST_NAMESPACES {
        not_seen.push(NotSeen {
            what: format!("{} of {} network namespaces", others.len() - MOST_NAMESPACES, others.len()),
            because: "no more are looked into: name a process, a port or a container".to_owned(),
        });
    }
    let mut eyes = vec![Eye::own(roots, own.unwrap_or(0))];
    eyes.extend(others.into_iter().take(MOST_NAMESPACES).map(|(id, pid)| Eye::of(roots, id, pid)));
    eyes
}

fn snapshot(
    roots: &Roots,
    pids: &[u32],
    eyes: &mut [Eye],
    listed: &mut HashMap<u32, Listed>,
    begun: Instant,
    not_seen: &[NotSeen],
) -> Snapshot {
    let mut not_seen = not_seen.to_vec();
    let at_ns = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let mut namespaces = Vec::new();
    let mut states: HashMap<u32, State> = HashMap::new();
    for eye in eyes.iter_mut() {
        let (namespace, by_inode) = eye.read(roots, &mut not_seen);
        // The numbers of inodes are the host's, whatever the namespace.
        if states.is_empty() {
            states = by_inode;
        } else {
            states.extend(by_inode);
        }
        namespaces.push(namespace);
    }
    let mut left_out = process::LeftOut::default();
    let mounts = std::fs::read_to_string(roots.proc.join("self/mountinfo")).unwrap_or_default();
    let mut owners: HashMap<u32, Vec<u32>> = HashMap::new();
    let mut processes = Vec::new();
    for pid in pids {
        let Some(Seen { mut process, sockets }) = process::read(roots, *pid, &mounts, &mut left_out, listed) else {
            continue;
        };
        own_sockets(&mut process, &sockets, &states, &mut owners);
        processes.push(process);
    }
    for namespace in &mut namespaces {
        for listener in namespace.listeners.iter_mut().flatten() {
            listener.owners = owners.get(&listener.inode).cloned().unwrap_or_default();
        }
    }
    not_seen.extend(left_out.told());
    Snapshot {
        at_ns,
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        host: host::read(roots, &mut not_seen),
        namespaces,
        processes,
        not_seen,
    }
}

/// Counts a process's sockets by state, and notes it as their owner.
fn own_sockets(
    process: &mut Process,
    sockets: &[u32],
    states: &HashMap<u32, State>,
    owners: &mut HashMap<u32, Vec<u32>>,
) {
    let mut by_state: BTreeMap<&'static str, u64> = BTreeMap::new();
    for inode in sockets {
        match states.get(inode) {
            Some(state) => {
                *by_state.entry(state.name()).or_insert(0) += 1;
                if *state == State::LISTEN {
                    owners.entry(*inode).or_default().push(process.pid);
                }
                if *state == State::CLOSE_WAIT {
                    process.close_wait.push(*inode);
                }
            }
            None => *by_state.entry("OTHER").or_insert(0) += 1,
        }
    }
    process.sockets = by_state.into_iter().map(|(state, n)| (state.to_owned(), n)).collect();
    process.close_wait.sort_unstable();
    process.close_wait.dedup();
}

/// Reads the accept queues for so long.
fn watch(eyes: &mut [Eye], time: Duration, stop: &dyn Fn() -> bool) -> HashMap<(u64, u32), Watched> {
    let mut watched: HashMap<(u64, u32), Watched> = HashMap::new();
    let begun = Instant::now();
    while begun.elapsed() < time && !stop() {
        for eye in eyes.iter_mut() {
            for (inode, waiting, limit) in eye.queues() {
                let seen = watched.entry((eye.id(), inode)).and_modify(|seen| *seen = seen.and(waiting, limit));
                seen.or_insert_with(|| Watched::one(waiting, limit));
            }
        }
        thread::sleep(QUEUES_EVERY.min(time.saturating_sub(begun.elapsed())));
    }
    watched
}
