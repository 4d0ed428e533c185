//! `brimful run`: every cell of every block, a record after each, then the report.
//!
//! `prepare` says what is to be run and refuses what cannot be, `session` runs one scenario, `attempt` one cell of it. Whoever
//! needs a run for another purpose takes the same two steps: [`prepare`], then [`run_prepared`].

mod attempt;
mod host;
mod options;
mod prepare;
mod session;
mod verify;

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::say;
use super::sources::{self, Source};
use crate::error::{Error, ExitStatus};
use brimful_judge::confusion::{self, Confusion};
use brimful_live::interrupt::Interrupt;
use brimful_live::machine::{self, Missing};
use brimful_plan::arm::Arm;
use brimful_plan::catalogue;
use brimful_plan::refusal::Refusal;
use brimful_plan::scenario::HostWide;
use brimful_runner::store::RunDirectory;

pub(super) use self::host::could as could_change_host;
pub(super) use self::options::RunOptions;
pub(super) use self::prepare::{Prepared, Wish, prepare};
pub(super) use self::session::{Here, run as run_prepared};

pub(super) fn run(options: &RunOptions) -> Result<ExitStatus, Error> {
    let wish = wish(options)?;
    let typed =
        if options.scenarios.is_empty() { vec![catalogue::DEFAULT.to_owned()] } else { options.scenarios.clone() };
    let host_wide = if options.allow_host_changes { HostWide::Admitted } else { HostWide::Refused };
    let found = sources::find_with(&typed, host_wide)?;
    let machine = machine::read().map_err(|source| Error::Machine { doing: "read this machine's limits", source })?;
    // Everything is checked before anything is run: the last scenario's mistake must not cost the first one's minutes.
    let mut planned: Vec<Prepared> = Vec::new();
    let mut elsewhere = Vec::new();
    for source in &found {
        if let Some(missing) = machine::missing(&source.scenario, found.len() == 1) {
            if found.len() == 1 || options.strict {
                return Err(Error::Refused(vec![not_here(source, missing)]));
            }
            elsewhere.push((source, missing));
            continue;
        }
        planned.push(prepare(source, &wish, &machine)?);
    }
    let interrupt = Interrupt::install().map_err(|source| Error::Machine { doing: "listen for signals", source })?;
    let book = host::book(&planned, options, &interrupt)?;
    let here = Here {
        machine: &machine,
        interrupt: &interrupt,
        book: book.as_deref(),
        plain: options.plain,
        verify: options.verify,
    };
    let outcome = run_planned(&planned, options, here);
    for (source, missing) in elsewhere {
        say(&format!("{}: not here, because {}", source.scenario.name, missing.because));
    }
    host::end(book.as_deref(), outcome)
}

fn run_planned(planned: &[Prepared], options: &RunOptions, here: Here<'_>) -> Result<ExitStatus, Error> {
    let mut status = ExitStatus::Done;
    let mut confusion = Confusion::default();
    for prepared in planned {
        let out = out_for(options.out.as_deref(), "", &prepared.scenario.name, planned.len() > 1);
        let directory = RunDirectory::create(&out, options.force)?;
        let ran = run_prepared(prepared, &directory, here)?;
        super::show(&ran.report, options.format);
        say(&format!("saved in {}", directory.path().display()));
        status = status.worse(ran.status);
        if options.verify {
            status = status.worse(verify::verify(prepared, &ran.report));
            confusion.merge(&Confusion::of(confusion::pairs(&prepared.scenario.expect, &ran.report)));
        }
        if here.interrupt.seen().is_some() {
            break;
        }
    }
    if options.verify && planned.len() > 1 {
        say(&format!("\n{confusion}"));
    }
    Ok(status)
}

fn wish(options: &RunOptions) -> Result<Wish, Error> {
    let arms: Result<Vec<Arm>, Refusal> = options.arms.iter().map(|text| Arm::parse(text)).collect();
    Ok(Wish {
        arms: arms.map_err(|refusal| Error::Refused(vec![refusal]))?,
        only: options.only.clone(),
        jobs: usize::try_from(options.jobs).unwrap_or(1),
        quick: options.quick,
        ..Wish::blocks(options.blocks, options.seed)
    })
}

pub(super) fn not_here(source: &Source, missing: Missing) -> Refusal {
    let what = format!("`{}` cannot run here, because {}", source.scenario.name, missing.because);
    Refusal::machine(what, missing.hint)
}

/// Where what is done with the scenario of this name goes: below `out` in a folder of its own when there are several; without one, into a new
/// folder, with `what` before the name and the time behind it.
pub(super) fn out_for(out: Option<&Path>, what: &str, name: &str, several: bool) -> PathBuf {
    match out {
        Some(out) if several => out.join(name),
        Some(out) => out.to_path_buf(),
        None => {
            let time = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
            Path::new("brimful-out").join(format!("{what}{name}-{time}"))
        }
    }
}
