//! What a knob does to each metric, over the pairs of cells that differ in it alone. Pure.
//!
//! Effects are described, not tested: that one is consistent over pairs and blocks is said, that it is more than chance is not.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use brimful_plan::gate::Metric;
use serde::{Deserialize, Serialize};

use super::Judged;
use crate::compare::{Scale, scale};
use crate::metric::Value;
use crate::numbers::{Numbers, alike};

/// A number as far as it is known. In JSON a plain number, or an object with its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Bound {
    /// The number.
    Exact(f64),
    /// Known from both sides only.
    Between {
        /// The least it can be.
        at_least: f64,
        /// The most it can be.
        at_most: f64,
    },
    /// Known from below only: the second of two cells timed out.
    AtLeast {
        /// The least it can be.
        at_least: f64,
    },
    /// Known from above only: the first of two cells timed out.
    AtMost {
        /// The most it can be.
        at_most: f64,
    },
}

/// What a knob does to one metric, from its smaller value to its larger (in the scenario's order where values have no size).
///
/// An effect is a ratio, larger to smaller value; for the failure rate it is a difference. A pair's effect is the median over the blocks
/// that both of its cells have.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MetricEffect {
    /// Pairs of cells that tell something, at least 1.
    pub pairs: u64,
    /// Pairs that tell nothing: neither value is known, as where the quantile of both cells is beyond the time-out.
    pub not_known: u64,
    /// The median over pairs. Where it lies between two pairs, their mean if both are known; what is censored is never averaged.
    pub median: Bound,
    /// The least over pairs.
    pub least: Bound,
    /// The most over pairs.
    pub most: Bound,
    /// Comparisons (of each pair in each block) in which the metric rises by more than noise.
    pub up: u64,
    /// Comparisons in which it falls by more than noise.
    pub down: u64,
    /// Comparisons in which the two values are alike but for noise.
    pub alike: u64,
}

impl MetricEffect {
    /// Whether it moves at all, by more than noise.
    #[must_use]
    pub const fn moves(&self) -> bool {
        self.up + self.down > 0
    }

    /// Whether at least two comparisons go one way and none the other; some may be alike.
    #[must_use]
    pub const fn consistent(&self) -> bool {
        (self.up == 0) != (self.down == 0) && self.up + self.down + self.alike >= 2
    }

    /// The median in a few characters: `×5.8`, `≤×0.006`, `-91pp`. `~` where nothing moves beyond noise, `~ to ×11` where that is so of
    /// half of the comparisons or more, `mixed` where it goes both ways.
    #[must_use]
    pub fn shown(&self, metric: Metric) -> String {
        let mostly_alike = self.alike * 2 >= self.up + self.down + self.alike;
        match (self.up > 0, self.down > 0) {
            (false, false) => "~".to_owned(),
            (true, true) => "mixed".to_owned(),
            (true, false) if mostly_alike => format!("~ to {}", bound(self.most, metric)),
            (false, true) if mostly_alike => format!("{} to ~", bound(self.least, metric)),
            _ => bound(self.median, metric),
        }
    }

    /// From the least to the most over pairs, where that says more than [`Self::shown`] and is known: `×1.2 to ×10`.
    #[must_use]
    pub fn range(&self, metric: Metric) -> Option<String> {
        let (Bound::Exact(_), Bound::Exact(_)) = (self.least, self.most) else { return None };
        let (mut least, mut most) = (bound(self.least, metric), bound(self.most, metric));
        // What is no more than noise at one end is shown as that.
        if self.alike > 0 && self.down == 0 {
            least = "~".to_owned();
        }
        if self.alike > 0 && self.up == 0 {
            most = "~".to_owned();
        }
        let range = format!("{least} to {most}");
        (self.moves() && least != most && range != self.shown(metric)).then_some(range)
    }
}

fn bound(bound: Bound, metric: Metric) -> String {
    let number = |n: f64| match scale(metric) {
        Scale::Difference => points(n),
        Scale::Ratio => format!("×{}", two_digits(n)),
    };
    match bound {
        Bound::Exact(n) => number(n),
        Bound::Between { at_least, at_most } => format!("{}…{}", number(at_least), number(at_most)),
        Bound::AtLeast { at_least } => format!("≥{}", number(at_least)),
        Bound::AtMost { at_most } => format!("≤{}", number(at_most)),
    }
}

/// A difference of shares in percentage points: `-91pp`.
fn points(difference: f64) -> String {
    let text = two_digits(difference.abs() * 100.0);
    let sign = match difference {
        _ if text == "0" => "",
        d if d < 0.0 => "-",
        _ => "+",
    };
    format!("{sign}{text}pp")
}

