//! Metrics, effects and small drawings as a reader wants them. Pure.

use brimful_judge::compare::{Answer, Effect, MetricComparison, Reason, Scale, decide};
use brimful_judge::metric::{Value, is_latency};
use brimful_judge::wording::{count, short_time};
use brimful_plan::gate::Metric;

/// Heights of a block's difference; the middle one is none.
const HEIGHTS: [char; 7] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇'];
/// A block in which one side has no value.
const NO_PAIR: char = '·';

/// A value in the unit of its metric: `12ms`, `2.1%`, `≥1s`.
pub(crate) fn value(metric: Metric, value: Value) -> String {
    match value {
        Value::AtLeast { at_least } => format!("≥{}", short_time(at_least as u64)),
        Value::Known(known) if is_latency(metric) => latency(known),
        Value::Known(known) if metric == Metric::FailureRate => format!("{}%", digits(known * 100.0)),
        Value::Known(known) if metric == Metric::LoadRate => format!("{}/s", count(known.round() as u64)),
        Value::Known(known) => count(known.round() as u64),
    }
}

/// A latency to three digits: two sides that differ by a twentieth must not read alike.
fn latency(ns: f64) -> String {
    match ns {
        ns if ns < 1e6 => format!("{}µs", digits(ns / 1e3)),
        ns if ns < 1e9 => format!("{}ms", digits(ns / 1e6)),
        ns => format!("{}s", digits(ns / 1e9)),
    }
}

/// Both values of a comparison: `12ms → 14ms`.
pub(crate) fn values(comparison: &MetricComparison) -> String {
    let one = |side: Option<Value>| side.map_or_else(|| "none".to_owned(), |known| value(comparison.metric, known));
    format!("{} → {}", one(comparison.base), one(comparison.head))
}

/// The estimate: `×1.21`, `+2.1pp`.
pub(crate) fn estimate(effect: &Effect) -> String {
    on_scale(effect.scale, effect.estimate)
}

/// The interval: `×1.15 to ×1.28`, `+1.5pp to +2.8pp`.
pub(crate) fn interval(effect: &Effect) -> String {
    match effect.low.zip(effect.high) {
        Some((low, high)) => format!("{} to {}", on_scale(effect.scale, low), on_scale(effect.scale, high)),
        None => "no interval".to_owned(),
    }
}

/// A number on the scale of an effect.
pub(crate) fn on_scale(scale: Scale, number: f64) -> String {
    match scale {
        Scale::Ratio => format!("×{}", ratio(number)),
        Scale::Difference if number == 0.0 => "0pp".to_owned(),
        Scale::Difference => format!("{}{}pp", if number < 0.0 { '-' } else { '+' }, digits(number.abs() * 100.0)),
    }
}

/// How far a metric may go, on the scale of its effect: `×1.1`, `+0.5pp`, `×0.9`.
pub(crate) fn tolerance(metric: Metric, tolerance: f64) -> String {
    match decide::scale(metric) {
        Scale::Ratio if metric.more_is_better() => format!("×{}", ratio(1.0 - tolerance)),
        Scale::Ratio => format!("×{}", ratio(1.0 + tolerance)),
        Scale::Difference => on_scale(Scale::Difference, tolerance),
    }
}

fn ratio(ratio: f64) -> String {
    match ratio {
        0.1..100.0 => format!("{ratio:.2}"),
        _ => digits(ratio),
    }
}

