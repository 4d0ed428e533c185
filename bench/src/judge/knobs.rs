//! What the knobs of a run made of it: which of them changed an outcome, and the fewest changes that cure. Pure.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::words::{counted, listed};
use crate::evidence::record::KnobReading;
use crate::plan::cell::KnobValue;
use crate::plan::expect::{CauseName, CellOutcome};

/// A cell as far as its knobs and its verdict go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judged<'a> {
    pub(crate) id: &'a str,
    pub(crate) knobs: &'a IndexMap<String, KnobReading>,
    pub(crate) outcome: CellOutcome,
    pub(crate) cause: Option<CauseName>,
}

/// Whether one knob made a difference, over all pairs of cells that differ in nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct KnobEffect {
    /// The knob's full dotted name.
    pub knob: String,
    /// Pairs of cells that differ in this knob alone; void cells are in none.
    pub pairs: u64,
    /// Pairs whose outcome or cause differs.
    pub changed: u64,
    /// Whether any did.
    pub made_a_difference: bool,
    /// The pairs that differ, as `from` and `to`.
    pub changes: Vec<Change>,
    /// Pairs left out because both cells were given the same value, though different ones were asked for.
    pub given_alike: u64,
}

/// Two cells that differ in one knob and in their verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The one cell.
    pub from: String,
    /// The other.
    pub to: String,
    /// The knob in the one cell.
    pub from_value: KnobValue,
    /// The knob in the other.
    pub to_value: KnobValue,
    /// Outcome and cause of the one, as `failing (fd-limit)`.
    pub before: String,
    /// Outcome and cause of the other.
    pub after: String,
}

/// A knob turned.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct KnobChange {
    /// The knob's full dotted name.
    pub knob: String,
    /// Its value in the cell that fails.
    pub from: KnobValue,
    /// Its value in the cell that is healthy.
    pub to: KnobValue,
}

/// The fewest knob changes that lead from a cell that fails to a healthy one of the same run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SmallestCure {
    /// The cell that is failing or degraded.
    pub cell: String,
    /// Each smallest set of changes, and the healthy cell it leads to; empty when no cell of the run is healthy.
    pub cures: Vec<CureByKnobs>,
}

/// One set of changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CureByKnobs {
    /// What to change.
    pub changes: Vec<KnobChange>,
    /// The healthy cell.
    pub leads_to: String,
}

impl KnobEffect {
    /// In words, with the counts: `made a difference in 4 of 4 pairs`.
    #[must_use]
    pub fn words(&self) -> String {
        let alike = match self.given_alike {
            0 => String::new(),
            n => format!("; {} had been given the same value", counted(n, "pair")),
        };
        if self.pairs == 0 {
            format!("no pair of cells differs in it alone{alike}")
        } else if self.made_a_difference {
            format!("made a difference in {} of {}{alike}", self.changed, counted(self.pairs, "pair"))
        } else {
            format!("made no difference here, in {}{alike}", counted(self.pairs, "pair"))
        }
    }
}

impl CureByKnobs {
    /// In words: `ulimit.nofile from 1024 to 65535`.
    #[must_use]
    pub fn words(&self) -> String {
        let parts: Vec<String> =
            self.changes.iter().map(|c| format!("{} from {} to {}", c.knob, c.from, c.to)).collect();
        listed(&parts)
    }
}

