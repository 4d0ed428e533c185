//! One scenario being run: its blocks one after another, in each the cells one by one or several at once, and the report at the end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use brimful_evidence::record::{Host, Record};
use brimful_judge::report::{Report, RunInfo};
use brimful_judge::wording::counted;
use brimful_live::cooldown::{self, Cooled, Tables};
use brimful_live::interrupt::Interrupt;
use brimful_live::journal::Book;
use brimful_live::machine;
use brimful_plan::cell::Cell;
use brimful_plan::cost::Machine;
use brimful_runner::store::RunDirectory;

use super::attempt::{Attempts, Ended, in_short, status_of};
use super::prepare::Prepared;
use super::verify;
use crate::error::{Error, ExitStatus};
use crate::progress::Progress;
use crate::{explain, in_words, say};

/// Where and how everything is run.
#[derive(Clone, Copy)]
pub(crate) struct Here<'a> {
    /// This machine, as it was read before anything began.
    pub(crate) machine: &'a Machine,
    /// Set by Ctrl-C and SIGTERM.
    pub(crate) interrupt: &'a Interrupt,
    /// Where this machine itself may be changed.
    pub(crate) book: Option<&'a Book>,
    /// Lines instead of a progress display, also on a terminal.
    pub(crate) plain: bool,
    /// Whether a cell that is expected to be void is no failure.
    pub(crate) verify: bool,
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Ran {
    /// It is saved, and not shown yet.
    pub(crate) report: Report,
    /// What its cells do to the exit status, a signal included.
    pub(crate) status: ExitStatus,
}

/// Runs a scenario that was made ready into a folder, and saves the report, a partial one after a signal.
///
/// # Errors
/// What stops a run; a partial report is saved then, too.
pub(crate) fn run(prepared: &Prepared, directory: &RunDirectory, here: Here<'_>) -> Result<Ran, Error> {
    let session = Session {
        prepared,
        directory,
        here,
        before: Mutex::new(Tables::read()),
        done: Mutex::new(Done { records: Vec::new(), status: ExitStatus::Done, early: 0, fatal: None }),
    };
    session.run()
}

/// One scenario being run.
pub(super) struct Session<'a> {
    pub(super) prepared: &'a Prepared,
    pub(super) directory: &'a RunDirectory,
    pub(super) here: Here<'a>,
    /// The host's tables before the first cell.
    before: Mutex<Tables>,
    done: Mutex<Done>,
}

/// What is done so far.
struct Done {
    records: Vec<Record>,
    status: ExitStatus,
    /// How often a cell or a block began before the host's tables were back.
    early: u32,
    /// What stops the run.
    fatal: Option<Error>,
}

