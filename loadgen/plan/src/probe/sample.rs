//! What one probe saw.

use serde::{Deserialize, Serialize};

/// How a probe ended. The phases are kept apart because they are different diagnoses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It passed.
    Ok,
    /// The deadline came before the handshake was done.
    ConnectTimeout,
    /// Connected, but the deadline came before the answer was complete.
    ResponseTimeout,
    /// The connect was answered with a reset.
    Refused,
    /// The connection was reset or closed before the answer was complete.
    Reset,
    /// An answer that does not pass: a status outside 200 to 399, one that is not HTTP or TLS, a service that does not serve, a command
    /// that ended with another exit status than 0.
    BadStatus,
    /// The prober could not even try: its own descriptors, ports, memory or routes, or a command that cannot be run.
    LocalError,
}

impl Outcome {
    /// Whether the kubelet counts it as a success.
    #[must_use]
    pub fn passed(self) -> bool {
        self == Self::Ok
    }
}

/// One probe. All instants are nanoseconds since the start of the cell; all phases count from `started_ns`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// Counts from 0.
    pub seq: u64,
    /// When it was due: its tick, or the moment at which the serial prober became free if that was later.
    pub intended_ns: u64,
    /// When it was begun.
    pub started_ns: u64,
    /// When it ended.
    pub ended_ns: u64,
    /// How long the handshake took; `None` when it was not completed.
    pub connect_ns: Option<u64>,
    /// How long the handshake of TLS took; `None` when it was not completed, or there was none to make.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_ns: Option<u64>,
    /// From the start to the first byte of the answer, TLS not counted as one; `None` when there was none.
    pub first_byte_ns: Option<u64>,
    /// How it ended.
    pub outcome: Outcome,
    /// The HTTP status where one was read, or the exit status of a command that ended.
    pub status: Option<u16>,
    /// What the kubelet would have said in the event.
    pub message: String,
    /// Ticks dropped between the probe before and this one, because the prober was busy.
    pub missed_ticks: u64,
    /// Whether the kubelet would have thrown the result away: the status line came, but the body broke or stalled (or a command could not
    /// be run) in each of the attempts (`maxProbeRetries`) it makes then, each with a timeout of its own. Such a probe failed, and
    /// still counts to no threshold. Its phases, outcome and message are those of the last attempt.
    #[serde(default)]
    pub discarded: bool,
}

impl Sample {
    /// From the intended instant to the end, in nanoseconds: what a schedule of probes feels.
    #[must_use]
    pub fn latency_ns(&self) -> u64 {
        self.ended_ns.saturating_sub(self.intended_ns)
    }

    /// How late the prober itself was, in nanoseconds.
    #[must_use]
    pub fn lag_ns(&self) -> u64 {
        self.started_ns.saturating_sub(self.intended_ns)
    }
}
