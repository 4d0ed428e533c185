//! Stretches of time in sampled series. Pure.

use brimful_evidence::series::Series;

/// A quantity where it came nearest to its limit, as `1024 of 1024`; the limit may have been another one at another time.
pub(crate) fn fullest(quantity: &Series, limit: &Series) -> String {
    // Where the limit never changed that is the largest value.
    let nearest =
        quantity.points.iter().rev().max_by_key(|&&(at_ns, value)| i128::from(value) - i128::from(limit.at(at_ns)));
    match nearest.filter(|_| limit.points.len() > 1) {
        Some(&(at_ns, value)) => format!("{value} of {}", limit.at(at_ns)),
        None => format!("{} of {}", quantity.max, limit.last),
    }
}

/// A stretch of time, in nanoseconds since the start of the cell; its end is not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// The first reading at which the condition held.
    pub(crate) from_ns: u64,
    /// The first reading at which it no longer did, or the end of the cell.
    pub(crate) to_ns: u64,
}

impl Span {
    /// How long it is, in nanoseconds, within one reading interval at either end.
    pub(crate) fn len_ns(self) -> u64 {
        self.to_ns.saturating_sub(self.from_ns)
    }

    /// Whether it has an instant in common with `from..=to`.
    pub(crate) fn overlaps(self, from_ns: u64, to_ns: u64) -> bool {
        self.from_ns <= to_ns && from_ns < self.to_ns
    }
}

/// The stretches before `end_ns` in which `holds` is true, looked at wherever one of the series changes.
pub(crate) fn spans_where(series: &[&Series], end_ns: u64, holds: impl Fn(u64) -> bool) -> Vec<Span> {
    let mut times: Vec<u64> = series.iter().flat_map(|s| &s.points).map(|&(t, _)| t).filter(|&t| t < end_ns).collect();
    times.sort_unstable();
    times.dedup();
    let mut spans = Vec::new();
    let mut open = None;
    for t in times {
        match (holds(t), open) {
            (true, None) => open = Some(t),
            (false, Some(from_ns)) => {
                spans.push(Span { from_ns, to_ns: t });
                open = None;
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
    spans.extend(open.map(|from_ns| Span { from_ns, to_ns: end_ns }));
    spans
}

/// The series if it was ever read: absent is not zero.
pub fn known(series: &Series) -> Option<&Series> {
    (series.reads > 0).then_some(series)
}

/// The time between two readings of a series watched until `end_ns`, in nanoseconds, at least 1: the mean, without the readings before the
/// start and after the end, and a quarter more for one that came late. A change is seen that long after it happened at the latest.
pub(crate) fn interval_ns(series: &Series, end_ns: u64) -> u64 {
    let mean = end_ns / series.reads.saturating_sub(2).max(1);
    mean.saturating_add(mean / 4).max(1)
}

/// The largest value held at any instant of `from..=to`.
pub(crate) fn max_between(series: &Series, from_ns: u64, to_ns: u64) -> u64 {
    let inside = series.points.iter().filter(|&&(t, _)| t > from_ns && t <= to_ns).map(|&(_, value)| value);
    inside.fold(series.at(from_ns), u64::max)
}

/// The smallest value held at any instant of `from..=to`.
pub(crate) fn min_between(series: &Series, from_ns: u64, to_ns: u64) -> u64 {
    let inside = series.points.iter().filter(|&&(t, _)| t > from_ns && t <= to_ns).map(|&(_, value)| value);
    inside.fold(series.at(from_ns), u64::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(points: &[(u64, u64)]) -> Series {
        let mut s = Series::default();
        for &(t, v) in points {
            s.push(t, v);
        }
        s
    }

    #[test]
    fn a_span_runs_from_the_first_reading_that_holds_to_the_first_that_does_not() {
        let s = series(&[(0, 0), (10, 5), (20, 6), (30, 0), (40, 9)]);
        let spans = spans_where(&[&s], 100, |t| s.at(t) > 4);
        assert_eq!(spans, [Span { from_ns: 10, to_ns: 30 }, Span { from_ns: 40, to_ns: 100 }]);
        assert_eq!(spans[0].len_ns(), 20);
    }

    #[test]
    fn a_limit_that_moves_opens_and_closes_spans_too() {
        let value = series(&[(0, 10)]);
        let limit = series(&[(0, 20), (50, 10), (70, 30)]);
        let spans = spans_where(&[&value, &limit], 100, |t| value.at(t) >= limit.at(t));
        assert_eq!(spans, [Span { from_ns: 50, to_ns: 70 }]);
    }

    #[test]
    fn overlap_excludes_the_end_of_the_span() {
        let span = Span { from_ns: 10, to_ns: 20 };
        assert!(span.overlaps(0, 10) && span.overlaps(19, 99) && !span.overlaps(20, 99) && !span.overlaps(0, 9));
    }

    #[test]
    fn extremes_count_the_value_held_at_the_beginning() {
        let s = series(&[(0, 7), (10, 1), (20, 3)]);
        assert_eq!((max_between(&s, 5, 15), min_between(&s, 5, 15)), (7, 1));
        assert_eq!((max_between(&s, 12, 18), min_between(&s, 12, 18)), (1, 1));
    }
}
