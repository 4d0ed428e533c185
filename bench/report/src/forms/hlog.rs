//! HdrHistogram's interval logs (V2, compressed): nanoseconds, one interval over a whole cell, a line for each histogram. Pure.
//!
//! `probe` has the answered probes, `probe-failed` the others at their deadline, `connect` and `lag` the load's: how long its
//! handshakes took, and how late it was.

use std::time::Duration;

use brimful_evidence::record::Record;
use brimful_judge::report::Report;
use brimful_judge::wording::nanos;
use brimful_loadgen_plan::latency::Latency;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use super::FormError;

/// The log of one record, tagged `probe`, `probe-failed`, `connect` and `lag`.
///
/// # Errors
/// [`FormError::Histogram`] when the writer fails.
pub fn of_record(record: &Record) -> Result<String, FormError> {
    let what = format!("{} {} block {}", record.scenario, record.cell.id, record.block);
    log(&record.tool_version, &what, &[("", record)])
}

/// The logs of a run as one: a line is tagged `CELL/BLOCK/probe` and so on, with `;` for the commas of a cell's id, which a tag
/// cannot hold. Every interval counts from the start of its own cell.
///
/// # Errors
/// [`FormError::Histogram`] when the writer fails.
pub fn render(report: &Report, records: &[Record]) -> Result<String, FormError> {
    let mut of_cells = Vec::new();
    for cell in &report.cells {
        let mut of_cell: Vec<&Record> = records.iter().filter(|record| record.cell.id == cell.id).collect();
        of_cell.sort_by_key(|record| record.block);
        of_cells.extend(of_cell);
    }
    let prefix = |record: &Record| format!("{}/{}/", record.cell.id.replace(',', ";"), record.block);
    let prefixes: Vec<String> = of_cells.iter().map(|record| prefix(record)).collect();
    let tagged: Vec<(&str, &Record)> = prefixes.iter().map(String::as_str).zip(of_cells).collect();
    log(&report.tool.version, &report.scenario.name, &tagged)
}

fn log(version: &str, what: &str, records: &[(&str, &Record)]) -> Result<String, FormError> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| FormError::Histogram(error);
    let mut text = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment(&format!("brimful {version}: {what}"))
        .begin_log_with(&mut text, &mut serializer)
        .map_err(|error| failed(error.into()))?;
    for (prefix, record) in records {
        let (passed, missed) = probes(record);
        let load = &record.load.outcome;
        let all =
            [("probe", &passed), ("probe-failed", &missed), ("connect", &load.connect_latency), ("lag", &load.lag)];
        for (name, latency) in all {
            let tag = format!("{prefix}{name}").replace([' ', '\r', '\n'], "_");
            let duration = Duration::from_nanos(record.duration_ns);
            log.write_histogram(latency.histogram(), Duration::ZERO, duration, Tag::new(&tag))
                .map_err(|error| failed(error.into()))?;
        }
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The probes that passed, and those that did not, at their deadline.
fn probes(record: &Record) -> (Latency, Latency) {
    let deadline = nanos(record.probe.plan.timeout);
    let (mut passed, mut failed) = (Latency::new(), Latency::new());
    for sample in &record.probe.samples {
        if sample.outcome.passed() { passed.record(sample.latency_ns()) } else { failed.record(deadline) }
    }
    (passed, failed)
}