impl Session<'_> {
    fn run(&self) -> Result<Ran, Error> {
        let Prepared { cells, blocks, order, jobs, notes, .. } = self.prepared;
        self.begin()?;
        let progress = Progress::new(cells, self.here.plain);
        for block in 0..*blocks {
            if self.stopped() {
                break;
            }
            progress.block(block, *blocks);
            if *jobs > 1 {
                self.cool(&format!("block {block}"))?;
            }
            let in_order: Vec<&Cell> =
                order.of_block(block, cells.len()).iter().filter_map(|&at| cells.get(at)).collect();
            self.block(block, &in_order, &progress)?;
        }
        progress.finish();
        let mut done = self.done();
        let report = self.report(&done, notes);
        self.directory.save_report(&report, &done.records)?;
        if let Some(error) = done.fatal.take() {
            say(&format!("saved in {}, as far as it came", self.directory.path().display()));
            return Err(error);
        }
        let status = self.here.interrupt.seen().map_or(done.status, |signal| done.status.worse(signal.into()));
        Ok(Ran { report, status })
    }

    /// Says what nobody could know beforehand: the seed, and what a run is that was asked to be something else than its file.
    fn begin(&self) -> Result<(), Error> {
        let Prepared { cells, blocks, order, notes, .. } = self.prepared;
        let mut lines = notes.clone();
        if order.seed() > 0 {
            let (blocks, cells) = (counted(u64::from(*blocks), "block"), counted(cells.len() as u64, "cell"));
            lines.push(format!("seed {}: {blocks} of {cells}, shuffled", order.seed()));
        }
        for line in lines {
            say(&line);
            self.directory.log(&line)?;
        }
        Ok(())
    }

    /// One block. Its cells are over when this returns, so that no cell of the next one meets them.
    fn block(&self, block: u32, cells: &[&Cell], progress: &Progress) -> Result<(), Error> {
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(&cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)).filter(|_| !self.stopped()) {
                if let Err(error) = self.cell(block, cell, progress) {
                    self.done().fatal.get_or_insert(error);
                }
            }
        };
        let jobs = self.prepared.jobs.min(cells.len());
        if jobs > 1 {
            // Each thread lives until its cells are over: the kernel kills a worker when the thread that started it ends.
            thread::scope(|scope| {
                let named = || thread::Builder::new().name("cell".to_owned());
                (0..jobs).try_for_each(|_| named().spawn_scoped(scope, work).map(drop))
            })
            .map_err(|source| Error::Machine { doing: "start a thread", source })?;
        } else {
            work();
        }
        Ok(())
    }

    fn cell(&self, block: u32, cell: &Cell, progress: &Progress) -> Result<(), Error> {
        progress.begin(cell);
        match (Attempts { session: self, cell, block }).run(&mut |live| progress.live(cell, live)) {
            Ok(Ended::Record(ended)) => {
                let (record, verdict) = *ended;
                progress.end(cell, &in_short(&verdict));
                let expected = self.here.verify && verify::expects_void(&self.prepared.scenario.expect, cell);
                let status = if expected { ExitStatus::Done } else { status_of(&record, verdict.outcome) };
                let mut done = self.done();
                done.status = done.status.worse(status);
                done.records.push(record);
                Ok(())
            }
            Ok(Ended::NotStarted(error)) => {
                progress.end(cell, "the target did not start");
                self.directory.log(&in_words(&error))?;
                explain(&error);
                let mut done = self.done();
                done.status = done.status.worse(error.exit_status());
                Ok(())
            }
            Ok(Ended::Interrupted) => Ok(()),
            Err(error) => {
                self.directory.log(&in_words(&error))?;
                Err(error)
            }
        }
    }

    /// The pause before a cell; none where others are running, because their tables are not empty.
    pub(super) fn cool_before_cell(&self, name: &str) -> Result<Cooled, Error> {
        if self.prepared.jobs > 1 { Ok(Cooled::default()) } else { self.cool(name) }
    }

    /// Waits for the host's tables. Where they do not come back within the time that is given them, something else on this machine
    /// fills them: what there is then is what the next pause waits for.
    fn cool(&self, name: &str) -> Result<Cooled, Error> {
        let mut before = locked(&self.before);
        let cooled = cooldown::wait(&before, self.here.interrupt);
        if let Some(still) = cooled.still.as_ref().filter(|_| self.here.interrupt.seen().is_none()) {
            let seconds = cooled.took.as_secs_f64();
            self.directory.log(&format!("{name}: begins with {still}, after a pause of {seconds:.1} s"))?;
            *before = Tables::read();
            self.done().early += 1;
        }
        Ok(cooled)
    }

    pub(super) fn host(&self) -> Host {
        machine::host(self.here.machine, false)
    }

    fn stopped(&self) -> bool {
        self.here.interrupt.seen().is_some() || self.done().fatal.is_some()
    }

    fn done(&self) -> MutexGuard<'_, Done> {
        locked(&self.done)
    }

    fn report(&self, done: &Done, notes: &[String]) -> Report {
        let scenario = &self.prepared.scenario;
        let mut notes = notes.to_vec();
        if done.early > 0 {
            let early = counted(u64::from(done.early), "cell");
            notes.push(format!("before {early} the host's tables did not come back to what they were before the run; run.log says which"));
        }
        let repeated: u32 = done.records.iter().map(|record| record.attempt).sum();
        if repeated > 0 {
            notes.push(format!(
                "{repeated} attempt(s) were void and were repeated; they are kept in the cells' void folders"
            ));
        }
        if !self.host().times_mean_something() {
            notes.push(
                "run in a virtual machine under QEMU's TCG: the verdicts hold, the durations are not comparable with any other run's"
                    .to_owned(),
            );
        }
        let info = RunInfo {
            scenario: scenario.name.clone(),
            question: scenario.question.clone(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            host: done.records.first().map_or_else(|| self.host(), |record| record.host.clone()),
            seed: self.prepared.order.seed(),
            blocks: self.prepared.blocks,
            interrupted: self.here.interrupt.seen().is_some(),
            arms: scenario.arms.clone(),
            gate: scenario.gate.clone(),
            notes,
        };
        Report::build(info, &done.records, &self.prepared.cells)
    }
}

/// What a panic elsewhere left is still what was done.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
