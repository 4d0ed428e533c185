//! The one system call that no crate in the tree wraps.

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
