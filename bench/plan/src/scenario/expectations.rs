//! `[expect]`: what the scenario's author holds to be true.

use std::time::Duration;

use super::error::ScenarioError;
use super::matrix::{Matrix, condition};
use super::probe::earliest_failure;
use super::reader::{Keys, Section, Value};
use crate::axis::{self, Condition};
use crate::cell::ProbeSetup;
use crate::change::Change;
use crate::expect::{CauseName, CellOutcome, Expectation, HowMany};
use crate::wording::time;

const EXPECT: Keys = Keys { now: &["cells"], later: &["run", "knee"], elsewhere: &[("cell", "cells")] };
const CELL: Keys = Keys {
    now: &["when", "outcome", "cause", "why", "must-not-claim", "took", "restarts", "settles"],
    later: &["must-show", "ruled-out", "cure"],
    elsewhere: &[("must_not_claim", "must-not-claim")],
};

const OUTCOMES: &[&str] = &["healthy", "degraded", "failing", "void"];
pub(super) const CAUSES: &[&str] = &[
    "fd-limit",
    "accept-queue",
    "acceptor-stalled",
    "syn-queue",
    "no-listener",
    "fd-leak",
    "acceptor-throttled",
    "inotify-limit",
    "app-connection-cap",
    "slow-answer",
    "reuseport-skew",
    "syn-queue-three-quarter-rule",
    "syn-cookies",
    "defer-accept",
    "conntrack-full",
    "packet-filter-drop",
    "return-path-loss",
    "no-route-back",
    "local-ports",
    "prober-fd-limit",
    "softirq-backlog",
    "neighbour-table",
    "file-max",
    "tcp-mem",
    "generator-bound",
    "undetermined",
];
const TOOK: &[&str] = &["live", "at-listen", "at-start", "never", "not-yet"];
const WHYS: &[&str] = &["app-backlog", "somaxconn-clamp", "not-relistened"];

/// What else a file says that a line may be about.
pub(super) struct With<'a> {
    pub(super) changes: &'a [(Condition, Change)],
    pub(super) restart: bool,
}

/// Reads `[expect]`.
pub(super) fn read(
    root: &Section<'_>,
    matrix: &Matrix,
    probe: &ProbeSetup,
    cell: Duration,
    with: &With<'_>,
) -> Result<Vec<Expectation>, ScenarioError> {
    let Some(value) = root.value("expect") else { return Ok(Vec::new()) };
    let section = value.table(EXPECT)?;
    let lines = section.required("cells")?;
    let items = lines.list()?;
    if items.is_empty() {
        return Err(lines.error("`expect.cells` is empty").hint("take `[expect]` out, or say what is to be true"));
    }
    items.iter().map(|item| line(item, matrix, probe, cell, with)).collect()
}

fn line(
    item: &Value<'_>,
    matrix: &Matrix,
    probe: &ProbeSetup,
    cell: Duration,
    with: &With<'_>,
) -> Result<Expectation, ScenarioError> {
    let section = item.table(CELL)?;
    let when = section.value("when").map_or(Ok(Vec::new()), |when| condition(&when, &matrix.axes))?;
    if !matrix.rows.iter().any(|row| axis::holds(&matrix.axes, row, &when)) {
        return Err(item
            .error("no cell fits this `when`, so it would never be checked")
            .hint("`matrix.exclude` takes out every cell it is about"));
    }
    let outcome = words(&section, "outcome", OUTCOMES)?;
    let line = Expectation {
        when,
        outcome,
        cause: section.value("cause").map(|value| value.word(CAUSES, &[])).transpose()?,
        why: section.value("why").map(|value| value.word(WHYS, &[])).transpose()?,
        must_not_claim: words(&section, "must-not-claim", CAUSES)?,
        took: section.value("took").map(|value| value.word(TOOK, &[])).transpose()?,
        restarts: section.value("restarts").map(|value| how_many(&value)).transpose()?,
        settles: section.value("settles").map(|value| value.switch()).transpose()?,
    };
    contradiction(&section, &line)?;
    goes_with(&section, &line, with)?;
    if line.outcome == [CellOutcome::Failing] && earliest_failure(probe) >= cell {
        return Err(item
            .error(format!(
                "no cell can be failing: it lasts {}, and failure {} of {} would begin after {}",
                time(cell),
                probe.failure_threshold,
                probe.failure_threshold,
                time(earliest_failure(probe))
            ))
            .hint("hold longer, or probe more often (the kubelet's default period is 10s)"));
    }
    let of_time = line.took.is_some() || line.restarts.is_some() || line.settles.is_some();
    if line.outcome.is_empty() && line.cause.is_none() && line.must_not_claim.is_empty() && !of_time {
        return Err(item.error("this line expects nothing").hint("give it an outcome, a cause or must-not-claim"));
    }
    Ok(line)
}

/// A number or a range of them.
fn how_many(value: &Value<'_>) -> Result<HowMany, ScenarioError> {
    let hint = "write restarts = \"0\", \"1..3\" (both ends count) or \"2..\"";
    HowMany::parse(value.text().map_err(|error| error.hint(hint))?)
        .ok_or_else(|| value.error("`restarts` is a number or a range of numbers").hint(hint))
}

/// Refuses a line about what this scenario does not do.
fn goes_with(section: &Section<'_>, line: &Expectation, with: &With<'_>) -> Result<(), ScenarioError> {
    let at = |key: &str, message: &str| section.value(key).map_or(section.error(message), |value| value.error(message));
    let changes = with.changes.iter().any(|(_, change)| change.what.is_of_a_knob());
    if line.took.is_some() && !changes {
        return Err(at("took", "`took` is about a knob that is changed while a cell runs, and none is")
            .hint("write [[change]] at = \"5s\", set = { ulimit.nofile = 20_000 }"));
    }
    for key in ["restarts", "settles"] {
        if section.value(key).is_some() && !with.restart {
            return Err(
                at(key, "nobody restarts the target in this scenario").hint("write [restart] policy = \"kubelet\"")
            );
        }
    }
    Ok(())
}

/// Refuses a line that no verdict could satisfy.
fn contradiction(section: &Section<'_>, line: &Expectation) -> Result<(), ScenarioError> {
    let at = |key: &str, message: &str| section.value(key).map_or(section.error(message), |value| value.error(message));
    if line.outcome == [CellOutcome::Healthy] && line.cause.is_some() {
        return Err(at("cause", "a healthy cell has no cause"));
    }
    if line.why.is_some() && line.cause != Some(CauseName::AcceptQueue) {
        return Err(at("why", "`why` goes with cause = \"accept-queue\""));
    }
    if line.cause.is_some_and(|cause| line.must_not_claim.contains(&cause)) {
        return Err(at("must-not-claim", "the cause that is expected must not be forbidden as well"));
    }
    Ok(())
}

/// One word, or a list of them.
fn words<T: serde::de::DeserializeOwned>(
    section: &Section<'_>,
    key: &str,
    known: &[&str],
) -> Result<Vec<T>, ScenarioError> {
    match section.value(key) {
        None => Ok(Vec::new()),
        Some(value) if value.is_list() => value.list()?.iter().map(|item| item.word(known, &[])).collect(),
        Some(value) => Ok(vec![value.word(known, &[])?]),
    }
}
