//! Many timers for the price of a few: a hashed timer wheel (Varghese and Lauck, *Hashed and Hierarchical Timing Wheels*,
//! SOSP 1987). Pure; instants are handed in.
//!
//! Setting, cancelling and taking a timer cost the same whatever else is set. A timer never fires before its instant,
//! and at most one tick after it or after it was set, whichever is later. Whoever has no timer costs nothing here.

use std::collections::TryReserveError;

/// How finely a wheel tells instants apart, in nanoseconds: a tenth of the shortest interval of a heartbeat.
pub(super) const TICK_NS: u64 = 1_000_000;

/// Slots of a wheel, a power of two: 16 s of ticks, so that a timer of the usual ten seconds is met once. One that lies
/// further ahead is passed over once each turn. 64 KiB and a bitmap of 2 KiB for a shard that has timers at all.
const SLOTS: usize = 16_384;
const MASK: u64 = SLOTS as u64 - 1;

/// No timer.
const NONE: u32 = u32::MAX;

/// Timers with numbers from 0 up; each is set or not.
#[derive(Debug)]
pub(super) struct Wheel {
    /// The first timer of each slot.
    first: Vec<u32>,
    /// A bit for each slot that has one.
    filled: Vec<u64>,
    timers: Vec<Timer>,
    /// The tick up to which everything was taken, and the timer of its slot that is looked at next.
    tick: u64,
    walk: u32,
    set: usize,
}

/// A timer: 16 bytes.
#[derive(Clone, Copy, Debug)]
struct Timer {
    /// When it fires, in ticks; `u64::MAX` while it is not set.
    due: u64,
    before: u32,
    after: u32,
}

const UNSET: Timer = Timer { due: u64::MAX, before: NONE, after: NONE };

impl Wheel {
    /// A wheel whose time begins at `now_ns`, with room for timers below `room`; it grows beyond that if it must.
    ///
    /// # Errors
    /// When memory does not suffice.
    pub(super) fn new(now_ns: u64, room: usize) -> Result<Self, TryReserveError> {
        let (mut first, mut filled, mut timers) = (Vec::new(), Vec::new(), Vec::new());
        first.try_reserve_exact(SLOTS)?;
        first.resize(SLOTS, NONE);
        filled.try_reserve_exact(SLOTS / 64)?;
        filled.resize(SLOTS / 64, 0);
        timers.try_reserve_exact(room)?;
        Ok(Self { first, filled, timers, tick: now_ns / TICK_NS, walk: NONE, set: 0 })
    }

    /// Sets timer `id` to an instant; one that was set before is moved there.
    pub(super) fn set(&mut self, id: u32, due_ns: u64) {
        self.cancel(id);
        let Ok(index) = usize::try_from(id) else { return };
        if index >= self.timers.len() {
            self.timers.resize(index.saturating_add(1), UNSET);
        }
        // Rounded up, so that it is never early; and behind what was taken already, so that it is met at all.
        let due = due_ns.div_ceil(TICK_NS).max(self.tick.saturating_add(1));
        let slot = slot_of(due);
        let after = self.first_of(slot);
        if let Some(timer) = self.timers.get_mut(index) {
            *timer = Timer { due, before: NONE, after };
        }
        self.point_back(after, id);
        self.begin_with(slot, id);
        self.set += 1;
    }

    /// Cancels timer `id`; nothing changes when it is not set.
    pub(super) fn cancel(&mut self, id: u32) {
        let Some(Timer { due, before, after }) = self.timer(id).filter(|timer| timer.due != u64::MAX) else { return };
        if self.walk == id {
            self.walk = after;
        }
        if before == NONE {
            self.begin_with(slot_of(due), after);
        } else if let Some(timer) = self.timer_mut(before) {
            timer.after = after;
        }
        self.point_back(after, before);
        if let Some(timer) = self.timer_mut(id) {
            *timer = UNSET;
        }
        self.set -= 1;
    }

    /// Takes out a timer whose instant has come by `now_ns`, if there is one. Time does not run backwards: an earlier
    /// `now_ns` than before finds nothing.
    pub(super) fn take_due(&mut self, now_ns: u64) -> Option<u32> {
        let now = now_ns / TICK_NS;
        // One turn meets every slot; whatever lies further back is in one of them.
        if now.saturating_sub(self.tick) > SLOTS as u64 {
            self.tick = now - SLOTS as u64;
            self.walk = NONE;
        }
        loop {
            while let Some(Timer { due, after, .. }) = self.timer(self.walk) {
                let id = self.walk;
                self.walk = after;
                if due <= now {
                    self.cancel(id);
                    return Some(id);
                }
            }
            let next = self.next_filled().min(now);
            if self.tick >= now {
                return None;
            }
            self.tick = next;
            self.walk = self.first_of(slot_of(next));
        }
    }

    /// When to look again, in nanoseconds of the common clock; `u64::MAX` when no timer is set. Nothing fires before it; it may
    /// be that nothing fires then either, once each turn for a timer that lies more than a turn ahead.
    pub(super) fn next_ns(&self) -> u64 {
        if self.set == 0 {
            return u64::MAX;
        }
        // In the middle of a slot there may be more that is due.
        let tick = if self.walk == NONE { self.next_filled() } else { self.tick };
        tick.saturating_mul(TICK_NS)
    }

