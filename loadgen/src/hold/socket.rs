//! The system calls of one connection: as few as there can be, each failure with its phase and errno.

use std::net::SocketAddr;

use brimful_loadgen_plan::outcome::Phase;
use rustix::event::epoll::EventFlags;
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, connect, getpeername, recv, send, socket_with,
    sockopt,
};

/// How often a source that is taken is replaced by a spare. A stranger's wildcard listener takes one port, and a
/// machine has a few dozen of those at most; eight in a row mean that something else is wrong, and it shall show.
const SPARES_TRIED: usize = 8;

/// How often one event may read [`READ_BYTES`] from a peer that talks, so that a flood on one connection cannot keep
/// the loop from the others. What is left over stays in the kernel and is read with the next edge, or never.
const READS: usize = 16;
const READ_BYTES: usize = 4_096;

/// How far a handshake has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handshake {
    /// Still under way.
    Pending,
    /// Done.
    Established,
    /// Ended by an errno before it was done.
    Refused(Errno),
    /// Done, and reset before anyone looked: with `tcp_abort_on_overflow` the server's kernel does that at the last ACK.
    Reset(Errno),
}

/// What has become of the peer of a held connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// It is there.
    Alive,
    /// It closed in good order.
    Closed,
    /// It reset the connection, or the connection died.
    Gone(Errno),
}

/// A non-blocking socket bound to `source`, or to one of the `spares` when that is taken.
///
/// # Errors
/// The phase and the errno of the call that failed.
pub(super) fn make(
    source: Option<SocketAddr>,
    destination: SocketAddr,
    spares: impl Iterator<Item = SocketAddr>,
) -> Result<OwnedFd, (Phase, Errno)> {
    let family = if destination.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, None).map_err(|errno| (Phase::Socket, errno))?;
    if let Some(source) = source {
        name(&socket, source, spares).map_err(|errno| (Phase::Bind, errno))?;
    }
    Ok(socket)
}

fn name(socket: &OwnedFd, source: SocketAddr, spares: impl Iterator<Item = SocketAddr>) -> Result<(), Errno> {
    // Without it a TIME_WAIT left by an earlier load would keep the port.
    sockopt::set_socket_reuseaddr(socket, true)?;
    let mut spares = spares.take(SPARES_TRIED);
    let mut source = source;
    loop {
        match bind(socket, &source) {
            Err(Errno::ADDRINUSE) => source = spares.next().ok_or(Errno::ADDRINUSE)?,
            answer => return answer,
        }
    }
}

/// Begins a handshake and says how far it has come at once.
///
/// A non-blocking `connect(2)` always says `EINPROGRESS`, even where the whole handshake was over before it returned,
/// as on loopback and veth. Asking a second time tells, for less than an epoll event costs, and at the right instant.
pub(super) fn begin(socket: &OwnedFd, destination: SocketAddr) -> Handshake {
    match connect(socket, &destination) {
        Err(Errno::INPROGRESS | Errno::INTR) => {}
        first => return progress(first),
    }
    progress(connect(socket, &destination))
}

fn progress(answer: Result<(), Errno>) -> Handshake {
    match answer {
        Ok(()) | Err(Errno::ISCONN) => Handshake::Established,
        Err(Errno::ALREADY | Errno::INPROGRESS | Errno::INTR) => Handshake::Pending,
        Err(errno) => ended(errno),
    }
}

/// What an event says of a socket in its handshake.
pub(super) fn handshake(socket: BorrowedFd<'_>, flags: EventFlags) -> Handshake {
    if flags.intersects(EventFlags::ERR | EventFlags::HUP) {
        // A dead socket without an errno is what `connect(2)` itself calls ECONNABORTED.
        return ended(error_of(socket).unwrap_or(Errno::CONNABORTED));
    }
    if flags.contains(EventFlags::OUT) { Handshake::Established } else { Handshake::Pending }
}

/// A connection in SYN_SENT answers a reset with `ECONNREFUSED`; `ECONNRESET` and, after a FIN, `EPIPE` are only given
/// to one that was established (`net/ipv4/tcp_input.c`, `tcp_reset`).
fn ended(errno: Errno) -> Handshake {
    match errno {
        Errno::CONNRESET | Errno::PIPE => Handshake::Reset(errno),
        errno => Handshake::Refused(errno),
    }
}

