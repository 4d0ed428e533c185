//! The listening sockets, made with the backlog that was asked for and nothing by default.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use socket2::{Domain, Protocol, Socket, Type};

use crate::error::TargetError;
use crate::report::Listening;

/// Where the kernel shows the descriptors of this process (`proc(5)`).
const DESCRIPTORS: &str = "/proc/self/fd";

/// Opens a non-blocking, close-on-exec listener with `SO_REUSEADDR`. `IPV6_V6ONLY` stays as
/// `net.ipv6.bindv6only` has it, so that `[::]` takes IPv4 too, as in Go and Node.
pub(crate) fn listen(
    address: SocketAddr,
    backlog: u32,
    health_only: bool,
) -> Result<(OwnedFd, Listening), TargetError> {
    let length = i32::try_from(backlog).map_err(|_beyond_int| TargetError::Backlog { backlog })?;
    let failed = |call| move |source| TargetError::Listen { address, call, source };

    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP)).map_err(failed("socket"))?;
    socket.set_reuse_address(true).map_err(failed("setsockopt SO_REUSEADDR"))?;
    socket.bind(&address.into()).map_err(failed("bind"))?;
    socket.listen(length).map_err(failed("listen"))?;
    let bound = socket.local_addr().map_err(failed("getsockname"))?.as_socket().unwrap_or(address);

    Ok((socket.into(), Listening { address: bound, backlog, health_only }))
}

/// How many descriptors this process has open.
pub(crate) fn open_descriptors() -> Result<u64, TargetError> {
    count_descriptors().map_err(|source| TargetError::File { path: DESCRIPTORS, source })
}

fn count_descriptors() -> io::Result<u64> {
    // The size of the folder is the count, where the kernel says so (since 6.2); before, it is 0.
    match fs::metadata(DESCRIPTORS)?.len() {
        0 => count_entries(),
        count => Ok(count),
    }
}

fn count_entries() -> io::Result<u64> {
    let mut count = 0_u64;
    for entry in fs::read_dir(DESCRIPTORS)? {
        entry?;
        count += 1;
    }
    // The listing itself held one descriptor.
    Ok(count.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backlog_beyond_an_int_is_refused_before_any_socket() {
        let refused = listen(SocketAddr::from(([127, 0, 0, 1], 0)), u32::MAX, false).unwrap_err();
        assert!(matches!(refused, TargetError::Backlog { backlog: u32::MAX }), "{refused}");
    }

    #[test]
    fn the_largest_backlog_is_taken_and_the_port_is_told() {
        let (_socket, listening) =
            listen(SocketAddr::from(([127, 0, 0, 1], 0)), i32::MAX.unsigned_abs(), true).unwrap();
        assert_ne!(listening.address.port(), 0);
        assert!(listening.health_only);
    }

    #[test]
    fn a_port_in_use_is_said_with_its_address() {
        let (_socket, first) = listen(SocketAddr::from(([127, 0, 0, 1], 0)), 1, false).unwrap();
        let error = listen(first.address, 1, false).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot listen on {}: bind: EADDRINUSE", first.address));
    }
}
