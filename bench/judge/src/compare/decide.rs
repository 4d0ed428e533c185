//! Three answers from an interval, a p and a tolerance. Pure.

use brimful_plan::gate::Metric;

use super::super::stats::{ALPHA, Interval};
use super::{Answer, Question, Scale};

/// On which scale a metric is compared.
pub const fn scale(metric: Metric) -> Scale {
    match metric {
        Metric::FailureRate => Scale::Difference,
        Metric::RestrictedMean | Metric::P50 | Metric::P90 | Metric::P99 | Metric::LoadRate | Metric::LoadHeld => {
            Scale::Ratio
        }
    }
}

/// The difference of one block: plain for a rate, logarithmic for a ratio.
///
/// A count or a rate of nought has no logarithm and is taken for 1, the smallest that is not nought: that understates the ratio.
pub fn difference(metric: Metric, base: f64, head: f64) -> f64 {
    match scale(metric) {
        Scale::Difference => head - base,
        Scale::Ratio => head.max(1.0).ln() - base.max(1.0).ln(),
    }
}

/// A difference on its scale, as a reader wants it: a ratio again.
pub(crate) fn on_scale(metric: Metric, difference: f64) -> f64 {
    match scale(metric) {
        Scale::Difference => difference,
        Scale::Ratio => difference.exp(),
    }
}

/// A difference with its sign turned so that more is worse.
pub(crate) fn worse(metric: Metric, difference: f64) -> f64 {
    if metric.more_is_better() { -difference } else { difference }
}

/// How far is too far, as a difference for the worse: never below nought, and without end where a share of all may go.
pub fn limit(metric: Metric, tolerance: f64) -> f64 {
    match scale(metric) {
        Scale::Difference => tolerance,
        Scale::Ratio if metric.more_is_better() => -(1.0 - tolerance).max(0.0).ln(),
        Scale::Ratio => tolerance.ln_1p(),
    }
}

/// The answer to one comparison.
///
/// It fails when the difference is significant in its family and its whole interval lies beyond the limit, and passes when the whole
/// interval lies within. An interval without a limit on a side lies neither beyond nor within on that side.
pub(crate) fn answer(question: Question, metric: Metric, interval: Interval, p_adjusted: f64, limit: f64) -> Answer {
    let turned = |difference: Option<f64>| difference.map(|d| worse(metric, d));
    let (best, worst) = match metric.more_is_better() {
        true => (turned(interval.high), turned(interval.low)),
        false => (interval.low, interval.high),
    };
    let both_ways = question == Question::Same;
    let beyond = best.is_some_and(|best| best > limit) || both_ways && worst.is_some_and(|worst| worst < -limit);
    let within = worst.is_some_and(|worst| worst <= limit) && (!both_ways || best.is_some_and(|best| best >= -limit));
    if beyond && p_adjusted <= ALPHA {
        Answer::Fail
    } else if within {
        Answer::Pass
    } else {
        Answer::Inconclusive
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(metric: Metric, low: f64, high: f64, p: f64) -> Answer {
        let interval = Interval { low: Some(low), high: Some(high) };
        answer(Question::Worse, metric, interval, p, limit(metric, metric.default_tolerance()))
    }

    #[test]
    fn a_tenth_more_is_tolerated_of_a_latency_and_a_tenth_less_of_a_load() {
        assert_eq!(of(Metric::P99, 1.11_f64.ln(), 1.3_f64.ln(), 0.01), Answer::Fail);
        assert_eq!(of(Metric::P99, 1.11_f64.ln(), 1.3_f64.ln(), 0.011), Answer::Inconclusive);
        assert_eq!(of(Metric::P99, 1.05_f64.ln(), 1.3_f64.ln(), 0.001), Answer::Inconclusive);
        assert_eq!(of(Metric::P99, 1.05_f64.ln(), 1.09_f64.ln(), 0.001), Answer::Pass);
        assert_eq!(of(Metric::P99, 0.5_f64.ln(), 0.6_f64.ln(), 0.001), Answer::Pass);
        assert_eq!(of(Metric::LoadRate, 0.5_f64.ln(), 0.6_f64.ln(), 0.001), Answer::Fail);
        assert_eq!(of(Metric::LoadRate, 0.91_f64.ln(), 1.2_f64.ln(), 1.0), Answer::Pass);
        assert_eq!(of(Metric::LoadRate, 0.89_f64.ln(), 1.2_f64.ln(), 1.0), Answer::Inconclusive);
        assert_eq!(of(Metric::FailureRate, 0.006, 0.1, 0.001), Answer::Fail);
        assert_eq!(of(Metric::FailureRate, -0.1, 0.005, 0.001), Answer::Pass);
    }

    #[test]
    fn without_limits_nothing_is_settled_and_a_difference_of_none_passes() {
        let open = Interval { low: None, high: None };
        assert_eq!(answer(Question::Worse, Metric::P99, open, 0.001, 0.1), Answer::Inconclusive);
        let none = Interval { low: Some(0.0), high: Some(0.0) };
        assert_eq!(answer(Question::Worse, Metric::P99, none, 1.0, 0.0), Answer::Pass);
    }

    #[test]
    fn an_aa_fails_on_either_side() {
        let faster = Interval { low: Some(-0.5), high: Some(-0.3) };
        assert_eq!(answer(Question::Same, Metric::P99, faster, 0.001, 0.1), Answer::Fail);
        assert_eq!(answer(Question::Worse, Metric::P99, faster, 0.001, 0.1), Answer::Pass);
        let wide = Interval { low: Some(-0.5), high: Some(0.05) };
        assert_eq!(answer(Question::Same, Metric::P99, wide, 1.0, 0.1), Answer::Inconclusive);
    }

    #[test]
    fn nought_has_a_ratio_too() {
        assert_eq!(difference(Metric::LoadHeld, 0.0, 0.0), 0.0);
        assert_eq!(difference(Metric::LoadHeld, 1_000.0, 0.0), -1_000_f64.ln());
        assert_eq!(limit(Metric::LoadHeld, 1.0), f64::INFINITY);
    }

    proptest! {
        #[test]
        fn worse_is_never_judged_milder(low in -1.0..1.0, wide in 0.0..1.0, shift in 0.0..1.0, p in 0.0..0.05) {
            for metric in Metric::ALL {
                let shift = worse(metric, shift);
                prop_assert!(of(metric, low, low + wide, p) <= of(metric, low + shift, low + wide + shift, p));
            }
        }
    }
}
