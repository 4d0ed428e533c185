//! What the knobs of a run made of it: which of them changed an outcome, and the fewest changes that cure. Pure.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use brimful_evidence::record::KnobReading;
use brimful_plan::arm::ARM;
use brimful_plan::cell::KnobValue;
use brimful_plan::expect::{CauseName, CellOutcome};
use brimful_plan::gate::Metric;
use brimful_plan::knob::{Scope, lookup, parse_nofile, parse_time};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::numbers::Numbers;
use crate::wording::{counted, listed};

mod metrics;

pub use metrics::{Bound, MetricEffect};

/// A cell as far as its knobs, its verdict and its numbers go.
#[derive(Clone, Debug)]
pub(crate) struct Judged<'a> {
    pub(crate) id: &'a str,
    pub(crate) knobs: &'a IndexMap<String, KnobReading>,
    /// The knobs that can be tuned, and what they were set to.
    pub(crate) tuning: Vec<Setting<'a>>,
    /// What a tuning is tried on, likewise: arm and load.
    pub(crate) context: Vec<Setting<'a>>,
    pub(crate) outcome: CellOutcome,
    pub(crate) cause: Option<CauseName>,
    /// Over all blocks that are not void.
    pub(crate) whole: Numbers,
    /// Each block that is not void.
    pub(crate) blocks: Vec<(u32, Numbers)>,
}

/// A knob, and what it was set to as [`Settings`] has it.
pub(crate) type Setting<'a> = (&'a str, &'a KnobValue);

/// Whether one knob made a difference, over all pairs of cells that differ in nothing else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// The values that the pairs have, as given: the smaller first, or in the scenario's order where they have no size.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<KnobValue>,
    /// What it does to each metric that a pair tells something about, from a smaller value to a larger.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<Metric, MetricEffect>,
}

/// Two cells that differ in one knob and in their verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The cell with the smaller value, or the earlier one where values have no size.
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SmallestCure {
    /// The cell that is failing or degraded.
    pub cell: String,
    /// Each smallest set of changes, and the healthy cell it leads to; empty when no cell of the run is healthy.
    pub cures: Vec<CureByKnobs>,
}

/// One set of changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
        in_words(&self.changes)
    }
}

/// `ulimit.nofile from 1024 to 65535`, several joined.
pub(crate) fn in_words(changes: &[KnobChange]) -> String {
    let parts: Vec<String> = changes.iter().map(|c| format!("{} from {} to {}", c.knob, c.from, c.to)).collect();
    listed(&parts)
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
        values: Vec::new(),
        metrics: BTreeMap::new(),
    };
    let sound: Vec<&Judged<'_>> = cells.iter().filter(|c| c.outcome != CellOutcome::Void).collect();
    let mut pairs = Vec::new();
    for (a, b) in alike_but_for(knob, &sound) {
        let (Some(one), Some(other)) = (a.value(knob), b.value(knob)) else { continue };
        match by_size(one, other) {
            _ if a.asked(knob) == b.asked(knob) => {}
            _ if a.given(knob) == b.given(knob) => effect.given_alike += 1,
            Some(Ordering::Greater) => pairs.push((b, a, other, one)),
            _ => pairs.push((a, b, one, other)),
        }
    }
    for &(a, b, from, to) in &pairs {
        effect.pairs += 1;
        for value in [from, to] {
            if !effect.values.contains(value) {
                effect.values.push(value.clone());
            }
        }
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
    effect.values.sort_by(|a, b| by_size(a, b).unwrap_or(Ordering::Equal));
    effect.made_a_difference = effect.changed > 0;
    effect.metrics = metrics::effects(&pairs.iter().map(|&(a, b, ..)| (a, b)).collect::<Vec<_>>());
    effect
}

/// The pairs of cells of which every other knob was asked for and set alike, in the scenario's order.
fn alike_but_for<'a, 'b>(knob: &str, cells: &[&'b Judged<'a>]) -> Vec<(&'b Judged<'a>, &'b Judged<'a>)> {
    let mut alike: HashMap<Vec<_>, Vec<usize>> = HashMap::new();
    for (i, cell) in cells.iter().enumerate() {
        let others = cell.knobs.keys().filter(|other| *other != knob);
        let key = others.map(|other| (other, cell.asked(other), cell.value(other))).collect();
        alike.entry(key).or_default().push(i);
    }
    let of_class = |class: &Vec<usize>| {
        let pairs = class.iter().enumerate().flat_map(|(n, &i)| class.iter().skip(n + 1).map(move |&j| (i, j)));
        pairs.collect::<Vec<_>>()
    };
    let mut pairs: Vec<(usize, usize)> = alike.values().flat_map(of_class).collect();
    pairs.sort_unstable();
    pairs.into_iter().filter_map(|(i, j)| Some((*cells.get(i)?, *cells.get(j)?))).collect()
}

/// What knobs were set to: what was given, as on a machine that cannot give more. But where the same number is given whole in one cell and
/// cut down in another, another knob did it (somaxconn cuts a backlog), and the setting is what was asked: that is what people write down.
pub(crate) struct Settings<'a>(HashMap<(&'a str, &'a KnobValue), Option<&'a KnobValue>>);

impl<'a> Settings<'a> {
    pub(crate) fn of(cells: impl Iterator<Item = &'a IndexMap<String, KnobReading>>) -> Self {
        let mut given = HashMap::new();
        for (knob, reading) in cells.flatten() {
            let known = given.entry((knob.as_str(), &reading.asked)).or_insert(Some(given_or_asked(reading)));
            if *known != Some(given_or_asked(reading)) {
                *known = None;
            }
        }
        Self(given)
    }

