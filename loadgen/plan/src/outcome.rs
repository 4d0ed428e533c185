//! What a load came to: counted by each shard, merged into one. Pure.

use serde::{Deserialize, Serialize};

use crate::latency::Latency;

/// The step of a connection's life in which something failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Making the socket: the generator's own descriptors or memory.
    Socket,
    /// Naming the source address and port.
    Bind,
    /// The handshake.
    Connect,
    /// After it was established: the peer closed or reset it.
    Hold,
}

/// Failures of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// Where it happened.
    pub phase: Phase,
    /// The errno's name; `EOF` for a peer that closed in good order.
    pub errno: String,
    /// How many connections.
    pub count: u64,
}

/// The state of a load at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadPoint {
    /// Nanoseconds since the start of the cell.
    pub at_ns: u64,
    /// Connections whose opening was tried.
    pub attempted: u64,
    /// Connections whose handshake was completed, now open or not.
    pub established: u64,
    /// Connections open now.
    pub held: u64,
    /// Failures in any phase.
    pub failed: u64,
    /// Connections in their handshake now; the half-open ones of a half-open load. 0 in records from before it was kept.
    #[serde(default)]
    pub pending: u64,
}

impl LoadPoint {
    /// The states of two shards added up, at the later of their instants.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            at_ns: self.at_ns.max(other.at_ns),
            attempted: self.attempted.saturating_add(other.attempted),
            established: self.established.saturating_add(other.established),
            held: self.held.saturating_add(other.held),
            failed: self.failed.saturating_add(other.failed),
            pending: self.pending.saturating_add(other.pending),
        }
    }
}

/// What came of the heartbeats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heartbeats {
    /// Requests sent.
    pub sent: u64,
    /// Requests answered in full, with whatever status.
    pub answered: u64,
    /// Those among the answered whose answer took longer than the interval.
    pub late: u64,
    /// Those among the answered with a status other than 200 to 399, or with none that could be read.
    pub bad_status: u64,
    /// Times a request was due and not sent, because the last one had no answer yet.
    pub missed: u64,
    /// Requests whose connection ended before their answer.
    pub broken: u64,
    /// Requests that the socket did not take (`EAGAIN`: its buffer is full of what the server does not read).
    pub refused: u64,
}

impl Heartbeats {
    /// Whether there were none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    fn merge(&mut self, other: &Self) {
        for (mine, theirs) in [
            (&mut self.sent, other.sent),
            (&mut self.answered, other.answered),
            (&mut self.late, other.late),
            (&mut self.bad_status, other.bad_status),
            (&mut self.missed, other.missed),
            (&mut self.broken, other.broken),
            (&mut self.refused, other.refused),
        ] {
            *mine = mine.saturating_add(theirs);
        }
    }
}

/// What came of connections that were to come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reconnects {
    /// Openings beyond the first of a connection. Not among `attempted`, which counts each connection once; nor do the instants of the
    /// attempts and `lag` know of them.
    pub attempted: u64,
    /// Connections that were away and were established again, each time counted.
    pub back: u64,
    /// Connections that failed too often in a row to be tried again (`hold::TRIES_MOST`).
    pub given_up: u64,
}