/// Two digits that tell, one below a hundredth, and no nought behind the point: `0.006`, `0.83`, `5.8`, `12`, `11800`.
fn two_digits(n: f64) -> String {
    if n == 0.0 {
        return "0".to_owned();
    }
    let digits = i32::from(n.abs() >= 0.01) - n.abs().log10().floor() as i32;
    let text = format!("{n:.*}", usize::try_from(digits).unwrap_or(0));
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// What is known of one effect, as bounds: from below 0 at least, from above without end at most.
#[derive(Clone, Copy)]
struct Span {
    low: f64,
    high: f64,
}

impl Span {
    /// Four digits are more than two cells can tell, and keep the file short.
    fn bound(self) -> Option<Bound> {
        let (low, high) = (rounded(self.low), rounded(self.high));
        match (self.low > f64::NEG_INFINITY && self.low != 0.0, self.high < f64::INFINITY) {
            _ if self.low == self.high => Some(Bound::Exact(low)),
            (true, true) => Some(Bound::Between { at_least: low, at_most: high }),
            (true, false) => Some(Bound::AtLeast { at_least: low }),
            (false, true) => Some(Bound::AtMost { at_most: high }),
            (false, false) => None,
        }
    }
}

fn rounded(n: f64) -> f64 {
    format!("{n:.3e}").parse().unwrap_or(n)
}

/// One pair of cells in one block.
struct Step {
    span: Span,
    sign: Ordering,
}

/// The effects on every metric that at least one pair tells something about. The pairs go from the smaller value to the larger.
pub(super) fn effects(pairs: &[(&Judged<'_>, &Judged<'_>)]) -> BTreeMap<Metric, MetricEffect> {
    Metric::ALL.into_iter().filter_map(|metric| Some((metric, effect(metric, pairs)?))).collect()
}

fn effect(metric: Metric, pairs: &[(&Judged<'_>, &Judged<'_>)]) -> Option<MetricEffect> {
    let of_pairs: Vec<Vec<Step>> = pairs.iter().map(|(from, to)| steps(metric, from, to)).collect();
    let spans: Vec<Span> =
        of_pairs.iter().filter_map(|steps| median(metric, steps.iter().map(|s| s.span).collect())).collect();
    let count = |sign| of_pairs.iter().flatten().filter(|step| step.sign == sign).count() as u64;
    let least = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::INFINITY, f64::min);
    let most = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::NEG_INFINITY, f64::max);
    let (low, high) = (|| spans.iter().map(|s| s.low), || spans.iter().map(|s| s.high));
    Some(MetricEffect {
        pairs: spans.len() as u64,
        not_known: (pairs.len() - spans.len()) as u64,
        median: median(metric, spans.clone())?.bound()?,
        least: Span { low: least(&mut low()), high: least(&mut high()) }.bound()?,
        most: Span { low: most(&mut low()), high: most(&mut high()) }.bound()?,
        up: count(Ordering::Greater),
        down: count(Ordering::Less),
        alike: count(Ordering::Equal),
    })
}

/// The blocks that both cells have and that tell something.
fn steps(metric: Metric, from: &Judged<'_>, to: &Judged<'_>) -> Vec<Step> {
    let both = from.blocks.iter().filter_map(|(block, a)| {
        let (_, b) = to.blocks.iter().find(|(other, _)| other == block)?;
        step(metric, a, b)
    });
    both.collect()
}

fn step(metric: Metric, from: &Numbers, to: &Numbers) -> Option<Step> {
    let (span, a, b) = match (from.get(metric)?, to.get(metric)?) {
        (Value::Known(a), Value::Known(b)) => {
            let effect = match scale(metric) {
                Scale::Difference => b - a,
                Scale::Ratio => ratio(a, b),
            };
            (Span { low: effect, high: effect }, a, b)
        }
        (Value::Known(a), Value::AtLeast { at_least: b }) => (Span { low: ratio(a, b), high: f64::INFINITY }, a, b),
        (Value::AtLeast { at_least: a }, Value::Known(b)) => (Span { low: 0.0, high: ratio(a, b) }, a, b),
        (Value::AtLeast { .. }, Value::AtLeast { .. }) => return None,
    };
    let sign = if alike(metric, a, b, from.timeout_ns.max(to.timeout_ns)) { Ordering::Equal } else { b.total_cmp(&a) };
    Some(Step { span, sign })
}

/// The one to the other. Nothing is taken for one, of nanoseconds as of connections, so that it can be divided by.
fn ratio(from: f64, to: f64) -> f64 {
    if from == to { 1.0 } else { to / from.max(1.0) }
}

