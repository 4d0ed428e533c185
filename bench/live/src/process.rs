//! Worker processes seen from brimful: started, spoken to, heard, ended. Nothing of them outlives it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use brimful_evidence::record::Role;
use rustix::fs::{MemfdFlags, memfd_create};
use serde::Serialize;

use super::message::{Order, Said, Server};
use super::sys;

/// The first argument of a worker, which no user types.
pub const WORKER: &str = "__worker";

/// From the last worker ready to the start instant, in nanoseconds, so that the start has reached everybody before it comes.
pub(super) const START_LEAD_NS: u64 = 4_000_000;

/// How long one that keeps a command may take to end by itself: the kernel kills what is in its namespace at once.
pub(super) const LET_GO: Duration = Duration::from_secs(2);

/// From one look at whether it has ended to the next.
const LOOK: Duration = Duration::from_millis(2);

/// How much of a worker's standard error is kept, from its end, in bytes.
const LAST_WORDS: u64 = 4_096;

/// Which worker of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Its part.
    pub role: Role,
    /// Which of its kind, from 0.
    pub shard: u32,
}

/// Something a worker did.
#[derive(Debug)]
pub enum Heard {
    /// It said a line.
    Said(Said),
    /// It said a line that brimful does not understand: a bug.
    Garbled(String),
    /// It closed its standard output: it has ended, or will now.
    Closed,
}

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    key: Key,
    child: Child,
    orders: Option<ChildStdin>,
    errors: File,
    /// Whether it keeps commands, and is the last to go.
    keeps: bool,
}

impl Worker {
    /// Starts brimful once more as a worker and gives it its order. What it says arrives at `heard`.
    ///
    /// The calling thread must outlive the worker: the kernel's parent-death signal follows the thread (`prctl(2)`, `PR_SET_PDEATHSIG`).
    ///
    /// # Errors
    /// When the process cannot be started, or ends before it reads its order.
    pub fn start(key: Key, order: &Order, heard: Sender<(Key, Heard)>) -> io::Result<Self> {
        sys::keep_inherited_descriptors_to_ourselves();
        // A file in memory, so that a talkative worker can neither block on a full pipe nor cost a thread.
        let errors: OwnedFd = memfd_create("brimful-stderr", MemfdFlags::CLOEXEC)?;
        let errors = File::from(errors);
        let mut child = Command::new("/proc/self/exe")
            .arg0("brimful")
            .args([WORKER, role_name(key.role), &std::process::id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::from(errors.try_clone()?))
            // Ctrl-C at the terminal reaches brimful alone, which then ends its workers in order.
            .process_group(0)
            .spawn()?;
        let orders = child.stdin.take();
        let output = child.stdout.take();
        let keeps =
            matches!(order, Order::Target { server: Server::Command(_), .. } | Order::Probe { container: Some(_), .. });
        let mut worker = Self { key, child, orders, errors, keeps };
        if let Some(output) = output {
            thread::Builder::new().name("listen".to_owned()).spawn(move || listen(key, output, &heard))?;
        }
        worker.tell(order)?;
        Ok(worker)
    }

    /// Which worker this is.
    #[must_use]
    pub fn key(&self) -> Key {
        self.key
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Says a line to it.
    ///
    /// # Errors
    /// `EPIPE` when it has ended.
    pub fn tell<T: Serialize>(&mut self, line: &T) -> io::Result<()> {
        let Some(orders) = &mut self.orders else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        orders.write_all(&text)
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// What `waitpid(2)` says.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Closes its input: whatever waits for the end of it goes on to its own end.
    pub fn close_input(&mut self) {
        self.orders = None;
    }

    /// Kills it, and returns when it is gone, descriptors and all, and what it keeps.
    pub fn end(&mut self) -> io::Result<ExitStatus> {
        let deadline = Instant::now() + LET_GO;
        while self.let_go() && self.ended()?.is_none() && Instant::now() < deadline {
            thread::sleep(LOOK);
        }
        self.kill();
        self.child.wait()
    }

    /// Closes the input of one that keeps a command: it then ends when nothing of the command is left, and not before, as it would if
    /// it were killed. `false` for any other, which is killed.
    pub fn let_go(&mut self) -> bool {
        if self.keeps {
            self.orders = None;
        }
        self.keeps
    }

    /// Kills it without waiting.
    pub fn kill(&mut self) {
        // An error means that it has ended already, which is what is wanted. Its input is closed afterwards: it would end by itself on that.
        self.child.kill().ok();
        self.orders = None;
    }

    /// The end of what it wrote to standard error.
    #[must_use]
    pub fn last_words(&mut self) -> String {
        let mut read = || -> io::Result<String> {
            let length = self.errors.metadata()?.len();
            self.errors.seek(SeekFrom::Start(length.saturating_sub(LAST_WORDS)))?;
            let mut bytes = Vec::new();
            (&self.errors).take(LAST_WORDS).read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
        };
        read().unwrap_or_default()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Reaps it on every way out, early returns included.
        self.end().ok();
    }
}

/// How a process ended, in the words of `waitpid(2)`.
#[must_use]
pub fn in_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown status".to_owned(),
    }
}

/// The word for a role on a worker's command line.
#[must_use]
pub fn role_name(role: Role) -> &'static str {
    match role {
        Role::Target => "target",
        Role::Load => "load",
        Role::Probe => "probe",
        Role::Sandbox => "sandbox",
    }
}

fn listen(key: Key, output: impl io::Read, heard: &Sender<(Key, Heard)>) {
    for line in BufReader::new(output).lines() {
        let Ok(line) = line else { break };
        let what = match serde_json::from_str(&line) {
            Ok(said) => Heard::Said(said),
            Err(error) => Heard::Garbled(format!("{error} in {line}")),
        };
        if heard.send((key, what)).is_err() {
            return;
        }
    }
    // Nobody listens any more when the cell is over, which is no error.
    heard.send((key, Heard::Closed)).ok();
}
