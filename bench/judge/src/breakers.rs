//! Which value of which knob breaks a restart loop: cells that differ in that knob alone, of which one settles and another does not. Pure.

use brimful_evidence::record::KnobReading;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::report::CellReport;
use crate::wording::{counted, listed};

/// A value that breaks the loop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Breaker {
    /// The knob's full dotted name.
    pub knob: String,
    /// The value as asked.
    pub value: String,
    /// Values of the same knob with which it loops.
    pub instead_of: Vec<String>,
    /// In how many combinations of the other knobs.
    pub breaks: u64,
    /// Of how many in which some value of the knob loops.
    pub of: u64,
}

/// Every value that breaks a loop, in the order of the cells.
#[must_use]
pub(crate) fn breakers(cells: &[CellReport]) -> Vec<Breaker> {
    let Some(first) = cells.first() else { return Vec::new() };
    first.knobs.keys().flat_map(|knob| of_knob(knob, cells)).collect()
}

fn of_knob(knob: &str, cells: &[CellReport]) -> Vec<Breaker> {
    let mut contexts: IndexMap<Vec<String>, Vec<(String, bool)>> = IndexMap::new();
    for cell in cells {
        let settles = cell.verdict.restarts.as_ref().and_then(|restarts| restarts.settles);
        if let (Some(settles), Some(asked)) = (settles, cell.knobs.get(knob)) {
            contexts.entry(others(knob, &cell.knobs)).or_default().push((asked.asked.to_string(), settles));
        }
    }
    let loops = |cells: &&Vec<(String, bool)>| cells.len() > 1 && cells.iter().any(|(_, settles)| !settles);
    let looping: Vec<&Vec<(String, bool)>> = contexts.values().filter(loops).collect();
    let mut found: IndexMap<String, Breaker> = IndexMap::new();
    for context in &looping {
        for (value, _) in context.iter().filter(|(_, settles)| *settles) {
            let breaker = found.entry(value.clone()).or_insert_with(|| Breaker {
                knob: knob.to_owned(),
                value: value.clone(),
                instead_of: Vec::new(),
                breaks: 0,
                of: looping.len() as u64,
            });
            breaker.breaks += 1;
            for (other, _) in context.iter().filter(|(_, settles)| !settles) {
                if !breaker.instead_of.contains(other) {
                    breaker.instead_of.push(other.clone());
                }
            }
        }
    }
    found.into_values().collect()
}

fn others(knob: &str, knobs: &IndexMap<String, KnobReading>) -> Vec<String> {
    knobs.iter().filter(|(name, _)| *name != knob).map(|(name, reading)| format!("{name}={}", reading.asked)).collect()
}

/// The line of a report.
pub fn line(breaker: &Breaker) -> String {
    let Breaker { knob, value, instead_of, breaks, of } = breaker;
    let share = if of > &1 { format!(", in {breaks} of {}", counted(*of, "combination")) } else { String::new() };
    format!("{knob} = {value} breaks the loop{share}; with {} it goes on", listed(instead_of))
}
