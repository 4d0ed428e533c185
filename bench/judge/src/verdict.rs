//! What a record means: outcome, cause, what is ruled out, what is left open, and the cure. Pure.

use brimful_evidence::record::Record;
use brimful_loadgen_plan::probe::{Action, Summary};
use brimful_plan::expect::{CauseName, CellOutcome, Why};
use serde::{Deserialize, Serialize};

use super::cause::{Finding, ProofLine, Row, TABLE, may_pass, shortfalls};
use super::changes::{self, Effect};
use super::cure::Cure;
use super::restarts::{self, Restarts};
use super::view::View;
use super::{beyond, notes};
use crate::server_log;
use crate::wording::{count, outcome_name};

/// A cause that the evidence excludes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RuledOut {
    /// Which.
    pub cause: CauseName,
    /// The line that excludes it.
    pub line: ProofLine,
}

/// A cause that could be neither shown nor excluded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Undecided {
    /// Which; `undetermined` for what has no name in the table.
    pub cause: CauseName,
    /// Why the evidence does not tell.
    pub why: String,
    /// What would tell.
    pub collect: Vec<String>,
}

/// What a record means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// What became of the cell.
    pub outcome: CellOutcome,
    /// Why; `None` for a healthy cell.
    pub cause: Option<CauseName>,
    /// The reason within the cause.
    pub why: Option<Why>,
    /// The evidence for outcome and cause.
    pub proof: Vec<ProofLine>,
    /// The other causes that the evidence excludes.
    pub ruled_out: Vec<RuledOut>,
    /// The causes that it does not tell apart, and what would.
    pub undecided: Vec<Undecided>,
    /// What to change.
    pub cure: Option<Cure>,
    /// What each change came to that was made while the cell ran.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Effect>,
    /// What the kubelet's restarts came to; absent where it does not act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarts: Option<Restarts>,
    /// What else a reader should know.
    pub notes: Vec<String>,
}

/// Judges one record. It claims no more than was seen: a failing cell without a shown cause is `undetermined`.
#[must_use]
pub fn judge(record: &Record) -> Verdict {
    let view = View::of(record);
    let summary = Summary::of(&record.probe.samples, &record.probe.plan);
    let findings: Vec<(&Row, Finding)> = TABLE.iter().map(|row| (row, (row.look)(&view))).collect();
    let outcome = outcome(&summary, &findings);
    let mut verdict = Verdict {
        outcome,
        cause: None,
        why: None,
        proof: probe_line(&view, &summary).into_iter().collect(),
        ruled_out: Vec::new(),
        undecided: Vec::new(),
        cure: None,
        changes: changes::effects(record),
        restarts: restarts::of(record),
        notes: notes::notes(&view, outcome),
    };
    match outcome {
        CellOutcome::Healthy => verdict.proof.extend(headroom(&view)),
        CellOutcome::Void => void(&mut verdict, &view, findings),
        CellOutcome::Degraded | CellOutcome::Failing => explain(&mut verdict, &view, findings),
    }
    verdict
}

/// Whether a block that came to nothing may come to something when it is run again: the machine was short of time, rather than the
/// generator of what it needs. A block that was broken off is no such block.
#[must_use]
pub fn worth_repeating(record: &Record) -> bool {
    !record.interrupted && may_pass(&shortfalls(&View::of(record)))
}

fn outcome(summary: &Summary, findings: &[(&Row, Finding)]) -> CellOutcome {
    let generator =
        findings.iter().any(|(row, f)| row.name == CauseName::GeneratorBound && matches!(f, Finding::Shown { .. }));
    if generator || summary.sent == 0 {
        CellOutcome::Void
    } else if summary.would_restart_at_s.is_some() {
        CellOutcome::Failing
    } else if summary.failed > 0 {
        CellOutcome::Degraded
    } else {
        CellOutcome::Healthy
    }
}

