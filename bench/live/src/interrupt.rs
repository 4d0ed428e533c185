//! Ctrl-C and SIGTERM as a flag that long work looks at.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use std::{fmt, io, thread};

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

/// How often a wait looks whether a signal came.
pub const LOOK: Duration = Duration::from_millis(50);

/// Which signal asked for the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGINT: exit status 130.
    Interrupt,
    /// SIGTERM: exit status 143.
    Terminate,
}

/// Whether a signal has asked for the end. Clones share one flag.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<Asked>);

#[derive(Default)]
struct Asked {
    by: AtomicU8,
    /// Done before a second signal ends the process.
    last: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked").field("by", &self.by).finish_non_exhaustive()
    }
}

impl Interrupt {
    /// Begins to listen for SIGINT and SIGTERM in a thread of its own. The first of them sets the flag; the second one ends the process at once.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub fn install() -> io::Result<Self> {
        let this = Self::default();
        this.listen(SignalKind::interrupt(), StopSignal::Interrupt)?;
        this.listen(SignalKind::terminate(), StopSignal::Terminate)?;
        Ok(this)
    }

    /// For a run that leaves traces on the machine: `last` is done before a second signal ends the process, and a hang-up of the
    /// terminal and a quit (`Ctrl-\\`) ask for the end too, where they would have ended the process at once. A hang-up that is
    /// ignored, as below `nohup`, stays ignored.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub fn before_exit(&self, last: impl Fn() + Send + Sync + 'static) -> io::Result<()> {
        // One run has one journal; a second is not asked for.
        self.0.last.set(Box::new(last)).ok();
        for (kind, name) in [(SignalKind::hangup(), Signal::HUP), (SignalKind::quit(), Signal::QUIT)] {
            if !ignored(name)? {
                self.listen(kind, StopSignal::Terminate)?;
            }
        }
        Ok(())
    }

    fn listen(&self, kind: SignalKind, which: StopSignal) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let mut signals = {
            let _inside = runtime.enter();
            signal(kind)?
        };
        let this = self.clone();
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            runtime.block_on(async {
                while signals.recv().await.is_some() {
                    this.ask(which);
                }
            });
        })?;
        Ok(())
    }

    fn ask(&self, which: StopSignal) {
        let first = self.0.by.compare_exchange(0, which.exit_status(), Ordering::AcqRel, Ordering::Acquire);
        if first.is_err() {
            if let Some(last) = self.0.last.get() {
                last();
            }
            // Workers die with this process; nothing else is left to tidy.
            std::process::exit(i32::from(which.exit_status()));
        }
    }

    /// The signal that came, if one did.
    #[must_use]
    pub fn seen(&self) -> Option<StopSignal> {
        match self.0.by.load(Ordering::Acquire) {
            130 => Some(StopSignal::Interrupt),
            143 => Some(StopSignal::Terminate),
            _ => None,
        }
    }
}

impl StopSignal {
    /// 128 and the signal's number, as a shell would say.
    #[must_use]
    pub fn exit_status(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

/// Whether this process ignores a signal, by the mask in `/proc/self/status` (`proc(5)`, SigIgn).
fn ignored(signal: Signal) -> io::Result<bool> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    Ok(mask >> (signal.as_raw() - 1) & 1 == 1)
}
