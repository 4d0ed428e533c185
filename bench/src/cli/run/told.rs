//! How a block is told while it runs: by a progress display where its cells run one by one, by lines where several run at once.

use std::sync::{Mutex, PoisonError};

use crate::cli::progress::Progress;
use crate::cli::say;
use crate::live::cell::Live;
use crate::plan::cell::Cell;

/// The progress of one block.
pub(super) enum Told {
    /// One cell at a time.
    One(Box<Mutex<Progress>>),
    /// Several at once: what happens inside of them would only be mixed up.
    Several { done: Mutex<usize>, cells: usize },
}

impl Told {
    /// For a block of these cells; `plain` asks for lines on a terminal too.
    pub(super) fn new(cells: &[Cell], jobs: usize, plain: bool) -> Self {
        if jobs > 1 {
            Self::Several { done: Mutex::default(), cells: cells.len() }
        } else {
            Self::One(Box::new(Mutex::new(Progress::new(cells, plain))))
        }
    }

    /// A cell begins.
    pub(super) fn begin(&self, cell: &Cell) {
        match self {
            Self::One(progress) => with(progress, |progress| progress.begin(cell)),
            Self::Several { .. } => say(&format!("{} begins ({} s)", cell.id, cell.duration().as_secs())),
        }
    }

    /// Something happened in one.
    pub(super) fn live(&self, live: Live) {
        if let Self::One(progress) = self {
            with(progress, |progress| progress.live(live));
        }
    }

    /// One ended; `became` says in a few words what it was.
    pub(super) fn end(&self, cell: &Cell, became: &str) {
        match self {
            Self::One(progress) => with(progress, |progress| progress.end(cell, became)),
            Self::Several { done, cells } => with(done, |done| {
                *done += 1;
                say(&format!("[{done}/{cells}] {}: {became}", cell.id));
            }),
        }
    }

    /// Takes away what is displayed.
    pub(super) fn finish(&self) {
        if let Self::One(progress) = self {
            with(progress, Progress::finish);
        }
    }
}

/// A display is none the worse for a panic elsewhere.
fn with<T>(locked: &Mutex<T>, act: impl FnOnce(&mut T)) {
    act(&mut locked.lock().unwrap_or_else(PoisonError::into_inner));
}
