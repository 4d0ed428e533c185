//! A process's descriptors against its limit over time. Pure.

use brimful_evidence::record::ProcessEvidence;
use brimful_evidence::series::Series;

use super::spans::{Span, fullest, interval_ns, known, spans_where};

/// The descriptors of one target process.
pub struct Descriptors<'a> {
    /// Which process.
    pub(crate) process: &'a ProcessEvidence,
    /// Open descriptors.
    pub open: &'a Series,
    /// `RLIMIT_NOFILE`, soft.
    pub soft: &'a Series,
    /// Mean time between two readings, in nanoseconds.
    pub(crate) interval_ns: u64,
    /// When there was no room for one more connection. The limit is on the descriptor *number*, and the kernel hands out
    /// the lowest free one, so `EMFILE` means that every number below the limit is taken: the count is at the limit or above.
    pub(crate) at_limit: Vec<Span>,
}

impl<'a> Descriptors<'a> {
    /// The descriptors of a process that was there for `there_ns` of the time until `end_ns`, and whose every connection costs `per_connection` of
    /// them; `None` where count or limit was never read.
    pub(crate) fn of(process: &'a ProcessEvidence, per_connection: u64, end_ns: u64, there_ns: u64) -> Option<Self> {
        let (open, soft) = (known(&process.descriptors)?, known(&process.nofile_soft)?);
        let at_limit = spans_where(&[open, soft], end_ns, |t| {
            open.at(t).saturating_add(per_connection.max(1)) > soft.at(t) && open.at(t) > 0
        });
        Some(Self { process, open, soft, interval_ns: interval_ns(open, there_ns), at_limit })
    }

    /// Whether it was at its limit at some reading of `from..=to`, give or take one reading.
    pub(crate) fn at_limit_between(&self, from_ns: u64, to_ns: u64) -> bool {
        let (from, to) = (from_ns.saturating_sub(self.interval_ns), to_ns.saturating_add(self.interval_ns));
        self.at_limit.iter().any(|span| span.overlaps(from, to))
    }

    /// Whether the count rose so fast that it may have met the limit between two readings.
    pub(crate) fn may_have_met_the_limit_unseen(&self) -> bool {
        let steps = self.open.points.windows(2).filter_map(|w| match w {
            [(_, a), (_, b)] => Some(b.saturating_sub(*a)),
            _ => None,
        });
        self.open.max.saturating_add(steps.max().unwrap_or(0)) >= self.soft.last
    }

    /// The name of its series in a report.
    pub fn series_name(&self) -> String {
        format!("target.{}.descriptors", self.process.place())
    }

    /// Its fullest, as `1024 of 1024`.
    pub(crate) fn fullest(&self) -> String {
        fullest(self.open, self.soft)
    }
}

#[cfg(test)]
mod tests {
    use brimful_evidence::record::Role;

    use super::*;

    fn process(open: &[(u64, u64)], soft: &[(u64, u64)]) -> ProcessEvidence {
        let series = |points: &[(u64, u64)]| {
            let mut s = Series::default();
            points.iter().for_each(|&(t, v)| s.push(t, v));
            s
        };
        ProcessEvidence {
            role: Role::Target,
            shard: 0,
            pid: 7,
            member: None,
            descriptors: series(open),
            nofile_soft: series(soft),
            nofile_hard: series(soft),
            rss_bytes: Series::default(),
            cpu_ns: Series::default(),
            runqueue_wait_ns: Series::default(),
            inotify: None,
        }
    }

    #[test]
    fn one_below_the_limit_still_has_room() {
        let p = process(&[(0, 12), (50, 1_023)], &[(0, 1_024)]);
        assert!(Descriptors::of(&p, 1, 100, 100).unwrap().at_limit.is_empty());
    }

    #[test]
    fn one_below_the_limit_has_no_room_for_a_connection_that_costs_two() {
        let p = process(&[(0, 12), (50, 1_023)], &[(0, 1_024)]);
        assert_eq!(Descriptors::of(&p, 2, 100, 100).unwrap().at_limit, [Span { from_ns: 50, to_ns: 100 }]);
    }

    #[test]
    fn a_limit_raised_while_it_runs_ends_the_span() {
        let p = process(&[(0, 12), (50, 1_024)], &[(0, 1_024), (80, 20_000)]);
        assert_eq!(Descriptors::of(&p, 1, 100, 100).unwrap().at_limit, [Span { from_ns: 50, to_ns: 80 }]);
    }

    #[test]
    fn a_steep_rise_may_hide_the_limit() {
        let steep = process(&[(0, 12), (50, 412), (60, 812)], &[(0, 1_024)]);
        assert!(Descriptors::of(&steep, 1, 100, 100).unwrap().may_have_met_the_limit_unseen());
        let flat = process(&[(0, 12), (50, 22)], &[(0, 1_024)]);
        assert!(!Descriptors::of(&flat, 1, 100, 100).unwrap().may_have_met_the_limit_unseen());
    }
}
