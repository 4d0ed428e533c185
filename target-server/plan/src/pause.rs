//! When the accept loop rests: arithmetic on instants, without a clock.

use std::time::Duration;

use crate::plan::AcceptPause;

impl AcceptPause {
    /// How much of the present pause is left, `since_start` after the clock of the cell was started; `None` between pauses.
    ///
    /// Whoever waits for the answer and asks again is at the end of that pause. A `length` of `every` or more
    /// never ends: the answer is then what is left of one `length`, again and again.
    #[must_use]
    pub fn paused(&self, since_start: Duration) -> Option<Duration> {
        let since_first = since_start.checked_sub(self.first)?;
        let into_pause = match self.every {
            None => since_first,
            Some(every) => Duration::from_nanos_u128(
                // An `every` of zero begins a new pause at every instant.
                since_first.as_nanos().checked_rem(every.as_nanos()).unwrap_or(0),
            ),
        };
        self.length.checked_sub(into_pause).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn pauses_recur_and_a_single_one_does_not() {
        let recurring = AcceptPause { first: MS(100), every: Some(MS(50)), length: MS(10) };
        let single = AcceptPause { every: None, ..recurring };
        for (at, recurs, once) in [
            (0, None, None),
            (99, None, None),
            (100, Some(10), Some(10)),
            (104, Some(6), Some(6)),
            (110, None, None),
            (150, Some(10), None),
            (1_155, Some(5), None),
        ] {
            assert_eq!(recurring.paused(MS(at)), recurs.map(MS), "recurring at {at} ms");
            assert_eq!(single.paused(MS(at)), once.map(MS), "single at {at} ms");
        }
    }

    #[test]
    fn an_interval_of_zero_never_ends() {
        let pause = AcceptPause { first: MS(1), every: Some(Duration::ZERO), length: MS(7) };
        assert_eq!(pause.paused(MS(12_345)), Some(MS(7)));
    }

    fn pauses() -> impl Strategy<Value = AcceptPause> {
        (0..100_000_u64, 2..100_000_u64, any::<bool>()).prop_flat_map(|(first, every, recurs)| {
            (1..every).prop_map(move |length| AcceptPause {
                first: MS(first),
                every: recurs.then_some(MS(every)),
                length: MS(length),
            })
        })
    }

    proptest! {
        #[test]
        fn nothing_pauses_before_the_first(pause in pauses(), early in 1..100_000_u64) {
            prop_assume!(MS(early) <= pause.first);
            prop_assert_eq!(pause.paused(pause.first - MS(early)), None);
        }

        #[test]
        fn waiting_what_is_left_ends_the_pause(pause in pauses(), at in 0..1_000_000_u64) {
            if let Some(left) = pause.paused(MS(at)) {
                prop_assert!(left <= pause.length);
                prop_assert_eq!(pause.paused(MS(at) + left), None);
                prop_assert_eq!(pause.paused(MS(at) + left - MS(1)), Some(MS(1)));
            }
        }

        #[test]
        fn every_pause_begins_whole(pause in pauses(), nth in 0..1_000_u32) {
            let begins = pause.first + pause.every.unwrap_or_default() * nth;
            prop_assert_eq!(pause.paused(begins), Some(pause.length));
        }
    }
}
