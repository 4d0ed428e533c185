//! The books of one shard: what happened to its connections so far. Pure; instants are handed in.

use brimful_loadgen_plan::outcome::{LoadOutcome, LoadPoint, Phase};
use brimful_loadgen_plan::pace::Busiest;
use brimful_target::errno;

use super::exchange::Answered;
use super::timeline::Timeline;

/// Counts of a running shard. All instants are nanoseconds since the start of the cell.
#[derive(Debug)]
pub(super) struct Tally {
    outcome: LoadOutcome,
    failed: u64,
    timeline: Timeline,
    busiest: Busiest,
}

impl Tally {
    /// The books of a shard that is to open `requested` connections.
    pub(super) fn new(requested: u64) -> Self {
        let outcome = LoadOutcome { requested, ..LoadOutcome::default() };
        Self { outcome, failed: 0, timeline: Timeline::new(), busiest: Busiest::default() }
    }

    /// An attempt was begun at `at_ns`; it is pending until it is established or refused.
    pub(super) fn attempted(&mut self, at_ns: u64, late_ns: Option<u64>) {
        self.outcome.attempted += 1;
        self.outcome.pending += 1;
        self.busiest.event(at_ns);
        self.outcome.first_attempt_ns.get_or_insert(at_ns);
        self.outcome.last_attempt_ns = Some(at_ns);
        if let Some(late_ns) = late_ns {
            self.outcome.lag.record(late_ns);
        }
    }

    /// A connection that had failed was begun anew; it is pending again.
    pub(super) fn renewed(&mut self) {
        self.outcome.renewed += 1;
        self.outcome.pending += 1;
    }

    /// A connection that was away is begun anew; it is pending again.
    pub(super) fn comes_back(&mut self) {
        self.outcome.reconnects.attempted += 1;
        self.outcome.pending += 1;
    }

    /// A pending connection that was away was completed: `away_ns` after its loss, `took_ns` after its `connect(2)`.
    pub(super) fn is_back(&mut self, away_ns: u64, took_ns: u64) {
        self.outcome.pending -= 1;
        self.outcome.established += 1;
        self.outcome.held += 1;
        self.outcome.connect_latency.record(took_ns);
        self.outcome.reconnects.back += 1;
        self.outcome.back_latency.record(away_ns);
    }

    /// A connection failed too often in a row to be begun again.
    pub(super) fn given_up(&mut self) {
        self.outcome.reconnects.given_up += 1;
    }

    /// A heartbeat was sent, so long after its intended instant.
    pub(super) fn beat(&mut self, late_ns: u64) {
        self.outcome.heartbeats.sent += 1;
        self.outcome.heartbeat_lag.record(late_ns);
    }

    /// A heartbeat was answered.
    pub(super) fn beat_answered(&mut self, answered: Answered) {
        let beats = &mut self.outcome.heartbeats;
        beats.answered += 1;
        beats.late += u64::from(answered.late);
        beats.bad_status += u64::from(!answered.fine);
        self.outcome.heartbeat_latency.record(answered.took_ns);
    }

    /// A heartbeat was due while the last one had no answer.
    pub(super) fn beat_missed(&mut self) {
        self.outcome.heartbeats.missed += 1;
    }

    /// A heartbeat was not taken by its socket.
    pub(super) fn beat_refused(&mut self) {
        self.outcome.heartbeats.refused += 1;
    }

    /// A connection ended before the answer to its heartbeat.
    pub(super) fn beat_broken(&mut self) {
        self.outcome.heartbeats.broken += 1;
    }

    /// A slow reader has read so many bytes.
    pub(super) fn read(&mut self, bytes: usize) {
        self.outcome.read_bytes = self.outcome.read_bytes.saturating_add(bytes as u64);
    }

