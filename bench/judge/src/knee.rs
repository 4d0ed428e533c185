//! What the tries of a search came to: for each cell its knee, what was foretold, and why it breaks. `knee.json`, whose form
//! is versioned, and its other forms. Pure.

use std::time::Duration;

use brimful_evidence::record::{Host, KnobReading, Record};
use brimful_loadgen_plan::plan::Behaviour;
use brimful_plan::cell::Cell;
use brimful_plan::expect::{CauseName, CellOutcome};
use brimful_plan::knee::{Answer, Foretold, Hint, Knee, Within};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::report::{ScenarioName, Tool};
use super::verdict::Verdict;
use crate::wording::{count, nanos};

/// The version of the form of `knee.json`. A reader refuses a higher one.
pub const KNEE_VERSION: u32 = 1;

/// The knees of a scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct KneeReport {
    /// [`KNEE_VERSION`] at the time of writing.
    pub schema_version: u32,
    /// What wrote it.
    pub tool: Tool,
    /// Where it ran.
    pub host: Host,
    /// What was asked.
    pub scenario: ScenarioName,
    /// How near the ends of each interval were to be.
    pub within: Within,
    /// Whether it was broken off by a signal.
    pub interrupted: bool,
    /// The cells whose search has begun, in the scenario's order.
    pub cells: Vec<CellKnee>,
}

impl KneeReport {
    /// Whether cells were tried and nothing can be said of any: every try was void.
    #[must_use]
    pub fn is_void(&self) -> bool {
        let void = |cell: &CellKnee| !cell.tries.is_empty() && !cell.says_something();
        !self.cells.is_empty() && self.cells.iter().all(void)
    }
}

/// What the load of a cell is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Connections there at the same time.
    Connections,
    /// Connections arriving in a second: those of a try over `opened_over_ns`.
    PerSecond,
}

/// The knee of one cell. Every load is a number of connections, whatever the unit in which it is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CellKnee {
    /// The cell's id.
    pub id: String,
    /// Every axis: asked and given, as the first try read it.
    pub knobs: IndexMap<String, KnobReading>,
    /// In what people count this load.
    pub unit: Unit,
    /// Over which time the connections of a try are begun, in nanoseconds.
    pub opened_over_ns: u64,
    /// The highest load that was to be tried; the lowest is none.
    pub highest: u64,
    /// The answer.
    pub knee: Knee,
    /// The answer of closed forms, made before anything ran; `null` where no number of connections meets a limit.
    pub foretold: Option<Foretold>,
    /// `knee.healthy_to` over what was foretold; `null` where either is missing or no upper end was found.
    pub ratio: Option<f64>,
    /// What happened at the upper end of the interval, or where the generator ended; `null` where neither was found.
    pub breaks: Option<Break>,
    /// Where the ramp broke; `null` where it did not, or there was none.
    pub ramp: Option<Hint>,
    /// Every try in its order.
    pub tries: Vec<Tried>,
    /// Why the search ended before its time: a cell that could not be run. `null` for most.
    pub ended_because: Option<String>,
}

/// The verdict on the first load beyond a knee.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Break {
    /// Connections.
    pub load: u64,
    /// What they did.
    pub verdict: Verdict,
}

/// One try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Tried {
    /// Connections.
    pub load: u64,
    /// What it says of its load.
    pub answer: Answer,
    /// What became of it.
    pub outcome: CellOutcome,
    /// Why.
    pub cause: Option<CauseName>,
    /// Its record, from the run's folder.
    pub record: String,
}

/// A try with its verdict, as it comes from a search.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Connections.
    pub load: u64,
    /// What was judged.
    pub verdict: Verdict,
    /// Its record, from the run's folder.
    pub record: String,
}

impl Seen {
    /// What it says of its load: healthy means that no probe failed.
    #[must_use]
    pub fn answer(&self) -> Answer {
        match self.verdict.outcome {
            CellOutcome::Healthy => Answer::Healthy,
            CellOutcome::Degraded | CellOutcome::Failing => Answer::Unhealthy,
            CellOutcome::Void => Answer::Void,
        }
    }
}