impl Reconnects {
    /// Whether there were none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

fn is_empty(latency: &Latency) -> bool {
    latency.count() == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What one shard, or all of them merged, came to.
///
/// Nothing is lost: `attempted + renewed + reconnects.attempted` is `held + pending + closed` and the failures of every kind, and
/// `established` is `held + closed` and the failures of [`Phase::Hold`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadOutcome {
    /// Connections asked for.
    pub requested: u64,
    /// Connections whose opening was tried; below `requested` when the load was stopped during its ramp.
    pub attempted: u64,
    /// Connections whose handshake was completed.
    pub established: u64,
    /// Connections open at the end, as the client sees it.
    pub held: u64,
    /// Connections still in their handshake at the end; the half-open ones of a half-open load.
    pub pending: u64,
    /// Connections that the client closed: when their time was over ([`crate::plan::Behaviour::Churn`]), or in a storm.
    #[serde(default)]
    pub closed: u64,
    /// How often a half-open connection that the kernel had given up was begun anew. Not among `attempted`, which
    /// counts each connection once; nor do the instants of the attempts and `lag` know of it.
    #[serde(default)]
    pub renewed: u64,
    /// Every failure by phase and errno, sorted, one row a kind.
    pub failures: Vec<Failure>,
    /// From the call of `connect(2)` to its completion, for every established connection, in nanoseconds.
    pub connect_latency: Latency,
    /// How late each attempt was behind its intended instant, in nanoseconds, taken right before `connect(2)` or the
    /// failure that came before it. Empty for a ramp of zero: there every instant is the start, and lateness would
    /// only say how long opening took.
    pub lag: Latency,
    /// The most attempts that one shard made within any [`crate::pace::WINDOW_NS`]; of several shards the largest. 0 in a record from before it was counted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub busiest_10ms: u64,
    /// When the first attempt was made, in nanoseconds since the start of the cell; `None` when there was none.
    pub first_attempt_ns: Option<u64>,
    /// When the last attempt was made.
    pub last_attempt_ns: Option<u64>,
    /// When the last handshake was completed; one that came back does not count.
    pub last_established_ns: Option<u64>,
    /// What came of the heartbeats.
    #[serde(default, skip_serializing_if = "Heartbeats::is_none")]
    pub heartbeats: Heartbeats,
    /// From the sending of a heartbeat to the last byte of its answer, in nanoseconds; an answer that never came is not in it.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub heartbeat_latency: Latency,
    /// How late each heartbeat was behind its intended instant, in nanoseconds, taken right before it was sent.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub heartbeat_lag: Latency,
    /// Bytes that slow readers have read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub read_bytes: u64,
    /// What came of those that were to come back.
    #[serde(default, skip_serializing_if = "Reconnects::is_none")]
    pub reconnects: Reconnects,
    /// From the loss of a connection, or its first failure, to the handshake that brought it back, in nanoseconds.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub back_latency: Latency,
    /// The load as it grew, in time order: at most one point each 100 ms and shard, and one at the end. Before its
    /// first point a load is empty.
    pub timeline: Vec<LoadPoint>,
}

impl LoadOutcome {
    /// Adds `count` failures of a kind; `errno` is its name, as in [`Failure::errno`]. Rows stay sorted, one a kind.
    pub fn add_failure(&mut self, phase: Phase, errno: &str, count: u64) {
        let kind = |row: &Failure| row.phase.cmp(&phase).then_with(|| row.errno.as_str().cmp(errno));
        match self.failures.binary_search_by(kind) {
            Ok(at) => {
                if let Some(row) = self.failures.get_mut(at) {
                    row.count = row.count.saturating_add(count);
                }
            }
            Err(_) if count == 0 => {}
            Err(at) => self.failures.insert(at, Failure { phase, errno: errno.to_owned(), count }),
        }
    }