    /// A pending connection was completed at `at_ns`, `took_ns` after its `connect(2)`.
    pub(super) fn established(&mut self, at_ns: u64, took_ns: u64) {
        self.outcome.pending -= 1;
        self.outcome.established += 1;
        self.outcome.held += 1;
        self.outcome.connect_latency.record(took_ns);
        self.outcome.last_established_ns = Some(at_ns);
    }

    /// A pending connection failed on the way, in any phase before [`Phase::Hold`].
    pub(super) fn refused(&mut self, phase: Phase, errno: i32) {
        self.outcome.pending -= 1;
        self.failed += 1;
        self.outcome.add_failure(phase, &errno::name(errno), 1);
    }

    /// A held connection was ended by the peer: by a reset or another errno, or in good order (`None`).
    pub(super) fn lost(&mut self, errno: Option<i32>) {
        self.outcome.held -= 1;
        self.failed += 1;
        self.outcome.add_failure(Phase::Hold, errno.map(errno::name).as_deref().unwrap_or("EOF"), 1);
    }

    /// A held connection was closed by us, its time being over or in a storm.
    pub(super) fn closed(&mut self) {
        self.outcome.held -= 1;
        self.outcome.closed += 1;
    }

    /// How many connections are in their handshake.
    pub(super) fn pending(&self) -> u64 {
        self.outcome.pending
    }

    /// How many connections are held or in their handshake.
    pub(super) fn open(&self) -> u64 {
        self.outcome.held + self.outcome.pending
    }

    /// When the next point of the timeline is due.
    pub(super) fn next_point_ns(&self) -> u64 {
        self.timeline.next_ns()
    }

    /// Takes a point of the timeline.
    pub(super) fn take_point(&mut self, at_ns: u64) -> LoadPoint {
        let point = self.point(at_ns);
        self.timeline.take(point);
        point
    }

    /// Closes the books at the end of the load; the last point of the timeline is the state at `at_ns`.
    pub(super) fn close(self, at_ns: u64) -> (LoadOutcome, LoadPoint) {
        let end = self.point(at_ns);
        let timeline = self.timeline.close(end);
        (LoadOutcome { timeline, busiest_10ms: self.busiest.most(), ..self.outcome }, end)
    }

    fn point(&self, at_ns: u64) -> LoadPoint {
        let LoadOutcome { attempted, established, held, pending, .. } = self.outcome;
        LoadPoint { at_ns, attempted, established, held, failed: self.failed, pending }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attempt_is_pending_held_closed_or_failed() {
        let mut tally = Tally::new(5);
        for at in 0..5 {
            tally.attempted(at, Some(at));
        }
        tally.established(9, 5);
        tally.established(10, 3);
        tally.established(11, 4);
        tally.refused(Phase::Connect, 111);
        tally.renewed();
        tally.refused(Phase::Connect, 111);
        tally.lost(None);
        tally.closed();
        let point = tally.take_point(100);
        assert_eq!(point, LoadPoint { at_ns: 100, attempted: 5, established: 3, held: 1, failed: 3, pending: 1 });
        assert_eq!((tally.open(), tally.pending()), (2, 1));
        let (outcome, end) = tally.close(120);
        assert_eq!((outcome.pending, outcome.held, outcome.closed, outcome.renewed), (1, 1, 1, 1));
        assert_eq!(outcome.attempted + outcome.renewed, outcome.pending + outcome.held + outcome.closed + end.failed);
        assert_eq!((outcome.first_attempt_ns, outcome.last_attempt_ns), (Some(0), Some(4)));
        assert_eq!(outcome.last_established_ns, Some(11));
        assert_eq!((outcome.lag.count(), outcome.connect_latency.count()), (5, 3));
        let kinds: Vec<_> = outcome.failures.iter().map(|f| (f.phase, f.errno.as_str(), f.count)).collect();
        assert_eq!(kinds, [(Phase::Connect, "ECONNREFUSED", 2), (Phase::Hold, "EOF", 1)]);
        assert_eq!(outcome.timeline, [point, end]);
    }
}
