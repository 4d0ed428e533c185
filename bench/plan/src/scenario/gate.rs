//! `[gate]`: what a run is held to.

use std::time::Duration;

use globset::Glob;
use indexmap::IndexMap;

use super::error::ScenarioError;
use super::load::LONGEST;
use super::matrix::{Matrix, leaves};
use super::reader::{Keys, Section, Value};
use crate::arm::ARM;
use crate::axis::{self, Axis};
use crate::gate::{ALWAYS, DEFAULT_METRICS, Gate, Metric};
use crate::knob::limits::CONNECTIONS_MOST;
use crate::order::BLOCKS_MOST;
use crate::wording::{nearest, quoted};

const GATE: Keys = Keys {
    now: &["blocks", "metrics", "cells", "tolerance", "ceiling"],
    later: &["baseline", "checks"],
    elsewhere: &[("metric", "metrics"), ("only", "cells"), ("threshold", "ceiling"), ("thresholds", "ceiling")],
};

/// The fewest blocks: one has nothing to be compared with.
const BLOCKS_LEAST: u64 = 2;
/// The largest tolerance of what is compared by ratio and is better when it is less, in percent: a hundred times as much.
const PERCENT_MOST: f64 = 10_000.0;

/// Reads `[gate]`.
pub(super) fn read(root: &Section<'_>, matrix: &Matrix) -> Result<Option<Gate>, ScenarioError> {
    let Some(value) = root.value("gate") else { return Ok(None) };
    let section = value.table(GATE)?;
    let blocks = section.value("blocks").map(|value| value.count(BLOCKS_LEAST..=u64::from(BLOCKS_MOST))).transpose()?;
    let metrics = metrics(&section)?;
    Ok(Some(Gate {
        blocks: blocks.and_then(|blocks| u32::try_from(blocks).ok()),
        cells: section.value("cells").map(|value| cells(&value, matrix)).transpose()?,
        tolerance: numbers(&section, "tolerance", |metric, value| tolerance(metric, value, &metrics))?,
        ceiling: numbers(&section, "ceiling", ceiling)?,
        metrics,
    }))
}

fn metrics(section: &Section<'_>) -> Result<Vec<Metric>, ScenarioError> {
    let Some(list) = section.value("metrics") else { return Ok(DEFAULT_METRICS.to_vec()) };
    let mut metrics = Vec::new();
    for item in list.list()? {
        let metric = named(item.text()?, |message| item.error(message))?;
        if metrics.contains(&metric) {
            return Err(item.error(format!("`{metric}` is among the metrics twice")));
        }
        metrics.push(metric);
    }
    let unsaid: Vec<Metric> = ALWAYS.into_iter().filter(|metric| !metrics.contains(metric)).collect();
    metrics.splice(0..0, unsaid);
    Ok(metrics)
}

/// The metric of a name; `error` says where a wrong one stands.
fn named(name: &str, error: impl FnOnce(String) -> ScenarioError) -> Result<Metric, ScenarioError> {
    let names = Metric::ALL.map(Metric::name);
    Metric::named(name).ok_or_else(|| {
        let error = error(format!("`{name}` is no metric")).valid(name, &names);
        match nearest(name, names) {
            Some(_) => error,
            // `p99` is what people call it.
            None => match names.iter().find(|known| known.ends_with(&format!(".{name}"))) {
                Some(known) => error.hint(format!("it is called \"{known}\" here")),
                None => error,
            },
        }
    })
}

