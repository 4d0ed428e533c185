//! `brimful report`: the verdicts judged again from the saved records, in any form.

use std::path::Path;

use super::arguments::{Report as Options, ReportForm};
use super::{page, put};
use crate::error::{Error, ExitStatus};
use crate::evidence::record::Record;
use crate::judge::report::forms::markdown::{self, Limit};
use crate::judge::report::forms::{benchstat, bmf, github_action_benchmark, hgrm, hlog, json, junit, openmetrics};
use crate::judge::report::text::{self, Look};
use crate::judge::report::{MissingCell, Report, RunInfo, SCHEMA_VERSION};
use crate::plan::matrix::Choice;
use crate::store;

pub(super) fn report(options: &Options) -> Result<ExitStatus, Error> {
    let file = if options.run.is_dir() { options.run.join("report.json") } else { options.run.clone() };
    let saved = store::read_report(&file, SCHEMA_VERSION)?;
    let mut records = store::read_records(file.parent().unwrap_or(Path::new(".")))?;
    let mut missing = saved.missing.clone();
    if let Some(glob) = &options.cell {
        choose(glob, &mut records, &mut missing)?;
    }
    let report = judged_again(saved, &records, missing);
    let text = rendered(options, &file, &report, &records)?;
    match &options.out {
        Some(path) => store::write(path, text.as_bytes())?,
        None => put(&text),
    }
    Ok(ExitStatus::Done)
}

/// Leaves only the cells that a glob fits.
fn choose(glob: &str, records: &mut Vec<Record>, missing: &mut Vec<MissingCell>) -> Result<(), Error> {
    let choice = Choice::new(glob).map_err(|refusal| Error::Refused(vec![refusal]))?;
    let mut known: Vec<String> = records.iter().map(|record| record.cell.id.clone()).collect();
    known.extend(missing.iter().map(|cell| cell.id.clone()));
    known.sort();
    known.dedup();
    records.retain(|r| choice.fits(&r.cell.id, r.cell.knobs.iter().map(|(name, knob)| (name, &knob.asked))));
    missing.retain(|cell| choice.fits(&cell.id, cell.knobs.iter().map(|(name, knob)| (name, &knob.asked))));
    if records.is_empty() && missing.is_empty() {
        return Err(Error::Refused(vec![Choice::fits_none(glob, known)]));
    }
    Ok(())
}

fn judged_again(saved: Report, records: &[Record], missing: Vec<MissingCell>) -> Report {
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
    Report::build(info, records, &planned).with_missing(missing)
}

fn rendered(options: &Options, file: &Path, report: &Report, records: &[Record]) -> Result<String, Error> {
    Ok(match options.format {
        // A file has no terminal's width and no colours.
        ReportForm::Text if options.out.is_some() => text::render(report, Look { width: super::WIDTH, color: false }),
        ReportForm::Text => page(report),
        ReportForm::Md => markdown::render(report, Limit { bytes: options.limit, whole: &file.display().to_string() }),
        ReportForm::Json => json::render(report),
        ReportForm::Junit => junit::render(report)?,
        ReportForm::Bmf => bmf::render(report),
        ReportForm::GithubActionBenchmark => github_action_benchmark::render(report),
        ReportForm::Benchstat => benchstat::render(report),
        ReportForm::Hgrm => hgrm::render(report, records),
        ReportForm::Hlog => hlog::render(report, records)?,
        ReportForm::Openmetrics => openmetrics::render(report),
    })
}
