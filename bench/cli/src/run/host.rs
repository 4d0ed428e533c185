//! `--allow-host-changes`: the journal of a run that changes the machine itself, from before its first cell to after its last.

use std::collections::BTreeSet;
use std::sync::Arc;

use brimful_live::interrupt::Interrupt;
use brimful_live::journal::{self, Book, Places};
use brimful_plan::cell::{Cell, Sandbox};
use brimful_plan::knob::is_host_wide;
use brimful_plan::refusal::Refusal;
use brimful_plan::scenario::Scenario;
use brimful_plan::wording;

use super::options::RunOptions;
use super::prepare::Prepared;
use crate::error::{Error, ExitStatus};
use crate::explain;

/// How much of a command line the journal keeps, in characters.
const TYPED_MOST: usize = 500;

/// The sysctls of this whole machine that cells change; none of those that a guest is made for.
fn changed<'a>(scenario: &Scenario, cells: &'a [Cell]) -> BTreeSet<&'a str> {
    let here = scenario.sandbox == Sandbox::Netns;
    let names = cells.iter().filter(|_| here).flat_map(|cell| cell.sysctls.keys());
    names.map(String::as_str).filter(|name| is_host_wide(name)).collect()
}

/// What a reader of the report should know of the machine.
pub(super) fn notes(scenario: &Scenario, cells: &[Cell], jobs: usize) -> Result<Vec<String>, Error> {
    let mut notes: Vec<String> = journal::warning().into_iter().map(|line| format!("warning: {line}")).collect();
    let changed = changed(scenario, cells);
    if !changed.is_empty() {
        if jobs > 1 {
            let refusal = Refusal::scenario("cells that change the whole host share it", "leave out --jobs");
            return Err(Error::Refused(vec![refusal]));
        }
        notes.push(format!(
            "{} was set on the machine itself, for every program on it, and put back after each cell",
            wording::quoted(changed)
        ));
    }
    Ok(notes)
}

/// Refuses cells that would change what cannot be changed here. Changes nothing.
pub(crate) fn could(scenario: &Scenario, cells: &[Cell]) -> Result<(), Error> {
    let places = Places::of_this_machine(None);
    Ok(changed(scenario, cells).into_iter().try_for_each(|name| places.try_open(name))?)
}

/// Begins the journal where any of the runs changes the machine, and makes sure that each setting could be changed. From then
/// on a second signal, a hang-up and a quit put everything back too.
pub(super) fn book(
    planned: &[Prepared],
    options: &RunOptions,
    interrupt: &Interrupt,
) -> Result<Option<Arc<Book>>, Error> {
    let names: BTreeSet<&str> = planned.iter().flat_map(|one| changed(&one.scenario, &one.cells)).collect();
    if names.is_empty() {
        return Ok(None);
    }
    let places = Places::of_this_machine(options.journal.as_deref());
    names.iter().try_for_each(|name| places.try_open(name))?;
    let typed = std::iter::once("brimful".to_owned()).chain(std::env::args().skip(1)).collect::<Vec<_>>().join(" ");
    let book = Arc::new(Book::begin(places, &typed.chars().take(TYPED_MOST).collect::<String>())?);
    let last = Arc::clone(&book);
    interrupt
        .before_exit(move || {
            last.end().ok();
        })
        .map_err(|source| Error::Machine { doing: "listen for signals", source })?;
    Ok(Some(book))
}

/// The end of the journal, whatever the runs came to.
pub(super) fn end(book: Option<&Book>, outcome: Result<ExitStatus, Error>) -> Result<ExitStatus, Error> {
    match (book.map_or(Ok(()), Book::end), outcome) {
        (Ok(()), outcome) => outcome,
        (Err(left), Ok(_)) => Err(left.into()),
        (Err(left), Err(error)) => {
            explain(&error);
            Err(left.into())
        }
    }
}
