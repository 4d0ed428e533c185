//! The start of the cell, from which pauses and blocks count.

use std::cell::Cell;
use std::time::Duration;

use brimful_target_plan::AcceptPause;

use crate::clock::monotonic_ns;

/// When the cell started, once that is known.
#[derive(Debug, Default)]
pub(crate) struct Started(Cell<Option<u64>>);

impl Started {
    /// It started at `t0`, in nanoseconds of [`monotonic_ns`]; `None` for a server without a clock.
    pub(crate) fn at(&self, t0: Option<u64>) {
        self.0.set(t0);
    }

    /// How much is left of `pause` now; `None` between pauses, without one, and before the start is known.
    pub(crate) fn left_of(&self, pause: Option<AcceptPause>) -> Option<Duration> {
        let pause = pause?;
        let since_start = monotonic_ns().checked_sub(self.0.get()?)?;
        pause.paused(Duration::from_nanos(since_start))
    }
}