impl CellKnee {
    /// Gathers what a search knows. `cell` is one of its tries, `knobs` what the first of them read back.
    #[must_use]
    pub fn gather(
        cell: &Cell,
        knobs: IndexMap<String, KnobReading>,
        highest: u64,
        knee: Knee,
        foretold: Option<Foretold>,
        seen: &[Seen],
    ) -> Self {
        let ratio = foretold.as_ref().and_then(|foretold| foretold.healthy_to).filter(|&said| said > 0);
        let measured = knee.healthy_to.filter(|_| knee.unhealthy_from.is_some());
        let first_beyond = knee.unhealthy_from.or(knee.void_from);
        let tries = seen.iter().map(|seen| Tried {
            load: seen.load,
            answer: seen.answer(),
            outcome: seen.verdict.outcome,
            cause: seen.verdict.cause,
            record: seen.record.clone(),
        });
        Self {
            id: cell.id.clone(),
            knobs,
            unit: match cell.load.behaviour {
                Behaviour::Churn { .. } => Unit::PerSecond,
                Behaviour::Idle
                | Behaviour::HalfOpen
                | Behaviour::Heartbeat { .. }
                | Behaviour::SlowReader { .. }
                | Behaviour::Reconnect => Unit::Connections,
            },
            opened_over_ns: nanos(cell.load.ramp),
            highest,
            // Four digits are more than the search gives, and read back as they were written.
            ratio: ratio.zip(measured).map(|(said, measured)| (measured as f64 / said as f64 * 1e4).round() / 1e4),
            breaks: first_beyond.and_then(|load| {
                let seen = seen.iter().find(|seen| seen.load == load)?;
                Some(Break { load, verdict: seen.verdict.clone() })
            }),
            tries: tries.collect(),
            knee,
            foretold,
            ramp: None,
            ended_because: None,
        }
    }

    /// Whether anything at all can be said of the target: some try was not void.
    #[must_use]
    pub fn says_something(&self) -> bool {
        self.tries.iter().any(|tried| tried.answer != Answer::Void)
    }

    /// A load as people say it: `1,010`, `400/s`.
    #[must_use]
    pub fn load(&self, connections: u64) -> String {
        match self.unit {
            Unit::Connections => count(connections),
            Unit::PerSecond => format!("{}/s", rate(self.per_second(connections))),
        }
    }

    /// The same with its noun.
    #[must_use]
    pub fn load_in_words(&self, connections: u64) -> String {
        let noun = if connections == 1 { "connection" } else { "connections" };
        match self.unit {
            Unit::Connections => format!("{} {noun}", count(connections)),
            Unit::PerSecond => format!("{} connections a second", rate(self.per_second(connections))),
        }
    }

    /// Where a load lies on the axis of its unit.
    pub fn place(&self, connections: u64) -> f64 {
        match self.unit {
            Unit::Connections => connections as f64,
            Unit::PerSecond => self.per_second(connections),
        }
    }

    fn per_second(&self, connections: u64) -> f64 {
        connections as f64 / Duration::from_nanos(self.opened_over_ns.max(1)).as_secs_f64()
    }
}

/// A rate to a whole number where that is three digits or more, else to a tenth.
pub fn rate(per_second: f64) -> String {
    if per_second >= 100.0 { count(per_second.round() as u64) } else { format!("{per_second:.1}").replace(".0", "") }
}

/// Between which loads a ramp broke: what was attempted when the last probe before the first failure began, and when
/// that failure had ended. `None` where no probe failed, or the load is not to be trusted.
#[must_use]
pub fn hint(record: &Record, verdict: &Verdict) -> Option<Hint> {
    if verdict.outcome == CellOutcome::Void {
        return None;
    }
    let samples = &record.probe.samples;
    let first = samples.iter().position(|sample| !sample.outcome.passed())?;
    let load = &record.load.outcome;
    let begun_by = |at_ns: u64| load.timeline.iter().take_while(|point| point.at_ns <= at_ns).last();
    let begun_after = |at_ns: u64| load.timeline.iter().find(|point| point.at_ns >= at_ns);
    let before = first.checked_sub(1).and_then(|last| samples.get(last));
    let passed_at = before.and_then(|sample| begun_by(sample.started_ns)).map_or(0, |point| point.attempted);
    let failed_at = begun_after(samples.get(first)?.ended_ns).map_or(load.attempted, |point| point.attempted);
    Some(Hint { passed_at, failed_at: failed_at.max(passed_at) })
}
