//! What the kubelet would have printed: its own sentences and those of Go's standard library. Pure.
//!
//! Read in source: the sentences of `pkg/probe/http/http.go`; `Get "URL": ...`, the redirect errors and the two
//! `(Client.Timeout ...)` endings of Go's `net/http/client.go`. From memory of Go 1.25: `dial tcp`, `i/o timeout`,
//! `context deadline exceeded`, `read tcp A->B: read:`, `EOF`, `malformed HTTP response` and the texts of the errnos.

use std::io;
use std::net::SocketAddr;

use rustix::io::Errno;

use super::classify::Phase;

/// Bytes of a message that are kept; an event holds 1,024 (`k8s.io/client-go/tools/events`, from memory).
const MESSAGE_LIMIT: usize = 1_024;

/// `net.OpError` of a dial that failed in this system call, `socket` or `connect`.
pub(super) fn dial(peer: SocketAddr, syscall: &str, error: &io::Error) -> String {
    format!("dial tcp {peer}: {syscall}: {}", errno(error))
}

/// A dial of a probe without a URL that was given up at its deadline.
pub(super) fn dial_timeout(peer: SocketAddr) -> String {
    format!("dial tcp {peer}: i/o timeout")
}

/// `url.Error`: what `http.Client` makes of whatever went wrong before the headers were complete.
pub(super) fn get(url: &str, what: &str) -> String {
    format!("Get \"{url}\": {what}")
}

/// An HTTP attempt that was given up at its deadline in this phase.
///
/// Since Go 1.23 the dial is detached from the request (from memory), so both phases before the headers read alike;
/// older kubelets said `dial tcp ...: i/o timeout` or `request canceled while waiting for connection` for the first.
pub(super) fn http_timeout(url: &str, phase: Phase) -> String {
    match phase {
        Phase::Dial | Phase::Headers => {
            get(url, "context deadline exceeded (Client.Timeout exceeded while awaiting headers)")
        }
        Phase::Body => "context deadline exceeded (Client.Timeout or context cancellation while reading body)".into(),
    }
}

/// An I/O error on an established connection.
pub(super) fn broken(local: Option<SocketAddr>, peer: SocketAddr, error: &io::Error) -> String {
    let verb = if Errno::from_io_error(error) == Some(Errno::PIPE) { "write" } else { "read" };
    let from = local.map_or_else(String::new, |local| format!("{local}->"));
    format!("{verb} tcp {from}{peer}: {verb}: {}", errno(error))
}

/// A connection closed in good order before the answer was complete.
pub(super) fn closed(anything_read: bool) -> &'static str {
    if anything_read { "unexpected EOF" } else { "EOF" }
}

/// An answer that is not HTTP, with the first bytes that were read.
pub(super) fn not_http(opening: &[u8]) -> String {
    let line = opening.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    format!("net/http: HTTP/1.x transport connection broken: malformed HTTP response {line:?}")
}

/// A status that does not pass.
pub(super) fn bad_status(status: u16) -> String {
    format!("HTTP probe failed with statuscode: {status}")
}

/// A redirect that is not followed, which passes with a warning.
pub(super) fn terminated_redirects(body: &[u8]) -> String {
    let body = &body[..body.len().min(MESSAGE_LIMIT)];
    format!("Probe terminated redirects, Response body: {}", String::from_utf8_lossy(body))
}

/// An errno as Go's `syscall` package words it; for an error that has none, its own words.
fn errno(error: &io::Error) -> String {
    let known = match Errno::from_io_error(error) {
        Some(Errno::ACCESS) => "permission denied",
        Some(Errno::ADDRINUSE) => "address already in use",
        Some(Errno::ADDRNOTAVAIL) => "cannot assign requested address",
        Some(Errno::CONNABORTED) => "software caused connection abort",
        Some(Errno::CONNREFUSED) => "connection refused",
        Some(Errno::CONNRESET) => "connection reset by peer",
        Some(Errno::HOSTUNREACH) => "no route to host",
        Some(Errno::MFILE) => "too many open files",
        Some(Errno::NETUNREACH) => "network is unreachable",
        Some(Errno::NFILE) => "too many open files in system",
        Some(Errno::NOBUFS) => "no buffer space available",
        Some(Errno::NOMEM) => "cannot allocate memory",
        Some(Errno::PERM) => "operation not permitted",
        Some(Errno::PIPE) => "broken pipe",
        Some(Errno::TIMEDOUT) => "connection timed out",
        _ => return error.to_string(),
    };
    known.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kubelets_sentences() {
        let peer: SocketAddr = "127.0.0.1:23380".parse().unwrap();
        let url = "http://127.0.0.1:23380/healthz";
        let refused = io::Error::from(Errno::CONNREFUSED);
        assert_eq!(
            get(url, &dial(peer, "connect", &refused)),
            r#"Get "http://127.0.0.1:23380/healthz": dial tcp 127.0.0.1:23380: connect: connection refused"#
        );
        assert_eq!(
            http_timeout(url, Phase::Headers),
            "Get \"http://127.0.0.1:23380/healthz\": context deadline exceeded \
             (Client.Timeout exceeded while awaiting headers)"
        );
        assert_eq!(dial_timeout(peer), "dial tcp 127.0.0.1:23380: i/o timeout");
        assert_eq!(
            dial(peer, "socket", &io::Error::from(Errno::MFILE)),
            "dial tcp 127.0.0.1:23380: socket: too many open files"
        );
        assert_eq!(
            broken("127.0.0.1:40000".parse().ok(), peer, &io::Error::from(Errno::CONNRESET)),
            "read tcp 127.0.0.1:40000->127.0.0.1:23380: read: connection reset by peer"
        );
        assert_eq!(bad_status(503), "HTTP probe failed with statuscode: 503");
        assert!(not_http(b"SSH-2.0-x\r\nmore").ends_with(r#"malformed HTTP response "SSH-2.0-x""#));
    }

    #[test]
    fn a_long_body_is_cut() {
        assert!(terminated_redirects(&[b'a'; 9_000]).len() < 1_100);
    }
}
