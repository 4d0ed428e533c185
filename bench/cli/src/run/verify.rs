//! `--verify`: whether a run found what its scenario holds to be true.

use brimful_judge::expect;
use brimful_judge::report::Report;
use brimful_plan::cell::Cell;
use brimful_plan::expect::{CellOutcome, Expectation};

use super::prepare::Prepared;
use crate::error::ExitStatus;
use crate::say;

/// Whether the scenario's own truth is that this cell says nothing about the target: then it is no failure that it does not.
pub(super) fn expects_void(expect: &[Expectation], cell: &Cell) -> bool {
    expect.iter().any(|line| speaks_of(line, cell) && line.outcome.contains(&CellOutcome::Void))
}

/// Says what does not hold, line by line.
pub(super) fn verify(prepared: &Prepared, report: &Report) -> ExitStatus {
    let Prepared { scenario, cells, .. } = prepared;
    // With `--only`, `--quick` or other arms some lines speak of cells that were left out on purpose; each line fits a cell of
    // the whole matrix.
    let speaks_of_one = |line: &&Expectation| cells.iter().any(|cell| speaks_of(line, cell));
    let expected: Vec<Expectation> = scenario.expect.iter().filter(speaks_of_one).cloned().collect();
    let mismatches = expect::check(&expected, report);
    for mismatch in &mismatches {
        let cell = mismatch.cell.as_deref().unwrap_or("no cell");
        let (name, expected, got) = (&scenario.name, &mismatch.expected, &mismatch.got);
        say(&format!("verify: {name}: {cell}: expected {expected}, got {got}"));
    }
    if mismatches.is_empty() {
        say(&format!("verify: {}: every expectation holds", scenario.name));
        ExitStatus::Done
    } else {
        ExitStatus::Gate
    }
}

/// Whether a line of `[expect]` speaks of a cell.
fn speaks_of(line: &Expectation, cell: &Cell) -> bool {
    line.speaks_of(|knob| cell.knobs.get(knob).map(|setting| &setting.asked))
}
