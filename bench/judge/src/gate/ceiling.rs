//! Absolute ceilings: what a metric may not pass in any block, whatever a baseline does. Pure.

use std::collections::BTreeMap;

use brimful_plan::gate::{Gate, Metric};
use serde::{Deserialize, Serialize};

use super::super::compare::{Answer, Chosen, Refused, Side};
use super::super::metric::{self, Value};
use super::super::report::CellReport;

/// One ceiling in one cell. Where more is better it is a floor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CeilingAnswer {
    /// The cell's id, without the arm.
    pub cell: String,
    /// Which metric.
    pub metric: Metric,
    /// What it may not pass, in its own unit.
    pub ceiling: f64,
    /// `fail` when a block passes it, `inconclusive` when that cannot be known: no value in any block, or one known only from below a ceiling that lies above it.
    pub answer: Answer,
    /// The worst value; `null` where there is none.
    pub worst: Option<Value>,
    /// The block of the worst value.
    pub block: Option<u32>,
    /// Blocks that pass it.
    pub beyond: u32,
    /// Blocks that have a value.
    pub blocks: u32,
}

/// What a side is held to by itself.
pub(crate) struct Held {
    pub(crate) ceilings: Vec<CeilingAnswer>,
    /// Cells that were planned and have no record.
    pub(crate) not_run: Vec<String>,
}

/// Every ceiling in every cell that `rules` chooses.
pub(crate) fn ceilings(side: &Side<'_>, rules: &Gate) -> Result<Held, Refused> {
    let chosen = Chosen::by(rules.cells.as_deref())?;
    let cells: Vec<_> = side.cells().into_iter().filter(|(id, _)| chosen.has(id)).collect();
    let not_run: Vec<String> = side.not_run().into_iter().filter(|id| chosen.has(id)).map(str::to_owned).collect();
    let known = side.cells().into_iter().map(|(id, _)| id).chain(side.not_run());
    let known: Vec<String> = known.map(str::to_owned).collect();
    if known.is_empty() {
        return Err(Refused::Empty { side: side.name.to_owned() });
    }
    if cells.is_empty() && not_run.is_empty() {
        return Err(Refused::NoCellFits { glob: rules.cells.clone().unwrap_or_default(), known });
    }
    let timed = side.report.host.times_mean_something();
    let of_cell = |(id, cell): &(&str, &CellReport)| -> Vec<CeilingAnswer> {
        rules.ceiling.iter().map(|(&metric, &ceiling)| of(id, cell, metric, ceiling, timed)).collect()
    };
    Ok(Held { ceilings: cells.iter().flat_map(of_cell).collect(), not_run })
}

fn of(id: &str, cell: &CellReport, metric: Metric, ceiling: f64, timed: bool) -> CeilingAnswer {
    // Durations of a guest under TCG are no values: nothing can be known of the ceiling.
    let values = if timed || !metric::is_timed(metric) { metric::by_block(metric, cell) } else { BTreeMap::new() };
    let answers: Vec<Answer> = values.values().map(|&value| one(metric, value, ceiling)).collect();
    let size = |value: Value| match value {
        // Of what is known from below only, nothing worse can be known.
        Value::AtLeast { .. } => f64::INFINITY,
        Value::Known(known) if metric.more_is_better() => -known,
        Value::Known(known) => known,
    };
    let worst = values.iter().max_by(|a, b| size(*a.1).total_cmp(&size(*b.1)));
    CeilingAnswer {
        cell: id.to_owned(),
        metric,
        ceiling,
        answer: answers.iter().copied().reduce(Answer::and).unwrap_or(Answer::Inconclusive),
        worst: worst.map(|(_, &value)| value),
        block: worst.map(|(&block, _)| block),
        beyond: answers.iter().filter(|&&answer| answer == Answer::Fail).count() as u32,
        blocks: answers.len() as u32,
    }
}

fn one(metric: Metric, value: Value, ceiling: f64) -> Answer {
    let beyond = match value {
        // It took longer than the time-out, so a ceiling there is passed.
        Value::AtLeast { at_least } if at_least < ceiling => return Answer::Inconclusive,
        Value::AtLeast { .. } => true,
        Value::Known(known) if metric.more_is_better() => known < ceiling,
        Value::Known(known) => known > ceiling,
    };
    if beyond { Answer::Fail } else { Answer::Pass }
}