/// Three significant digits, without noughts that say nothing: `12.3`, `0.05`, `1,235`.
fn digits(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    if number >= 999.5 {
        return count(number.round() as u64);
    }
    let decimals = (2.0 - number.abs().log10().floor()).clamp(0.0, 9.0) as usize;
    let text = format!("{number:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// The p of a comparison after Holm's adjustment: `p 0.02`, `p <0.0001`.
pub(crate) fn p(p: f64) -> String {
    if p < 1e-4 { "p <0.0001".to_owned() } else { format!("p {}", digits_of_p(p)) }
}

fn digits_of_p(p: f64) -> String {
    let decimals = (1.0 - p.log10().floor()).clamp(1.0, 4.0) as usize;
    let text = format!("{p:.decimals$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The name of an answer.
pub(crate) const fn answer(answer: Answer) -> &'static str {
    match answer {
        Answer::NotTested => "not tested",
        Answer::Pass => "pass",
        Answer::Inconclusive => "inconclusive",
        Answer::Fail => "fail",
    }
}

/// One sign a block, higher where the second side has more, the middle where both have the same; at most `most` of them, neighbours drawn together.
pub(crate) fn strip(comparison: &MetricComparison, most: usize) -> String {
    let difference = |pair: &brimful_judge::compare::Pair| {
        let (base, head) = (pair.base?.known()?, pair.head?.known()?);
        Some(decide::difference(comparison.metric, base, head))
    };
    let all: Vec<Option<f64>> = comparison.blocks.iter().map(difference).collect();
    let limit = decide::limit(comparison.metric, comparison.tolerance);
    let least = if limit.is_finite() { limit } else { 0.0 };
    // The tolerance sets the scale where all blocks keep within it, so that noise does not fill the page.
    let largest = all.iter().flatten().fold(least, |most: f64, d| most.max(d.abs()));
    let height = |group: &[Option<f64>]| {
        let known: Vec<f64> = group.iter().flatten().copied().collect();
        if known.is_empty() {
            return NO_PAIR;
        }
        let mean = known.iter().sum::<f64>() / known.len() as f64;
        let step = if largest > 0.0 { (mean / largest * 3.0).round() } else { 0.0 };
        HEIGHTS.get((step + 3.0) as usize).copied().unwrap_or(NO_PAIR)
    };
    let groups = all.len().min(most.max(1));
    (0..groups).map(|group| height(&all[group * all.len() / groups..(group + 1) * all.len() / groups])).collect()
}

/// Why there is no test, or no answer; and what would give one.
pub(crate) fn because(comparison: &MetricComparison) -> Option<String> {
    let reason = comparison.reason.map(|reason| match reason {
        Reason::Censored { base, head, of } => format!(
            "among the probes that were never answered, in {base} of {of} blocks of the first side and {head} of the second; failure rate and restricted mean tell"
        ),
        Reason::OtherTimeout { base_ns, head_ns } => {
            format!("the probes had different time-outs, {} and {}", short_time(base_ns), short_time(head_ns))
        }
        Reason::Translated => "a side was run under QEMU's TCG, where a duration means nothing".to_owned(),
        Reason::NoPairs => "there is no block in which both sides have a value".to_owned(),
        Reason::TooFewBlocks { blocks, least } => {
            format!("{blocks} of the {least} blocks that any answer takes")
        }
    });
    if comparison.answer != Answer::Inconclusive {
        return reason.filter(|_| comparison.answer == Answer::NotTested);
    }
    let scale = decide::scale(comparison.metric);
    let mut parts: Vec<String> = reason.into_iter().collect();
    if let Some(effect) = comparison.smallest_effect {
        parts.push(format!("{} would have been seen", on_scale(scale, effect)));
    }
    parts.push(match comparison.blocks_to_settle {
        Some(blocks) => format!("{blocks} blocks would settle it"),
        None if comparison.smallest_effect.is_some() => {
            format!("too near the tolerance of {} to be settled", tolerance(comparison.metric, comparison.tolerance))
        }
        None => return Some(parts.join("; ")),
    });
    Some(parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let cases = [
            (0.0, "0"),
            (12.34, "12.3"),
            (0.05, "0.05"),
            (1_234.5, "1,235"),
            (100.0, "100"),
            (0.000_123_4, "0.000123"),
        ];
        for (number, text) in cases {
            assert_eq!(digits(number), text);
        }
        assert_eq!([1.0, 1.206, 250.0, 0.001_2].map(ratio), ["1.00", "1.21", "250", "0.0012"]);
        assert_eq!([0.0, 0.021, -0.0005].map(|d| on_scale(Scale::Difference, d)), ["0pp", "+2.1pp", "-0.05pp"]);
        assert_eq!([1.0, 0.048_9, 0.003_9, 1e-7].map(p), ["p 1", "p 0.049", "p 0.0039", "p <0.0001"]);
        assert_eq!(value(Metric::FailureRate, Value::Known(0.021)), "2.1%");
        assert_eq!(value(Metric::P99, Value::AtLeast { at_least: 1e9 }), "≥1s");
        assert_eq!(value(Metric::P99, Value::Known(412_345.0)), "412µs");
        assert_eq!(value(Metric::LoadRate, Value::Known(4_000.2)), "4,000/s");
    }

    #[test]
    fn tolerances_are_on_the_scale_of_the_effect() {
        assert_eq!(Metric::ALL.map(|m| tolerance(m, m.default_tolerance()))[..2], ["+0.5pp", "×1.10"]);
        assert_eq!(tolerance(Metric::LoadHeld, 0.1), "×0.90");
    }
}
