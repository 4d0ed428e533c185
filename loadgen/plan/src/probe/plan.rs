//! What a probe is asked to do: the kubelet's fields under the kubelet's names.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use brimful_target_plan::Nofile;
use serde::{Deserialize, Serialize};

/// How the target is asked whether it is well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// A GET over HTTP or HTTPS; 200 to 399 passes.
    HttpGet(HttpGet),
    /// A completed TCP handshake passes; nothing is sent.
    TcpSocket,
    /// `grpc.health.v1.Health/Check` without TLS; `SERVING` passes.
    Grpc {
        /// The service asked about; empty for the server as a whole.
        service: String,
    },
    /// A command; exit status 0 passes. It runs where the prober runs, and asks no address.
    Exec(Exec),
}

impl Action {
    /// A plain GET of this path.
    #[must_use]
    pub fn http_get(path: impl Into<String>) -> Self {
        Self::HttpGet(HttpGet { path: path.into(), scheme: Scheme::Http, headers: Vec::new() })
    }
}

/// The fields of `httpGet`, but for the address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct HttpGet {
    /// The path with its query, starting with a slash.
    pub path: String,
    /// What it is asked over. Left out of a record where it is HTTP, as it was before there was another.
    #[serde(default, skip_serializing_if = "Scheme::is_http")]
    pub scheme: Scheme,
    /// `httpHeaders`, in the order in which they were written. `Host` stands in the `Host` line, `User-Agent` and `Accept` take the
    /// place of the prober's own, and an empty one of these three leaves the line out or as it was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Header>,
}

/// `exec`, and what its command is born with. Whatever is left out is the prober's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Exec {
    /// The program, looked up in `PATH`, and its arguments. There is no shell.
    pub command: Vec<String>,
    /// Variables on top of the prober's own, as a container has those of its `env`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<(String, String)>,
    /// Where it is started (`workingDir`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
    /// Whom it runs as (`runAsUser`, `runAsGroup`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Ids>,
    /// Its descriptor limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nofile: Option<Nofile>,
}

impl Exec {
    /// A command that is born as the prober is.
    #[must_use]
    pub fn of(command: Vec<String>) -> Self {
        Self { command, env: Vec::new(), directory: None, user: None, nofile: None }
    }
}

/// A user by its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ids {
    /// The user's.
    pub uid: u32,
    /// Its group's.
    pub gid: u32,
}

/// `scheme` of `httpGet`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// HTTP/1.1.
    #[default]
    Http,
    /// HTTP/2 where the server takes it, HTTP/1.1 otherwise, over TLS. The certificate is not looked at, no name is sent (SNI), as the
    /// address is a number, and no session is resumed.
    Https,
}

impl Scheme {
    /// Whether it is the plain one.
    #[must_use]
    pub fn is_http(&self) -> bool {
        *self == Self::Http
    }

    /// As it stands in a URL.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// One of `httpHeaders`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl Header {
    /// What is wrong with it, if anything is: a name or value that HTTP has no room for, or a line that the connection itself needs and
    /// the prober writes.
    ///
    /// # Errors
    /// The reason, in words that follow on the header's name.
    pub fn check(&self) -> Result<(), &'static str> {
        let name = http::HeaderName::from_bytes(self.name.as_bytes()).map_err(|_not_one| "is no name of a header")?;
        if ["connection", "content-length", "transfer-encoding", "trailer", "upgrade", "te"].contains(&name.as_str()) {
            return Err("belongs to the connection, and the prober writes it by itself or not at all");
        }
        let fits = self.value.is_ascii() && http::HeaderValue::from_str(&self.value).is_ok();
        if fits { Ok(()) } else { Err("has a value with a line break, or with letters beyond ASCII") }
    }
}

/// One probe of one container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProbePlan {
    /// What is done.
    pub action: Action,
    /// Whom it is done to.
    pub address: SocketAddr,
    /// `periodSeconds`: from one tick to the next; above zero.
    pub period: Duration,
    /// `timeoutSeconds`: over the whole probe, connect to body; above zero.
    pub timeout: Duration,
    /// `initialDelaySeconds`: ticks before this age of the container are skipped.
    pub initial_delay: Duration,
    /// `failureThreshold`: failures in a row that count as failed; at least 1.
    pub failure_threshold: u32,
    /// `successThreshold`: successes in a row that count as well again; at least 1, and 1 for liveness.
    pub success_threshold: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_get_is_written_as_it_was_before_there_was_more_to_say() {
        let text = r#"{"http-get":{"path":"/healthz"}}"#;
        // Read back from the same words: a record of today is one of yesterday.
        let plain: Action = serde_json::from_str(text).unwrap();
        assert_eq!(plain, Action::http_get("/healthz"));
        assert_eq!(serde_json::to_string(&plain).unwrap(), text);
    }

    #[test]
    fn headers_that_cannot_be_sent_are_told() {
        let check = |name: &str, value: &str| Header { name: name.into(), value: value.into() }.check();
        assert_eq!(check("X-Probe", "a b"), Ok(()));
        assert_eq!(check("Host", "example.com"), Ok(()));
        for (name, value) in [("", "a"), ("a b", "c"), ("Connection", "keep-alive"), ("X", "a\r\nb"), ("X", "ä")] {
            assert!(check(name, value).is_err(), "{name}: {value}");
        }
    }
}