/// A table from metrics to numbers. Their names have dots in them, and may be in quotes or not.
fn numbers(
    section: &Section<'_>,
    key: &str,
    read: impl Fn(Metric, &Value<'_>) -> Result<f64, ScenarioError>,
) -> Result<IndexMap<Metric, f64>, ScenarioError> {
    let Some(value) = section.value(key) else { return Ok(IndexMap::new()) };
    let mut found = Vec::new();
    leaves(&value, "", &mut |name, value| found.push((name, value)))?;
    let mut numbers = IndexMap::new();
    for (name, value) in found {
        let metric = named(name.trim_start_matches('.'), |message| value.error_at_key(message))?;
        if numbers.insert(metric, read(metric, &value)?).is_some() {
            return Err(value.error_at_key(format!("`{metric}` has a {key} twice")));
        }
    }
    Ok(numbers)
}

fn tolerance(metric: Metric, value: &Value<'_>, metrics: &[Metric]) -> Result<f64, ScenarioError> {
    if !metrics.contains(&metric) {
        return Err(value
            .error_at_key(format!("`{metric}` is not among the metrics, so its tolerance would never be looked at"))
            .hint(format!("add it: metrics = [..., \"{metric}\"]")));
    }
    let most = match metric {
        Metric::FailureRate => 100.0,
        // All of them could be lost.
        _ if metric.more_is_better() => 99.0,
        _ => PERCENT_MOST,
    };
    let percent = percent(value, "15%")?;
    if percent > 0.0 && percent <= most {
        return Ok(percent / 100.0);
    }
    Err(value
        .error(format!("a tolerance of {metric} is above 0% and at most {most}%"))
        .hint("no two runs are quite the same; for a limit that holds whatever the other run did, give a ceiling"))
}

fn ceiling(metric: Metric, value: &Value<'_>) -> Result<f64, ScenarioError> {
    match metric {
        Metric::FailureRate => {
            let percent = percent(value, "1%")?;
            let fits = (0.0..=100.0).contains(&percent);
            fits.then_some(percent / 100.0).ok_or_else(|| value.error("a failure rate is between 0% and 100%"))
        }
        Metric::RestrictedMean | Metric::P50 | Metric::P90 | Metric::P99 => {
            let span = value.duration(Duration::from_micros(1)..=LONGEST)?;
            #[expect(clippy::cast_precision_loss, reason = "a day has 2^47 nanoseconds")]
            Ok(span.as_nanos() as f64)
        }
        Metric::LoadRate | Metric::LoadHeld =>
        {
            #[expect(clippy::cast_precision_loss, reason = "at most a few million connections")]
            value.count(0..=CONNECTIONS_MOST).map(|count| count as f64)
        }
    }
}

/// A share with its sign, as in `"15%"`.
fn percent(value: &Value<'_>, example: &str) -> Result<f64, ScenarioError> {
    let wrong = |value: &Value<'_>| {
        value
            .error(format!("`{}` must be a share with a percent sign, in quotes", value.name))
            .hint(format!("write \"{example}\""))
    };
    let text = value.text().map_err(|_not_a_text: ScenarioError| wrong(value))?;
    let number = text.trim().strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    number.filter(|number| number.is_finite()).ok_or_else(|| wrong(value))
}

/// A glob that fits some cell.
fn cells(value: &Value<'_>, matrix: &Matrix) -> Result<String, ScenarioError> {
    let glob = value.text()?;
    let matcher = Glob::new(glob)
        .map_err(|error| {
            value.error(format!("`{glob}` is no glob: {}", error.kind())).hint("write \"somaxconn=128,*\"")
        })?
        .compile_matcher();
    let (axes, rows) = without_arms(matrix);
    let ids = axis::ids(&axes, &rows).map_err(|error| value.error(error.to_string()))?;
    if ids.iter().any(|id| matcher.is_match(id)) {
        return Ok(glob.to_owned());
    }
    Err(value.error(format!("no cell fits `{glob}`")).hint(format!("without their arm the cells are {}", quoted(ids))))
}

