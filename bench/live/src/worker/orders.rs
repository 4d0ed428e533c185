//! A worker's two pipes.

use std::io::{self, BufRead as _, BufReader, Write};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::super::message::{Order, Said, Tell};

/// What brimful says to this worker.
pub(super) struct Orders(BufReader<io::Stdin>);

/// What came within a wait.
pub(super) enum Next {
    /// A line.
    Tell(Tell),
    /// Nothing in the time given.
    Nothing,
    /// brimful is gone, or spoke gibberish: end.
    Over,
}

impl Orders {
    pub(super) fn new() -> Self {
        Self(BufReader::new(io::stdin()))
    }

    /// The first line; `None` when brimful is gone.
    pub(super) fn first(&mut self) -> Option<Order> {
        self.line()
    }

    /// The next line, waiting for it as long as it takes; `None` when brimful is gone.
    pub(super) fn next(&mut self) -> Option<Tell> {
        self.line()
    }

    /// The next line within `wait`.
    pub(super) fn next_within(&mut self, wait: Duration) -> Next {
        if self.0.buffer().is_empty() {
            let timeout = Timespec::try_from(wait).ok();
            let stdin = io::stdin();
            let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
            match poll(&mut fds, timeout.as_ref()) {
                Ok(0) | Err(rustix::io::Errno::INTR) => return Next::Nothing,
                Ok(_) => {}
                Err(_) => return Next::Over,
            }
        }
        self.next().map_or(Next::Over, Next::Tell)
    }

    /// Waits for the start instant; `None` when told to stop before it came, or when brimful is gone.
    pub(super) fn start(&mut self) -> Option<u64> {
        match self.next()? {
            Tell::Start { t0_ns } => Some(t0_ns),
            Tell::Stop
            | Tell::Leave { .. }
            | Tell::Open
            | Tell::Enough
            | Tell::Watch { .. }
            | Tell::BaseLine
            | Tell::Begin { .. }
            | Tell::Hold
            | Tell::Turn { .. } => None,
        }
    }

    /// The last of the lines that have come; waits for one where none has. `None` when brimful is gone.
    pub(super) fn latest(&mut self) -> Option<Tell> {
        let mut told = self.next()?;
        while !self.0.buffer().is_empty() {
            told = self.next()?;
        }
        Some(told)
    }

    /// A descriptor that becomes readable, or hangs up, at the next line. `None` when that line is here already.
    pub(super) fn readiness(&self) -> Option<BorrowedFd<'static>> {
        static STDIN: std::sync::OnceLock<io::Stdin> = std::sync::OnceLock::new();
        self.0.buffer().is_empty().then(|| STDIN.get_or_init(io::stdin).as_fd())
    }

    fn line<T: serde::de::DeserializeOwned>(&mut self) -> Option<T> {
        let mut text = String::new();
        match self.0.read_line(&mut text) {
            Ok(0) | Err(_) => None,
            Ok(_) => serde_json::from_str(&text).ok(),
        }
    }
}

/// Says a line to brimful. When that fails, brimful is gone and the closed standard input tells so too.
pub(super) fn say(said: &Said) {
    tell(said, &mut io::stdout().lock());
}

/// Says it to nobody, so that the first time it is said in earnest is not the first time at all.
pub(super) fn rehearse(said: &Said) {
    tell(said, &mut io::sink());
}

fn tell(said: &Said, out: &mut dyn Write) {
    let Ok(mut text) = serde_json::to_vec(said) else { return };
    text.push(b'\n');
    out.write_all(&text).and_then(|()| out.flush()).ok();
}