/// A void cell says what the generator did not do, and nothing of the target.
fn void(verdict: &mut Verdict, view: &View<'_>, findings: Vec<(&Row, Finding)>) {
    verdict.cause = Some(CauseName::Undetermined);
    for (row, finding) in findings {
        if let (CauseName::GeneratorBound, Finding::Shown { proof, .. }) = (row.name, finding) {
            verdict.cause = Some(CauseName::GeneratorBound);
            verdict.proof = proof;
            verdict.cure = (row.cure)(view, None);
        }
    }
}

/// The one cause that is shown of a command's own connections. Any other explains a probe that asks the server itself.
const SHOWN_OF_COMMANDS: CauseName = CauseName::AppConnectionCap;

fn explain(verdict: &mut Verdict, view: &View<'_>, findings: Vec<(&Row, Finding)>) {
    let blind = matches!(view.record.probe.plan.action, Action::Exec(_));
    for (row, finding) in findings {
        match finding {
            Finding::Shown { .. } if blind && row.name != SHOWN_OF_COMMANDS => verdict.undecided.push(Undecided {
                cause: row.name,
                why: "its signs are there, but the probe is a command: why that failed is not to be seen from outside"
                    .into(),
                collect: vec![
                    "what the command said (the messages of the probes)".into(),
                    "the same cell with an http-get, grpc or tcp-socket probe".into(),
                ],
            }),
            Finding::Shown { proof, why } if verdict.cause.is_none() => {
                verdict.cause = Some(row.name);
                verdict.why = why;
                verdict.proof.extend(proof);
                verdict.proof.extend(server_log::about(view, row.name));
                verdict.cure = (row.cure)(view, why);
            }
            Finding::Shown { .. } => verdict.undecided.push(Undecided {
                cause: row.name,
                why: "its signs are there as well, beside those of a cause that comes before it".into(),
                collect: vec!["the same cell with the named cause cured".into()],
            }),
            Finding::Excluded(line) => verdict.ruled_out.push(RuledOut { cause: row.name, line }),
            Finding::Open { why, collect } => verdict.undecided.push(Undecided { cause: row.name, why, collect }),
        }
    }
    if verdict.cause.is_none() {
        verdict.cause = Some(CauseName::Undetermined);
        // First what is left as a whole, then each cause that was not excluded.
        if let Some(open) = beyond::left_open(view) {
            verdict.undecided.insert(0, open);
        }
    }
}

/// What the health check saw, in one line.
fn probe_line(view: &View<'_>, summary: &Summary) -> Option<ProofLine> {
    if summary.sent == 0 {
        return None;
    }
    let Some(first) = view.failed.first() else {
        return Some(ProofLine::new(
            "probe",
            format!("{} of {} passed", count(summary.ok), count(summary.sent)),
            "no probe failed",
        ));
    };
    let kinds: Vec<String> = summary
        .outcomes
        .iter()
        .filter(|(outcome, _)| !outcome.passed())
        .map(|(&outcome, n)| format!("{} {n}", outcome_name(outcome)))
        .collect();
    let text = match summary.would_restart_at_s {
        Some(s) => format!(
            "{} in a row: liveness restarts the container {s:.1} s after the first probe",
            view.record.probe.plan.failure_threshold
        ),
        None => "liveness would not have restarted the container".to_owned(),
    };
    let value = format!("{} of {} failed: {}", count(summary.failed), count(summary.sent), kinds.join(", "));
    Some(ProofLine::new("probe", value, text).at(first.started_ns))
}

/// How near a healthy cell came to its limits.
fn headroom(view: &View<'_>) -> Vec<ProofLine> {
    let descriptors = view.targets.iter().map(|t| ProofLine::new(t.series_name(), t.fullest(), "descriptors at most"));
    let queue = view.queue.iter().map(|q| {
        ProofLine::new(format!("listener.{}.recv_q", q.name), q.fullest(), "connections waiting to be accepted at most")
    });
    descriptors.chain(queue).collect()
}
