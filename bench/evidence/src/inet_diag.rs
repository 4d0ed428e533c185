//! The kernel's table of TCP sockets, as `NETLINK_SOCK_DIAG` tells it: the request as bytes, the answer from bytes.
//!
//! The forms are those of `include/uapi/linux/inet_diag.h`, `sock_diag.h` and `netlink.h`; what the kernel puts in them
//! is in `net/ipv4/inet_diag.c` and `net/ipv4/tcp_diag.c`. Numbers are in the machine's own byte order, ports and
//! addresses in the network's. Sending and receiving is not done here, and reading an entry allocates nothing.

mod entry;
mod message;
mod request;
mod state;

use super::netlink::{aligned, bytes_at, u16_at, u32_at};

pub use entry::Entry;
pub use message::{Body, DiagError, Message, Messages};
pub use request::{Family, REQUEST_LEN, Request};
pub use state::{State, StateSet};
