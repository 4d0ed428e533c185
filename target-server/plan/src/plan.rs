//! What a target is asked to be: pure data, no socket is touched here.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What the server does when `accept4` answers `EMFILE` or `ENFILE`.
///
/// Neither error takes a connection off the accept queue, and `EMFILE` is returned even when the queue is empty
/// (`net/socket.c`, `do_accept`: the descriptor is reserved before the protocol's accept is called).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnEmfile {
    /// Try again at once: what a level-triggered loop does. Burns a core, answers nobody.
    #[default]
    Spin,
    /// Wait 5 ms, doubling up to 1 s, and try again: what Go's `net/http` does.
    Sleep,
    /// Give up a descriptor held in reserve, accept, close at once, take the reserve again: the client sees an orderly close.
    ReserveFd,
    /// End the process with an error.
    Exit,
    /// Leave the accept loop for good; the listener stays open and its queue fills.
    StopAccepting,
}

/// What each extra descriptor of a connection is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExtraFd {
    /// A file, as one that is served or logged to.
    #[default]
    File,
    /// An inotify instance, as of a program that follows a file for each client. A user has `fs.inotify.max_user_instances` of them,
    /// and one more is refused with `EMFILE`, whatever the descriptor limit (`fs/notify/inotify/inotify_user.c`, `inotify_new_group`).
    Inotify,
}

impl ExtraFd {
    /// Whether it is what most are.
    #[must_use]
    pub fn is_file(&self) -> bool {
        *self == Self::File
    }
}

/// How the server takes connections from its accept queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Accept {
    /// Accept until `EAGAIN` whenever the listener is readable.
    #[default]
    Drain,
    /// Accept one connection, then go round the event loop: everything else that is ready is served in between.
    OnePerWakeup,
    /// Never accept: the kernel still completes handshakes until the queue is full.
    Dead,
}

/// A pause that recurs in the accept loop, or in the whole event loop ([`TargetPlan::block`]): a collector's pause, a reload, a blocking look-up.
///
/// From `first` after the server is told to start its clock, and then every `every`, the loop stands still for `length`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AcceptPause {
    /// When the first pause begins, from the start of the cell.
    pub first: Duration,
    /// From the beginning of one pause to the beginning of the next; `None` for a single pause.
    pub every: Option<Duration>,
    /// How long a pause lasts; shorter than `every`.
    pub length: Duration,
}

/// What the server does with a connection beyond its own cap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AtMax {
    /// Leave it in the accept queue until one of the present ones is closed.
    #[default]
    Wait,
    /// Accept it and close it at once.
    Close,
    /// Accept it, keep it, and never read from it, whatever becomes free meanwhile. It goes when the peer ends it, and has no extra descriptors.
    Ignore,
}

