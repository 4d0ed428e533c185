//! The descriptor limit of a process (`RLIMIT_NOFILE`, `getrlimit(2)`, `prlimit(2)`), read back after every change.

use std::io;

use brimful_target_plan::Nofile;
use rlimit::Resource;

/// The descriptor limits of this process now.
///
/// # Errors
/// What `getrlimit(2)` says.
pub fn nofile() -> io::Result<Nofile> {
    let (soft, hard) = Resource::NOFILE.get()?;
    Ok(Nofile { soft, hard })
}

/// The limit of another process, as the kernel applies it (`prlimit(2)`).
///
/// # Errors
/// `ESRCH` when there is no such process, `EPERM` when it is another user's and this one lacks `CAP_SYS_RESOURCE`.
pub fn nofile_of(pid: u32) -> io::Result<Nofile> {
    let pid = i32::try_from(pid).map_err(io::Error::other)?;
    let (mut soft, mut hard) = (0, 0);
    rlimit::prlimit(pid, Resource::NOFILE, None, Some((&mut soft, &mut hard)))?;
    Ok(Nofile { soft, hard })
}

/// Sets both limits of this process and reads them back, so that what is returned is what the kernel gave.
///
/// # Errors
/// `EPERM` when `hard` is above the present hard limit and the process lacks `CAP_SYS_RESOURCE`, `EINVAL` when `soft` exceeds `hard`.
pub fn set_nofile(want: Nofile) -> io::Result<Nofile> {
    Resource::NOFILE.set(want.soft, want.hard)?;
    nofile()
}

/// Raises the soft limit to the hard one, as Go programs do at start, and returns what the kernel gave.
///
/// # Errors
/// What `setrlimit(2)` says.
pub fn raise_nofile() -> io::Result<Nofile> {
    let now = nofile()?;
    set_nofile(Nofile { soft: now.hard, hard: now.hard })
}
