//! The kernel's table of TCP sockets, as `NETLINK_SOCK_DIAG` tells it: the request as bytes, the answer from bytes.
//!
//! The forms are those of `include/uapi/linux/inet_diag.h`, `sock_diag.h` and `netlink.h`; what the kernel puts in them
//! is in `net/ipv4/inet_diag.c` and `net/ipv4/tcp_diag.c`. Numbers are in the machine's own byte order, ports and
//! addresses in the network's. Sending and receiving is not done here, and reading an entry allocates nothing.

mod entry;
mod message;
mod request;
mod state;

pub use entry::Entry;
pub use message::{Body, DiagError, Message, Messages};
pub use request::{Family, REQUEST_LEN, Request};
pub use state::{State, StateSet};

/// The `N` bytes at an offset, if there are as many.
fn bytes_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

/// The number in the machine's byte order at an offset.
fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes_at(bytes, offset).map(u16::from_ne_bytes)
}

/// The number in the machine's byte order at an offset.
fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes_at(bytes, offset).map(u32::from_ne_bytes)
}

/// The next multiple of four: netlink messages and attributes begin at one (`NLMSG_ALIGN`, `NLA_ALIGN`).
fn aligned(len: usize) -> usize {
    len.next_multiple_of(4)
}
