//! What was predicted before the cell ran, beside what was measured. Pure.

use brimful_evidence::record::Record;
use brimful_evidence::series::Series;
use brimful_plan::predict::{Limit, LimitKind};
use serde::{Deserialize, Serialize};

use super::spans::{interval_ns, known};
use super::view::View;
use crate::wording::count;

/// A prediction may be this fraction off before it is called wrong: connections of the probe, and the pace's own rounding.
const SLACK_ONE_IN: u64 = 50;
/// But never less than this many connections.
const SLACK_LEAST: u64 = 16;

/// The limit that a cell was to meet first, and where it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Foretold {
    /// What was predicted, by closed form from the knobs.
    pub predicted: Limit,
    /// Connections begun at the last reading before it was met, and at the first reading after; `null` where it was not met, or nothing tells when.
    pub met_between: Option<(u64, u64)>,
    /// Whether the two agree; `null` where nothing tells.
    pub agrees: Option<bool>,
}

impl Foretold {
    /// In one line, without the cell.
    #[must_use]
    pub fn words(&self) -> String {
        let Limit { kind, at_connections, formula } = &self.predicted;
        let predicted = format!("{kind} at {} connections ({formula})", count(*at_connections));
        match (self.met_between, self.agrees) {
            (Some((from, to)), Some(true)) => format!("{predicted}: met between {} and {}", count(from), count(to)),
            (Some((from, to)), _) => {
                format!("{predicted}: MET ELSEWHERE, between {} and {}", count(from), count(to))
            }
            (None, Some(_)) => format!("{predicted}: NOT MET"),
            (None, None) => format!("{predicted}: nothing tells when it was met"),
        }
    }
}

/// Sets the prediction of a record beside its evidence; `None` for a cell that was to meet no limit.
pub(crate) fn of(record: &Record) -> Option<Foretold> {
    let predicted = record.prediction.as_ref()?.binding.clone()?;
    let view = View::of(record);
    let Some(first_met) = first_met(&view, predicted.kind) else {
        return Some(Foretold { predicted, met_between: None, agrees: None });
    };
    let met_between = first_met.map(|(before, at)| (begun_by(record, before).0, begun_by(record, at).1));
    let slack = SLACK_LEAST.max(predicted.at_connections / SLACK_ONE_IN);
    let agrees = met_between.is_some_and(|(from, to)| {
        (from.saturating_sub(slack)..=to.saturating_add(slack)).contains(&predicted.at_connections)
    });
    Some(Foretold { predicted, met_between, agrees: Some(agrees) })
}

/// When a limit was met: the reading before, and the reading that shows it. `None` where nothing was read that would show it.
#[expect(clippy::option_option, reason = "not read, and read and not met, are two answers")]
fn first_met(view: &View<'_>, kind: LimitKind) -> Option<Option<(u64, u64)>> {
    let (series, threshold): (&Series, u64) = match kind {
        LimitKind::Descriptors => {
            let target = view.targets.first()?;
            (target.open, target.soft.last)
        }
        // At its cap a program keeps what it has: the level at which it stays is the cap.
        LimitKind::AppConnectionCap => {
            let target = view.targets.first()?;
            (target.open, target.open.max)
        }
        LimitKind::AcceptQueue => {
            let queue = view.queue.as_ref()?;
            (queue.recv_q, queue.limit.last.saturating_add(1))
        }
        LimitKind::SynQueue => grown(view, "TcpExt.TCPReqQFullDrop")?,
        LimitKind::SynQueueThreeQuarterRule => grown(view, "TcpExt.ListenDrops")?,
        LimitKind::Conntrack => grown(view, "nf_conntrack.drop")?,
        LimitKind::SourcePorts | LimitKind::FileMax | LimitKind::Memory => return None,
    };
    let at = series.first_reached(threshold);
    Some(at.map(|at| (at.saturating_sub(interval_ns(series, view.end_ns)), at)))
}

/// A counter, and the value at which it has grown.
fn grown<'a>(view: &View<'a>, name: &str) -> Option<(&'a Series, u64)> {
    let series = view.counter(name).and_then(|series| known(series))?;
    Some((series, series.first.saturating_add(1)))
}

/// Connections begun by an instant: at the last point of the load not after it, and at the first not before it.
fn begun_by(record: &Record, at_ns: u64) -> (u64, u64) {
    let load = &record.load.outcome;
    let before = load.timeline.iter().take_while(|point| point.at_ns <= at_ns).last();
    let after = load.timeline.iter().find(|point| point.at_ns >= at_ns);
    (before.map_or(0, |point| point.attempted), after.map_or(load.attempted, |point| point.attempted))
}

#[cfg(test)]
mod tests {
    use brimful_loadgen_plan::outcome::LoadPoint;
    use brimful_plan::predict::Prediction;
    use brimful_testing;

    use super::*;

    /// A record out of descriptors, predicted to be so at this many connections.
    fn predicted(at_connections: u64) -> Record {
        let mut record = brimful_testing::fd_limit();
        let limit = Limit { kind: LimitKind::Descriptors, at_connections, formula: "1,024 less 13".to_owned() };
        record.prediction = Some(Prediction { binding: Some(limit.clone()), all: vec![limit] });
        let total = record.load.outcome.attempted;
        let ramp_ns = record.load.outcome.last_attempt_ns.unwrap();
        let point = |i: u64| LoadPoint { at_ns: ramp_ns * i / 30, attempted: total * i / 30, ..LoadPoint::default() };
        record.load.outcome.timeline = (0..=30).map(point).collect();
        record
    }

    #[test]
    fn a_prediction_that_came_true_agrees() {
        let foretold = of(&predicted(1_011)).unwrap();
        assert_eq!(foretold.agrees, Some(true), "{}", foretold.words());
        assert!(foretold.words().contains("descriptors at 1,011"), "{}", foretold.words());
    }

    #[test]
    fn one_that_did_not_is_flagged() {
        let foretold = of(&predicted(9_000)).unwrap();
        assert_eq!(foretold.agrees, Some(false), "{}", foretold.words());
        assert!(foretold.words().contains("MET ELSEWHERE"), "{}", foretold.words());
        let mut never = predicted(1_011);
        never.evidence.processes[0].descriptors = Series::starting(0, 16);
        assert!(of(&never).unwrap().words().contains("NOT MET"));
    }

    #[test]
    fn what_was_not_read_is_not_judged() {
        let mut record = predicted(1_011);
        record.evidence.processes.clear();
        assert_eq!(of(&record).unwrap().agrees, None);
        record.prediction = None;
        assert_eq!(of(&record), None);
    }
}
