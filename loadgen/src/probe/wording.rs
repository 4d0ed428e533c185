//! What the kubelet would have printed: its own sentences and those of Go's standard library. Pure.
//!
//! Read in source: the sentences of `pkg/probe/http/http.go`; `Get "URL": ...`, the redirect errors and the two
//! `(Client.Timeout ...)` endings of Go's `net/http/client.go`. From memory of Go 1.25: `dial tcp`, `i/o timeout`,
//! `context deadline exceeded`, `read tcp A->B: read:`, `EOF`, `malformed HTTP response`, those of TLS and the texts of the errnos. Read in
//! source as well: the sentences of `pkg/probe/grpc/grpc.go`, `pkg/probe/exec/exec.go` and `command "..." timed out` of
//! `pkg/kubelet/cri/remote`; from memory: `rpc error: code = ... desc = ...`, and what a runtime says of a program that is not there.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::StatusCode;
use rustix::io::Errno;
use rustls::AlertDescription;

use super::classify::Phase;
use super::{exec, grpc};

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
        Phase::Dial | Phase::Tls | Phase::Headers => {
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

/// An answer to a handshake that is not TLS. Go's client looks whether it is HTTP (`net/http/transport.go`, `RoundTrip`).
pub(super) fn not_tls(opening: &[u8]) -> String {
    if opening.starts_with(b"HTTP/") {
        "http: server gave HTTP response to HTTPS client".to_owned()
    } else {
        "tls: first record does not look like a TLS handshake".to_owned()
    }
}

/// An alert of the server (`crypto/tls/alert.go`).
pub(super) fn alert(alert: AlertDescription) -> String {
    let what = match alert {
        AlertDescription::HandshakeFailure => "handshake failure".to_owned(),
        AlertDescription::CertificateRequired => "certificate required".to_owned(),
        AlertDescription::BadCertificate => "bad certificate".to_owned(),
        AlertDescription::ProtocolVersion => "protocol version not supported".to_owned(),
        AlertDescription::InternalError => "internal error".to_owned(),
        AlertDescription::UnrecognisedName => "unrecognized name".to_owned(),
        AlertDescription::NoApplicationProtocol => "no application protocol".to_owned(),
        other => format!("alert({})", u8::from(other)),
    };
    format!("remote error: tls: {what}")
}

/// What a gRPC probe says that has no connection by its deadline, whatever was in the way: the dial is tried again until then. Go would
/// tell what, were it asked to (`WithReturnConnectionError`); the kubelet does not ask, so it is told here only where the prober itself
/// was at fault.
pub(super) fn grpc_not_connected(peer: SocketAddr, timeout: Duration, because: Option<&str>) -> String {
    let because = because.map(|why| format!(": connection error: desc = \"transport: Error while dialing: {why}\""));
    format!(
        "timeout: failed to connect service \"{peer}\" within {}: context deadline exceeded{}",
        go_duration(timeout),
        because.unwrap_or_default()
    )
}

/// A gRPC probe whose answer did not come.
pub(super) fn grpc_timeout(timeout: Duration) -> String {
    format!("timeout: health rpc did not complete within {}", go_duration(timeout))
}

/// A gRPC call that failed with this code and message.
pub(super) fn grpc_failed(code: u32, message: &str, timeout: Duration) -> String {
    /// `google.golang.org/grpc/codes`, by number.
    const CODES: [&str; 17] = [
        "OK",
        "Canceled",
        "Unknown",
        "InvalidArgument",
        "DeadlineExceeded",
        "NotFound",
        "AlreadyExists",
        "PermissionDenied",
        "ResourceExhausted",
        "FailedPrecondition",
        "Aborted",
        "OutOfRange",
        "Unimplemented",
        "Internal",
        "Unavailable",
        "DataLoss",
        "Unauthenticated",
    ];
    let name = usize::try_from(code).ok().and_then(|at| CODES.get(at));
    match name {
        Some(&"DeadlineExceeded") => grpc_timeout(timeout),
        Some(&"Unimplemented") => {
            format!("error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {message}")
        }
        Some(name) => format!("error: health rpc probe failed: rpc error: code = {name} desc = {message}"),
        None => format!("error: health rpc probe failed: rpc error: code = Code({code}) desc = {message}"),
    }
}

/// An answer in HTTP/2 that is none in gRPC (grpc-go's `internal/transport/http2_client.go`, `operateHeaders`, from memory).
pub(super) fn not_grpc(status: StatusCode, kind: Option<&[u8]>) -> String {
    let said = status.canonical_reason().unwrap_or_default();
    let status = format!("unexpected HTTP status code received from server: {} ({said})", status.as_u16());
    match kind {
        None => format!("{status}; malformed header: missing HTTP content-type"),
        Some(kind) if grpc::is_grpc(kind) => status,
        Some(kind) => {
            let kind = String::from_utf8_lossy(kind);
            format!("{status}; transport: received unexpected content-type {kind:?}")
        }
    }
}

/// A service that does not serve.
pub(super) fn grpc_unhealthy(status: &str) -> String {
    format!("service unhealthy (responded with \"{status}\")")
}

/// A command that was given up at its deadline.
pub(super) fn command_timed_out(command: &[String]) -> String {
    format!("command {:?} timed out", command.join(" "))
}

/// A command that could not be started.
pub(super) fn not_started(program: &str, error: &io::Error) -> String {
    if exec::is_missing(error) {
        let place =
            if program.contains('/') { "no such file or directory" } else { "executable file not found in $PATH" };
        format!("exec: {program:?}: {place}")
    } else {
        format!("fork/exec {program}: {}", errno(error))
    }
}

/// What a command said, which is all that the kubelet tells of one that failed.
pub(super) fn output(said: &[u8]) -> String {
    String::from_utf8_lossy(&said[..said.len().min(MESSAGE_LIMIT)]).into_owned()
}

/// A duration as Go prints it (`time.Duration.String`): `1s`, `1m30s`, `1.5s`, `300ms`.
fn go_duration(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos();
    let (unit, scale) = match nanoseconds {
        0 => return "0s".to_owned(),
        1..1_000 => ("ns", 1),
        1_000..1_000_000 => ("µs", 1_000),
        1_000_000..1_000_000_000 => ("ms", 1_000_000),
        _ => ("s", 1_000_000_000),
    };
    let (whole, rest) = (nanoseconds / scale, nanoseconds % scale);
    let digits = scale.ilog10() as usize;
    let fraction = if rest == 0 { String::new() } else { format!(".{rest:0digits$}").trim_end_matches('0').to_owned() };
    if unit != "s" || whole < 60 {
        return format!("{whole}{fraction}{unit}");
    }
    let hours = if whole >= 3_600 { format!("{}h", whole / 3_600) } else { String::new() };
    format!("{hours}{}m{}{fraction}s", whole / 60 % 60, whole % 60)
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
        Some(Errno::AGAIN) => "resource temporarily unavailable",
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
    fn the_sentences_about_grpc_and_commands() {
        let peer: SocketAddr = "127.0.0.1:9".parse().unwrap();
        let second = Duration::from_secs(1);
        assert_eq!(
            grpc_not_connected(peer, second, None),
            "timeout: failed to connect service \"127.0.0.1:9\" within 1s: context deadline exceeded"
        );
        assert_eq!(
            grpc_failed(12, "unknown service", second),
            "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): unknown service"
        );
        assert_eq!(
            grpc_failed(5, "unknown service", second),
            "error: health rpc probe failed: rpc error: code = NotFound desc = unknown service"
        );
        assert_eq!(grpc_failed(4, "late", second), "timeout: health rpc did not complete within 1s");
        assert!(grpc_failed(99, "", second).contains("code = Code(99)"));
        assert_eq!(
            not_grpc(StatusCode::NOT_FOUND, Some(b"text/html")),
            "unexpected HTTP status code received from server: 404 (Not Found); transport: received unexpected content-type \"text/html\""
        );
        assert_eq!(
            not_grpc(StatusCode::BAD_GATEWAY, Some(b"application/grpc")),
            "unexpected HTTP status code received from server: 502 (Bad Gateway)"
        );
        assert!(not_grpc(StatusCode::OK, None).ends_with("200 (OK); malformed header: missing HTTP content-type"));
        assert_eq!(grpc_unhealthy("NOT_SERVING"), "service unhealthy (responded with \"NOT_SERVING\")");
        assert_eq!(command_timed_out(&["sleep".into(), "9".into()]), "command \"sleep 9\" timed out");
        let (missing, forbidden) = (io::Error::from(Errno::NOENT), io::Error::from(Errno::ACCESS));
        assert_eq!(not_started("pg", &missing), "exec: \"pg\": executable file not found in $PATH");
        assert_eq!(not_started("/bin/pg", &forbidden), "fork/exec /bin/pg: permission denied");
    }

    #[test]
    fn durations_are_printed_as_go_prints_them() {
        let table = [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (300_000_000, "300ms"),
            (1_000_000_000, "1s"),
            (1_050_000_000, "1.05s"),
            (90_000_000_000, "1m30s"),
            (3_600_000_000_000, "1h0m0s"),
        ];
        for (nanoseconds, text) in table {
            assert_eq!(go_duration(Duration::from_nanos(nanoseconds)), text);
        }
    }

    #[test]
    fn the_sentences_about_tls() {
        assert_eq!(not_tls(b"HTTP/1.1 400 Bad"), "http: server gave HTTP response to HTTPS client");
        assert_eq!(not_tls(b"SSH-2.0"), "tls: first record does not look like a TLS handshake");
        assert_eq!(alert(AlertDescription::HandshakeFailure), "remote error: tls: handshake failure");
        assert_eq!(alert(AlertDescription::Unknown(200)), "remote error: tls: alert(200)");
    }

    #[test]
    fn a_long_body_is_cut() {
        assert!(terminated_redirects(&[b'a'; 9_000]).len() < 1_100);
    }
}
