//! The open connections of a shard, indexed by descriptor number: dense, because the kernel hands out the lowest
//! free number (`open(2)`), and without stale entries, because a number is used again only after it was closed.

use std::collections::TryReserveError;

use rustix::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

/// User memory that one connection costs, in bytes: its socket, and the instant of its `connect(2)`, which is freed
/// when no handshake is left to finish.
pub const BYTES_PER_CONNECTION: usize = size_of::<Option<OwnedFd>>() + size_of::<u64>();

/// Sockets that are held or in their handshake. Dropping it closes them all.
#[derive(Debug)]
pub(super) struct Table {
    sockets: Vec<Option<OwnedFd>>,
    /// When `connect(2)` was called, in nanoseconds of the common clock; 0 once the handshake is done.
    started_ns: Vec<u64>,
}

impl Table {
    /// An empty table with room for descriptors below `room`; it grows beyond that if it must.
    ///
    /// # Errors
    /// When memory does not suffice.
    pub(super) fn with_room(room: usize) -> Result<Self, TryReserveError> {
        let (mut sockets, mut started_ns) = (Vec::new(), Vec::new());
        sockets.try_reserve_exact(room)?;
        started_ns.try_reserve_exact(room)?;
        Ok(Self { sockets, started_ns })
    }

    /// Takes a socket in; `started_ns` says when its handshake began, `None` that it is over.
    pub(super) fn insert(&mut self, socket: OwnedFd, started_ns: Option<u64>) {
        let at = index(socket.as_fd());
        if at >= self.sockets.len() {
            self.sockets.resize_with(at + 1, || None);
            self.started_ns.resize(at + 1, 0);
        }
        if let (Some(slot), Some(started)) = (self.sockets.get_mut(at), self.started_ns.get_mut(at)) {
            *slot = Some(socket);
            *started = started_ns.unwrap_or(0);
        }
    }

    /// The socket with a descriptor number, if it is in the table.
    pub(super) fn socket(&self, at: usize) -> Option<BorrowedFd<'_>> {
        self.sockets.get(at)?.as_ref().map(|socket| socket.as_fd())
    }

    /// When the handshake of a socket began; `None` once it is done.
    pub(super) fn started_ns(&self, at: usize) -> Option<u64> {
        self.started_ns.get(at).copied().filter(|&started| started != 0)
    }

    /// Marks a handshake as done.
    pub(super) fn handshake_done(&mut self, at: usize) {
        if let Some(started) = self.started_ns.get_mut(at) {
            *started = 0;
        }
    }

    /// The first held descriptor at or above `from`; those in their handshake are passed over.
    pub(super) fn held_from(&self, from: usize) -> Option<usize> {
        let sockets = self.sockets.iter().enumerate().skip(from);
        sockets.filter(|(_, socket)| socket.is_some()).map(|(at, _)| at).find(|&at| self.started_ns(at).is_none())
    }

    /// Closes a socket, if it is in the table.
    pub(super) fn close(&mut self, at: usize) {
        self.handshake_done(at);
        if let Some(slot) = self.sockets.get_mut(at) {
            *slot = None;
        }
    }

    /// Frees what only handshakes need. To be called when none is running and none will begin.
    pub(super) fn no_more_handshakes(&mut self) {
        self.started_ns = Vec::new();
    }
}

/// The descriptor number as an index. An open descriptor is never negative (`open(2)`), so nothing maps to the end.
pub(super) fn index(socket: BorrowedFd<'_>) -> usize {
    usize::try_from(socket.as_raw_fd()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_costs_twelve_bytes_and_four_once_it_is_held() {
        assert_eq!(BYTES_PER_CONNECTION, 12);
        assert_eq!(size_of::<Option<OwnedFd>>(), 4);
    }

    #[test]
    fn a_closed_number_is_empty_until_it_is_used_again() {
        let pair = rustix::pipe::pipe().unwrap();
        let at = index(pair.0.as_fd());
        let mut table = Table::with_room(4).unwrap();
        assert!(table.socket(at).is_none() && table.started_ns(at).is_none());
        table.insert(pair.0, Some(9));
        assert_eq!((table.started_ns(at), table.held_from(0)), (Some(9), None));
        table.handshake_done(at);
        assert!(table.socket(at).is_some() && table.started_ns(at).is_none());
        assert_eq!((table.held_from(0), table.held_from(at + 1)), (Some(at), None));
        table.no_more_handshakes();
        table.close(at);
        assert!(table.socket(at).is_none());
        assert_eq!(rustix::io::write(&pair.1, b"x"), Err(rustix::io::Errno::PIPE));
    }

    #[test]
    fn more_room_than_memory_is_an_error() {
        assert!(Table::with_room(usize::MAX).is_err());
    }
}
