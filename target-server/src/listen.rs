//! The listening sockets, made with the backlog that was asked for and nothing by default.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;
use std::{fs, io};

use brimful_target_plan::{Listening, TargetPlan};
use socket2::{Domain, Protocol, Socket, Type};

use crate::error::TargetError;
use crate::sys::defer_accept;

/// Where the kernel shows the descriptors of this process (`proc(5)`).
const DESCRIPTORS: &str = "/proc/self/fd";

/// What is set on a socket before it listens, besides `SO_REUSEADDR`.
#[derive(Clone, Copy, Debug, Default)]
struct Options {
    /// `SO_REUSEPORT`.
    share: bool,
    /// `TCP_DEFER_ACCEPT`, in whole seconds.
    defer_accept: Option<Duration>,
}

/// Opens the sockets on `plan.listen`, one or a group that shares the address. The kernel chooses a port 0 for the first; the others follow it.
pub(crate) fn listen_main(plan: &TargetPlan) -> Result<(Vec<OwnedFd>, Vec<Listening>), TargetError> {
    let options = Options { share: plan.reuseport > 1, defer_accept: plan.defer_accept };
    let (mut sockets, mut group) = (Vec::new(), Vec::<Listening>::new());
    for _ in 0..plan.reuseport {
        let address = group.first().map_or(plan.listen, |first| first.address);
        let (socket, listening) = open(address, plan.backlog, false, options)?;
        sockets.push(socket);
        group.push(listening);
    }
    Ok((sockets, group))
}

/// Opens a non-blocking, close-on-exec listener with `SO_REUSEADDR`. `IPV6_V6ONLY` stays as
/// `net.ipv6.bindv6only` has it, so that `[::]` takes IPv4 too, as in Go and Node.
pub(crate) fn listen(
    address: SocketAddr,
    backlog: u32,
    health_only: bool,
) -> Result<(OwnedFd, Listening), TargetError> {
    open(address, backlog, health_only, Options::default())
}

fn open(
    address: SocketAddr,
    backlog: u32,
    health_only: bool,
    options: Options,
) -> Result<(OwnedFd, Listening), TargetError> {
    let length = i32::try_from(backlog).map_err(|_beyond_int| TargetError::Backlog { backlog })?;
    let failed = |call| move |source| TargetError::Listen { address, call, source };

    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP)).map_err(failed("socket"))?;
    socket.set_reuse_address(true).map_err(failed("setsockopt SO_REUSEADDR"))?;
    if options.share {
        socket.set_reuse_port(true).map_err(failed("setsockopt SO_REUSEPORT"))?;
    }
    if let Some(wait) = options.defer_accept {
        let asked = wait.as_secs();
        let given = defer_accept(socket.as_fd(), i32::try_from(asked).unwrap_or(i32::MAX))
            .map_err(failed("setsockopt TCP_DEFER_ACCEPT"))?;
        if i64::from(given) < i64::try_from(asked).unwrap_or(i64::MAX) {
            return Err(TargetError::DeferAccept { address, asked, given });
        }
    }
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

    #[test]
    fn a_group_shares_the_port_that_the_first_was_given() {
        let plan = TargetPlan { reuseport: 3, backlog: 7, ..TargetPlan::plain(SocketAddr::from(([127, 0, 0, 1], 0))) };
        let (sockets, group) = listen_main(&plan).unwrap();
        assert_eq!(sockets.len(), 3);
        assert_ne!(group[0].address.port(), 0);
        assert!(group.iter().all(|each| *each == group[0]), "{group:?}");
    }

    #[test]
    fn a_single_socket_shares_with_none() {
        let plan = TargetPlan::plain(SocketAddr::from(([127, 0, 0, 1], 0)));
        let (_first, group) = listen_main(&plan).unwrap();
        let error = listen_main(&TargetPlan { listen: group[0].address, reuseport: 2, ..plan }).unwrap_err();
        assert!(matches!(error, TargetError::Listen { call: "bind", .. }), "{error}");
    }

    #[test]
    fn more_waiting_than_the_kernel_counts_is_refused_with_what_it_gave() {
        let asked = Duration::from_secs(u64::MAX);
        let plan = TargetPlan { defer_accept: Some(asked), ..TargetPlan::plain(SocketAddr::from(([127, 0, 0, 1], 0))) };
        let error = listen_main(&plan).unwrap_err();
        let TargetError::DeferAccept { given, .. } = error else { panic!("{error}") };
        assert!(given > 3_600 && error.hint().contains(&given.to_string()), "{error}: {}", error.hint());
    }
}
