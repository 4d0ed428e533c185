//! The one clock that all of brimful's processes share.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of `CLOCK_MONOTONIC`, the same count in every process of this boot (`clock_gettime(2)`).
///
/// Instants of a cell are exchanged between processes in this unit.
#[must_use]
pub fn monotonic_ns() -> u64 {
    let t = clock_gettime(ClockId::Monotonic);
    // CLOCK_MONOTONIC starts at boot and is never negative.
    (t.tv_sec.unsigned_abs()) * 1_000_000_000 + t.tv_nsec.unsigned_abs()
}
