//! Why a target cannot serve, and what to try next.

use std::io;
use std::net::SocketAddr;

use brimful_target_plan::InvalidTarget;
use rustix::io::Errno;
use thiserror::Error;

use crate::errno::name_of;

/// A target that could not start, or could not go on. What happens to single connections is counted in [`TargetOutcome`](brimful_target_plan::TargetOutcome) instead.
#[derive(Debug, Error)]
pub enum TargetError {
    /// The plan asks for what cannot be.
    #[error(transparent)]
    Plan(#[from] InvalidTarget),
    /// The backlog does not fit `listen(2)`, which takes a C `int`.
    #[error("backlog {backlog} is above {}, the most that listen(2) takes", i32::MAX)]
    Backlog {
        /// The backlog asked for, in connections.
        backlog: u32,
    },
    /// A listening socket could not be made.
    #[error("cannot listen on {address}: {call}: {}", name_of(.source))]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// The system call that failed, such as `bind`.
        call: &'static str,
        /// What it answered.
        #[source]
        source: io::Error,
    },
    /// `TCP_DEFER_ACCEPT` took less than was asked: the kernel keeps a number of SYN-ACK retransmissions, 255 at most.
    #[error("defer-accept on {address} is {asked} s, and the kernel gave {given} s")]
    DeferAccept {
        /// The address of the listener.
        address: SocketAddr,
        /// Seconds asked for.
        asked: u64,
        /// Seconds that the option reads back.
        given: i32,
    },
    /// The soft descriptor limit could not be read or raised.
    #[error("cannot read or raise RLIMIT_NOFILE: {}", name_of(.0))]
    Nofile(#[source] io::Error),
    /// A file that the server keeps for itself could not be opened or read.
    #[error("cannot open {path}: {}", name_of(.source))]
    File {
        /// The file.
        path: &'static str,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
    /// The certificate of a server that speaks TLS could not be made.
    #[error("cannot make a certificate: {0}")]
    Certificate(String),
    /// The event queue failed: an epoll set could not be made, joined to the runtime or waited for.
    #[error("the epoll set failed: {}", name_of(.0))]
    Events(#[source] io::Error),
}

impl TargetError {
    /// What the reader can do about it, as one line without a `hint:` before it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Plan(invalid) => invalid.hint(),
            Self::DeferAccept { given, .. } => format!("choose defer-accept = \"{given}s\" or less"),
            Self::Backlog { .. } => format!("choose a backlog of at most {}", i32::MAX),
            Self::Listen { address, source, .. } => listen_hint(*address, source),
            Self::Nofile(_) => "compare `ulimit -Sn` and `ulimit -Hn`, or set raise-nofile = false".to_owned(),
            Self::File { path, source } if Errno::from_io_error(source) == Some(Errno::MFILE) => {
                format!("raise ulimit.nofile: not even {path} fits below it")
            }
            Self::File { path, .. } => format!("the target needs {path}: look at it with `ls -ld {path}`"),
            Self::Certificate(_) => "see whether /dev/urandom can be read, or leave TLS out".to_owned(),
            Self::Events(_) => "raise ulimit.nofile, and look at `sysctl fs.epoll.max_user_watches`".to_owned(),
        }
    }
}

fn listen_hint(address: SocketAddr, source: &io::Error) -> String {
    let port = address.port();
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            format!("see who has the port with `ss -ltnp 'sport = :{port}'`, or listen on port 0 to get a free one")
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("{} is no address of this network namespace: see `ip address`", address.ip())
        }
        io::ErrorKind::PermissionDenied => {
            format!("port {port} is privileged here: see `sysctl net.ipv4.ip_unprivileged_port_start`")
        }
        _ => "raise ulimit.nofile if it is EMFILE; for IPv6 see `sysctl net.ipv6.conf.all.disable_ipv6`".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_names_address_call_and_errno() {
        let taken = TargetError::Listen {
            address: SocketAddr::from(([127, 0, 0, 1], 8_080)),
            call: "bind",
            source: Errno::ADDRINUSE.into(),
        };
        assert_eq!(taken.to_string(), "cannot listen on 127.0.0.1:8080: bind: EADDRINUSE");
        assert!(taken.hint().contains("ss -ltnp 'sport = :8080'"), "{}", taken.hint());
        assert!(std::error::Error::source(&taken).is_some());
    }
}
