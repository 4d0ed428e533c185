//! The processes of a command: found by descending from the worker that keeps it, because a server starts its own workers, ends them and
//! starts others. Who leaves its parent is adopted by the command's init, which is below that worker too.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use brimful_evidence::record::{Member, Role, Source};
use thiserror::Error;

use super::budget::Budget;
use super::file::is_gone;
use super::meter::{Meter, merge};

/// The most processes of one command that are watched, those that have ended included.
const MEMBERS_MOST: u32 = 256;
/// Finding them may take a hundredth of a core.
const SHARE: u64 = 100;

/// Why the processes of a command are not known.
#[derive(Debug, Error)]
pub(crate) enum TreeError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the command has had more than {MEMBERS_MOST} processes, and later ones are not watched")]
    TooMany,
}

/// A command, by the worker that keeps it.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) role: Role,
    pub(super) shard: u32,
    keeper: u32,
    /// The processes that were found, by their ids: when each was last there.
    known: HashMap<u32, u64>,
    found: u32,
    rounds: u64,
    meter: Meter,
    budget: Budget,
}

impl Tree {
    pub(super) fn of(role: Role, shard: u32, keeper: u32) -> Self {
        let (meter, budget) = (Meter::new("process.tree"), Budget::one_in(SHARE));
        Self { role, shard, keeper, known: HashMap::new(), found: 0, rounds: 0, meter, budget }
    }

    /// The command was started again, by another keeper: its processes are other ones, numbered on from those before.
    pub(super) fn is_kept_by(&mut self, keeper: u32) {
        self.keeper = keeper;
        self.known.clear();
        self.budget.forgive();
    }

    /// One round: the processes that were not there in the last one.
    pub(super) fn look(&mut self, at_ns: u64, proc_root: &Path) -> Vec<(u32, Member)> {
        if !self.budget.allows(at_ns, false) {
            return Vec::new();
        }
        let keeper = self.keeper;
        let Some((members, cost_ns)) = self.meter.read(|| members(proc_root, keeper)) else { return Vec::new() };
        self.budget.spend(at_ns, cost_ns);
        self.rounds += 1;
        let round = self.rounds;
        let mut new = Vec::new();
        for pid in members {
            if self.known.insert(pid, round).is_some() {
                continue;
            }
            if self.found >= MEMBERS_MOST {
                self.meter.give_up(&TreeError::TooMany);
                break;
            }
            let name = fs::read_to_string(proc_root.join(pid.to_string()).join("comm")).unwrap_or_default();
            new.push((pid, Member { number: self.found, name: name.trim_end().to_owned() }));
            self.found += 1;
        }
        // A number that is given again is another process.
        self.known.retain(|_, last| *last == round);
        new
    }

    pub(super) fn finish(self, sources: &mut Vec<Source>) {
        merge(sources, self.meter.into_source(None));
    }
}

/// All processes below a keeper and its only child, the command's init; those two are brimful's own.
pub(crate) fn members(proc_root: &Path, keeper: u32) -> Result<Vec<u32>, TreeError> {
    let mut members = Vec::new();
    let mut below: Vec<u32> = Vec::new();
    for init in children(proc_root, keeper)? {
        below.extend(children(proc_root, init)?);
    }
    while let Some(pid) = below.pop() {
        members.push(pid);
        if members.len() > MEMBERS_MOST as usize {
            break;
        }
        below.extend(children(proc_root, pid)?);
    }
    members.sort_unstable();
    Ok(members)
}

/// What a process has started, over all its threads (`proc_pid_children(5)`). None of a process that has ended.
pub(crate) fn children(proc_root: &Path, pid: u32) -> Result<Vec<u32>, TreeError> {
    let folder = proc_root.join(pid.to_string()).join("task");
    let failed = |path: &Path, source| TreeError::Read { path: path.to_owned(), source };
    let threads = match fs::read_dir(&folder) {
        Ok(threads) => threads,
        Err(error) if is_gone(&error) => return Ok(Vec::new()),
        Err(error) => return Err(failed(&folder, error)),
    };
    let mut found = Vec::new();
    for thread in threads {
        let Ok(thread) = thread else { break };
        let path = thread.path().join("children");
        match fs::read_to_string(&path) {
            Ok(text) => found.extend(text.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok())),
            // The thread may have ended meanwhile; a kernel without the file has none for any thread.
            Err(error) if is_gone(&error) && !thread.path().exists() => {}
            Err(error) => return Err(failed(&path, error)),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A made-up tree: each process with one thread and what it has started.
    fn tree(root: &Path, processes: &[(u32, &str)]) {
        for (pid, started) in processes {
            let thread = root.join(format!("{pid}/task/{pid}"));
            fs::create_dir_all(&thread).unwrap();
            fs::write(thread.join("children"), started).unwrap();
            fs::write(root.join(format!("{pid}/comm")), format!("p{pid}\n")).unwrap();
        }
    }

    #[test]
    fn all_that_a_command_has_started_is_found_once_and_what_keeps_it_is_not() {
        let root = tempfile::tempdir().unwrap();
        tree(root.path(), &[(10, "11 "), (11, "12 "), (12, "14 13 "), (13, ""), (14, "15 "), (15, "")]);
        let mut watched = Tree::of(Role::Target, 0, 10);
        let found = watched.look(0, root.path());
        let names: Vec<_> = found.iter().map(|(pid, member)| (*pid, member.number, member.name.as_str())).collect();
        assert_eq!(names, [(12, 0, "p12"), (13, 1, "p13"), (14, 2, "p14"), (15, 3, "p15")]);
        fs::remove_dir_all(root.path().join("13")).unwrap();
        tree(root.path(), &[(12, "14 "), (14, "15 16 "), (16, "")]);
        watched.budget.forgive();
        let found = watched.look(1, root.path());
        assert_eq!(found.iter().map(|(pid, member)| (*pid, member.number)).collect::<Vec<_>>(), [(16, 4)]);
        // The number of one that has ended is given again.
        tree(root.path(), &[(12, "13 14 "), (13, "")]);
        watched.budget.forgive();
        assert_eq!(watched.look(2, root.path()).len(), 1);
    }

    #[test]
    fn a_command_that_is_started_again_has_other_processes_numbered_on() {
        let root = tempfile::tempdir().unwrap();
        tree(root.path(), &[(10, "11 "), (11, "12 "), (12, "")]);
        let mut watched = Tree::of(Role::Target, 0, 10);
        assert_eq!(watched.look(0, root.path()).len(), 1);
        tree(root.path(), &[(20, "21 "), (21, "12 "), (12, "")]);
        watched.is_kept_by(20);
        let found = watched.look(1, root.path());
        assert_eq!(found.iter().map(|(pid, member)| (*pid, member.number)).collect::<Vec<_>>(), [(12, 1)]);
    }

    #[test]
    fn a_kernel_that_does_not_tell_children_is_said_to_be_one() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("10/task/10")).unwrap();
        let mut watched = Tree::of(Role::Target, 0, 10);
        for at in 0..3 {
            assert!(watched.look(at, root.path()).is_empty());
        }
        let mut sources = Vec::new();
        watched.finish(&mut sources);
        assert!(sources[0].unavailable_because.as_ref().unwrap().contains("children"));
    }
}