    /// Adds what another shard came to. Associative and commutative, with an empty outcome as neutral element, so
    /// shards may be merged in any order.
    ///
    /// Counts add up, instants widen, and timelines are added as step functions: the merged one has a point wherever
    /// either has one, so it is as long as both; see [`LoadOutcome::thin_timeline`].
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in [
            (&mut self.requested, other.requested),
            (&mut self.attempted, other.attempted),
            (&mut self.established, other.established),
            (&mut self.held, other.held),
            (&mut self.pending, other.pending),
            (&mut self.closed, other.closed),
            (&mut self.renewed, other.renewed),
            (&mut self.read_bytes, other.read_bytes),
            (&mut self.reconnects.attempted, other.reconnects.attempted),
            (&mut self.reconnects.back, other.reconnects.back),
            (&mut self.reconnects.given_up, other.reconnects.given_up),
        ] {
            *mine = mine.saturating_add(theirs);
        }
        self.heartbeats.merge(&other.heartbeats);
        self.heartbeat_latency.merge(&other.heartbeat_latency);
        self.heartbeat_lag.merge(&other.heartbeat_lag);
        self.back_latency.merge(&other.back_latency);
        for row in &other.failures {
            self.add_failure(row.phase, &row.errno, row.count);
        }
        self.connect_latency.merge(&other.connect_latency);
        self.lag.merge(&other.lag);
        self.first_attempt_ns = earlier(self.first_attempt_ns, other.first_attempt_ns);
        self.busiest_10ms = self.busiest_10ms.max(other.busiest_10ms);
        // `None` is below every instant, which is right for the latest.
        self.last_attempt_ns = self.last_attempt_ns.max(other.last_attempt_ns);
        self.last_established_ns = self.last_established_ns.max(other.last_established_ns);
        self.timeline = sum_of_steps(&self.timeline, &other.timeline);
    }

    /// Connections established per second, those that came back left out, from the first attempt to the last completed handshake. `None` when none
    /// was established, or when all of it happened within one nanosecond.
    #[must_use]
    pub fn rate_per_s(&self) -> Option<f64> {
        let span_ns = self.last_established_ns?.checked_sub(self.first_attempt_ns?).filter(|&span| span > 0)?;
        #[expect(clippy::cast_precision_loss, reason = "connections and nanoseconds of a run are far below 2^52")]
        let rate = self.established.saturating_sub(self.reconnects.back) as f64 * 1e9 / span_ns as f64;
        Some(rate)
    }

    /// Keeps at most `most` points of the timeline (2 or more), evenly chosen, the last always among them. Not before
    /// merging: points left out of a step function are steps taken late.
    pub fn thin_timeline(&mut self, most: usize) {
        let last = self.timeline.len().saturating_sub(1);
        let stride = last.div_ceil(most.max(2) - 1).max(1);
        let mut index = 0_usize;
        self.timeline.retain(|_| {
            let keep = (last - index).is_multiple_of(stride);
            index += 1;
            keep
        });
    }

    /// Takes the timeline at every multiple of `step_ns` (above zero) up to the first at or after its end, as a step function. Exact at those
    /// instants; and timelines that were taken at the same ones merge into one that has no more points than the longest of them.
    pub fn sample_timeline(&mut self, step_ns: u64) {
        let mut sampled = Vec::new();
        let mut points = std::mem::take(&mut self.timeline).into_iter().peekable();
        let mut latest = None;
        let mut at_ns = 0_u64;
        while points.peek().is_some() {
            while let Some(point) = points.next_if(|point| point.at_ns <= at_ns) {
                latest = Some(point);
            }
            sampled.extend(latest.map(|point| LoadPoint { at_ns, ..point }));
            let Some(next) = at_ns.checked_add(step_ns.max(1)) else { break };
            at_ns = next;
        }
        self.timeline = sampled;
    }
}

/// The sum of two timelines, each taken as a function that keeps the value of its last point, and is 0 before the first.
fn sum_of_steps(a: &[LoadPoint], b: &[LoadPoint]) -> Vec<LoadPoint> {
    let mut sum = Vec::with_capacity(a.len() + b.len());
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    let (mut at_a, mut at_b) = (LoadPoint::default(), LoadPoint::default());
    while let Some(at_ns) = earlier(a.peek().map(|p| p.at_ns), b.peek().map(|p| p.at_ns)) {
        while let Some(point) = a.next_if(|p| p.at_ns == at_ns) {
            at_a = *point;
        }
        while let Some(point) = b.next_if(|p| p.at_ns == at_ns) {
            at_b = *point;
        }
        sum.push(LoadPoint { at_ns, ..at_a.plus(&at_b) });
    }
    sum
}

/// The smaller of two instants, of which either may be missing.
fn earlier(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests;
