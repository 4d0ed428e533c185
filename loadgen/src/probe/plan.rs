//! What a probe is asked to do: the kubelet's fields under the kubelet's names.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How the target is asked whether it is well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// An HTTP/1.1 GET of this path; 200 to 399 passes.
    HttpGet {
        /// The path with its query, starting with a slash.
        path: String,
    },
    /// A completed TCP handshake passes; nothing is sent.
    TcpSocket,
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