/// What an event says of the peer of a held socket. Data is read and ignored.
pub(super) fn peer(socket: BorrowedFd<'_>, flags: EventFlags) -> Peer {
    if flags.contains(EventFlags::RDHUP) {
        return end(socket, flags).unwrap_or(Peer::Closed);
    }
    listen(socket, flags, |_| {})
}

/// The same, and `hear` gets what was read, even where an orderly end came with it.
pub(super) fn listen(socket: BorrowedFd<'_>, flags: EventFlags, hear: impl FnMut(&[u8])) -> Peer {
    if let Some(gone) = end(socket, flags) {
        return gone;
    }
    let read = if flags.contains(EventFlags::IN) { drain(socket, hear) } else { Peer::Alive };
    if read == Peer::Alive && flags.contains(EventFlags::RDHUP) { Peer::Closed } else { read }
}

/// The same, and nothing is read.
pub(super) fn peer_unread(socket: BorrowedFd<'_>, flags: EventFlags) -> Peer {
    let closed = if flags.contains(EventFlags::RDHUP) { Peer::Closed } else { Peer::Alive };
    end(socket, flags).unwrap_or(closed)
}

fn end(socket: BorrowedFd<'_>, flags: EventFlags) -> Option<Peer> {
    let ended = flags.intersects(EventFlags::ERR | EventFlags::HUP);
    ended.then(|| error_of(socket).map_or(Peer::Closed, Peer::Gone))
}

/// Sends a request whole.
///
/// # Errors
/// `EAGAIN` when the socket's buffer does not take all of it; what it did take makes the rest of the conversation senseless, but a request
/// is smaller than the smallest buffer. A dead connection says so (`EPIPE`), and through epoll too.
pub(super) fn ask(socket: BorrowedFd<'_>, request: &[u8]) -> Result<(), Errno> {
    match send(socket, request, SendFlags::NOSIGNAL) {
        Ok(sent) if sent == request.len() => Ok(()),
        Ok(_) => Err(Errno::AGAIN),
        Err(errno) => Err(errno),
    }
}

/// Reads at most `most` bytes, and no more than [`READ_BYTES`] times [`READS`] of them.
pub(super) fn read_some(socket: BorrowedFd<'_>, most: usize, mut hear: impl FnMut(&[u8])) -> Peer {
    let mut left = most.min(READS * READ_BYTES);
    let mut buffer = [0_u8; READ_BYTES];
    while left > 0 {
        let room = left.min(READ_BYTES);
        match recv(socket, buffer.get_mut(..room).unwrap_or_default(), RecvFlags::empty()) {
            Ok((0, _)) => return Peer::Closed,
            Ok((read, _)) => {
                hear(buffer.get(..read).unwrap_or_default());
                left -= read;
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => break,
            Err(errno) => return Peer::Gone(errno),
        }
    }
    Peer::Alive
}

/// Where a connection goes, while it is established.
pub(super) fn destination(socket: BorrowedFd<'_>) -> Option<SocketAddr> {
    getpeername(socket).ok()?.and_then(|address| address.try_into().ok())
}

/// Makes the receive buffer small, before the handshake announces its window. A buffer that stays large is no failure of a connection.
pub(super) fn receive_little(socket: BorrowedFd<'_>, bytes: usize) {
    sockopt::set_socket_recv_buffer_size(socket, bytes).ok();
}

fn drain(socket: BorrowedFd<'_>, mut hear: impl FnMut(&[u8])) -> Peer {
    let mut buffer = [0_u8; READ_BYTES];
    for _ in 0..READS {
        match recv(socket, &mut buffer, RecvFlags::empty()) {
            Ok((0, _)) => return Peer::Closed,
            Ok((read, _)) => hear(buffer.get(..read).unwrap_or_default()),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Peer::Alive,
            Err(errno) => return Peer::Gone(errno),
        }
    }
    Peer::Alive
}

/// The pending error of a socket (`SO_ERROR`, which reading clears).
fn error_of(socket: BorrowedFd<'_>) -> Option<Errno> {
    match sockopt::socket_error(socket) {
        Ok(Ok(())) => None,
        Ok(Err(errno)) | Err(errno) => Some(errno),
    }
}
