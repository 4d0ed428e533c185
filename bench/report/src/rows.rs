//! The table of cells in plain words, one row a cell: the knobs that vary, then what became of it. Pure.
//!
//! How wide a column is, where it breaks and what colour it has is for each form to say.

use brimful_evidence::record::KnobReading;
use brimful_judge::report::{At, CellReport, LoadReport, ProbeReport, Report};
use brimful_judge::wording::{count, short_time};
use brimful_plan::expect::CellOutcome;

/// All rows, and what they have in common.
pub(crate) struct Rows<'a> {
    /// The knobs whose values differ between cells, under their full names.
    pub(crate) knobs: Vec<&'a str>,
    /// The connections asked for, where that is one number for every cell; else each row says it.
    pub(crate) requested: Option<u64>,
    /// In the scenario's order.
    pub(crate) rows: Vec<Row>,
}

/// One cell. What does not apply is empty.
pub(crate) struct Row {
    /// A value for each of [`Rows::knobs`]: what the kernel gave, with a star where that is not what was asked.
    pub(crate) knobs: Vec<String>,
    pub(crate) outcome: CellOutcome,
    /// The cause, and the reason within it.
    pub(crate) cause: String,
    pub(crate) why: Option<String>,
    /// `9/10`.
    pub(crate) passed: String,
    pub(crate) first_failure: String,
    pub(crate) p50: String,
    pub(crate) p99: String,
    /// `4.0s`.
    pub(crate) restart: String,
    pub(crate) held: String,
}

impl<'a> Rows<'a> {
    pub(crate) fn of(report: &'a Report) -> Self {
        let knobs = varying(report);
        let requested = same(report.cells.iter().map(|c| c.load.requested));
        let row = |cell: &CellReport| Row {
            knobs: knobs.iter().map(|name| knob(cell.knobs.get(*name))).collect(),
            outcome: cell.outcome,
            cause: cell.verdict.cause.map(|cause| cause.to_string()).unwrap_or_default(),
            why: cell.verdict.why.map(|why| why.to_string()),
            passed: format!("{}/{}", cell.probe.ok, cell.probe.sent),
            first_failure: first_failure(&cell.probe),
            p50: at(cell.probe.latency_ns.p50),
            p99: at(cell.probe.latency_ns.p99),
            restart: cell.probe.would_restart_at_s.map_or_else(String::new, |s| format!("{s:.1}s")),
            held: match requested {
                Some(_) => held(&cell.load),
                None => format!("{}/{}", held(&cell.load), count(cell.load.requested)),
            },
        };
        let rows = report.cells.iter().map(row).collect();
        Self { knobs, requested, rows }
    }
}

/// The last part of a knob's name where it stays unique among them.
pub(crate) fn short_name(name: &str, all: &[&str]) -> String {
    let last = |n: &str| n.rsplit('.').next().unwrap_or_default().to_owned();
    let short = last(name);
    let unique = all.iter().filter(|other| last(other) == short).count() == 1;
    if unique { short } else { name.to_owned() }
}

/// Connections held at the end; of a load of which none was established, those that stood in SYN_SENT.
fn held(load: &LoadReport) -> String {
    if load.established == 0 && load.pending > 0 {
        return format!("{} SYN", count(load.pending));
    }
    count(load.held)
}

/// The knobs whose values differ between cells, under their full names.
fn varying(report: &Report) -> Vec<&str> {
    let Some(first) = report.cells.first() else { return Vec::new() };
    let differs = |name: &str| same(report.cells.iter().map(|c| c.knobs.get(name).map(|k| &k.asked))).is_none();
    first.knobs.keys().map(String::as_str).filter(|name| differs(name)).collect()
}

/// The one value of all, if they are alike.
fn same<T: PartialEq>(mut values: impl Iterator<Item = T>) -> Option<T> {
    let first = values.next()?;
    values.all(|v| v == first).then_some(first)
}

/// What the kernel gave, with a star where that is not what was asked.
fn knob(reading: Option<&KnobReading>) -> String {
    match reading {
        None => String::new(),
        Some(KnobReading { asked, given: Some(given), .. }) if asked == given => given.to_string(),
        Some(KnobReading { given: Some(given), .. }) => format!("{given}*"),
        Some(KnobReading { asked, given: None, .. }) => format!("{asked}?"),
    }
}

fn first_failure(probe: &ProbeReport) -> String {
    match probe.first_failure.as_deref() {
        None => String::new(),
        Some("connect-timeout") => "no connect".into(),
        Some("response-timeout") => "no answer".into(),
        Some("local-error") => "prober".into(),
        Some(other) => other.replace('-', " "),
    }
}

fn at(quantile: Option<At>) -> String {
    match quantile {
        None => String::new(),
        Some(At::Exact(ns)) => short_time(ns),
        Some(At::AtLeast { at_least_ns }) => format!("≥{}", short_time(at_least_ns)),
    }
}
