//! Which half-open connections are to be begun anew, and when. Pure; instants are handed in.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, TryReserveError};

/// How often the connections of a half-open load are begun anew at most, on the average over a shard: at the fastest
/// pace of one a second, a server that refuses at once keeps the load busy for ten minutes; with `tcp_syn_retries = 1`
/// (3 s each) it lasts half an hour, at the default (over two minutes each) most of a day. Beyond it nothing is begun
/// any more, and `pending` falls.
pub const RENEWALS_EACH: u64 = 600;

/// The least time between two beginnings of the same connection. A handshake given up after retransmissions has lasted
/// longer than that and is begun anew at once; one refused at once would otherwise become a flood.
const INTERVAL_NS: u64 = 1_000_000_000;

/// The half-open connections, and those of them that wait to be begun anew.
#[derive(Debug)]
pub(super) struct Renewals {
    /// The number, within the shard, of the connection that a descriptor serves: 8 bytes a connection.
    numbers: Vec<u64>,
    /// The instant and the number of each that waits, the earliest on top.
    waiting: BinaryHeap<Reverse<(u64, u64)>>,
    left: u64,
}

impl Renewals {
    /// For `connections` connections on descriptors below `room`; it grows beyond that if it must.
    ///
    /// # Errors
    /// When memory does not suffice.
    pub(super) fn new(connections: u64, room: usize) -> Result<Self, TryReserveError> {
        let mut numbers = Vec::new();
        numbers.try_reserve_exact(room)?;
        Ok(Self { numbers, waiting: BinaryHeap::new(), left: connections.saturating_mul(RENEWALS_EACH) })
    }

    /// Connection `number` is in its handshake on descriptor `at`.
    pub(super) fn begun(&mut self, at: usize, number: u64) {
        if at >= self.numbers.len() {
            self.numbers.resize(at.saturating_add(1), 0);
        }
        if let Some(slot) = self.numbers.get_mut(at) {
            *slot = number;
        }
    }

    /// The connection that was last begun on descriptor `at`.
    pub(super) fn number(&self, at: usize) -> Option<u64> {
        self.numbers.get(at).copied()
    }

    /// Connection `number`, begun at `started_ns`, has failed by `now_ns`. It is begun anew now or a second after it
    /// was last begun, whichever is later; never, once [`RENEWALS_EACH`] is used up.
    pub(super) fn given_up(&mut self, number: u64, started_ns: u64, now_ns: u64) {
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            self.waiting.push(Reverse((started_ns.saturating_add(INTERVAL_NS).max(now_ns), number)));
        }
    }

    /// When the next one is to be begun, in nanoseconds of the common clock; `u64::MAX` when none waits.
    pub(super) fn next_ns(&self) -> u64 {
        self.waiting.peek().map_or(u64::MAX, |Reverse((due_ns, _))| *due_ns)
    }

    /// Takes out the connection that is to be begun by `now_ns`, if there is one.
    pub(super) fn take_due(&mut self, now_ns: u64) -> Option<u64> {
        if self.next_ns() > now_ns {
            return None;
        }
        self.waiting.pop().map(|Reverse((_, number))| number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn none_is_begun_twice_within_a_second_nor_waits_longer_than_that(
            failures in proptest::collection::vec((0_u64..8, 0_u64..300_000_000), 0..300),
        ) {
            let mut renewals = Renewals::new(8, 0).unwrap();
            // When each was begun last, and whether it is under way.
            let mut begun = [(0_u64, true); 8];
            let mut now_ns = 0;
            for (number, pause_ns) in failures {
                now_ns += pause_ns;
                let (started_ns, under_way) = begun[number as usize];
                if under_way {
                    renewals.given_up(number, started_ns, now_ns);
                    begun[number as usize].1 = false;
                }
                while let Some(again) = renewals.take_due(now_ns) {
                    let (started_ns, under_way) = begun[again as usize];
                    prop_assert!(!under_way && now_ns - started_ns >= INTERVAL_NS);
                    begun[again as usize] = (now_ns, true);
                }
                prop_assert!(renewals.next_ns() > now_ns);
                // Whoever still waits does so for its second to be over.
                let waiting = begun.iter().filter(|(_, under_way)| !under_way);
                prop_assert!(waiting.clone().all(|(started_ns, _)| now_ns - started_ns < INTERVAL_NS));
                prop_assert_eq!(waiting.count(), renewals.waiting.len());
            }
        }
    }

    #[test]
    fn what_lasted_longer_than_a_second_is_begun_anew_at_once() {
        let mut renewals = Renewals::new(2, 0).unwrap();
        renewals.given_up(1, 5, 3 * INTERVAL_NS);
        renewals.given_up(0, 3 * INTERVAL_NS, 3 * INTERVAL_NS);
        assert_eq!((renewals.take_due(3 * INTERVAL_NS), renewals.next_ns()), (Some(1), 4 * INTERVAL_NS));
    }

    #[test]
    fn renewals_come_to_an_end() {
        let mut renewals = Renewals::new(1, 0).unwrap();
        let begun = (0..2 * RENEWALS_EACH).filter(|second| {
            let now_ns = second * INTERVAL_NS;
            renewals.given_up(0, now_ns, now_ns);
            renewals.take_due(now_ns + INTERVAL_NS).is_some()
        });
        assert_eq!(begun.count() as u64, RENEWALS_EACH);
        assert_eq!(renewals.next_ns(), u64::MAX);
    }

    #[test]
    fn a_descriptor_knows_whom_it_serves() {
        let mut renewals = Renewals::new(9, 2).unwrap();
        assert_eq!(renewals.number(7), None);
        renewals.begun(7, 3);
        renewals.begun(7, 4);
        assert_eq!(renewals.number(7), Some(4));
        assert!(Renewals::new(1, usize::MAX).is_err());
    }
}
