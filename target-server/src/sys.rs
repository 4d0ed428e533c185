//! The one socket option that no crate in the tree wraps.
//!
//! socket2 and rustix do not have `TCP_DEFER_ACCEPT`; nix has a macro for options of one's own, which only puts the same `unsafe` elsewhere.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{IPPROTO_TCP, TCP_DEFER_ACCEPT, c_int, socklen_t};

/// The size of the option's value, which is an `int` (`tcp(7)`).
const INT: socklen_t = size_of::<c_int>() as socklen_t;

/// Sets `TCP_DEFER_ACCEPT` and returns what the kernel made of it, in seconds both: it keeps a number of SYN-ACK
/// retransmissions, so it rounds up (5 reads back as 7).
///
/// # Errors
/// What `setsockopt(2)` or `getsockopt(2)` says.
pub(crate) fn defer_accept(socket: BorrowedFd<'_>, seconds: c_int) -> io::Result<c_int> {
    let descriptor = socket.as_raw_fd();
    // SAFETY: the descriptor is open for as long as it is borrowed; the kernel reads `INT` bytes at the pointer, which are
    // those of `seconds`, and keeps no pointer.
    #[expect(unsafe_code, reason = "no crate in the tree wraps TCP_DEFER_ACCEPT")]
    let set = unsafe { libc::setsockopt(descriptor, IPPROTO_TCP, TCP_DEFER_ACCEPT, (&raw const seconds).cast(), INT) };
    if set != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut given: c_int = 0;
    let mut length = INT;
    // SAFETY: as above; the kernel writes at most `length` bytes, the size of `given`, and then the number written to `length`.
    // Both are initialised and any bytes make an `int`.
    #[expect(unsafe_code, reason = "no crate in the tree wraps TCP_DEFER_ACCEPT")]
    let got = unsafe {
        libc::getsockopt(descriptor, IPPROTO_TCP, TCP_DEFER_ACCEPT, (&raw mut given).cast(), &raw mut length)
    };
    if got == 0 { Ok(given) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn the_kernel_rounds_up_to_a_retransmission() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        assert_eq!(defer_accept(listener.as_fd(), 1).unwrap(), 1);
        assert_eq!(defer_accept(listener.as_fd(), 5).unwrap(), 7);
    }

    #[test]
    fn what_is_no_tcp_socket_has_an_errno() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(defer_accept(file.as_fd(), 1).unwrap_err().raw_os_error(), Some(libc::ENOTSOCK));
    }
}