/// The median of what is known from two sides lies between the median of the lower ends and that of the upper ends. Between two known
/// numbers it is their mean, of ratios the geometric one; where one of them is a bound only, nothing is averaged and it lies between both.
fn median(metric: Metric, mut spans: Vec<Span>) -> Option<Span> {
    if spans.is_empty() {
        return None;
    }
    let (lower, upper) = ((spans.len() - 1) / 2, spans.len() / 2);
    spans.sort_by(|a, b| a.low.total_cmp(&b.low));
    let low = (spans.get(lower)?.low, spans.get(upper)?.low);
    spans.sort_by(|a, b| a.high.total_cmp(&b.high));
    let high = (spans.get(lower)?.high, spans.get(upper)?.high);
    if low == high {
        let (a, b) = low;
        let mean = match scale(metric) {
            _ if a == b => a,
            Scale::Difference => f64::midpoint(a, b),
            Scale::Ratio => (a * b).sqrt(),
        };
        return Some(Span { low: mean, high: mean });
    }
    Some(Span { low: low.0, high: high.1 })
}

#[cfg(test)]
mod tests {
    use brimful_evidence::record::KnobReading;
    use brimful_plan::expect::CellOutcome;
    use indexmap::IndexMap;
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn numbers(metric: Metric, seen: Value) -> Numbers {
        Numbers { values: [(metric, seen)].into(), timeout_ns: SECOND, probes: 10, requested: 12_000 }
    }

    /// The effect over pairs of which each has these values in its blocks.
    fn over(metric: Metric, pairs: &[Vec<(Value, Value)>]) -> Option<MetricEffect> {
        let knobs = IndexMap::<String, KnobReading>::new();
        let judged = |of_blocks: Vec<Value>| Judged {
            id: "x",
            knobs: &knobs,
            tuning: Vec::new(),
            context: Vec::new(),
            outcome: CellOutcome::Healthy,
            cause: None,
            whole: Numbers::default(),
            blocks: (0..).zip(of_blocks.into_iter().map(|seen| numbers(metric, seen))).collect(),
        };
        let cells: Vec<_> = pairs
            .iter()
            .map(|blocks| {
                let side = |pick: fn(&(Value, Value)) -> Value| judged(blocks.iter().map(pick).collect());
                (side(|b| b.0), side(|b| b.1))
            })
            .collect();
        let pairs: Vec<_> = cells.iter().map(|(a, b)| (a, b)).collect();
        effect(metric, &pairs)
    }

    fn ms(ms: f64) -> Value {
        Value::Known(ms * 1e6)
    }

    const OUT: Value = Value::AtLeast { at_least: 1e9 };

    #[test]
    fn a_knob_without_pairs_has_no_effect_on_anything() {
        assert!(effects(&[]).is_empty());
    }

    #[test]
    fn what_timed_out_bounds_an_effect_and_is_averaged_with_nothing() {
        let one = over(Metric::P99, &[vec![(OUT, ms(10.0))]]).unwrap();
        assert_eq!((one.median, one.shown(Metric::P99)), (Bound::AtMost { at_most: 0.01 }, "≤×0.01".to_owned()));
        let other_way = over(Metric::P99, &[vec![(ms(10.0), OUT)]]).unwrap();
        assert_eq!(other_way.shown(Metric::P99), "≥×100");
        let two = over(Metric::P99, &[vec![(OUT, ms(10.0))], vec![(OUT, ms(40.0))]]).unwrap();
        assert_eq!(two.median, Bound::AtMost { at_most: 0.04 });
        assert_eq!((two.least, two.range(Metric::P99)), (Bound::AtMost { at_most: 0.01 }, None));
        let neither = over(Metric::P99, &[vec![(OUT, OUT)]]);
        assert_eq!(neither, None, "two cells that both time out tell nothing of each other");
        let partly = over(Metric::P99, &[vec![(OUT, OUT)], vec![(ms(100.0), ms(200.0))]]).unwrap();
        assert_eq!((partly.pairs, partly.not_known, partly.median), (1, 1, Bound::Exact(2.0)));
    }

    #[test]
    fn between_a_known_effect_and_a_bound_lies_what_is_known_of_both() {
        let mixed = over(Metric::P99, &[vec![(ms(100.0), ms(200.0))], vec![(ms(100.0), OUT)]]).unwrap();
        assert_eq!(mixed.median, Bound::AtLeast { at_least: 2.0 });
        let three =
            over(Metric::P99, &[vec![(ms(100.0), ms(200.0))], vec![(ms(200.0), OUT)], vec![(ms(100.0), ms(600.0))]])
                .unwrap();
        assert_eq!(three.median, Bound::Between { at_least: 5.0, at_most: 6.0 });
        assert_eq!(three.shown(Metric::P99), "×5…×6");
    }

