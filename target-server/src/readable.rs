//! The one place where a descriptor that tokio has no type for joins its reactor.

use std::io;
use std::os::fd::BorrowedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Watches a descriptor for reading, edge-triggered, as long as the result lives. Only a registration goes when it is dropped: the descriptor stays its owner's.
#[expect(
    deprecated,
    reason = "tokio 1.54 deprecates its safe constructors because a type may lie about its descriptor, and their \
              successor is unsafe; a BorrowedFd cannot lie and outlives the registration, so the safe one is sound here"
)]
pub(crate) fn readable(fd: BorrowedFd<'_>) -> io::Result<AsyncFd<BorrowedFd<'_>>> {
    AsyncFd::with_interest(fd, Interest::READABLE)
}
