//! Ctrl-C and SIGTERM as a flag that long work looks at.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

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
pub struct Interrupt(Arc<AtomicU8>);

impl Interrupt {
    /// Begins to listen for SIGINT and SIGTERM in a thread of its own. The first of them sets the flag; the second one ends the process at once.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub fn install() -> std::io::Result<Self> {
        let this = Self::default();
        let flag = this.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let (mut int, mut term) = {
            let _inside = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            runtime.block_on(async {
                loop {
                    let which = tokio::select! {
                        _ = int.recv() => StopSignal::Interrupt,
                        _ = term.recv() => StopSignal::Terminate,
                    };
                    if flag.seen().is_some() {
                        // Workers die with this process; nothing is left to tidy.
                        std::process::exit(i32::from(which.exit_status()));
                    }
                    flag.0.store(which.exit_status(), Ordering::Release);
                }
            });
        })?;
        Ok(this)
    }

    /// The signal that came, if one did.
    #[must_use]
    pub fn seen(&self) -> Option<StopSignal> {
        match self.0.load(Ordering::Acquire) {
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
