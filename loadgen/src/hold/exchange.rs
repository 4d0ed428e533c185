//! Which connections say something, and when: heartbeats and slow readers. Pure; instants are handed in.
//!
//! A connection that says nothing costs nothing here: no timer, no buffer, no entry. One that does costs
//! [`BYTES_PER_TALKER`] bytes and its entry in a map.

use std::collections::{HashMap, TryReserveError};
use std::time::Duration;

use brimful_loadgen_plan::plan::Behaviour;
use brimful_loadgen_plan::seeded::Seeded;

use super::answer::{Answer, Fed};
use super::wheel::Wheel;

/// User memory of one connection that talks, in bytes, besides its entry in a map of descriptors: what it waits for, and its timer.
pub const BYTES_PER_TALKER: usize = size_of::<Talker>() + 16;

/// How often a slow reader reads, unless its rate is below one byte in that time: often enough that its rate is even.
const READ_EVERY: Duration = Duration::from_millis(100);

/// What a talker does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It sends its request on descriptor `at`, this long after it meant to; [`Talk::asked`] is told of it.
    Ask {
        /// The descriptor.
        at: usize,
        /// Behind the intended instant, in nanoseconds.
        late_ns: u64,
    },
    /// It reads at most so many bytes from descriptor `at`.
    Read {
        /// The descriptor.
        at: usize,
        /// How many.
        bytes: usize,
    },
    /// Its next request would be due, and the last one has no answer: it does not send.
    Missed,
}

/// A request that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answered {
    /// From the sending to the last byte of the answer, in nanoseconds.
    pub(super) took_ns: u64,
    /// Whether that was longer than the time to the next request.
    pub(super) late: bool,
    /// Whether the status was 200 to 399.
    pub(super) fine: bool,
}

/// All connections of a shard that talk.
#[derive(Debug)]
pub(super) struct Talk {
    manner: Manner,
    /// From one timer to the next of the same connection.
    every_ns: u64,
    chance: Seeded,
    wheel: Wheel,
    talkers: Vec<Talker>,
    /// Places in `talkers` and in the wheel that nobody has.
    free: Vec<u32>,
    places: HashMap<usize, u32>,
}

#[derive(Clone, Copy, Debug)]
enum Manner {
    /// So many in a hundred send a request and read the answer at once.
    Beat { share: u32 },
    /// Each sends a request, and reads so many bytes at a time; 0 for never.
    Read { bytes: usize },
}

#[derive(Clone, Copy, Debug, Default)]
struct Talker {
    at: usize,
    /// When its next request is meant to be sent.
    intended_ns: u64,
    /// When the last one was; 0 when it has been answered, or there was none.
    sent_ns: u64,
    answer: Answer,
}

impl Talk {
    /// The talk of a behaviour, `None` for one that is silent; `number` makes a sequence of chance of its own.
    ///
    /// # Errors
    /// When memory does not suffice.
    pub(super) fn new(
        behaviour: Behaviour,
        (seed, number): (u64, u64),
        now_ns: u64,
    ) -> Result<Option<Self>, TryReserveError> {
        let (manner, every) = match behaviour {
            Behaviour::Heartbeat { interval, share_percent } => (Manner::Beat { share: share_percent }, interval),
            Behaviour::SlowReader { rate } => slow(rate),
            Behaviour::Idle | Behaviour::HalfOpen | Behaviour::Churn { .. } | Behaviour::Reconnect => return Ok(None),
        };
        Ok(Some(Self {
            manner,
            every_ns: u64::try_from(every.as_nanos()).unwrap_or(u64::MAX).max(1),
            chance: Seeded::stream(seed, number),
            wheel: Wheel::new(now_ns, 0)?,
            talkers: Vec::new(),
            free: Vec::new(),
            places: HashMap::new(),
        }))
    }

    /// Descriptor `at` was established at `now_ns`. Chance says whether it talks and, for a heartbeat, at which phase of the
    /// interval, so that connections opened together do not beat together.
    pub(super) fn begin(&mut self, at: usize, now_ns: u64) {
        let intended_ns = match self.manner {
            Manner::Beat { share } if self.chance.below(100) >= u64::from(share) => return,
            Manner::Beat { .. } => now_ns.saturating_add(self.chance.below(self.every_ns)),
            Manner::Read { .. } => now_ns,
        };
        self.end(at);
        let talker = Talker { at, intended_ns, ..Talker::default() };
        let place = match self.free.pop() {
            Some(place) => place,
            // A shard has far fewer connections than 2^32.
            None => u32::try_from(self.talkers.len()).unwrap_or(u32::MAX),
        };
        match self.talkers.get_mut(place as usize) {
            Some(free) => *free = talker,
            None => self.talkers.push(talker),
        }
        self.places.insert(at, place);
        self.wheel.set(place, intended_ns);
    }

