//! What became of a member, as the gatherer has it. Pure.

use brimful_loadgen_plan::outcome::{LoadOutcome, LoadPoint};
use serde::{Deserialize, Serialize};

use super::clock::Offset;

/// What became of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It did its part and gave its account.
    Whole,
    /// It never registered.
    Missing,
    /// It had registered, and was not ready when the others started: it failed, went, or took too long.
    Unready,
    /// It registered after the others had started. It was refused, and opened nothing.
    Late,
    /// It started, and went before it gave its account.
    Lost,
    /// It started, and nothing more was heard of it, though its connection to the gatherer was never seen to end.
    Silent,
}

/// A member's part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Which member.
    pub index: u32,
    /// Where it registered from; `None` for one that never did, and for the gatherer itself.
    pub from: Option<String>,
    /// Connections that were its to open.
    pub share: u64,
    /// What became of it.
    pub fate: Fate,
    /// When: nanoseconds from the start by the gatherer's clock, for one that came late, went, or was last heard of; `None` otherwise.
    pub at_ns: Option<u64>,
    /// Why, in words, where there is more to say.
    pub why: Option<String>,
    /// The last that is known of its share: of its account, or of what it sent once a second. `None` where nothing is known, which is not zero.
    pub counters: Option<LoadPoint>,
    /// What it knows of how the gatherer's clock stood at the start, or before it where there was none.
    pub clock: Option<Offset>,
    /// When it made its first attempt: nanoseconds from the agreed instant by the gatherer's clock, early ones below zero. It may be wrong by
    /// `clock.error_ns`.
    pub began_ns: Option<i64>,
    /// How often it, or another with its index, came once more and was refused.
    pub refused: u32,
    /// The whole of its account.
    #[serde(skip)]
    pub outcome: Option<LoadOutcome>,
}

impl Account {
    /// One of whom nothing has been heard yet.
    #[must_use]
    pub fn new(index: u32, share: u64) -> Self {
        Self {
            index,
            from: None,
            share,
            fate: Fate::Missing,
            at_ns: None,
            why: None,
            counters: None,
            clock: None,
            began_ns: None,
            refused: 0,
            outcome: None,
        }
    }

    /// Makes it whole by what its share came to, and by what it knew of the gatherer's clock when it read the start on its own and knows by now.
    pub fn give(&mut self, outcome: LoadOutcome, used: Offset, clock: Offset) {
        // It began so long after the start as it took that to be; had it taken it to be too early, it was so much earlier.
        let first = outcome.first_attempt_ns.map(i128::from);
        let mistaken = i128::from(clock.offset_ns) - i128::from(used.offset_ns);
        self.began_ns = first.and_then(|first| i64::try_from(first + mistaken).ok());
        self.clock = Some(clock);
        self.counters = Some(LoadPoint {
            at_ns: outcome.timeline.last().map_or(0, |point| point.at_ns),
            attempted: outcome.attempted,
            established: outcome.established,
            held: outcome.held,
            failed: outcome.failures.iter().fold(0, |sum, failure| sum.saturating_add(failure.count)),
            pending: outcome.pending,
        });
        self.outcome = Some(outcome);
        self.fate = Fate::Whole;
        (self.at_ns, self.why) = (None, None);
    }
}

/// Everything that a gatherer has gathered.
#[derive(Clone, Debug, PartialEq)]
pub struct Gathered {
    /// Each member once, in order.
    pub accounts: Vec<Account>,
    /// From the gatherer's beginning to the barrier, in nanoseconds; `None` when there was no start.
    pub waited_ns: Option<u64>,
    /// The signal that ended it early.
    pub stopped: Option<String>,
}
