//! Descriptors that are not sockets: the extra ones that connections cost, and the one kept in reserve.

use std::cell::RefCell;
use std::os::fd::OwnedFd;

use brimful_target_plan::ExtraFd;
use rustix::fs::{Mode, OFlags, inotify, open};
use rustix::io::Errno;

/// What stands for a file or an upstream socket. Each opening is a file of its own, so it counts in `fs.file-nr` too, as a `dup(2)` would not.
pub(crate) const SPARE_PATH: &str = "/dev/null";

/// Opens one spare descriptor.
pub(crate) fn spare() -> Result<OwnedFd, Errno> {
    open(SPARE_PATH, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

/// Opens `count` extra descriptors of a connection, or none: those opened before a failure are closed again.
pub(crate) fn spares(count: u32, kind: ExtraFd) -> Result<Box<[OwnedFd]>, Errno> {
    let one = || match kind {
        ExtraFd::File => spare(),
        ExtraFd::Inotify => inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK),
    };
    (0..count).map(|_| one()).collect()
}

/// The descriptor that `on-emfile = "reserve-fd"` gives up for a moment. Both listeners share it: there is one thread.
#[derive(Debug, Default)]
pub(crate) struct Reserve(RefCell<Option<OwnedFd>>);

impl Reserve {
    /// Takes the reserve, unless it is in place; `false` when there is no descriptor for it.
    pub(crate) fn retake(&self) -> bool {
        let mut reserve = self.0.borrow_mut();
        if reserve.is_none() {
            *reserve = spare().ok();
        }
        reserve.is_some()
    }

    /// Closes the reserve, so that its number is free for the next descriptor that anyone in this process opens.
    pub(crate) fn give_up(&self) {
        *self.0.borrow_mut() = None;
    }
}
