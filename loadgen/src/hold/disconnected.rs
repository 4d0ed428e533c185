//! Connections that are gone and are to come back: after which pause each is begun anew. Pure; instants are handed in.
//!
//! A connection that is there costs nothing here. One that is away, or in a handshake that may have to be repeated, has an
//! entry; that is bounded by the number of connections.

use std::collections::{HashMap, TryReserveError};
use std::net::SocketAddr;
use std::time::Duration;

use brimful_loadgen_plan::plan::{Comeback, Policy};
use brimful_loadgen_plan::seeded::Seeded;

use super::wheel::Wheel;

/// How often a connection is begun anew in a row before it is given up: with the longest pause of 30 s that is most of an
/// hour, and with the shortest of 1 ms a server that refuses at once is not asked for ever.
pub const TRIES_MOST: u32 = 100;

/// A connection that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Absent {
    /// Where it goes.
    pub(super) destination: SocketAddr,
    /// When it was lost, or first failed, in nanoseconds of the common clock.
    pub(super) since_ns: u64,
    /// How often it has been begun anew since.
    pub(super) tries: u32,
}

/// All connections of a shard that are away.
#[derive(Debug)]
pub(super) struct Away {
    comeback: Comeback,
    chance: Seeded,
    wheel: Wheel,
    waiting: Vec<Option<Absent>>,
    free: Vec<u32>,
    /// Those in their handshake, by descriptor; one that never was away has not been tried anew.
    under_way: HashMap<usize, Absent>,
}

impl Away {
    /// For a load whose connections come back, `None` for one whose do not; `number` makes a sequence of chance of its own.
    ///
    /// # Errors
    /// When memory does not suffice.
    pub(super) fn new(
        comeback: Comeback,
        (seed, number): (u64, u64),
        now_ns: u64,
    ) -> Result<Option<Self>, TryReserveError> {
        if comeback.policy == Policy::None && comeback.storm.is_none() {
            return Ok(None);
        }
        Ok(Some(Self {
            comeback,
            chance: Seeded::stream(seed, number),
            wheel: Wheel::new(now_ns, 0)?,
            waiting: Vec::new(),
            free: Vec::new(),
            under_way: HashMap::new(),
        }))
    }

    /// A connection was lost, or its handshake failed. It waits for its next try; `false` when there will be none.
    pub(super) fn leaves(&mut self, absent: Absent, now_ns: u64) -> bool {
        if self.comeback.policy == Policy::None || absent.tries >= TRIES_MOST {
            return false;
        }
        let pause = pause(&self.comeback, absent.tries + 1, &mut self.chance);
        self.wait(absent, now_ns.saturating_add(u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX)));
        true
    }

    /// A connection that was closed on purpose comes back at once.
    pub(super) fn storms(&mut self, destination: SocketAddr, now_ns: u64) {
        self.wait(Absent { destination, since_ns: now_ns, tries: 0 }, now_ns);
    }

    fn wait(&mut self, absent: Absent, due_ns: u64) {
        let place = match self.free.pop() {
            Some(place) => place,
            // A shard has far fewer connections than 2^32.
            None => u32::try_from(self.waiting.len()).unwrap_or(u32::MAX),
        };
        match self.waiting.get_mut(place as usize) {
            Some(free) => *free = Some(absent),
            None => self.waiting.push(Some(absent)),
        }
        self.wheel.set(place, due_ns);
    }

    /// When the next one may be due, in nanoseconds of the common clock; `u64::MAX` when none waits.
    pub(super) fn next_ns(&self) -> u64 {
        self.wheel.next_ns()
    }

    /// Takes out one that is to be begun by `now_ns`, this try counted.
    pub(super) fn take_due(&mut self, now_ns: u64) -> Option<Absent> {
        let place = self.wheel.take_due(now_ns)?;
        self.free.push(place);
        let absent = self.waiting.get_mut(place as usize)?.take()?;
        Some(Absent { tries: absent.tries + 1, ..absent })
    }

    /// It is in its handshake on descriptor `at`.
    pub(super) fn begun(&mut self, at: usize, absent: Absent) {
        self.under_way.insert(at, absent);
    }

    /// The handshake on descriptor `at` is over, one way or the other.
    pub(super) fn settled(&mut self, at: usize) -> Option<Absent> {
        self.under_way.remove(&at)
    }
}

