//! `brimful run`: every cell, a record after each, then the report.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::arguments::Run;
use super::check::feasible_cells;
use super::progress::Progress;
use super::say;
use super::sources::{self, Source};
use crate::error::{Error, ExitStatus};
use crate::evidence::record::{Host, Record};
use crate::judge::confusion::{self, Confusion};
use crate::judge::expect;
use crate::judge::report::{Report, RunInfo};
use crate::judge::verdict::{Verdict, judge};
use crate::live::cell::{self, CellError};
use crate::live::compose::{self, Belongs};
use crate::live::interrupt::Interrupt;
use crate::live::machine;
use crate::plan::catalogue;
use crate::plan::cell::Cell;
use crate::plan::cost::Machine;
use crate::plan::expect::{CellOutcome, Expectation};
use crate::plan::need::Need;
use crate::plan::predict::predict;
use crate::plan::refusal::Refusal;
use crate::plan::topology::{self, Layout};
use crate::store::RunDirectory;

/// Nothing in a run is left to chance yet: one block, in the scenario's order.
const SEED: u64 = 0;

pub(super) fn run(options: &Run) -> Result<ExitStatus, Error> {
    let typed =
        if options.scenarios.is_empty() { vec![catalogue::DEFAULT.to_owned()] } else { options.scenarios.clone() };
    let found = sources::find(&typed)?;
    let machine = machine::read().map_err(|source| Error::Machine { doing: "read this machine's limits", source })?;
    // Everything is checked before anything is run: the last scenario's mistake must not cost the first one's minutes.
    let mut planned = Vec::new();
    let mut elsewhere = Vec::new();
    for source in &found {
        if let Some(need) = machine::missing(&source.scenario.needs) {
            if found.len() == 1 || options.strict {
                return Err(Error::Refused(vec![not_here(source, need)]));
            }
            elsewhere.push((source, need));
            continue;
        }
        planned.push((source, feasible_cells(source, &machine, options.only.as_deref())?));
    }
    let interrupt = Interrupt::install().map_err(|source| Error::Machine { doing: "listen for signals", source })?;
    let mut status = ExitStatus::Done;
    let mut confusion = Confusion::default();
    for (source, cells) in &planned {
        let out = out_for(options, source, planned.len() > 1);
        let directory = RunDirectory::create(&out, options.force)?;
        let session = Session { source, cells, directory, machine: &machine, interrupt: &interrupt };
        status = status.worse(session.run(options, &mut confusion)?);
        if interrupt.seen().is_some() {
            break;
        }
    }
    for (source, need) in elsewhere {
        say(&format!("{}: not here, because {}", source.scenario.name, need.because()));
    }
    if options.verify && planned.len() > 1 {
        say(&format!("\n{confusion}"));
    }
    Ok(status)
}

fn not_here(source: &Source, need: Need) -> Refusal {
    Refusal::machine(
        format!("`{}` cannot run here, because {}", source.scenario.name, need.because()),
        "run brimful as root",
    )
}

/// Where a scenario's run goes: below `--out` in a folder of its own when there are several.
fn out_for(options: &Run, source: &Source, several: bool) -> PathBuf {
    match &options.out {
        Some(out) if several => out.join(&source.scenario.name),
        Some(out) => out.clone(),
        None => {
            let time = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
            Path::new("brimful-out").join(format!("{}-{time}", source.scenario.name))
        }
    }
}

/// One scenario being run.
struct Session<'a> {
    source: &'a Source,
    cells: &'a [Cell],
    directory: RunDirectory,
    machine: &'a Machine,
    interrupt: &'a Interrupt,
}

