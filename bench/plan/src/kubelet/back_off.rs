//! How long the kubelet waits before it starts a container again (`doBackOff`, and client-go's `Backoff`).

use std::time::Duration;

/// The back-off of one container of one pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackOff {
    base_ns: u64,
    cap_ns: u64,
    entry: Option<Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    pause_ns: u64,
    updated_ns: u64,
}

impl BackOff {
    /// Nobody has been restarted yet. `cap` is not below `base`.
    #[must_use]
    pub fn new(base: Duration, cap: Duration) -> Self {
        Self { base_ns: nanoseconds(base), cap_ns: nanoseconds(cap), entry: None }
    }

    /// The earliest instant at which a container that ended at `ended_ns` is started again (`IsInBackOffSince`).
    #[must_use]
    pub fn may_start_ns(&self, ended_ns: u64) -> u64 {
        match self.standing(ended_ns) {
            None => ended_ns,
            Some(entry) => ended_ns.saturating_add(entry.pause_ns),
        }
    }

    /// It is started at `now_ns`, after it ended at `ended_ns`: the next pause is twice as long (`Next`).
    pub fn started(&mut self, ended_ns: u64, now_ns: u64) {
        let pause_ns = match self.standing(ended_ns) {
            None => self.base_ns,
            Some(entry) => entry.pause_ns.saturating_mul(2).min(self.cap_ns),
        };
        self.entry = Some(Entry { pause_ns, updated_ns: now_ns });
    }

    /// What is kept of earlier restarts; nothing where the last one is more than two caps before the end (`hasExpired`).
    fn standing(&self, ended_ns: u64) -> Option<Entry> {
        let fresh = |entry: &Entry| ended_ns.saturating_sub(entry.updated_ns) <= self.cap_ns.saturating_mul(2);
        self.entry.filter(fresh)
    }
}

fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{BACK_OFF, BACK_OFF_CAP};
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// The pauses of a container that lives `life` seconds each time.
    fn pauses(life: u64, restarts: usize) -> Vec<u64> {
        let mut back_off = BackOff::new(BACK_OFF, BACK_OFF_CAP);
        let mut started = 0;
        (0..restarts)
            .map(|_| {
                let ended = started + life * SECOND;
                started = back_off.may_start_ns(ended);
                back_off.started(ended, started);
                (started - ended) / SECOND
            })
            .collect()
    }

    #[test]
    fn the_first_is_at_once_and_then_ten_seconds_double_to_five_minutes() {
        assert_eq!(pauses(21, 9), [0, 10, 20, 40, 80, 160, 300, 300, 300]);
    }

    #[test]
    fn whoever_ran_for_more_than_ten_minutes_begins_afresh() {
        assert_eq!(pauses(600, 4), [0, 10, 20, 40]);
        assert_eq!(pauses(601, 4), [0, 0, 0, 0]);
    }

    proptest! {
        #[test]
        fn pauses_never_shrink_while_nobody_runs_long_and_never_pass_the_cap(
            base in 1_u64..20_000, more in 0_u64..500_000, lives in proptest::collection::vec(0_u64..1_000_000, 1..40)
        ) {
            let cap = base + more;
            let mut back_off = BackOff::new(Duration::from_millis(base), Duration::from_millis(cap));
            let (mut started, mut last) = (0_u64, None);
            for life in lives {
                let ended = started + life * 1_000_000;
                let next = back_off.may_start_ns(ended);
                let pause = next - ended;
                prop_assert!(pause <= cap * 1_000_000);
                let afresh = last.is_none() || life > 2 * cap;
                prop_assert_eq!(pause == 0, afresh);
                if !afresh {
                    let grown = match last { Some(0) => base * 1_000_000, Some(p) => (2 * p).min(cap * 1_000_000), None => 0 };
                    prop_assert_eq!(pause, grown);
                }
                back_off.started(ended, next);
                (started, last) = (next, Some(pause));
            }
        }
    }
}
