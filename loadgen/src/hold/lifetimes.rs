//! Which churning connection is to be closed next, and when. Pure; instants are handed in.
//!
//! All live equally long, so the order in which they were established is the order in which they end, and no heap is
//! needed: a doubly linked ring through the descriptor numbers, with 16 bytes each. A plain queue would be as small,
//! but could not forget a connection that the peer has closed, and its descriptor number is soon another's.

use std::collections::TryReserveError;
use std::time::Duration;

/// The open connections in the order of their ends.
#[derive(Debug)]
pub(super) struct Lifetimes {
    lifetime_ns: u64,
    /// The link of descriptor `d` is at `d + 1`; the one at 0 is the anchor, between the newest and the oldest. One
    /// that is not in the ring points to itself, so taking it out once more changes nothing.
    links: Vec<Link>,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    due_ns: u64,
    before: u32,
    after: u32,
}

impl Lifetimes {
    /// A ring with room for descriptors below `room`; it grows beyond that if it must.
    ///
    /// # Errors
    /// When memory does not suffice.
    pub(super) fn new(lifetime: Duration, room: usize) -> Result<Self, TryReserveError> {
        let mut links = Vec::new();
        links.try_reserve_exact(room.saturating_add(1))?;
        links.push(Link { due_ns: u64::MAX, before: 0, after: 0 });
        Ok(Self { lifetime_ns: u64::try_from(lifetime.as_nanos()).unwrap_or(u64::MAX), links })
    }

    /// Descriptor `at` was established at `now_ns`, not before any that came earlier, and lives from then on.
    pub(super) fn begin(&mut self, at: usize, now_ns: u64) {
        // A descriptor number is an int that is not negative (`open(2)`), so there is always a slot.
        let Some(slot) = u32::try_from(at).ok().and_then(|at| at.checked_add(1)) else { return };
        while let Some(new) = u32::try_from(self.links.len()).ok().filter(|&new| new <= slot) {
            self.links.push(Link { due_ns: u64::MAX, before: new, after: new });
        }
        self.take_out(slot);
        let newest = self.link(0).before;
        if let Some(link) = self.links.get_mut(slot as usize) {
            link.due_ns = now_ns.saturating_add(self.lifetime_ns);
        }
        self.join(newest, slot);
        self.join(slot, 0);
    }

    /// Descriptor `at` is closed; nothing changes for one that is not in the ring.
    pub(super) fn end(&mut self, at: usize) {
        if let Some(slot) = u32::try_from(at).ok().and_then(|at| at.checked_add(1)) {
            self.take_out(slot);
        }
    }

    /// When the next one is to be closed, in nanoseconds of the common clock; `u64::MAX` when none is open.
    pub(super) fn next_ns(&self) -> u64 {
        self.link(self.link(0).after).due_ns
    }

    /// The descriptor that is to be closed by `now_ns`, the oldest if there are several. It stays until [`Self::end`].
    pub(super) fn due(&self, now_ns: u64) -> Option<usize> {
        let oldest = self.link(0).after;
        // The anchor itself when none is open.
        let at = oldest.checked_sub(1)?;
        (self.link(oldest).due_ns <= now_ns).then_some(at as usize)
    }

    fn take_out(&mut self, slot: u32) {
        let Link { before, after, .. } = self.link(slot);
        self.join(before, after);
        self.join(slot, slot);
    }

    /// A copy of a link; what is beyond the ring is out of it, and so points to itself.
    fn link(&self, slot: u32) -> Link {
        self.links.get(slot as usize).copied().unwrap_or(Link { due_ns: u64::MAX, before: slot, after: slot })
    }

    fn join(&mut self, before: u32, after: u32) {
        if let Some(link) = self.links.get_mut(before as usize) {
            link.after = after;
        }
        if let Some(link) = self.links.get_mut(after as usize) {
            link.before = before;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    /// What happens next: descriptor 0 to 15 is established or closed by its peer, or time goes by.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Begin(usize),
        End(usize),
        Pass(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0_usize..16).prop_map(Step::Begin),
            (0_usize..16).prop_map(Step::End),
            (0_u64..40).prop_map(Step::Pass),
        ]
    }

    proptest! {
        #[test]
        fn each_is_due_after_its_lifetime_in_order_and_a_closed_one_never(steps in proptest::collection::vec(step(), 0..200)) {
            const LIFETIME_NS: u64 = 100;
            let mut ring = Lifetimes::new(Duration::from_nanos(LIFETIME_NS), 4).unwrap();
            let mut model: VecDeque<(u64, usize)> = VecDeque::new();
            let mut now_ns = 0;
            for step in steps {
                match step {
                    Step::Begin(at) => {
                        model.retain(|&(_, open)| open != at);
                        model.push_back((now_ns + LIFETIME_NS, at));
                        ring.begin(at, now_ns);
                    }
                    Step::End(at) => {
                        model.retain(|&(_, open)| open != at);
                        ring.end(at);
                    }
                    Step::Pass(ns) => now_ns += ns,
                }
                while let Some(at) = ring.due(now_ns) {
                    let first = model.pop_front();
                    prop_assert!(first.is_some_and(|(due_ns, open)| due_ns <= now_ns && open == at));
                    ring.end(at);
                }
                prop_assert_eq!(ring.next_ns(), model.front().map_or(u64::MAX, |&(due_ns, _)| due_ns));
                prop_assert!(ring.next_ns() > now_ns);
            }
        }
    }

    #[test]
    fn an_open_connection_costs_sixteen_bytes_and_a_lifetime_may_be_for_ever() {
        assert_eq!(size_of::<Link>(), 16);
        let mut ring = Lifetimes::new(Duration::MAX, 0).unwrap();
        ring.begin(3, 5);
        assert_eq!((ring.next_ns(), ring.due(u64::MAX - 1)), (u64::MAX, None));
        ring.end(1_000);
        assert!(Lifetimes::new(Duration::MAX, usize::MAX).is_err());
    }
}
