//! Conversations with the kernel over netlink.

use std::io;

use netlink_sys::Socket;
use rustix::io::Errno;
use rustix::net::RecvFlags;

mod build;
pub(super) mod ctnetlink;
pub(crate) mod netfilter;
pub(super) mod nftables;
pub(crate) mod sock_diag;

/// One datagram. `MSG_TRUNC` makes the kernel say its true length: one that did not fit is cut in the middle of
/// a message, and so found out by the parser.
fn receive<'b>(socket: &Socket, buffer: &'b mut [u8]) -> io::Result<&'b [u8]> {
    loop {
        match rustix::net::recv(socket, &mut *buffer, RecvFlags::TRUNC) {
            Ok((len, _true_len)) => return Ok(buffer.get(..len).unwrap_or_default()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
