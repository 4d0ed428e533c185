//! `brimful knee`: for each cell a ramp, then tries around where it broke, a record after each, then the table and the picture.

pub(crate) mod arguments;
mod progress;
mod session;

use brimful_live::interrupt::Interrupt;
use brimful_live::machine;
use brimful_plan::cell::Cell;
use brimful_plan::cost::Machine;
use brimful_plan::knee::{foretold, highest, try_at};
use brimful_plan::refusal::Refusal;
use brimful_runner::store::RunDirectory;

pub(crate) use self::arguments::KneeOptions;
use self::session::{Session, Wanted};
use super::run::{not_here, out_for};
use super::sources::{self, Source};
use super::{check, say};
use crate::error::{Error, ExitStatus};

pub(super) fn knee(options: &KneeOptions) -> Result<ExitStatus, Error> {
    let found = sources::find(&options.scenarios)?;
    let machine = machine::read().map_err(|source| Error::Machine { doing: "read this machine's limits", source })?;
    // Everything is checked before anything is run, at the highest load that it may come to.
    let mut planned = Vec::new();
    let mut elsewhere = Vec::new();
    for source in &found {
        match machine::missing(&source.scenario, found.len() == 1) {
            Some(missing) if found.len() == 1 => return Err(Error::Refused(vec![not_here(source, missing)])),
            Some(missing) => elsewhere.push((source, missing)),
            None => planned.push((source, wanted(source, &machine, options)?)),
        }
    }
    let interrupt = Interrupt::install().map_err(|source| Error::Machine { doing: "listen for signals", source })?;
    let mut status = ExitStatus::Done;
    for (source, wanted) in &planned {
        let out = out_for(options.out.as_deref(), "knee-", &source.scenario.name, planned.len() > 1);
        let directory = RunDirectory::create(&out, options.force)?;
        let session = Session { source, wanted, options, directory, machine: &machine, interrupt: &interrupt };
        status = status.worse(session.run()?);
        if interrupt.seen().is_some() {
            break;
        }
    }
    for (source, missing) in elsewhere {
        say(&format!("{}: not here, because {}", source.scenario.name, missing.because));
    }
    Ok(status)
}

/// The cells of a scenario, and how far each is to be searched.
fn wanted(source: &Source, machine: &Machine, options: &KneeOptions) -> Result<Vec<Wanted>, Error> {
    let cells = check::cells(&source.scenario, machine, options.only.as_deref())?;
    if options.max.is_none() {
        // With a number of connections of the user's own, the scenario's need not be possible.
        check::refuse_infeasible(&cells, machine)?;
    }
    one_number_of_connections(&cells)?;
    let wanted: Vec<Wanted> = cells
        .into_iter()
        .map(|cell| Wanted {
            highest: options.max.unwrap_or_else(|| highest(&cell, machine)),
            foretold: foretold(&cell, machine),
            cell,
        })
        .collect();
    let farthest: Vec<Cell> = wanted.iter().map(|wanted| try_at(&wanted.cell, wanted.highest)).collect();
    check::refuse_infeasible(&farthest, machine)?;
    Ok(wanted)
}

/// Cells that differ in what a search varies would be searched once for each.
fn one_number_of_connections(cells: &[Cell]) -> Result<(), Error> {
    let asked = |cell: &Cell| cell.knobs.get("load.connections").map(|knob| knob.asked.clone());
    let first = cells.first().and_then(asked);
    if cells.iter().all(|cell| asked(cell) == first) {
        return Ok(());
    }
    let what = "`load.connections` is an axis of this scenario, and it is what a search for a knee varies by itself";
    Err(Error::Refused(vec![
        Refusal::scenario(what, "choose one of its values with --only '*connections=N*'").about("load.connections"),
    ]))
}
