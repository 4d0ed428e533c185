//! A quantity over time, kept as its changes.

use serde::{Deserialize, Serialize};

/// A quantity that was read again and again: only changes are kept, so a constant costs one point.
///
/// Between two points the value is the earlier one's. Absent is not zero: a source that could not be read has no series.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// The first value read.
    pub first: u64,
    /// The last value read.
    pub last: u64,
    /// The largest value read.
    pub max: u64,
    /// How often it was read.
    pub reads: u64,
    /// `[nanoseconds since the start of the cell, value]`, the first reading and then each change, in time order.
    pub points: Vec<(u64, u64)>,
}

impl Series {
    /// A series with its first reading.
    #[must_use]
    pub fn starting(at_ns: u64, value: u64) -> Self {
        Self { first: value, last: value, max: value, reads: 1, points: vec![(at_ns, value)] }
    }

    /// Adds a reading. Readings come in time order.
    pub fn push(&mut self, at_ns: u64, value: u64) {
        if self.reads == 0 {
            *self = Self::starting(at_ns, value);
            return;
        }
        if value != self.last {
            self.points.push((at_ns, value));
        }
        self.last = value;
        self.max = self.max.max(value);
        self.reads += 1;
    }

    /// How much a counter grew: last less first, and 0 for one that was reset.
    #[must_use]
    pub fn delta(&self) -> u64 {
        self.last.saturating_sub(self.first)
    }

    /// The value at an instant: that of the last point not after it, and the first one's before.
    #[must_use]
    pub fn at(&self, at_ns: u64) -> u64 {
        let after = self.points.partition_point(|&(t, _)| t <= at_ns);
        after.checked_sub(1).and_then(|i| self.points.get(i)).map_or(self.first, |&(_, value)| value)
    }

    /// When the value first was `threshold` or more, in nanoseconds since the start of the cell.
    #[must_use]
    pub fn first_reached(&self, threshold: u64) -> Option<u64> {
        self.points.iter().find(|&&(_, value)| value >= threshold).map(|&(t, _)| t)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_constant_costs_one_point() {
        let mut s = Series::default();
        for t in 0..10 {
            s.push(t, 7);
        }
        assert_eq!((s.points.as_slice(), s.reads, s.delta()), ([(0, 7)].as_slice(), 10, 0));
    }

    #[test]
    fn values_are_found_between_points() {
        let mut s = Series::starting(10, 1);
        s.push(20, 5);
        s.push(30, 2);
        assert_eq!((s.at(0), s.at(10), s.at(19), s.at(20), s.at(99)), (1, 1, 1, 5, 2));
        assert_eq!((s.max, s.first_reached(4), s.first_reached(6)), (5, Some(20), None));
    }

    proptest! {
        #[test]
        fn what_is_kept_gives_back_every_reading(values in proptest::collection::vec(0_u64..5, 1..60)) {
            let mut s = Series::default();
            for (t, &v) in values.iter().enumerate() {
                s.push(t as u64, v);
            }
            for (t, &v) in values.iter().enumerate() {
                prop_assert_eq!(s.at(t as u64), v);
            }
            prop_assert_eq!(s.max, values.iter().copied().max().unwrap());
        }
    }
}
