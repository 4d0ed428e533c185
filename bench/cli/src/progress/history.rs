//! How one number went over a cell, in a bounded number of slots. Pure.

use std::time::Duration;

/// Slots of a history: more than any terminal gives it columns.
const SLOTS: usize = 120;

/// The largest value of each slot of a cell's planned time.
#[derive(Clone, Debug)]
pub(super) struct History {
    planned_ns: u64,
    slots: Vec<Option<u64>>,
}

impl History {
    /// For a cell of this planned length.
    pub(super) fn over(planned: Duration) -> Self {
        Self { planned_ns: u64::try_from(planned.as_nanos()).unwrap_or(u64::MAX).max(1), slots: vec![None; SLOTS] }
    }

    /// A value at nanoseconds since the start of the cell; what comes after the planned end goes into the last slot.
    pub(super) fn add(&mut self, at_ns: u64, value: u64) {
        let slot = u128::from(at_ns) * SLOTS as u128 / u128::from(self.planned_ns);
        let slot = usize::try_from(slot).unwrap_or(SLOTS).min(SLOTS - 1);
        if let Some(kept) = self.slots.get_mut(slot) {
            *kept = (*kept).max(Some(value));
        }
    }

    /// The same in this many columns. A column that is still to come is empty; one without a reading of its own, with later
    /// ones behind it, keeps what was before it.
    pub(super) fn columns(&self, columns: usize) -> Vec<Option<u64>> {
        let columns = columns.min(SLOTS);
        let Some(latest) = self.slots.iter().rposition(Option::is_some) else { return vec![None; columns] };
        let mut before = None;
        (0..columns)
            .map(|column| {
                let (from, to) = (column * SLOTS / columns, (column + 1) * SLOTS / columns);
                if from > latest {
                    return None;
                }
                before = self.slots[from..to].iter().flatten().max().copied().or(before);
                before
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_future_is_empty_and_a_gap_is_not() {
        let mut history = History::over(Duration::from_nanos(SLOTS as u64));
        history.add(0, 3);
        history.add(60, 7);
        assert_eq!(history.columns(4), [Some(3), Some(3), Some(7), None]);
        history.add(10_000, 1);
        assert_eq!(history.columns(4), [Some(3), Some(3), Some(7), Some(1)]);
    }

    #[test]
    fn a_cell_of_no_length_is_no_trouble() {
        let mut history = History::over(Duration::ZERO);
        history.add(u64::MAX, 2);
        assert_eq!(history.columns(2), [None, Some(2)]);
    }

    proptest! {
        #[test]
        fn the_peak_survives_any_width(
            readings in prop::collection::vec((0..20_000_u64, 0..1_000_u64), 1..50), columns in 1..200_usize,
        ) {
            let mut history = History::over(Duration::from_nanos(10_000));
            for (at_ns, value) in &readings {
                history.add(*at_ns, *value);
            }
            let shown = history.columns(columns);
            prop_assert_eq!(shown.len(), columns.min(SLOTS));
            prop_assert_eq!(shown.into_iter().flatten().max(), readings.iter().map(|r| r.1).max());
        }
    }
}