    /// Descriptor `at` is closed. Says whether a request was without its answer.
    pub(super) fn end(&mut self, at: usize) -> bool {
        let Some(place) = self.places.remove(&at) else { return false };
        self.wheel.cancel(place);
        self.free.push(place);
        self.talkers.get(place as usize).is_some_and(|talker| talker.sent_ns != 0)
    }

    /// Whether descriptor `at` talks.
    pub(super) fn knows(&self, at: usize) -> bool {
        self.places.contains_key(&at)
    }

    /// Whether what arrives is left in the socket until a [`Turn::Read`].
    pub(super) fn reads_in_turns(&self) -> bool {
        matches!(self.manner, Manner::Read { .. })
    }

    /// When there may be a turn next, in nanoseconds of the common clock; `u64::MAX` when there will be none.
    pub(super) fn next_ns(&self) -> u64 {
        self.wheel.next_ns()
    }

    /// The next turn that is due by `now_ns`.
    pub(super) fn take_turn(&mut self, now_ns: u64) -> Option<Turn> {
        let place = self.wheel.take_due(now_ns)?;
        let talker = self.talkers.get_mut(place as usize)?;
        let Talker { at, intended_ns, sent_ns, .. } = *talker;
        talker.intended_ns = intended_ns.saturating_add(self.every_ns);
        match (self.manner, sent_ns) {
            // It has asked once, and that was all.
            (Manner::Read { bytes: 0 }, 1..) => return Some(Turn::Read { at, bytes: 0 }),
            (Manner::Read { .. } | Manner::Beat { .. }, _) => self.wheel.set(place, talker.intended_ns),
        }
        Some(match (self.manner, sent_ns) {
            (_, 0) => Turn::Ask { at, late_ns: now_ns.saturating_sub(intended_ns) },
            (Manner::Beat { .. }, _) => Turn::Missed,
            (Manner::Read { bytes }, _) => Turn::Read { at, bytes },
        })
    }

    /// The request of descriptor `at` was sent at `now_ns`.
    pub(super) fn asked(&mut self, at: usize, now_ns: u64) {
        if let Some(talker) = self.talker(at) {
            talker.sent_ns = now_ns.max(1);
            talker.answer = Answer::default();
        }
    }

    /// Bytes came in on descriptor `at`; says when they complete an answer. What nobody asked for is ignored.
    pub(super) fn heard(&mut self, at: usize, bytes: &[u8], now_ns: u64) -> Option<Answered> {
        let every_ns = self.every_ns;
        let talker = self.talker(at).filter(|talker| talker.sent_ns != 0)?;
        let Fed::Done(status, _) = talker.answer.feed(bytes) else { return None };
        let took_ns = now_ns.saturating_sub(talker.sent_ns);
        talker.sent_ns = 0;
        Some(Answered { took_ns, late: took_ns > every_ns, fine: (200..400).contains(&status) })
    }

    fn talker(&mut self, at: usize) -> Option<&mut Talker> {
        let place = *self.places.get(&at)?;
        self.talkers.get_mut(place as usize)
    }
}