impl Session<'_> {
    fn run(&self, options: &Run, confusion: &mut Confusion) -> Result<ExitStatus, Error> {
        let mut progress = Progress::new(self.cells, options.plain);
        let mut records = Vec::new();
        let mut status = ExitStatus::Done;
        for cell in self.cells {
            if self.interrupt.seen().is_some() {
                break;
            }
            let layout = topology::resolve(cell, self.machine.nofile_hard).map_err(|r| Error::Refused(vec![r]))?;
            progress.begin(cell);
            self.directory.log(&format!("{}: begins", cell.id))?;
            match self.cell(cell, &layout, &mut progress) {
                Ok(record) => {
                    // Saved before anything else can go wrong.
                    self.directory.save_record(&record)?;
                    let verdict = judge(&record);
                    if !(options.verify && self.expects_void(cell)) {
                        status = status.worse(status_of(&record, verdict.outcome));
                    }
                    self.directory.log(&format!("{}: {}", cell.id, in_short(&verdict)))?;
                    progress.end(cell, &in_short(&verdict));
                    records.push(record);
                }
                Err(CellError::Interrupted) => break,
                // The next cell may have a target that starts.
                Err(source @ CellError::TargetDidNotStart { .. }) => {
                    let error = Error::Cell { cell: cell.id.clone(), source: Box::new(source) };
                    progress.end(cell, "the target did not start");
                    self.directory.log(&super::in_words(&error))?;
                    super::explain(&error);
                    status = status.worse(error.exit_status());
                }
                Err(source) => {
                    progress.finish();
                    let error = Error::Cell { cell: cell.id.clone(), source: Box::new(source) };
                    self.directory.log(&super::in_words(&error))?;
                    self.report(&records, options)?;
                    return Err(error);
                }
            }
        }
        progress.finish();
        let report = self.report(&records, options)?;
        if options.verify {
            status = status.worse(self.verify(&report));
            confusion.merge(&Confusion::of(confusion::pairs(&self.source.scenario.expect, &report)));
        }
        Ok(self.interrupt.seen().map_or(status, |signal| status.worse(signal.into())))
    }

    fn cell(&self, cell: &Cell, layout: &Layout, progress: &mut Progress) -> Result<Record, CellError> {
        let started_at = Timestamp::now().to_string();
        let gathered = cell::run(cell, layout, self.interrupt, &mut |live| progress.live(live))?;
        let prediction = predict(cell, self.machine);
        let belongs = Belongs {
            scenario: &self.source.scenario.name,
            block: 0,
            attempt: 0,
            seed: SEED,
            cooldown: Duration::ZERO,
            started_at,
            prediction,
        };
        Ok(compose::record(belongs, self.host(), cell, layout, gathered))
    }

    fn host(&self) -> Host {
        machine::host(self.machine, false)
    }

    fn report(&self, records: &[Record], options: &Run) -> Result<Report, Error> {
        let info = RunInfo {
            scenario: self.source.scenario.name.clone(),
            question: self.source.scenario.question.clone(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            host: records.first().map_or_else(|| self.host(), |record| record.host.clone()),
            seed: SEED,
            blocks: 1,
            interrupted: self.interrupt.seen().is_some(),
            arms: Vec::new(),
            gate: None,
        };
        let report = Report::build(info, records, self.cells);
        self.directory.save_report(&report)?;
        self.directory.save_html(&super::pages::html(&report, records))?;
        super::show(&report, options.format);
        say(&format!("saved in {}", self.directory.path().display()));
        Ok(report)
    }

    /// Whether the scenario's own truth is that this cell says nothing about the target: then it is no failure that it does not.
    fn expects_void(&self, cell: &Cell) -> bool {
        let lines = &self.source.scenario.expect;
        lines.iter().any(|line| speaks_of(line, cell) && line.outcome.contains(&CellOutcome::Void))
    }

    fn verify(&self, report: &Report) -> ExitStatus {
        // With `--only` some lines speak of cells that were left out on purpose; each line fits a cell of the whole matrix.
        let speaks_of_one = |line: &&Expectation| self.cells.iter().any(|cell| speaks_of(line, cell));
        let expected: Vec<Expectation> = self.source.scenario.expect.iter().filter(speaks_of_one).cloned().collect();
        let mismatches = expect::check(&expected, report);
        for mismatch in &mismatches {
            let cell = mismatch.cell.as_deref().unwrap_or("no cell");
            let (name, expected, got) = (&self.source.scenario.name, &mismatch.expected, &mismatch.got);
            say(&format!("verify: {name}: {cell}: expected {expected}, got {got}"));
        }
        if mismatches.is_empty() {
            say(&format!("verify: {}: every expectation holds", self.source.scenario.name));
            ExitStatus::Done
        } else {
            ExitStatus::Gate
        }
    }
}

/// Whether a line of `[expect]` speaks of a cell.
fn speaks_of(line: &Expectation, cell: &Cell) -> bool {
    line.speaks_of(|knob| cell.knobs.get(knob).map(|setting| &setting.asked))
}

/// Outcome and cause in a few words, for the progress line.
fn in_short(verdict: &Verdict) -> String {
    match (verdict.cause, verdict.why) {
        (Some(cause), Some(why)) => format!("{}, {cause} ({why})", verdict.outcome),
        (Some(cause), None) => format!("{}, {cause}", verdict.outcome),
        (None, _) => verdict.outcome.to_string(),
    }
}

/// What a finished cell does to the exit status.
fn status_of(record: &Record, outcome: CellOutcome) -> ExitStatus {
    // A server that was told to exit at EMFILE and did is a finding.
    let as_told = record.target.outcomes.iter().flatten().any(|outcome| outcome.exited_on_emfile);
    if !record.target.early_ends.is_empty() && !as_told {
        ExitStatus::Target
    } else if outcome == CellOutcome::Void {
        ExitStatus::GeneratorBound
    } else {
        ExitStatus::Done
    }
}
