//! `brimful report`: the verdicts judged again from the saved records, in any form.

use std::path::{Path, PathBuf};

use brimful_evidence::record::Record;
use brimful_judge::report::{MissingCell, Report};
use brimful_plan::matrix::Choice;
use brimful_report::forms::markdown::{self, LEAST_BYTES, Limit};
use brimful_report::forms::{benchstat, bmf, github_action_benchmark, hgrm, hlog, json, junit, openmetrics};
use brimful_report::html;
use brimful_report::text::{self, Look};
use brimful_runner::store::{self, RunDirectory};
use clap::{Args, ValueEnum};

use super::{page, put};
use crate::error::{Error, ExitStatus};

/// A form of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportForm {
    /// For a terminal
    #[default]
    Text,
    /// GitHub's Markdown, for a step's summary or a comment on a pull request
    Md,
    /// One page for a browser that needs nothing else: no network, no script
    Html,
    /// report.json, judged again
    Json,
    /// JUnit's XML: a failing or degraded cell is a failure, a void or missing one an error
    Junit,
    /// Bencher's metric format (JSON)
    Bmf,
    /// For github-action-benchmark, `tool: customSmallerIsBetter` (JSON)
    GithubActionBenchmark,
    /// Go's benchmark lines, one a block, for benchstat
    Benchstat,
    /// HdrHistogram's percentile table, one a cell, in milliseconds
    Hgrm,
    /// HdrHistogram's interval log of every block, in nanoseconds
    Hlog,
    /// OpenMetrics text, with the times of the run
    Openmetrics,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  brimful report brimful-out/origin-20261123T120000Z
  brimful report brimful-out/origin-20261123T120000Z --format json | jq '.cells[].verdict.cause'
  brimful report brimful-out/origin-20261123T120000Z --format md --limit 64KB --out comment.md
  brimful report brimful-out/origin-20261123T120000Z --format hgrm --cell '*nofile=1024'

What each form is for, and how other tools take it: docs/report.md.")]
pub(super) struct ReportOptions {
    /// A folder that `brimful run` wrote, or the report.json in it
    pub(super) run: PathBuf,
    /// The form
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: ReportForm,
    /// Write to a file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    /// Only the cells whose id matches
    #[arg(long, value_name = "CELL-GLOB")]
    pub(super) cell: Option<String>,
    /// For md: the most it may have (GitHub takes 64KB in a comment), at least 1KiB
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = markdown_bytes)]
    pub(super) limit: usize,
    /// Write the report's files in the run's folder anew as well
    #[arg(long, conflicts_with = "cell")]
    pub(super) save: bool,
}

fn markdown_bytes(text: &str) -> Result<usize, String> {
    let size: bytesize::ByteSize = text.parse()?;
    let bytes = usize::try_from(size.as_u64()).map_err(|error| error.to_string())?;
    if bytes < LEAST_BYTES { Err(format!("must be at least {LEAST_BYTES} bytes")) } else { Ok(bytes) }
}

pub(super) fn report(options: &ReportOptions) -> Result<ExitStatus, Error> {
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

fn rendered(options: &ReportOptions, folder: &Path, report: &Report, records: &[Record]) -> Result<String, Error> {
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

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_are_read_in_the_units_people_write() {
        assert_eq!(["64KB", "1MiB", "65536"].map(super::markdown_bytes), [Ok(64_000), Ok(1 << 20), Ok(65_536)]);
        assert!(["1000", "-1", "much"].into_iter().all(|text| super::markdown_bytes(text).is_err()));
    }
}
