//! One scenario being searched, cell by cell and try by try. What is known is saved after each try.

use std::time::Duration;

use brimful_evidence::record::{KnobReading, Record};
use brimful_judge::knee::{self, CellKnee, KNEE_VERSION, KneeReport, Seen};
use brimful_judge::report::{ScenarioName, Tool};
use brimful_judge::verdict::judge;
use brimful_live::cell::{self, CellError};
use brimful_live::compose::{self, Belongs};
use brimful_live::interrupt::Interrupt;
use brimful_live::machine;
use brimful_plan::cell::Cell;
use brimful_plan::cost::Machine;
use brimful_plan::knee::{Foretold, Hint, Search, ramp, try_at};
use brimful_plan::predict::predict;
use brimful_plan::topology;
use brimful_report::knee::{markdown, text};
use brimful_report::text::Look;
use brimful_runner::store::RunDirectory;
use indexmap::IndexMap;
use jiff::Timestamp;

use super::arguments::{KneeFormat, KneeOptions};
use super::progress::Progress;
use crate::error::{Error, ExitStatus};
use crate::sources::Source;
use crate::{WIDTH, colour, explain, in_words, put, say};

/// Nothing in a search is left to chance.
const SEED: u64 = 0;

/// A cell whose knee is wanted.
pub(super) struct Wanted {
    pub(super) cell: Cell,
    /// The most connections tried.
    pub(super) highest: u64,
    pub(super) foretold: Option<Foretold>,
}

/// One scenario being searched.
pub(super) struct Session<'a> {
    pub(super) source: &'a Source,
    pub(super) wanted: &'a [Wanted],
    pub(super) options: &'a KneeOptions,
    pub(super) directory: RunDirectory,
    pub(super) machine: &'a Machine,
    pub(super) interrupt: &'a Interrupt,
}

/// The search of one cell: what is known of it.
struct Course<'a> {
    wanted: &'a Wanted,
    search: Search,
    seen: Vec<Seen>,
    knobs: IndexMap<String, KnobReading>,
    ramp: Option<Hint>,
    ended_because: Option<String>,
    /// Cells that were run, the ramp too.
    runs: usize,
}

