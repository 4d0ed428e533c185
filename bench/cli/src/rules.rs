//! What `compare` and `gate` share: which runs, which arms, by which metrics and tolerances.

use std::path::{Path, PathBuf};

use brimful_judge::compare::Side;
use brimful_judge::metric::is_latency;
use brimful_judge::report::{Report, SCHEMA_VERSION};
use brimful_plan::gate::{Gate, Metric};
use brimful_runner::store;
use clap::{Args, ValueEnum};

use crate::error::Error;

/// The form of a comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// For a terminal
    #[default]
    Text,
    /// For a comment under a pull request, at most 64 KB
    Md,
    /// For programs
    Json,
}

/// What is looked at, on top of the scenario's `[gate]`.
#[derive(Debug, Args)]
pub(super) struct Rules {
    /// Metrics instead of the scenario's: failure-rate, latency.restricted-mean (both always), latency.p50, latency.p90, latency.p99, load.rate, load.held
    #[arg(long = "metric", visible_alias = "metrics", value_name = "METRIC", value_delimiter = ',', value_parser = metric)]
    metrics: Vec<Metric>,
    /// Only cells whose id, without the arm, matches
    #[arg(long, value_name = "CELL-GLOB")]
    cells: Option<String>,
    /// How far a metric may move for the worse: latency.p99=15%, failure-rate=0.5pp
    #[arg(long, value_name = "METRIC=SHARE", value_parser = tolerance)]
    tolerance: Vec<(Metric, f64)>,
}

impl Rules {
    /// The scenario's rules with what was typed put over them.
    pub(super) fn over(&self, mut rules: Gate) -> Gate {
        if !self.metrics.is_empty() {
            rules.metrics.clone_from(&self.metrics);
        }
        rules.cells = self.cells.clone().or(rules.cells);
        rules.tolerance.extend(self.tolerance.iter().copied());
        rules
    }
}

/// A report under the name that was typed for it.
pub(super) struct Loaded {
    pub(super) name: String,
    pub(super) report: Report,
    /// The folder that it is in.
    pub(super) folder: PathBuf,
}

impl Loaded {
    /// Reads a run folder or a `report.json`.
    pub(super) fn read(run: &Path) -> Result<Self, Error> {
        let file = if run.is_dir() { run.join("report.json") } else { run.to_path_buf() };
        let report = store::read_report(&file, SCHEMA_VERSION)?;
        let folder = match file.parent() {
            Some(folder) if folder != Path::new("") => folder.to_path_buf(),
            _ => PathBuf::from("."),
        };
        Ok(Self { name: run.display().to_string(), report, folder })
    }

    /// The whole run as a side.
    pub(super) fn side(&self) -> Side<'_> {
        Side::run(&self.name, &self.report)
    }

    /// Two of its arms as sides; their names as typed, `base,head`.
    pub(super) fn arms<'a>(&'a self, arms: &'a [String]) -> Result<(Side<'a>, Side<'a>), Error> {
        let [base, head] = arms else {
            return Err(Error::Usage {
                what: format!("--arms names {} arms, and two are compared", arms.len()),
                hint: "write --arms base,head".to_owned(),
            });
        };
        Ok((Side::arm(&self.report, base)?, Side::arm(&self.report, head)?))
    }
}

/// A metric by its name.
fn metric(name: &str) -> Result<Metric, String> {
    Metric::named(name).ok_or_else(|| match Metric::nearest(name) {
        Some(near) => format!("there is no such metric; did you mean `{near}`?"),
        None => format!("there is no such metric; there are {}", Metric::ALL.map(Metric::name).join(", ")),
    })
}

/// `METRIC=SHARE`.
pub(super) fn tolerance(text: &str) -> Result<(Metric, f64), String> {
    let (metric, value) = assignment(text)?;
    let share = share(value)?;
    if metric != Metric::FailureRate && value.ends_with("pp") {
        return Err("`pp` are percentage points, which only the failure rate has; write for example 15%".to_owned());
    }
    if share >= 1.0 && (metric == Metric::FailureRate || metric.more_is_better()) {
        return Err(format!("with a tolerance of {value} {metric} could never fail"));
    }
    Ok((metric, share))
}

/// `METRIC=VALUE` in the metric's own unit.
pub(super) fn ceiling(text: &str) -> Result<(Metric, f64), String> {
    let (metric, value) = assignment(text)?;
    let ceiling = match metric {
        metric if is_latency(metric) => {
            let time = humantime::parse_duration(value).map_err(|error| format!("{error}; write for example 50ms"))?;
            time.as_nanos() as f64
        }
        Metric::FailureRate => share(value)?,
        _ => number(&value.replace('_', ""))?,
    };
    if metric == Metric::FailureRate && ceiling > 1.0 {
        return Err(format!("{value} is more than all; write for example 1%"));
    }
    Ok((metric, ceiling))
}

fn assignment(text: &str) -> Result<(Metric, &str), String> {
    let (name, value) = text.split_once('=').ok_or("write METRIC=VALUE, for example latency.p99=15%")?;
    Ok((metric(name.trim())?, value.trim()))
}

/// `15%`, `0.5pp` or `0.15`.
fn share(text: &str) -> Result<f64, String> {
    match text.strip_suffix('%').or_else(|| text.strip_suffix("pp")) {
        Some(percent) => Ok(number(percent.trim())? / 100.0),
        None => number(text),
    }
}

fn number(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
        Ok(_) => Err(format!("`{text}` is not a number from 0 up")),
        Err(_) => Err(format!("`{text}` is not a number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerances_and_ceilings_are_read() {
        for (text, read) in [
            ("latency.p99=15%", (Metric::P99, 0.15)),
            ("latency.p50=0.2", (Metric::P50, 0.2)),
            ("failure-rate=0.5pp", (Metric::FailureRate, 0.005)),
            ("latency.p99=250%", (Metric::P99, 2.5)),
        ] {
            let (metric, share) = tolerance(text).unwrap();
            assert!(metric == read.0 && (share - read.1).abs() < 1e-12, "{text}: {metric} {share}");
        }
        for (text, read) in [
            ("latency.p99=50ms", (Metric::P99, 5e7)),
            ("failure-rate=1%", (Metric::FailureRate, 0.01)),
            ("failure-rate=0", (Metric::FailureRate, 0.0)),
            ("load.held=12_000", (Metric::LoadHeld, 12_000.0)),
        ] {
            assert_eq!(ceiling(text), Ok(read), "{text}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_in_words() {
        for (text, says) in [
            ("latency.p98=15%", "did you mean `latency.p9"),
            ("zebra=1", "there are failure-rate"),
            ("latency.p99", "METRIC=VALUE"),
            ("latency.p99=-1%", "from 0 up"),
            ("latency.p99=NaN", "from 0 up"),
            ("latency.p99=1pp", "percentage points"),
            ("load.held=100%", "never fail"),
            ("latency.p99=much", "not a number"),
        ] {
            assert!(tolerance(text).unwrap_err().contains(says), "{text}: {:?}", tolerance(text));
        }
        for (text, says) in
            [("latency.p99=50", "50ms"), ("failure-rate=200%", "more than all"), ("load.held=x", "not a number")]
        {
            assert!(ceiling(text).unwrap_err().contains(says), "{text}: {:?}", ceiling(text));
        }
    }
}
