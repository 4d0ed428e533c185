//! How far another machine's clock is from ours, from questions and answers (as NTP does, RFC 5905, section 8). Pure.
//!
//! An answer carries one instant of the other clock, taken after the question was sent and before the answer came. So the offset lies between
//! two bounds whatever the path does; half the round trip is the error, and the quickest answer is the best one.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Answers that are kept.
const KEPT: usize = 16;

/// How much two clocks may drift apart: each is slewed by at most 500 millionths (`MAXFREQ` of `include/linux/timex.h`). As a divisor.
const DRIFT: u64 = 1_000_000 / (2 * 500);

/// Another clock, as seen from ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offset {
    /// The gatherer's clock less this member's, in nanoseconds.
    pub offset_ns: i64,
    /// By how much that may be wrong, either way, in nanoseconds.
    pub error_ns: u64,
}

impl Offset {
    /// An instant of the other clock on ours.
    #[must_use]
    pub fn on_ours(self, theirs_ns: u64) -> u64 {
        let ours = i128::from(theirs_ns) - i128::from(self.offset_ns);
        u64::try_from(ours.max(0)).unwrap_or(u64::MAX)
    }
}

#[derive(Clone, Copy, Debug)]
struct Answer {
    received_ns: u64,
    offset: Offset,
}

/// The answers so far.
#[derive(Clone, Debug, Default)]
pub struct Estimate {
    answers: VecDeque<Answer>,
    heard: u64,
}

impl Estimate {
    /// Takes in an answer: when the question was sent and the answer received, by our clock, and the instant in it. One that came before it
    /// was asked for is none.
    pub fn hear(&mut self, sent_ns: u64, theirs_ns: u64, received_ns: u64) {
        let Some(trip_ns) = received_ns.checked_sub(sent_ns) else { return };
        let middle = i128::from(sent_ns) + i128::from(trip_ns / 2);
        let Ok(offset_ns) = i64::try_from(i128::from(theirs_ns) - middle) else { return };
        if self.answers.len() == KEPT {
            self.answers.pop_front();
        }
        self.answers.push_back(Answer { received_ns, offset: Offset { offset_ns, error_ns: trip_ns.div_ceil(2) } });
        self.heard += 1;
    }

    /// How many answers were taken in.
    #[must_use]
    pub fn heard(&self) -> u64 {
        self.heard
    }

    /// The best that is known of an instant; an answer of another time is worth less, by what clocks may have drifted in between.
    #[must_use]
    pub fn best(&self, at_ns: u64) -> Option<Offset> {
        let aged = |answer: &Answer| {
            let drift_ns = at_ns.abs_diff(answer.received_ns) / DRIFT;
            Offset { error_ns: answer.offset.error_ns.saturating_add(drift_ns), ..answer.offset }
        };
        self.answers.iter().map(aged).min_by_key(|offset| offset.error_ns)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_true_offset_is_within_the_error(
            offset in -1_000_000_000_000_i64..1_000_000_000_000,
            trips in proptest::collection::vec((0_u64..50_000_000, 0_u64..50_000_000), 1..40),
        ) {
            let mut estimate = Estimate::default();
            let mut now = 2_000_000_000_000_u64;
            for (there, back) in &trips {
                let theirs = now.checked_add(*there).and_then(|at| at.checked_add_signed(offset)).unwrap();
                estimate.hear(now, theirs, now + there + back);
                now += there + back + 250_000_000;
            }
            let best = estimate.best(now).unwrap();
            prop_assert!(best.offset_ns.abs_diff(offset) <= best.error_ns, "{best:?} is not {offset}");
            // No worse than the quickest of those kept, and what clocks drift in that time.
            let quickest = trips.iter().rev().take(KEPT).map(|(there, back)| (there + back).div_ceil(2)).min().unwrap();
            prop_assert!(best.error_ns <= quickest + 16 * 350_000);
            let instant = 3_000_000_000_000_u64;
            prop_assert_eq!(best.on_ours(instant.checked_add_signed(best.offset_ns).unwrap()), instant);
        }
    }

    #[test]
    fn what_cannot_be_is_not_taken_in() {
        let mut estimate = Estimate::default();
        estimate.hear(10, 5, 9);
        estimate.hear(0, u64::MAX, 1);
        assert_eq!((estimate.best(0), estimate.heard()), (None, 0));
        assert_eq!(Offset { offset_ns: 9, error_ns: 0 }.on_ours(5), 0);
        assert_eq!(Offset { offset_ns: i64::MIN, error_ns: 0 }.on_ours(u64::MAX), u64::MAX);
    }
}
