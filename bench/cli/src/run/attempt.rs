//! One cell of one block, from the pause before it to the record that counts: run, saved, and run again where the machine spoilt it.

use std::collections::BTreeMap;
use std::time::Duration;

use brimful_evidence::record::Record;
use brimful_judge::{Verdict, judge, worth_repeating};
use brimful_live::cell::{self, CellError, Live};
use brimful_live::compose::{self, Belongs};
use brimful_live::cooldown::Cooled;
use brimful_live::journal::Book;
use brimful_plan::cell::Cell;
use brimful_plan::expect::CellOutcome;
use brimful_plan::predict::predict;
use brimful_plan::topology::{self, Layout};
use jiff::Timestamp;

use super::session::Session;
use super::verify;
use crate::error::{Error, ExitStatus};

/// How often a block is run again that came to nothing. A machine that is too busy three times in a row will be so the fourth time.
const REPEATS: u32 = 2;

/// What came of a cell.
pub(super) enum Ended {
    /// The record that counts; it is saved.
    Record(Box<(Record, Verdict)>),
    /// The target did not start; the next cell may have one that does.
    NotStarted(Error),
    /// A signal came before it had begun.
    Interrupted,
}

/// One cell of one block.
pub(super) struct Attempts<'a> {
    pub(super) session: &'a Session<'a>,
    pub(super) cell: &'a Cell,
    pub(super) block: u32,
}

impl Attempts<'_> {
    /// Runs it until it counts.
    ///
    /// # Errors
    /// When it cannot be run here, when a worker broke, when a record cannot be saved.
    pub(super) fn run(&self, show: &mut dyn FnMut(Live)) -> Result<Ended, Error> {
        let Self { session, cell, .. } = self;
        let layout = topology::resolve(cell, session.here.machine.nofile_hard).map_err(|r| Error::Refused(vec![r]))?;
        let mut attempt = 0;
        loop {
            show(Live::Step("waiting for the host's tables"));
            let cooled = session.cool_before_cell(&self.name())?;
            session.directory.log(&format!("{}: begins{}", self.name(), after(&cooled)))?;
            let (record, logs) = match self.one(attempt, &cooled, &layout, show) {
                Ok(both) => both,
                Err(CellError::Interrupted) => return Ok(Ended::Interrupted),
                Err(source @ CellError::TargetDidNotStart { .. }) => return Ok(Ended::NotStarted(self.failed(source))),
                Err(source) => return Err(self.failed(source)),
            };
            // Said once the record is safe: the next cell must not begin on a host that is not as it was.
            let back = session.here.book.map_or(Ok(()), Book::put_back);
            let verdict = judge(&record);
            if !self.again(&record, &verdict, attempt) {
                // Saved before anything else can go wrong.
                session.directory.save_record(&record)?;
                session.directory.save_logs(&record, &logs)?;
                session.directory.log(&format!("{}: {}", self.name(), in_short(&verdict)))?;
                back?;
                return Ok(Ended::Record(Box::new((record, verdict))));
            }
            session.directory.save_void(&record)?;
            back?;
            session.directory.log(&format!("{}: {}; it is run again", self.name(), in_short(&verdict)))?;
            attempt += 1;
        }
    }

    fn one(
        &self,
        attempt: u32,
        cooled: &Cooled,
        layout: &Layout,
        show: &mut dyn FnMut(Live),
    ) -> Result<(Record, BTreeMap<u32, String>), CellError> {
        let Self { session, cell, block } = *self;
        let started_at = Timestamp::now().to_string();
        let mut gathered = cell::run(cell, layout, session.here.interrupt, session.here.book, show)?;
        let logs = std::mem::take(&mut gathered.logs);
        let belongs = Belongs {
            scenario: &session.prepared.scenario.name,
            block,
            attempt,
            seed: session.prepared.order.seed(),
            cooldown: cooled.took,
            started_at,
            prediction: predict(cell, session.here.machine),
        };
        Ok((compose::record(belongs, session.host(), cell, layout, gathered), logs))
    }

    /// Whether the generator or the host spoilt it, and another attempt may come to something. A scenario that expects a cell to be
    /// void has its answer.
    fn again(&self, record: &Record, verdict: &Verdict, attempt: u32) -> bool {
        verdict.outcome == CellOutcome::Void
            && attempt < REPEATS
            && self.session.here.interrupt.seen().is_none()
            && !verify::expects_void(&self.session.prepared.scenario.expect, self.cell)
            && worth_repeating(record)
    }

    fn failed(&self, source: CellError) -> Error {
        Error::Cell { cell: self.name(), source: Box::new(source) }
    }

    /// The cell's id, with its block where there are several.
    fn name(&self) -> String {
        if self.session.prepared.blocks > 1 {
            format!("block {}: {}", self.block, self.cell.id)
        } else {
            self.cell.id.clone()
        }
    }
}

/// A pause that is long enough to be seen.
fn after(cooled: &Cooled) -> String {
    let least = Duration::from_millis(1);
    if cooled.took < least { String::new() } else { format!(", after a pause of {} ms", cooled.took.as_millis()) }
}

/// Outcome and cause in a few words, for the progress line.
pub(super) fn in_short(verdict: &Verdict) -> String {
    match (verdict.cause, verdict.why) {
        (Some(cause), Some(why)) => format!("{}, {cause} ({why})", verdict.outcome),
        (Some(cause), None) => format!("{}, {cause}", verdict.outcome),
        (None, _) => verdict.outcome.to_string(),
    }
}

/// What a finished cell does to the exit status.
pub(super) fn status_of(record: &Record, outcome: CellOutcome) -> ExitStatus {
    // A server that was told to exit at EMFILE and did is a finding.
    let as_told = record.target.outcomes.iter().flatten().any(|outcome| outcome.exited_on_emfile);
    // So is one that the kubelet started again.
    let kept_up = record.cell.restart.is_some();
    if !record.target.early_ends.is_empty() && !as_told && !kept_up {
        ExitStatus::Target
    } else if outcome == CellOutcome::Void {
        ExitStatus::GeneratorBound
    } else {
        ExitStatus::Done
    }
}
