//! `brimful report`: the verdicts judged again from the saved records, in any form.

use std::path::Path;

use brimful_evidence::record::Record;
use brimful_judge::report::{MissingCell, Report};
use brimful_plan::matrix::Choice;
use brimful_report::forms::markdown::{self, Limit};
use brimful_report::forms::{benchstat, bmf, github_action_benchmark, hgrm, hlog, json, junit, openmetrics};
use brimful_report::html;
use brimful_report::text::{self, Look};
use brimful_runner::store::{self, RunDirectory};

use super::arguments::{Report as Options, ReportForm};
use super::{page, put};
use crate::error::{Error, ExitStatus};

pub(super) fn report(options: &Options) -> Result<ExitStatus, Error> {
    if options.run.join("knee.json").exists() && !options.run.join("report.json").exists() {
        return Err(Error::Usage {
            what: format!("`{}` is the folder of a search for knees, not of a run", options.run.display()),
            hint: "its answer is in knee.json, knee.md and knee.svg".to_owned(),
        });
    }
    let mut saved = store::read_run(&options.run)?;
    if let Some(glob) = &options.cell {
        choose(glob, &mut saved.records, &mut saved.report.missing)?;
    }
    let report = Report::again(saved.report, &saved.records, env!("CARGO_PKG_VERSION"));
    if options.save {
        RunDirectory::open(&saved.folder)?.save_report(&report, &saved.records)?;
    }
    let text = rendered(options, &saved.folder, &report, &saved.records)?;
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

fn rendered(options: &Options, folder: &Path, report: &Report, records: &[Record]) -> Result<String, Error> {
    let whole = folder.join("report.json").display().to_string();
    Ok(match options.format {
        // A file has no terminal's width and no colours.
        ReportForm::Text if options.out.is_some() => text::render(report, Look { width: super::WIDTH, color: false }),
        ReportForm::Text => page(report),
        ReportForm::Md => markdown::render(report, Limit { bytes: options.limit, whole: &whole }),
        ReportForm::Html => html::from_records(report, records),
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