/// The axes and combinations of a matrix as they would be without arms: a gate compares arms within each of them.
fn without_arms(matrix: &Matrix) -> (Vec<Axis>, Vec<Vec<usize>>) {
    let arms = usize::from(matrix.axes.first().is_some_and(|axis| axis.knob == ARM));
    let axes = matrix.axes.iter().skip(arms).cloned().collect();
    let mut rows: Vec<Vec<usize>> = matrix.rows.iter().map(|row| row.iter().skip(arms).copied().collect()).collect();
    rows.sort_unstable();
    rows.dedup();
    (axes, rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    const LOAD: &str = "question = \"?\"\n[load]\nconnections = 10\nramp = \"1s\"\nhold = \"9s\"\n\
                        [matrix.ulimit]\nnofile = [64, 20_000]\n[arms]\nbase = {}\nhead = { target.backlog = 128 }\n";

    fn parse(more: &str) -> Result<Gate, String> {
        let error = |error: ScenarioError| format!("{error}\nhint: {}", error.hint.clone().unwrap_or_default());
        Scenario::parse("t.toml", &format!("{LOAD}{more}")).map(|scenario| scenario.gate.unwrap()).map_err(error)
    }

    #[test]
    fn a_gate_is_read_with_its_units() {
        let gate = parse(
            "[gate]\nblocks = 15\nmetrics = [\"latency.p99\", \"failure-rate\"]\ncells = \"*nofile=20000*\"\n\
             tolerance = { \"latency.p99\" = \"15%\", \"failure-rate\" = \"0.5%\" }\n\
             ceiling = { \"latency.p99\" = \"50ms\", \"failure-rate\" = \"0 %\", \"load.held\" = 12_000 }",
        )
        .unwrap();
        assert_eq!(gate.blocks, Some(15));
        assert_eq!(gate.metrics, [Metric::RestrictedMean, Metric::P99, Metric::FailureRate]);
        assert_eq!(gate.cells.as_deref(), Some("*nofile=20000*"));
        assert_eq!((gate.tolerance_of(Metric::P99), gate.tolerance_of(Metric::FailureRate)), (0.15, 0.005));
        assert_eq!(gate.ceiling.values().copied().collect::<Vec<_>>(), [50e6, 0.0, 12_000.0]);
        assert_eq!(parse("[gate]").unwrap(), Gate::default());
    }

    #[test]
    fn the_dots_of_a_metric_need_no_quotes() {
        let quoted = parse("[gate]\ntolerance = { \"latency.p99\" = \"15%\" }").unwrap();
        assert_eq!(parse("[gate]\ntolerance.latency.p99 = \"15%\"").unwrap(), quoted);
        assert_eq!(parse("[gate.tolerance.latency]\np99 = \"15%\"").unwrap(), quoted);
    }

    /// What is wrong, the table, and parts of what is said, joined by `|`.
    const BAD: &[(&str, &str, &str)] = &[
        ("a misspelt key", "[gate]\nblock = 5", "unknown key `gate.block`|did you mean `blocks`?"),
        ("one block", "[gate]\nblocks = 1", "between 2 and 1,000"),
        (
            "an unknown metric",
            "[gate]\nmetrics = [\"latency.p98\"]",
            "`latency.p98` is no metric|did you mean `latency.p99`?",
        ),
        ("a metric by its last name", "[gate]\nmetrics = [\"p50\"]", "`p50` is no metric|\"latency.p50\""),
        (
            "a metric twice",
            "[gate]\nmetrics = [\"load.held\", \"load.held\"]",
            "`load.held` is among the metrics twice",
        ),
        ("metrics that are no list", "[gate]\nmetrics = \"load.held\"", "must be a list in brackets"),
        ("no glob", "[gate]\ncells = \"a[\"", "`a[` is no glob"),
        ("a glob that nothing fits", "[gate]\ncells = \"arm=base,*\"", "no cell fits|`nofile=64`, `nofile=20000`"),
        (
            "a tolerance without sign",
            "[gate]\ntolerance.latency.p99 = 15",
            "must be a share with a percent sign|write \"15%\"",
        ),
        ("a tolerance in words", "[gate]\ntolerance.latency.p99 = \"some%\"", "must be a share with a percent sign"),
        ("a tolerance beyond numbers", "[gate]\ntolerance.latency.p99 = \"inf%\"", "must be a share"),
        ("no tolerance at all", "[gate]\ntolerance.latency.p99 = \"0%\"", "above 0%|give a ceiling"),
        (
            "a tolerance of losing all",
            "[gate]\nmetrics = [\"load.held\"]\ntolerance.load.held = \"100%\"",
            "at most 99%",
        ),
        ("a tolerance of what is not tested", "[gate]\ntolerance.load.held = \"5%\"", "not among the metrics|add it"),
        (
            "a metric in two spellings",
            "[gate]\ntolerance = { \"latency.p99\" = \"5%\", latency.p99 = \"6%\" }",
            "has a tolerance twice",
        ),
        ("an unknown metric with a ceiling", "[gate]\nceiling.latency.p98 = \"5ms\"", "`latency.p98` is no metric"),
        ("a ceiling without unit", "[gate]\nceiling.latency.p99 = 50", "needs a unit"),
        ("a ceiling of more than all", "[gate]\nceiling.failure-rate = \"101%\"", "between 0% and 100%"),
        ("a ceiling with a fraction of a connection", "[gate]\nceiling.load.held = 1.5", "must be a whole number"),
        ("a gate that is no table", "gate = 5", "`gate` must be a table"),
    ];

    #[test]
    fn every_bad_gate_is_told_what_is_wrong() {
        for (what, more, said) in BAD {
            let told = if more.starts_with("gate") {
                let error = Scenario::parse("t.toml", &format!("{more}\n{LOAD}")).expect_err(what);
                error.to_string()
            } else {
                parse(more).expect_err(what)
            };
            for part in said.split('|') {
                assert!(told.contains(part), "{what}: `{part}` is not said in\n{told}");
            }
        }
    }
}