/// How a rate in bytes a second is read: so many bytes, so often.
fn slow(rate: u64) -> (Manner, Duration) {
    let every = match rate {
        0 => READ_EVERY,
        rate => READ_EVERY.max(Duration::from_secs(1) / u32::try_from(rate).unwrap_or(u32::MAX)),
    };
    let bytes = u128::from(rate) * every.as_nanos() / 1_000_000_000;
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX).max(usize::from(rate > 0));
    (Manner::Read { bytes }, every)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: u64 = 1_000_000;
    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";

    fn beats(share_percent: u32) -> Talk {
        let interval = Duration::from_millis(100);
        Talk::new(Behaviour::Heartbeat { interval, share_percent }, (7, 0), 0).unwrap().unwrap()
    }

    /// Every turn up to an instant, in time order, with the instant at which it was taken.
    fn turns(talk: &mut Talk, until_ns: u64) -> Vec<(u64, Turn)> {
        let mut all = Vec::new();
        while talk.next_ns() <= until_ns {
            let now_ns = talk.next_ns();
            while let Some(turn) = talk.take_turn(now_ns) {
                all.push((now_ns, turn));
            }
        }
        all
    }

    #[test]
    fn who_is_silent_has_no_talk() {
        for behaviour in [Behaviour::Idle, Behaviour::HalfOpen, Behaviour::Reconnect] {
            assert!(Talk::new(behaviour, (0, 0), 0).unwrap().is_none());
        }
        assert_eq!((size_of::<Talker>(), BYTES_PER_TALKER), (32, 48));
        let mut talk = beats(0);
        (0..1_000).for_each(|at| talk.begin(at, 0));
        assert_eq!((talk.talkers.capacity(), talk.places.capacity(), talk.next_ns()), (0, 0, u64::MAX));
    }

    #[test]
    fn connections_that_came_together_beat_apart() {
        let mut talk = beats(100);
        (0..1_000).for_each(|at| talk.begin(at, 0));
        let mut in_each = [0_u32; 10];
        for (now_ns, turn) in turns(&mut talk, 100 * MS) {
            let Turn::Ask { at, late_ns } = turn else { panic!("{turn:?}") };
            assert!(late_ns < MS);
            talk.asked(at, now_ns);
            in_each[(now_ns.saturating_sub(1) / (10 * MS)).min(9) as usize] += 1;
        }
        assert_eq!(in_each.iter().sum::<u32>(), 1_000);
        // Five standard deviations of a count of 100 are 47.
        assert!(in_each.iter().all(|n| n.abs_diff(100) < 48), "{in_each:?}");
    }

    #[test]
    fn a_share_of_them_beats() {
        let mut talk = beats(20);
        (0..10_000).for_each(|at| talk.begin(at, 0));
        assert!(talk.talkers.len().abs_diff(2_000) < 200, "{}", talk.talkers.len());
    }

    #[test]
    fn an_unanswered_beat_is_missed_once_an_interval_and_its_answer_is_late() {
        let mut talk = beats(100);
        talk.begin(5, 0);
        let (sent_ns, turn) = turns(&mut talk, 101 * MS)[0];
        assert!(matches!(turn, Turn::Ask { at: 5, .. }));
        talk.asked(5, sent_ns);
        let missed = turns(&mut talk, sent_ns + 250 * MS);
        assert!(missed.iter().all(|(_, turn)| *turn == Turn::Missed) && missed.len() == 2, "{missed:?}");
        assert_eq!(talk.heard(5, &OK[..20], sent_ns + 255 * MS), None);
        let answered = talk.heard(5, &OK[20..], sent_ns + 260 * MS);
        assert_eq!(answered, Some(Answered { took_ns: 260 * MS, late: true, fine: true }));
        // What nobody asked for is nothing.
        assert_eq!(talk.heard(5, OK, sent_ns + 261 * MS), None);
        let next = turns(&mut talk, sent_ns + 320 * MS);
        assert!(matches!(next[..], [(_, Turn::Ask { at: 5, .. })]), "{next:?}");
        talk.asked(5, sent_ns + 300 * MS);
        assert!(talk.end(5) && !talk.end(5) && talk.next_ns() == u64::MAX);
    }

    #[test]
    fn a_slow_reader_reads_at_its_rate_and_asks_again() {
        let mut talk = Talk::new(Behaviour::SlowReader { rate: 1_000 }, (0, 0), 0).unwrap().unwrap();
        talk.begin(3, 0);
        let mut read = 0;
        let mut asked = 0;
        while talk.next_ns() <= 10_000 * MS {
            let now_ns = talk.next_ns();
            while let Some(turn) = talk.take_turn(now_ns) {
                match turn {
                    Turn::Ask { at, .. } => {
                        asked += 1;
                        talk.asked(at, now_ns);
                    }
                    Turn::Read { bytes, .. } => read += bytes,
                    Turn::Missed => panic!("a reader has nothing to miss"),
                }
            }
        }
        assert_eq!((asked, read), (1, 10_000));
        assert!(talk.heard(3, OK, 10_000 * MS).is_some_and(|answered| answered.fine));
        assert!(matches!(turns(&mut talk, 10_200 * MS)[0].1, Turn::Ask { at: 3, .. }));
    }

    #[test]
    fn one_that_never_reads_asks_once() {
        let mut talk = Talk::new(Behaviour::SlowReader { rate: 0 }, (0, 0), 0).unwrap().unwrap();
        talk.begin(3, 0);
        talk.asked(3, 1);
        assert_eq!(turns(&mut talk, 10_000 * MS), [(MS, Turn::Read { at: 3, bytes: 0 })]);
        assert!(matches!(slow(3), (Manner::Read { bytes: 1 }, every) if every > Duration::from_millis(300)));
    }

    proptest! {
        #[test]
        fn places_are_used_again(steps in proptest::collection::vec((0_usize..6, any::<bool>()), 0..100)) {
            let mut talk = beats(100);
            let mut open = std::collections::BTreeSet::new();
            for (now_ns, (at, opens)) in (0_u64..).zip(steps) {
                if opens {
                    talk.begin(at, now_ns);
                    open.insert(at);
                } else {
                    talk.end(at);
                    open.remove(&at);
                }
                prop_assert!(open.iter().all(|&at| talk.knows(at)));
                prop_assert_eq!(talk.wheel.len(), open.len());
                prop_assert!(talk.talkers.len() <= 6);
            }
        }
    }
}
