//! `brimful report`: the verdicts judged again from the saved records.

use std::path::Path;

use super::arguments::{Form, Format, Report as Options};
use crate::error::{Error, ExitStatus};
use crate::judge::report::{Report, RunInfo, SCHEMA_VERSION};
use crate::store;

pub(super) fn report(options: &Options) -> Result<ExitStatus, Error> {
    let file = if options.run.is_dir() { options.run.join("report.json") } else { options.run.clone() };
    let saved = store::read_report(&file, SCHEMA_VERSION)?;
    let records = store::read_records(file.parent().unwrap_or(Path::new(".")))?;
    let info = RunInfo {
        scenario: saved.scenario.name,
        question: saved.scenario.question,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        host: saved.host,
        seed: saved.seed,
        blocks: saved.blocks,
        interrupted: saved.interrupted,
        arms: saved.arms,
        gate: saved.gate,
    };
    let order: Vec<&str> = saved.cells.iter().map(|cell| cell.id.as_str()).collect();
    let mut planned: Vec<_> = records.iter().map(|record| record.cell.clone()).collect();
    planned.sort_by_key(|cell| order.iter().position(|&id| id == cell.id).unwrap_or(usize::MAX));
    planned.dedup_by(|a, b| a.id == b.id);
    let mut report = Report::build(info, &records, &planned);
    // What was never run has no record; only the saved report knows of it.
    report.missing = saved.missing;
    match options.format {
        Form::Text => super::show(&report, Format::Text),
        Form::Json => super::show(&report, Format::Json),
        Form::Html => super::put(&super::pages::html(&report, &records)),
    }
    Ok(ExitStatus::Done)
}
