//! The system calls that no crate in the tree wraps.

use rustix::process::getpriority_process;

/// `CLOSE_RANGE_CLOEXEC` (`include/uapi/linux/close_range.h`).
const CLOSE_RANGE_CLOEXEC: libc::c_uint = 1 << 2;

/// Marks every descriptor above standard error close-on-exec, so that what brimful happened to inherit from its own
/// parent does not take a place in the target's table of descriptors (`close_range(2)`, Linux 5.11; older kernels
/// leave them as they are, and the target counts them among those it was born with).
pub(super) fn keep_inherited_descriptors_to_ourselves() {
    // SAFETY: with this flag close_range closes nothing and touches no memory: it sets a bit on open descriptors,
    // whose owners in this process notice nothing of it.
    #[expect(unsafe_code, reason = "no crate in the tree wraps close_range(2)")]
    // An error means an older kernel, and then nothing has changed.
    let _older_kernel = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, CLOSE_RANGE_CLOEXEC) };
}

/// What a thread asks for, in nanoseconds: the least that the kernel gives (`__setparam_fair`, `kernel/sched/syscalls.c`).
const SHORTEST_SLICE_NS: u64 = 100_000;

/// Has the scheduler wake this thread sooner among busy ones, for a share of the processor that stays the same: it asks for slices of 0.1 ms, and a
/// thread with a shorter one takes the place of one with a longer (EEVDF with `PREEMPT_SHORT`, Linux 6.12). Earlier kernels take it in
/// silence. Threads and processes that this one starts are as all others.
pub fn ask_for_short_slices() {
    // Setting one thing sets all, so what is set is what is there.
    let (Ok(nice), 0) = (getpriority_process(None), policy()) else { return };
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: libc::SCHED_OTHER as u32,
        sched_flags: libc::SCHED_FLAG_RESET_ON_FORK as u64,
        sched_nice: nice,
        sched_priority: 0,
        sched_runtime: SHORTEST_SLICE_NS,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: the kernel reads `size` bytes of a structure that lives until the call has returned, and writes nothing.
    #[expect(unsafe_code, reason = "no crate in the tree wraps sched_setattr(2)")]
    // An error means a filter of system calls, and then nothing has changed.
    let _as_it_was = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0_u32) };
}

/// The scheduling policy of this thread; 0 is `SCHED_OTHER`.
fn policy() -> libc::c_int {
    // SAFETY: it takes a number and gives one.
    #[expect(unsafe_code, reason = "no crate in the tree wraps sched_getscheduler(2)")]
    unsafe {
        libc::sched_getscheduler(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `/proc` says of this thread: the length of its slice in nanoseconds, where the kernel tells it.
    fn slice_ns() -> Option<u64> {
        let text = std::fs::read_to_string("/proc/thread-self/sched").ok()?;
        let line = text.lines().find(|line| line.starts_with("se.slice"))?;
        line.rsplit(':').next()?.trim().parse().ok()
    }

    #[test]
    fn only_the_thread_that_asks_gets_short_slices_and_its_priority_stays() {
        let here = || (slice_ns(), getpriority_process(None).unwrap());
        let before = here();
        let (mine, of_a_child) = std::thread::spawn(move || {
            ask_for_short_slices();
            (here(), std::thread::spawn(here).join().unwrap())
        })
        .join()
        .unwrap();
        assert!(mine == (Some(SHORTEST_SLICE_NS), before.1) || mine == before, "{mine:?}, and {before:?} before");
        assert_eq!(of_a_child, before);
    }
}