/// How long the `try_number`th try in a row (from 1) waits.
fn pause(comeback: &Comeback, try_number: u32, chance: &mut Seeded) -> Duration {
    let Comeback { base, cap, .. } = *comeback;
    let doubled = || base.saturating_mul(1_u32.checked_shl(try_number - 1).unwrap_or(u32::MAX)).min(cap);
    match comeback.policy {
        Policy::None => Duration::ZERO,
        Policy::Linear => base.saturating_mul(try_number).min(cap),
        Policy::Exponential => doubled(),
        Policy::Jittered => doubled().mul_f64(chance.unit()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: u64 = 1_000_000;

    fn comeback(policy: Policy) -> Comeback {
        Comeback { policy, base: Duration::from_millis(100), cap: Duration::from_secs(1), storm: None }
    }

    fn absent() -> Absent {
        Absent { destination: ([127, 0, 0, 1], 80).into(), since_ns: 0, tries: 0 }
    }

    #[test]
    fn pauses_grow_as_the_policy_says_and_stop_at_the_cap() {
        let pauses = |policy| -> Vec<u128> {
            (1..=6).map(|n| pause(&comeback(policy), n, &mut Seeded::new(1)).as_millis()).collect()
        };
        assert_eq!(pauses(Policy::Linear), [100, 200, 300, 400, 500, 600]);
        assert_eq!(pauses(Policy::Exponential), [100, 200, 400, 800, 1_000, 1_000]);
        assert_eq!(pause(&comeback(Policy::Exponential), TRIES_MOST, &mut Seeded::new(1)), Duration::from_secs(1));
    }

    #[test]
    fn one_that_never_succeeds_is_given_up() {
        let mut away = Away::new(comeback(Policy::Exponential), (1, 2), 0).unwrap().unwrap();
        let (mut gone, mut tries, mut now_ns) = (absent(), 0, 0);
        while away.leaves(gone, now_ns) {
            now_ns = away.next_ns();
            gone = away.take_due(now_ns).unwrap();
            tries += 1;
        }
        assert_eq!((tries, gone.tries, gone.since_ns), (TRIES_MOST, TRIES_MOST, 0));
        assert_eq!(away.next_ns(), u64::MAX);
    }

    #[test]
    fn without_a_policy_only_a_storm_brings_them_back() {
        assert!(Away::new(Comeback::default(), (0, 0), 0).unwrap().is_none());
        let storm = Some(brimful_loadgen_plan::plan::Storm { at: Duration::ZERO, share_percent: 100 });
        let mut away = Away::new(Comeback { storm, ..Comeback::default() }, (0, 0), 0).unwrap().unwrap();
        assert!(!away.leaves(absent(), 0));
        away.storms(absent().destination, 5 * MS);
        let back = away.take_due(6 * MS).unwrap();
        assert_eq!((back.since_ns, back.tries), (5 * MS, 1));
        away.begun(9, back);
        assert_eq!((away.settled(9), away.settled(9)), (Some(back), None));
    }

    proptest! {
        #[test]
        fn jitter_stays_below_the_pause_it_spreads(seed: u64, try_number in 1_u32..40) {
            let mut chance = Seeded::new(seed);
            let jittered = pause(&comeback(Policy::Jittered), try_number, &mut chance);
            prop_assert!(jittered <= pause(&comeback(Policy::Exponential), try_number, &mut chance));
        }

        #[test]
        fn whoever_waits_comes_back_once_and_not_early(seed: u64, lost in proptest::collection::vec(0_u64..5_000 * MS, 1..60)) {
            let mut away = Away::new(comeback(Policy::Jittered), (seed, 0), 0).unwrap().unwrap();
            let mut lost = lost;
            lost.sort_unstable();
            let mut back = 0;
            for since_ns in lost.iter().copied() {
                while away.next_ns() <= since_ns {
                    let now_ns = away.next_ns();
                    while let Some(gone) = away.take_due(now_ns) {
                        prop_assert!(gone.since_ns <= now_ns && now_ns <= gone.since_ns + 102 * MS);
                        back += 1;
                    }
                }
                // The loop has looked up to now, as a shard does.
                while away.take_due(since_ns).is_some() { back += 1; }
                away.leaves(Absent { since_ns, ..absent() }, since_ns);
            }
            while away.next_ns() != u64::MAX {
                let now_ns = away.next_ns();
                while away.take_due(now_ns).is_some() { back += 1; }
            }
            prop_assert_eq!(back, lost.len());
        }
    }
}