/// One target process.
///
/// A setting that a record from before it lacks is what the server did then: that of [`TargetPlan::plain`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TargetPlan {
    /// Where it listens. Port 0 lets the kernel choose.
    pub listen: SocketAddr,
    /// The backlog passed to `listen(2)`, in connections. The kernel keeps min(backlog, `net.core.somaxconn`) and holds one more.
    pub backlog: u32,
    /// The path that answers 200. `/bytes/N` answers 200 with `N` bytes (64 MiB at most); any other path answers 404.
    pub health_path: String,
    /// A second listener for health checks alone; `None` serves them on `listen`. `listen` answers `health_path` in both
    /// cases, and both draw on the same descriptors: at `EMFILE` neither can accept.
    pub health_listen: Option<SocketAddr>,
    /// Whether a connection that begins with a handshake of TLS is answered over TLS (HTTP/1.1, with a certificate made at
    /// the start and signed by itself); without it, it is answered 400. Those that begin otherwise are answered as ever.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tls: bool,
    /// The service whose health is told over gRPC (`grpc.health.v1.Health/Check`), beside that of the server as a whole, to
    /// a connection that begins with the preface of HTTP/2; any other service is not found. `None` answers 400.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc_service: Option<String>,
    /// How connections are taken from the queue of `listen` (a separate health listener always drains).
    #[serde(default)]
    pub accept: Accept,
    /// A recurring pause of the accept loops of `listen`.
    pub accept_pause: Option<AcceptPause>,
    /// Connections accepted per second on `listen` at most, evenly spaced to within 5 ms; `None` for as fast as it goes. A
    /// failing accept takes its turn like one that succeeds. All sockets of `reuseport` share the rate; not 0.
    pub accept_rate: Option<u32>,
    /// A recurring time in which the whole event loop is blocked: nothing is accepted, read or answered, on either listener.
    pub block: Option<AcceptPause>,
    /// Connections the program itself allows at once, on both listeners together, health checks and leaked ones included;
    /// `None` for no cap.
    pub max_connections: Option<u32>,
    /// What happens to a connection beyond `max_connections`.
    #[serde(default)]
    pub at_max: AtMax,
    /// Of the connections that the peer has ended, each so-many-th is never closed here: it stays in `CLOSE_WAIT`, with its
    /// descriptors. 0 for none. Counted are ends that the server learns of by reading. A connection that it closes itself
    /// (`Connection: close`, a refused request), one that
    /// the peer reset, one ignored at the cap and one over
    /// TLS or HTTP/2 are closed as ever.
    #[serde(default)]
    pub leak_one_in: u32,
    /// How long each answer is held back, from the end of its request; others are served meanwhile.
    #[serde(default)]
    pub answer_delay: Duration,
    /// `TCP_DEFER_ACCEPT` on `listen`, in whole seconds from 1 on: the connection stays in the SYN queue until data comes (`tcp(7)`).
    pub defer_accept: Option<Duration>,
    /// Listening sockets on `listen` that share it by `SO_REUSEPORT`, at least 1. One socket sets no `SO_REUSEPORT`.
    #[serde(default = "one")]
    pub reuseport: u32,
    /// How many of them are never accepted from; below `reuseport`, or 0.
    #[serde(default)]
    pub reuseport_stuck: u32,
    /// What happens at `EMFILE` and `ENFILE`, on either listener.
    #[serde(default)]
    pub on_emfile: OnEmfile,
    /// Whether the server raises its soft descriptor limit to the hard one before it listens.
    #[serde(default)]
    pub raise_nofile: bool,
    /// Descriptors each connection costs besides its socket (a file, an upstream connection).
    #[serde(default)]
    pub extra_fds_per_connection: u32,
    /// What they are. A plan leaves files out, as those from before there was another kind did.
    #[serde(default, skip_serializing_if = "ExtraFd::is_file")]
    pub extra_fd_kind: ExtraFd,
}

/// One socket, as a server had before it could be asked for more.
const fn one() -> u32 {
    1
}

impl TargetPlan {
    /// A server with nothing wrong: backlog 4,096, `/healthz`, drains its queue, spins at `EMFILE`, keeps its soft limit.
    #[must_use]
    pub fn plain(listen: SocketAddr) -> Self {
        Self {
            listen,
            backlog: 4_096,
            health_path: "/healthz".to_owned(),
            health_listen: None,
            tls: false,
            grpc_service: None,
            accept: Accept::Drain,
            accept_pause: None,
            accept_rate: None,
            block: None,
            max_connections: None,
            at_max: AtMax::Wait,
            leak_one_in: 0,
            answer_delay: Duration::ZERO,
            defer_accept: None,
            reuseport: 1,
            reuseport_stuck: 0,
            on_emfile: OnEmfile::Spin,
            raise_nofile: false,
            extra_fds_per_connection: 0,
            extra_fd_kind: ExtraFd::File,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_older_plan_does_not_say_is_as_it_was_then() {
        let listen = "127.0.0.1:80".parse().unwrap();
        let least = r#"{ "listen": "127.0.0.1:80", "backlog": 4096, "health-path": "/healthz" }"#;
        assert_eq!(serde_json::from_str::<TargetPlan>(least).unwrap(), TargetPlan::plain(listen));
    }
}
