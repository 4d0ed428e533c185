//! A listener's accept queue over time: when it was full, and when it was drained again. Pure.

use brimful_evidence::record::ListenerEvidence;
use brimful_evidence::series::Series;

use super::spans::{Span, fullest, interval_ns, known, max_between, min_between, spans_where};

/// A queue counts as drained at a tenth of its limit: what waits then is what came since the last `accept`, not a remainder.
const DRAINED_FRACTION: u64 = 10;

/// And never above this many: an acceptor takes so many in well under a millisecond, while a tenth of a large limit may be thousands that wait.
const DRAINED_AT_MOST: u64 = 32;

/// The accept queue the probe has to pass.
pub struct Queue<'a> {
    /// Its address and port, as the evidence names it.
    pub name: &'a str,
    /// Connections waiting (`Recv-Q`).
    pub recv_q: &'a Series,
    /// The limit in force (`Send-Q`).
    pub limit: &'a Series,
    /// Drops of any kind at this listener; `None` where they could not be read.
    pub drops: Option<&'a Series>,
    /// Mean time between two readings, in nanoseconds.
    pub(crate) interval_ns: u64,
    /// When it was seen full: `Recv-Q > Send-Q`, that is limit + 1 (`sk_acceptq_is_full`, include/net/sock.h).
    pub(crate) full: Vec<Span>,
    /// When it was not drained, for those stretches in which it was full at least once.
    pub(crate) backed_up: Vec<Span>,
}

impl<'a> Queue<'a> {
    /// The queue of a listener that was there for `listened_ns` of the time until `end_ns`; `None` when `Recv-Q` or its limit was never read.
    pub(crate) fn of(name: &'a str, evidence: &'a ListenerEvidence, end_ns: u64, listened_ns: u64) -> Option<Self> {
        let (recv_q, limit) = (known(&evidence.recv_q)?, known(&evidence.limit)?);
        let full = spans_where(&[recv_q, limit], end_ns, |t| recv_q.at(t) > limit.at(t));
        let mut backed_up =
            spans_where(&[recv_q, limit], end_ns, |t| recv_q.at(t) > drained_at(limit.at(t)).min(limit.at(t)));
        backed_up.retain(|span| full.iter().any(|f| f.overlaps(span.from_ns, span.to_ns)));
        let interval_ns = interval_ns(recv_q, listened_ns);
        Some(Self { name, recv_q, limit, drops: known(&evidence.drops), interval_ns, full, backed_up })
    }

    /// Whether it was seen full within one reading of an instant.
    pub(crate) fn seen_full_near(&self, at_ns: u64) -> bool {
        let (from, to) = self.around(at_ns);
        self.full.iter().any(|span| span.overlaps(from, to))
    }

    /// Whether the listener dropped anything within one reading of an instant; `None` where drops could not be read.
    pub(crate) fn dropped_near(&self, at_ns: u64) -> Option<bool> {
        let (from, to) = self.around(at_ns);
        self.drops.map(|drops| drops.at(to) > drops.at(from))
    }

    /// The stretch around an instant in which it was backed up.
    pub(crate) fn backed_up_near(&self, at_ns: u64) -> Option<Span> {
        let (from, to) = self.around(at_ns);
        self.backed_up.iter().copied().find(|span| span.overlaps(from, to))
    }

    /// Whether it was seen drained at some reading of `from..=to`.
    pub(crate) fn drained_between(&self, from_ns: u64, to_ns: u64) -> bool {
        min_between(self.recv_q, from_ns, to_ns) <= drained_at(self.limit.at(to_ns))
    }

    /// How many may wait at an instant for the queue to count as drained.
    pub(crate) fn drained_mark(&self, at_ns: u64) -> u64 {
        drained_at(self.limit.at(at_ns))
    }

    /// The most that waited at any instant of `from..=to`.
    pub(crate) fn most_between(&self, from_ns: u64, to_ns: u64) -> u64 {
        max_between(self.recv_q, from_ns, to_ns)
    }

    /// Whether it was read often enough to tell a pause from a standstill within `budget_ns`: three readings, so that a
    /// drained moment of a third of the budget is not missed.
    pub(crate) fn read_often_enough(&self, budget_ns: u64) -> bool {
        self.interval_ns.saturating_mul(3) <= budget_ns
    }

    /// Its fullest, as `129 of 128`.
    pub(crate) fn fullest(&self) -> String {
        fullest(self.recv_q, self.limit)
    }

    fn around(&self, at_ns: u64) -> (u64, u64) {
        (at_ns.saturating_sub(self.interval_ns), at_ns.saturating_add(self.interval_ns))
    }
}

fn drained_at(limit: u64) -> u64 {
    (limit / DRAINED_FRACTION).min(DRAINED_AT_MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// Read ten times a second; full for 0.6 s of every second.
    fn pausing() -> ListenerEvidence {
        let mut e = ListenerEvidence::default();
        for i in 0..50_u64 {
            let t = i * SECOND / 10;
            e.recv_q.push(t, if (1..8).contains(&(i % 10)) { 129 } else { 2 });
            e.limit.push(t, 128);
        }
        e
    }

    #[test]
    fn a_queue_of_128_is_full_at_129() {
        let mut e = pausing();
        assert_eq!(Queue::of("l", &e, 5 * SECOND, 5 * SECOND).unwrap().full.len(), 5);
        e.limit = Series { first: 129, last: 129, max: 129, reads: 50, points: vec![(0, 129)] };
        assert!(Queue::of("l", &e, 5 * SECOND, 5 * SECOND).unwrap().full.is_empty());
    }

    #[test]
    fn it_is_drained_between_its_pauses() {
        let e = pausing();
        let queue = Queue::of("l", &e, 5 * SECOND, 5 * SECOND).unwrap();
        assert_eq!(queue.backed_up_near(SECOND / 2).map(Span::len_ns), Some(7 * SECOND / 10));
        assert!(queue.drained_between(SECOND / 5, SECOND) && !queue.drained_between(SECOND / 5, SECOND / 2));
        assert!(queue.read_often_enough(SECOND) && !queue.read_often_enough(SECOND / 10));
    }

    #[test]
    fn who_was_away_was_read_as_often_while_there() {
        let e = pausing();
        let often = |listened: u64| Queue::of("l", &e, 20 * SECOND, listened).unwrap().read_often_enough(SECOND);
        assert!(often(5 * SECOND) && !often(20 * SECOND));
    }

    #[test]
    fn a_tenth_of_a_large_limit_is_not_drained() {
        assert_eq!([0, 12, 32], [4, 128, 131_072].map(drained_at));
    }

    #[test]
    fn what_was_never_read_is_no_queue() {
        assert!(Queue::of("l", &ListenerEvidence::default(), SECOND, SECOND).is_none());
    }
}
