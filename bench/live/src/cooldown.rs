//! The pause before a cell: until what the kernel keeps for the whole host is back at what it was before the run.
//!
//! A sandbox's own tables vanish with it, but slowly, and some are one for all namespaces: sockets allocated, orphans and TCP's
//! memory (`sockstat_seq_show`, `net/ipv4/proc.c`: `orphan`, `alloc` and `mem` are the host's; `inuse` and `tw` are the
//! namespace's) and open files. A cell that begins while the one before is still being dismantled pays for it.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use brimful_evidence::proc::{file_nr, one_number, sockstat};

use super::interrupt::Interrupt;

/// How long a cell waits at most.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// From one look to the next; three small files cost some ten microseconds.
const LOOK: Duration = Duration::from_millis(20);

/// How much more than before counts as *back*: what an idle machine does by itself between two looks. For memory, in pages, it is the
/// reserve that the kernel keeps for each processor (`SK_MEMORY_PCPU_RESERVE`, 1 MiB), of which a machine has many.
const SLACK: [(&str, u64); 5] = [
    ("TCP sockets", 64),
    ("orphaned sockets", 64),
    ("pages of TCP memory", 4_096),
    ("open files", 512),
    ("tracked connections", 256),
];

/// The host's tables at one instant; each number absent where it could not be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    numbers: [Option<u64>; SLACK.len()],
    /// Whether a child of this process is still there.
    children: bool,
}

impl Tables {
    /// Reads them as this process sees them.
    #[must_use]
    pub fn read() -> Self {
        Self::below(Path::new("/proc"))
    }

    fn below(proc_root: &Path) -> Self {
        let text = |name: &str| fs::read_to_string(proc_root.join(name)).unwrap_or_default();
        let [mut alloc, mut orphan, mut memory] = [None; 3];
        let each = |protocol: &str, name: &str, value| match (protocol, name) {
            ("TCP", "alloc") => alloc = Some(value),
            ("TCP", "orphan") => orphan = Some(value),
            ("TCP", "mem") => memory = Some(value),
            _ => {}
        };
        // A text that is not understood leaves its numbers absent, as one that is not there does.
        sockstat(&text("net/sockstat"), each).ok();
        let files = file_nr(&text("sys/fs/file-nr")).ok().map(|files| files.allocated);
        let tracked = one_number(&text("sys/net/netfilter/nf_conntrack_count")).ok();
        Self { numbers: [alloc, orphan, memory, files, tracked], children: has_children(&proc_root.join("self/task")) }
    }

    /// What is not back at what it was, in words; `None` when everything is.
    #[must_use]
    pub fn beyond(&self, before: &Self) -> Option<String> {
        if self.children {
            return Some("a process of an earlier cell is still there".to_owned());
        }
        let pairs = SLACK.iter().zip(self.numbers.iter().zip(&before.numbers));
        pairs.into_iter().find_map(|((name, slack), (now, before))| {
            let (now, before) = ((*now)?, (*before)?);
            (now > before.saturating_add(*slack)).then(|| format!("{now} {name}, {before} before the run"))
        })
    }
}

/// Whether any thread of this process has a child (`CONFIG_PROC_CHILDREN`; without it nobody is seen).
fn has_children(tasks: &Path) -> bool {
    let threads = fs::read_dir(tasks).into_iter().flatten().flatten();
    threads.into_iter().any(|thread| {
        fs::read_to_string(thread.path().join("children")).is_ok_and(|children| !children.trim().is_empty())
    })
}

/// How a pause ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cooled {
    /// How long it was.
    pub took: Duration,
    /// What was not back at what it was when patience ended; `None` when everything was.
    pub still: Option<String>,
}

/// Waits until the tables are back at what they were before the run's first cell, for [`PATIENCE`] at most, and not after a signal.
#[must_use]
pub fn wait(before: &Tables, interrupt: &Interrupt) -> Cooled {
    until(PATIENCE, interrupt, || Tables::read().beyond(before))
}

fn until(patience: Duration, interrupt: &Interrupt, mut beyond: impl FnMut() -> Option<String>) -> Cooled {
    let begun = Instant::now();
    loop {
        let still = beyond();
        let took = begun.elapsed();
        if still.is_none() || took >= patience || interrupt.seen().is_some() {
            return Cooled { took, still };
        }
        std::thread::sleep(LOOK.min(patience - took));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(alloc: u64, files: u64) -> Tables {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(
            "net/sockstat",
            format!("sockets: used 16\nTCP: inuse 1 orphan 3 tw 2 alloc {alloc} mem 63\nUDP: inuse 0 mem 0\n"),
        );
        write("sys/fs/file-nr", format!("{files}\t0\t2466183\n"));
        Tables::below(root.path())
    }

    #[test]
    fn what_belongs_to_the_host_is_read_and_what_is_not_there_is_absent() {
        assert_eq!(tables(9, 685), Tables { numbers: [Some(9), Some(3), Some(63), Some(685), None], children: false });
    }

    #[test]
    fn back_is_back_but_for_what_a_machine_does_by_itself() {
        let before = tables(10, 700);
        assert_eq!(tables(74, 1_212).beyond(&before), None);
        assert_eq!(tables(75, 700).beyond(&before).as_deref(), Some("75 TCP sockets, 10 before the run"));
        assert_eq!(tables(10, 1_213).beyond(&before).as_deref(), Some("1213 open files, 700 before the run"));
        assert_eq!(tables(75, 700).beyond(&Tables::default()), None, "what was not known before cannot be waited for");
    }

    #[test]
    fn a_child_is_waited_for_until_it_is_reaped() {
        let seen = || Tables::below(Path::new("/proc")).children;
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        // Other tests of this process may have children of their own, so only that one is seen can be told.
        let known = Path::new("/proc/self/task").join(std::process::id().to_string()).join("children").exists();
        assert!(seen() || !known);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_wait_ends_when_all_is_back_and_when_patience_ends() {
        let mut left = 3;
        let cooled = until(PATIENCE, &Interrupt::default(), || {
            left -= 1;
            (left > 0).then(|| "something".to_owned())
        });
        assert_eq!((cooled.still, left), (None, 0));
        let never = until(Duration::from_millis(1), &Interrupt::default(), || Some("something".to_owned()));
        assert_eq!(never.still.as_deref(), Some("something"));
        assert!(never.took >= Duration::from_millis(1));
    }
}