    #[test]
    fn shares_are_subtracted_and_everything_else_is_divided() {
        let failures = over(Metric::FailureRate, &[vec![(Value::Known(0.909), Value::Known(0.0))]]).unwrap();
        assert_eq!(failures.shown(Metric::FailureRate), "-91pp");
        let held = |a, b| over(Metric::LoadHeld, &[vec![(Value::Known(a), Value::Known(b))]]).unwrap();
        assert_eq!(held(1_142.0, 12_000.0).shown(Metric::LoadHeld), "×11");
        assert_eq!(held(0.0, 12_000.0).shown(Metric::LoadHeld), "×12000");
        assert_eq!(held(12_000.0, 0.0).shown(Metric::LoadHeld), "×0");
        assert_eq!(held(0.0, 0.0).shown(Metric::LoadHeld), "~");
    }

    #[test]
    fn blocks_and_pairs_that_disagree_are_called_mixed_and_one_comparison_is_called_nothing() {
        let up = (ms(100.0), ms(200.0));
        let down = (ms(200.0), ms(100.0));
        let both = over(Metric::P50, &[vec![up, up, down]]).unwrap();
        assert_eq!((both.up, both.down, both.consistent()), (2, 1, false));
        assert_eq!(both.shown(Metric::P50), "mixed");
        assert_eq!(both.median, Bound::Exact(2.0), "a pair speaks with the median of its blocks");
        let one_way = over(Metric::P50, &[vec![up, up], vec![up, (ms(1.0), ms(5.0))]]).unwrap();
        assert_eq!((one_way.up, one_way.alike, one_way.consistent()), (3, 1, true));
        assert!(!over(Metric::P50, &[vec![up]]).unwrap().consistent());
        assert_eq!(over(Metric::P50, &[vec![(ms(1.0), ms(5.0))]]).unwrap().shown(Metric::P50), "~");
    }

    #[test]
    fn what_half_of_the_comparisons_do_not_show_is_no_median_effect() {
        let held = |b| vec![(Value::Known(1_142.0), Value::Known(b))];
        let half = over(Metric::LoadHeld, &[held(1_142.0), held(12_000.0)]).unwrap();
        assert_eq!((half.shown(Metric::LoadHeld), half.range(Metric::LoadHeld)), ("~ to ×11".to_owned(), None));
        let most = over(Metric::LoadHeld, &[held(1_140.0), held(12_000.0), held(6_000.0)]).unwrap();
        assert_eq!(most.shown(Metric::LoadHeld), "×5.3");
        assert_eq!(most.range(Metric::LoadHeld).as_deref(), Some("~ to ×11"));
        let fewer = over(
            Metric::FailureRate,
            &[vec![(Value::Known(0.86), Value::Known(0.0))], vec![(Value::Known(0.0), Value::Known(0.0))]],
        );
        assert_eq!(fewer.unwrap().shown(Metric::FailureRate), "-86pp to ~");
    }

    #[test]
    fn a_bound_reads_back_as_it_was_written() {
        for known in [
            Bound::Exact(0.5),
            Bound::Between { at_least: 1.0, at_most: 2.0 },
            Bound::AtLeast { at_least: 3.0 },
            Bound::AtMost { at_most: 4.0 },
        ] {
            let json = serde_json::to_string(&known).unwrap();
            assert_eq!(serde_json::from_str::<Bound>(&json).unwrap(), known, "{json}");
        }
    }

    /// Whether a number can be what a bound says, but for rounding.
    fn admits(bound: Bound, n: f64) -> bool {
        let (low, high) = match bound {
            Bound::Exact(n) => (n, n),
            Bound::Between { at_least, at_most } => (at_least, at_most),
            Bound::AtLeast { at_least } => (at_least, f64::INFINITY),
            Bound::AtMost { at_most } => (0.0, at_most),
        };
        (low * 0.999..=high * 1.001).contains(&n)
    }

    proptest! {
        /// Whatever the latencies beyond the time-out really were, the effects computed from them lie within the bounds that were given.
        #[test]
        fn bounds_hold_for_whatever_was_behind_the_time_out(
            truth in proptest::collection::vec((1.0..3e9_f64, 1.0..3e9_f64), 1..7),
        ) {
            let seen = |n: f64| if n < 1e9 { Value::Known(n) } else { OUT };
            let cut: Vec<_> = truth.iter().map(|&(a, b)| vec![(seen(a), seen(b))]).collect();
            let told: Vec<_> = truth.iter().filter(|(a, b)| *a < 1e9 || *b < 1e9).collect();
            let known: Vec<_> = told.iter().map(|&&(a, b)| vec![(Value::Known(a), Value::Known(b))]).collect();
            if let (Some(cut), Some(Bound::Exact(median))) =
                (over(Metric::P99, &cut), over(Metric::P99, &known).map(|e| e.median))
            {
                prop_assert!(admits(cut.median, median), "{:?} {}", cut.median, median);
            }
        }
    }
}