/// What each axis made of the run, in the scenario's order.
pub(crate) fn effects(cells: &[Judged<'_>]) -> Vec<KnobEffect> {
    let Some(first) = cells.first() else { return Vec::new() };
    first.knobs.keys().map(|knob| effect(knob, cells)).collect()
}

fn effect(knob: &str, cells: &[Judged<'_>]) -> KnobEffect {
    let mut effect = KnobEffect {
        knob: knob.to_owned(),
        pairs: 0,
        changed: 0,
        made_a_difference: false,
        changes: Vec::new(),
        given_alike: 0,
    };
    let sound: Vec<&Judged<'_>> = cells.iter().filter(|c| c.outcome != CellOutcome::Void).collect();
    for (i, a) in sound.iter().enumerate() {
        for b in sound.iter().skip(i + 1) {
            let asked_otherwise =
                |name: &str| a.knobs.get(name).map(|k| &k.asked) != b.knobs.get(name).map(|k| &k.asked);
            if a.knobs.keys().any(|other| other != knob && asked_otherwise(other)) || !asked_otherwise(knob) {
                continue;
            }
            let (Some(from), Some(to)) = (value(a, knob), value(b, knob)) else { continue };
            if from == to {
                effect.given_alike += 1;
                continue;
            }
            effect.pairs += 1;
            if (a.outcome, a.cause) != (b.outcome, b.cause) {
                effect.changed += 1;
                effect.changes.push(Change {
                    from: a.id.to_owned(),
                    to: b.id.to_owned(),
                    from_value: from.clone(),
                    to_value: to.clone(),
                    before: outcome_and_cause(a),
                    after: outcome_and_cause(b),
                });
            }
        }
    }
    effect.made_a_difference = effect.changed > 0;
    effect
}

/// For each cell that is failing or degraded, the fewest changes to a healthy one.
pub(crate) fn smallest_cures(cells: &[Judged<'_>]) -> Vec<SmallestCure> {
    let sick = cells.iter().filter(|c| matches!(c.outcome, CellOutcome::Failing | CellOutcome::Degraded));
    sick.map(|cell| {
        let well = cells.iter().filter(|c| c.outcome == CellOutcome::Healthy);
        let ways: Vec<CureByKnobs> = well
            .map(|c| CureByKnobs { changes: changes(cell, c), leads_to: c.id.to_owned() })
            .filter(|way| !way.changes.is_empty())
            .collect();
        let fewest = ways.iter().map(|way| way.changes.len()).min().unwrap_or(0);
        SmallestCure {
            cell: cell.id.to_owned(),
            cures: ways.into_iter().filter(|way| way.changes.len() == fewest).collect(),
        }
    })
    .collect()
}

fn changes(from: &Judged<'_>, to: &Judged<'_>) -> Vec<KnobChange> {
    let differing = from.knobs.keys().filter_map(|knob| {
        let (a, b) = (value(from, knob)?, value(to, knob)?);
        (a != b).then(|| KnobChange { knob: knob.clone(), from: a.clone(), to: b.clone() })
    });
    differing.collect()
}

/// What the kernel gave, or what was asked where it could not be read back.
fn value<'a>(cell: &Judged<'a>, knob: &str) -> Option<&'a KnobValue> {
    cell.knobs.get(knob).map(|reading| reading.given.as_ref().unwrap_or(&reading.asked))
}

fn outcome_and_cause(cell: &Judged<'_>) -> String {
    match cell.cause {
        Some(cause) => format!("{} ({cause})", cell.outcome),
        None => cell.outcome.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Knobs = IndexMap<String, KnobReading>;

    fn knobs(pairs: &[(&str, u64, u64)]) -> Knobs {
        let reading = |asked, given| KnobReading {
            asked: KnobValue::Number(asked),
            given: Some(KnobValue::Number(given)),
            reason: None,
        };
        pairs.iter().map(|&(name, asked, given)| (name.to_owned(), reading(asked, given))).collect()
    }

    fn judged<'a>(id: &'a str, knobs: &'a Knobs, cause: Option<CauseName>) -> Judged<'a> {
        let outcome = if cause.is_some() { CellOutcome::Failing } else { CellOutcome::Healthy };
        Judged { id, knobs, outcome, cause }
    }

    fn four() -> [Knobs; 4] {
        [(128, 1_024), (128, 65_535), (4_096, 1_024), (4_096, 65_535)]
            .map(|(somaxconn, nofile)| knobs(&[("somaxconn", somaxconn, somaxconn), ("nofile", nofile, nofile)]))
    }

    #[test]
    fn the_knob_that_decides_is_told_from_the_one_that_does_not() {
        let k = four();
        let sick = Some(CauseName::FdLimit);
        let cells =
            [judged("a", &k[0], sick), judged("b", &k[1], None), judged("c", &k[2], sick), judged("d", &k[3], None)];
        let effects = effects(&cells);
        assert_eq!(effects[0].words(), "made no difference here, in 2 pairs");
        assert_eq!(effects[1].words(), "made a difference in 2 of 2 pairs");
        assert_eq!(effects[1].changes[0].before, "failing (fd-limit)");
        let cures = smallest_cures(&cells);
        assert_eq!(cures.len(), 2);
        assert_eq!(cures[0].cures[0].words(), "nofile from 1024 to 65535");
        assert_eq!((cures[0].cures.len(), cures[0].cures[0].leads_to.as_str()), (1, "b"));
    }

    #[test]
    fn a_void_cell_is_in_no_pair() {
        let k = four();
        let mut cells = [judged("a", &k[0], None), judged("b", &k[1], None)];
        cells[1].outcome = CellOutcome::Void;
        assert!(effects(&cells).iter().all(|e| e.pairs == 0));
    }

    #[test]
    fn a_clamp_that_makes_two_cells_alike_is_said() {
        let (a, b) = (knobs(&[("nofile", 30_000, 20_000)]), knobs(&[("nofile", 65_535, 20_000)]));
        let effects = effects(&[judged("a", &a, None), judged("b", &b, None)]);
        assert_eq!(effects[0].words(), "no pair of cells differs in it alone; 1 pair had been given the same value");
    }

    #[test]
    fn without_a_healthy_cell_there_is_no_cure_and_it_is_said() {
        let k = four();
        let cures = smallest_cures(&[judged("a", &k[0], Some(CauseName::Undetermined))]);
        assert!(cures[0].cures.is_empty());
    }
}
