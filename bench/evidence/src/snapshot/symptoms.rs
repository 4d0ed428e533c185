//! What somebody who asks for help says and shows, beside what was read: times of requests, a capture, a count of lsof. Pure.

use std::net::SocketAddr;

/// What a ticket shows beside a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Symptoms {
    /// How long requests took, in nanoseconds, in the order shown.
    pub request_ns: Vec<u64>,
    /// What `lsof | wc -l` printed.
    pub lsof_lines: Option<u64>,
    /// Sockets among them.
    pub lsof_sockets: Option<u64>,
    /// What `ulimit -n` printed in a shell.
    pub shell_nofile: Option<u64>,
    /// Somebody changed it there: `ulimit -n 65535`.
    pub shell_nofile_set: Option<u64>,
    /// A program said "too many open files".
    pub too_many_open_files: bool,
    /// Connections in a capture.
    pub captured: Vec<Captured>,
}

/// One connection of a packet capture, from its first SYN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// Who asked.
    pub from: SocketAddr,
    /// Whom.
    pub to: SocketAddr,
    /// How many SYNs were seen.
    pub syns: u64,
    /// Whether one was answered by a SYN-ACK.
    pub answered: bool,
    /// Whether one was answered by a reset.
    pub reset: bool,
}