    /// The settings of one of these cells: those that can be tuned, and those that a tuning is tried on.
    pub(crate) fn cell(&self, knobs: &'a IndexMap<String, KnobReading>) -> (Vec<Setting<'a>>, Vec<Setting<'a>>) {
        let setting = |knob: &'a str, asked| self.0.get(&(knob, asked)).copied().flatten().unwrap_or(asked);
        let settings = knobs.iter().map(|(knob, reading)| (knob.as_str(), setting(knob, &reading.asked)));
        settings.partition(|(knob, _)| tunable(knob))
    }
}

/// What the kernel gave, or what was asked where it could not be read back.
fn given_or_asked(reading: &KnobReading) -> &KnobValue {
    reading.given.as_ref().unwrap_or(&reading.asked)
}

/// Whether a knob is something that can be tuned: which arm a cell belongs to and what the load does are what a tuning is tried on.
pub(crate) fn tunable(knob: &str) -> bool {
    knob != ARM && lookup(knob).is_none_or(|row| row.scope != Scope::Load)
}

/// Which of two values is the larger; `None` where one of them has no size, as a word or a range of ports has none.
pub(crate) fn by_size(a: &KnobValue, b: &KnobValue) -> Option<Ordering> {
    Some(size(a)?.cmp(&size(b)?))
}

fn size(value: &KnobValue) -> Option<(u128, u128)> {
    match value {
        KnobValue::Switch(on) => Some((u128::from(*on), 0)),
        KnobValue::Number(n) => Some((u128::from(*n), u128::from(*n))),
        KnobValue::Word(text) if text.contains(':') => {
            parse_nofile(value).ok().map(|limits| (u128::from(limits.soft), u128::from(limits.hard)))
        }
        KnobValue::Word(_) => parse_time(value).ok().map(|span| (span.as_nanos(), 0)),
    }
}

/// For each cell that is failing or degraded, the fewest changes to a healthy one of the same arm and under the same load.
pub(crate) fn smallest_cures(cells: &[Judged<'_>]) -> Vec<SmallestCure> {
    let sick = cells.iter().filter(|c| c.is_sick());
    sick.map(|cell| {
        let well = cells.iter().filter(|c| c.outcome == CellOutcome::Healthy && c.context == cell.context);
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

/// The tunable knobs in which two cells differ, as given.
pub(crate) fn changes(from: &Judged<'_>, to: &Judged<'_>) -> Vec<KnobChange> {
    let differing = from.tuning.iter().filter_map(|&(knob, a)| {
        let b = to.value(knob)?;
        (a != b).then(|| KnobChange { knob: knob.to_owned(), from: a.clone(), to: b.clone() })
    });
    differing.collect()
}

impl<'a> Judged<'a> {
    /// Failing or degraded.
    pub(crate) fn is_sick(&self) -> bool {
        matches!(self.outcome, CellOutcome::Failing | CellOutcome::Degraded)
    }

    fn asked(&self, knob: &str) -> Option<&'a KnobValue> {
        self.knobs.get(knob).map(|reading| &reading.asked)
    }

    fn given(&self, knob: &str) -> Option<&'a KnobValue> {
        self.knobs.get(knob).map(given_or_asked)
    }

    /// What it was set to.
    pub(crate) fn value(&self, knob: &str) -> Option<&'a KnobValue> {
        self.tuning.iter().chain(&self.context).find(|(name, _)| *name == knob).map(|(_, value)| *value)
    }
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
        let (tuning, context) = Settings::of(std::iter::once(knobs)).cell(knobs);
        Judged { id, knobs, tuning, context, outcome, cause, whole: Numbers::default(), blocks: Vec::new() }
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
    fn values_are_ordered_by_size_and_words_by_the_scenario() {
        let word = |text: &str| KnobValue::Word(text.into());
        assert_eq!(by_size(&KnobValue::Number(9), &KnobValue::Number(10)), Some(Ordering::Less));
        assert_eq!(by_size(&word("1200ms"), &word("1s")), Some(Ordering::Greater));
        assert_eq!(by_size(&KnobValue::Number(1_024), &word("1024:20000")), Some(Ordering::Less));
        assert_eq!(by_size(&KnobValue::Switch(false), &KnobValue::Switch(true)), Some(Ordering::Less));
        assert_eq!(by_size(&word("spin"), &word("sleep")), None);
        let (a, b) = (knobs(&[("nofile", 65_535, 65_535)]), knobs(&[("nofile", 64, 64)]));
        let effect = &effects(&[judged("a", &a, None), judged("b", &b, Some(CauseName::FdLimit))])[0];
        assert_eq!(effect.values, [KnobValue::Number(64), KnobValue::Number(65_535)]);
        assert_eq!((effect.changes[0].from.as_str(), effect.changes[0].after.as_str()), ("b", "healthy"));
    }

    #[test]
    fn another_arm_or_less_load_is_no_cure() {
        for axis in [ARM, "load.connections"] {
            let (a, b) = (knobs(&[(axis, 1, 1), ("nofile", 64, 64)]), knobs(&[(axis, 2, 2), ("nofile", 64, 64)]));
            let cells = [judged("a", &a, Some(CauseName::FdLimit)), judged("b", &b, None)];
            assert!(smallest_cures(&cells)[0].cures.is_empty(), "{axis}");
            assert!(effects(&cells)[0].made_a_difference, "{axis}");
        }
    }

    #[test]
    fn without_a_healthy_cell_there_is_no_cure_and_it_is_said() {
        let k = four();
        let cures = smallest_cures(&[judged("a", &k[0], Some(CauseName::Undetermined))]);
        assert!(cures[0].cures.is_empty());
    }
}
