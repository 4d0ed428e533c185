//! When to take a point of a load's timeline, and which points to keep. Pure.

use brimful_loadgen_plan::outcome::LoadPoint;

/// How often a point is taken, in nanoseconds: fine enough to see a ramp of seconds, and ten calls a second cost nothing.
pub(super) const INTERVAL_NS: u64 = 100_000_000;

/// The most points kept, besides the one at the end: a minute in full, an hour at 6.4 s each; 24 KB at most.
const MOST_POINTS: usize = 600;

/// A timeline that stays bounded: when it is full, every second point goes, and from then on half as many are kept.
#[derive(Debug)]
pub(super) struct Timeline {
    points: Vec<LoadPoint>,
    /// Every how many points one is kept: a power of two.
    stride: u64,
    taken: u64,
    next_ns: u64,
}

impl Timeline {
    /// An empty timeline whose first point is due one interval after the start of the cell.
    pub(super) fn new() -> Self {
        Self { points: Vec::new(), stride: 1, taken: 0, next_ns: INTERVAL_NS }
    }

    /// When the next point is due, in nanoseconds since the start of the cell.
    pub(super) fn next_ns(&self) -> u64 {
        self.next_ns
    }

    /// Takes a point. The next one is due at the first multiple of the interval after it: points missed by a busy
    /// loop are not made up for.
    pub(super) fn take(&mut self, point: LoadPoint) {
        self.taken += 1;
        if self.taken.is_multiple_of(self.stride) {
            self.points.push(point);
        }
        if self.points.len() >= MOST_POINTS {
            // Keep the 2nd, 4th, …: those whose number is a multiple of the doubled stride.
            let mut number = 0_u64;
            self.points.retain(|_| {
                number += 1;
                number.is_multiple_of(2)
            });
            self.stride = self.stride.saturating_mul(2);
        }
        self.next_ns = (point.at_ns / INTERVAL_NS).saturating_add(1).saturating_mul(INTERVAL_NS);
    }

    /// The kept points, closed by the state at the end.
    pub(super) fn close(mut self, end: LoadPoint) -> Vec<LoadPoint> {
        if self.points.last().is_some_and(|last| last.at_ns >= end.at_ns) {
            self.points.pop();
        }
        self.points.push(end);
        self.points
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(at_ns: u64) -> LoadPoint {
        LoadPoint { at_ns, ..LoadPoint::default() }
    }

    proptest! {
        #[test]
        fn however_long_the_load_the_timeline_is_bounded_evenly_spaced_and_complete(n in 1_u64..20_000) {
            let mut timeline = Timeline::new();
            for _ in 0..n {
                let due = timeline.next_ns();
                timeline.take(at(due));
            }
            let stride = timeline.stride;
            let points = timeline.close(at(n * INTERVAL_NS + 1));
            prop_assert!(points.len() <= MOST_POINTS);
            prop_assert_eq!(points.last().unwrap().at_ns, n * INTERVAL_NS + 1);
            for (i, point) in (1_u64..).zip(&points[..points.len() - 1]) {
                prop_assert_eq!(point.at_ns, i * stride * INTERVAL_NS);
            }
        }
    }

    #[test]
    fn a_late_point_is_followed_by_the_next_multiple_of_the_interval() {
        let mut timeline = Timeline::new();
        timeline.take(at(5 * INTERVAL_NS + 7));
        assert_eq!(timeline.next_ns(), 6 * INTERVAL_NS);
    }

    #[test]
    fn the_end_replaces_a_point_of_the_same_instant() {
        let mut timeline = Timeline::new();
        timeline.take(at(INTERVAL_NS));
        assert_eq!(timeline.close(at(INTERVAL_NS)), [at(INTERVAL_NS)]);
    }
}
