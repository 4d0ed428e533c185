//! The end of a cell's processes: all are killed at once, because the kernel then closes both ends of their connections at the same time, and
//! waited for together. How long that takes is the kernel's affair (12 to 16 µs a connection), so it is watched, not hurried.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use brimful_target::clock::monotonic_ns;

use super::process::{Key, LET_GO, Worker};

/// From one look to the next.
const LOOK: Duration = Duration::from_millis(5);

/// From one word on how far it has come to the next; what is over sooner needs none.
const TOLD_EVERY_NS: u64 = 500_000_000;

/// Kills all workers and returns when every one is gone, descriptors and all. `tell` hears now and then how many of how many are.
pub(super) fn all(workers: &mut BTreeMap<Key, Worker>, mut tell: impl FnMut(usize, usize)) {
    let of = workers.len();
    for worker in workers.values_mut() {
        if !worker.let_go() {
            worker.kill();
        }
    }
    let mut told_ns = monotonic_ns();
    let patient_until_ns = told_ns + u64::try_from(LET_GO.as_nanos()).unwrap_or(u64::MAX / 2);
    while !workers.is_empty() {
        // What cannot be waited for is gone: whoever drops it makes sure.
        workers.retain(|_, worker| matches!(worker.ended(), Ok(None)));
        if monotonic_ns() > patient_until_ns {
            workers.values_mut().for_each(Worker::kill);
        }
        if monotonic_ns() - told_ns >= TOLD_EVERY_NS {
            told_ns = monotonic_ns();
            tell(of - workers.len(), of);
        }
        if !workers.is_empty() {
            thread::sleep(LOOK);
        }
    }
}