    /// How many timers are set.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.set
    }

    /// The first tick after the present one whose slot has a timer; the present one a turn later when that is the only one,
    /// and `u64::MAX` when there is none.
    fn next_filled(&self) -> u64 {
        let from = self.tick.saturating_add(1);
        let start = slot_of(from);
        let words = self.filled.len();
        for step in 0..=words {
            let index = (start / 64 + step) % words;
            let mut word = self.filled.get(index).copied().unwrap_or(0);
            if step == 0 {
                word &= u64::MAX << (start % 64);
            }
            if word != 0 {
                let slot = index * 64 + word.trailing_zeros() as usize;
                return from.saturating_add((slot.wrapping_sub(start) as u64) & MASK);
            }
        }
        u64::MAX
    }

    fn timer(&self, id: u32) -> Option<Timer> {
        self.timers.get(usize::try_from(id).ok()?).copied()
    }

    fn timer_mut(&mut self, id: u32) -> Option<&mut Timer> {
        self.timers.get_mut(usize::try_from(id).ok()?)
    }

    fn first_of(&self, slot: usize) -> u32 {
        self.first.get(slot).copied().unwrap_or(NONE)
    }

    fn begin_with(&mut self, slot: usize, id: u32) {
        if let Some(first) = self.first.get_mut(slot) {
            *first = id;
        }
        if let Some(word) = self.filled.get_mut(slot / 64) {
            let bit = 1_u64 << (slot % 64);
            *word = if id == NONE { *word & !bit } else { *word | bit };
        }
    }

    fn point_back(&mut self, id: u32, before: u32) {
        if let Some(timer) = self.timer_mut(id) {
            timer.before = before;
        }
    }
}

fn slot_of(tick: u64) -> usize {
    // Below SLOTS, so it fits.
    usize::try_from(tick & MASK).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What happens next to one of eight timers, or time goes by.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Set(u32, u64),
        Cancel(u32),
        Pass(u64),
    }

    /// Mostly a few ticks, sometimes many turns of the wheel.
    fn span_ns() -> impl Strategy<Value = u64> {
        prop_oneof![0..5 * TICK_NS, (0_u64..100).prop_map(|ticks| ticks * TICK_NS), 0..3 * SLOTS as u64 * TICK_NS,]
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0_u32..8, span_ns()).prop_map(|(id, ahead)| Step::Set(id, ahead)),
            1 => (0_u32..8).prop_map(Step::Cancel),
            3 => span_ns().prop_map(Step::Pass),
        ]
    }

    proptest! {
        #[test]
        fn a_timer_is_never_early_and_at_most_one_tick_late(
            start_ns in 0..100 * SLOTS as u64 * TICK_NS,
            steps in proptest::collection::vec(step(), 0..120),
        ) {
            let mut wheel = Wheel::new(start_ns, 0).unwrap();
            // The instant of each, and the one at which it was set.
            let mut model: [Option<(u64, u64)>; 8] = [None; 8];
            let mut now_ns = start_ns;
            for step in steps {
                match step {
                    Step::Set(id, ahead) => {
                        // Some are set to an instant that is over.
                        let due_ns = (now_ns + ahead).saturating_sub(2 * TICK_NS);
                        wheel.set(id, due_ns);
                        model[id as usize] = Some((due_ns, now_ns));
                    }
                    Step::Cancel(id) => {
                        wheel.cancel(id);
                        model[id as usize] = None;
                    }
                    Step::Pass(ns) => now_ns += ns,
                }
                while let Some(id) = wheel.take_due(now_ns) {
                    let (due_ns, _) = model[id as usize].take().expect("it fired without being set");
                    prop_assert!(due_ns <= now_ns, "{due_ns} fired at {now_ns}");
                }
                for (due_ns, set_ns) in model.iter().flatten() {
                    let latest_ns = due_ns.max(set_ns) + TICK_NS;
                    prop_assert!(now_ns < latest_ns, "still waits at {now_ns}: {due_ns}");
                    // Whoever sleeps until then sleeps too long for nobody.
                    prop_assert!(wheel.next_ns() <= latest_ns);
                }
                prop_assert_eq!(wheel.len(), model.iter().flatten().count());
                prop_assert_eq!(wheel.next_ns() == u64::MAX, wheel.len() == 0);
                prop_assert!(wheel.next_ns() > now_ns);
            }
        }

        #[test]
        fn all_that_is_set_is_taken_once(dues in proptest::collection::vec(0..40 * SLOTS as u64 * TICK_NS, 0..300)) {
            let mut wheel = Wheel::new(0, dues.len()).unwrap();
            for (id, &due_ns) in (0_u32..).zip(&dues) {
                wheel.set(id, due_ns);
            }
            let mut taken = Vec::new();
            // As the loop of a shard does it: sleep until there may be something, take what there is.
            while wheel.next_ns() != u64::MAX {
                let now_ns = wheel.next_ns();
                while let Some(id) = wheel.take_due(now_ns) {
                    let due_ns = dues[id as usize];
                    prop_assert!(due_ns <= now_ns && now_ns < due_ns.max(1) + TICK_NS);
                    taken.push(id);
                }
            }
            taken.sort_unstable();
            prop_assert!(taken.into_iter().eq(0..dues.len() as u32));
        }
    }

    #[test]
    fn a_timer_costs_sixteen_bytes() {
        assert_eq!(size_of::<Timer>(), 16);
        assert!(Wheel::new(0, usize::MAX).is_err());
    }
}
