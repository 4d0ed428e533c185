//! Axes: where an instant or a latency is drawn, and where the axis is labelled. Pure.

use brimful_judge::wording::{count, time};

/// Steps between the labels of a time axis, in milliseconds.
const STEPS_MS: [u64; 16] =
    [10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000];
/// Labels on a time axis at most; more would touch on a phone.
const MOST_TICKS: u64 = 8;
const MS: u64 = 1_000_000;
/// Bars of a distribution in each decade.
pub(super) const BARS: i32 = 8;

/// Time from the start of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeAxis {
    /// Its end, in nanoseconds, above zero.
    end_ns: u64,
}

impl TimeAxis {
    /// An axis up to an instant.
    pub(super) fn until(end_ns: u64) -> Self {
        Self { end_ns: end_ns.max(1) }
    }

    /// Where an instant is, 0 at the left and 1 at the right.
    pub(super) fn at(self, ns: u64) -> f64 {
        (ns as f64 / self.end_ns as f64).min(1.0)
    }

    /// The instants that are labelled, the start among them.
    pub(super) fn ticks(self) -> Vec<u64> {
        let fits = |step: &u64| self.end_ns / (step * MS) <= MOST_TICKS;
        let step = STEPS_MS.into_iter().find(fits).map_or_else(|| self.end_ns.div_ceil(MOST_TICKS), |ms| ms * MS);
        (0..=self.end_ns / step).map(|i| i * step).collect()
    }

    /// An instant in seconds, as short as it is exact.
    pub(super) fn label(ns: u64) -> String {
        let seconds = format!("{:.2}", ns as f64 / 1e9);
        seconds.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

/// Latencies by their order of magnitude, in whole decades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LogAxis {
    /// The first decade, as a power of ten nanoseconds.
    from: i32,
    /// The decade after the last.
    to: i32,
}

impl LogAxis {
    /// The decades that hold both latencies, in nanoseconds.
    pub(super) fn over(least_ns: u64, most_ns: u64) -> Self {
        let from = decade(least_ns.min(most_ns));
        // An exact power of ten ends the axis.
        let to = if most_ns == power(decade(most_ns)) { decade(most_ns) } else { decade(most_ns) + 1 };
        Self { from, to: to.max(from + 1) }
    }

    /// Where a latency is, 0 at the left and 1 at the right.
    pub(super) fn at(self, ns: u64) -> f64 {
        let decades = f64::from(self.to - self.from);
        (((ns.max(1) as f64).log10() - f64::from(self.from)) / decades).clamp(0.0, 1.0)
    }

    /// Where a bar of [`bar`] begins, and how wide it is.
    pub(super) fn bar(self, bar: i32) -> (f64, f64) {
        let decades = f64::from(self.to - self.from);
        let from = (f64::from(bar) / f64::from(BARS) - f64::from(self.from)) / decades;
        (from.clamp(0.0, 1.0), 1.0 / f64::from(BARS) / decades)
    }

    /// The latencies that are labelled: every power of ten, in nanoseconds.
    pub(super) fn ticks(self) -> Vec<u64> {
        (self.from..=self.to).map(power).collect()
    }

    /// A power of ten in the unit that fits.
    pub(super) fn label(ns: u64) -> String {
        match ns {
            0..=999 => format!("{ns} ns"),
            1_000..=99_999 => format!("{} µs", count(ns / 1_000)),
            _ => time(ns),
        }
    }
}

/// Which bar of a distribution a latency belongs to.
pub(super) fn bar(ns: u64) -> i32 {
    ((ns.max(1) as f64).log10() * f64::from(BARS)).floor() as i32
}

fn decade(ns: u64) -> i32 {
    i32::try_from(ns.max(1).ilog10()).unwrap_or(0)
}

fn power(decade: i32) -> u64 {
    u32::try_from(decade).ok().and_then(|d| 10_u64.checked_pow(d)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn time_is_labelled_in_steps_that_read_well() {
        let labels = |end_ms| TimeAxis::until(end_ms * MS).ticks().into_iter().map(TimeAxis::label).collect::<Vec<_>>();
        assert_eq!(labels(11_000), ["0", "2", "4", "6", "8", "10"]);
        assert_eq!(labels(2_000), ["0", "0.5", "1", "1.5", "2"]);
        assert_eq!(labels(90), ["0", "0.02", "0.04", "0.06", "0.08"]);
        assert_eq!(labels(180_000), ["0", "30", "60", "90", "120", "150", "180"]);
    }

    #[test]
    fn latencies_are_labelled_at_powers_of_ten() {
        let axis = LogAxis::over(412_000, 1_000_000_000);
        assert_eq!(
            axis.ticks().into_iter().map(LogAxis::label).collect::<Vec<_>>(),
            ["0.1 ms", "1 ms", "10 ms", "100 ms", "1 s"]
        );
        assert_eq!((axis.at(100_000), axis.at(1_000_000_000)), (0.0, 1.0));
        assert_eq!(LogAxis::label(10_000), "10 µs");
    }

    proptest! {
        #[test]
        fn everything_is_drawn_within_the_axis(end in 1_u64..u64::MAX / 2, ns in any::<u64>(), other in 1_u64..1 << 60) {
            let axis = TimeAxis::until(end);
            prop_assert!((0.0..=1.0).contains(&axis.at(ns)));
            let ticks = axis.ticks();
            prop_assert!(ticks.len() <= MOST_TICKS as usize + 1 && ticks.iter().all(|&t| t <= end));
            let log = LogAxis::over(other, end);
            prop_assert!((0.0..=1.0).contains(&log.at(ns)));
            let (from, width) = log.bar(bar(end));
            prop_assert!(from <= log.at(end) + 1e-9 && log.at(end) <= from + width + 1e-9);
        }
    }
}