impl Session<'_> {
    pub(super) fn run(&self) -> Result<ExitStatus, Error> {
        let mut progress = Progress::new(self.wanted.len());
        let mut report = self.nothing_yet();
        let mut status = ExitStatus::Done;
        for wanted in self.wanted {
            if self.interrupt.seen().is_some() {
                break;
            }
            progress.begin(&wanted.cell, wanted.highest);
            let mut course = Course {
                wanted,
                search: Search::new(wanted.highest, self.options.within),
                seen: Vec::new(),
                knobs: IndexMap::new(),
                ramp: None,
                ended_because: None,
                runs: 0,
            };
            let ended = self.search(&mut course, &mut report, &mut progress);
            if let Err(error) = &ended {
                course.ended_because = Some(in_words(error).trim_start_matches("error: ").to_owned());
            }
            let known = course.gathered();
            progress.end(&known);
            self.directory.log(&format!("{}: {}", known.id, brimful_report::knee::sentence(&known)))?;
            put_last(&mut report, known);
            if let Err(error) = ended {
                self.directory.log(&in_words(&error))?;
                // The next cell may have a target that starts; nothing else is better there.
                let next_may_do = matches!(&error, Error::Cell { source, .. }
                    if matches!(source.as_ref(), CellError::TargetDidNotStart { .. }));
                if !next_may_do {
                    self.show(&report)?;
                    return Err(error);
                }
                explain(&error);
                status = status.worse(error.exit_status());
            }
        }
        report.interrupted = self.interrupt.seen().is_some();
        self.show(&report)?;
        if report.is_void() {
            status = status.worse(ExitStatus::GeneratorBound);
        }
        Ok(self.interrupt.seen().map_or(status, |signal| status.worse(signal.into())))
    }

    /// A ramp, then tries until the search has enough, or a signal comes.
    fn search(&self, course: &mut Course<'_>, report: &mut KneeReport, progress: &mut Progress) -> Result<(), Error> {
        let Wanted { cell, highest, .. } = course.wanted;
        if let Some(cell) = ramp(cell, *highest) {
            progress.trying("ramp to", *highest);
            let Some((record, _)) = self.one(&cell, course, "ramp", progress)? else { return Ok(()) };
            report.host.clone_from(&record.host);
            if let Some(hint) = knee::hint(&record, &judge(&record)) {
                course.ramp = Some(hint);
                course.search.hint(hint);
                progress.said(&format!("the ramp broke between {} and {}", hint.passed_at, hint.failed_at));
            }
        }
        while let Some(load) = course.search.next() {
            progress.trying("try", load);
            let done = self.one(&try_at(cell, load), course, &load.to_string(), progress)?;
            let Some((record, path)) = done else { break };
            report.host.clone_from(&record.host);
            let seen = Seen { load, verdict: judge(&record), record: path };
            course.search.saw(load, seen.answer());
            progress.judged(load, &seen.verdict, &course.search.knee());
            course.seen.push(seen);
            put_last(report, course.gathered());
            self.directory.save_knees(report)?;
        }
        Ok(())
    }

    /// Runs one cell and saves its record; `None` when a signal broke it off.
    fn one(
        &self,
        cell: &Cell,
        course: &mut Course<'_>,
        name: &str,
        progress: &mut Progress,
    ) -> Result<Option<(Record, String)>, Error> {
        let layout = topology::resolve(cell, self.machine.nofile_hard).map_err(|r| Error::Refused(vec![r]))?;
        let started_at = Timestamp::now().to_string();
        let gathered = match cell::run(cell, &layout, self.interrupt, None, &mut |live| progress.live(live)) {
            Ok(gathered) => gathered,
            Err(CellError::Interrupted) => return Ok(None),
            Err(source) => return Err(Error::Cell { cell: cell.id.clone(), source: Box::new(source) }),
        };
        let belongs = Belongs {
            scenario: &self.source.scenario.name,
            block: 0,
            attempt: 0,
            seed: SEED,
            cooldown: Duration::ZERO,
            started_at,
            prediction: predict(cell, self.machine),
        };
        let record = compose::record(belongs, machine::host(self.machine, false), cell, &layout, gathered);
        course.runs += 1;
        let path = self.directory.save_try(course.runs, name, &record)?;
        if course.knobs.is_empty() {
            course.knobs.clone_from(&record.knobs);
        }
        // Broken off it says nothing of its load.
        Ok((!record.interrupted).then_some((record, path)))
    }

    fn nothing_yet(&self) -> KneeReport {
        let scenario = &self.source.scenario;
        KneeReport {
            schema_version: KNEE_VERSION,
            tool: Tool { name: "brimful".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
            host: machine::host(self.machine, false),
            scenario: ScenarioName { name: scenario.name.clone(), question: scenario.question.clone() },
            within: self.options.within,
            interrupted: false,
            cells: Vec::new(),
        }
    }

    fn show(&self, report: &KneeReport) -> Result<(), Error> {
        self.directory.save_knees(report)?;
        match self.options.format {
            KneeFormat::Text => {
                let width = terminal_size::terminal_size().map_or(WIDTH, |(columns, _)| columns.0);
                put(&text::render(report, Look { width, color: colour() }));
            }
            KneeFormat::Json => put(&format!("{}\n", serde_json::to_string_pretty(report).unwrap_or_default())),
            KneeFormat::Md => put(&markdown::render(report)),
        }
        say(&format!("saved in {}", self.directory.path().display()));
        Ok(())
    }
}

impl Course<'_> {
    fn gathered(&self) -> CellKnee {
        let Wanted { cell, highest, foretold } = self.wanted;
        let tried = try_at(cell, *highest);
        let known =
            CellKnee::gather(&tried, self.knobs.clone(), *highest, self.search.knee(), foretold.clone(), &self.seen);
        CellKnee { ramp: self.ramp, ended_because: self.ended_because.clone(), ..known }
    }
}

/// Puts what is known of a cell in the place of what was.
fn put_last(report: &mut KneeReport, known: CellKnee) {
    if report.cells.last().is_some_and(|last| last.id == known.id) {
        report.cells.pop();
    }
    report.cells.push(known);
}
