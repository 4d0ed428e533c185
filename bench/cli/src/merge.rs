//! `brimful merge`: several runs of one scenario as one.

use std::path::{Path, PathBuf};

use brimful_judge::gather::{Part, gather};
use brimful_runner::store::{self, RunDirectory, Saved};
use clap::Args;

use super::say;
use crate::arguments::Format;
use crate::error::{Error, ExitStatus};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  brimful merge monday tuesday --out both
  brimful merge generator-*/ --out all --force")]
pub(super) struct MergeOptions {
    /// Folders that `brimful run` wrote, or the report.json in them
    #[arg(required = true, num_args = 2.., value_name = "DIR")]
    runs: Vec<PathBuf>,
    /// Where to write; must be new or empty
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Merge runs of different machines or kernels too, and write into a folder that is not empty
    #[arg(long)]
    force: bool,
    /// What to print when it is done
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn merge(options: &MergeOptions) -> Result<ExitStatus, Error> {
    let parts = options.runs.iter().map(|run| part(run)).collect::<Result<Vec<_>, _>>()?;
    let gathered = gather(&parts, options.force, env!("CARGO_PKG_VERSION"))
        .map_err(|apart| Error::Usage { what: apart.what, hint: apart.hint })?;
    let directory = RunDirectory::create(&options.out, options.force)?;
    for record in &gathered.records {
        directory.save_record(record)?;
    }
    for origin in &gathered.origins {
        directory.log(origin)?;
    }
    directory.save_report(&gathered.report, &gathered.records)?;
    super::show(&gathered.report, options.format);
    say(&format!("saved in {}", directory.path().display()));
    Ok(ExitStatus::Done)
}

fn part(run: &Path) -> Result<Part, Error> {
    let Saved { folder, report, records } = store::read_run(run)?;
    Ok(Part { name: folder.display().to_string(), report, records })
}
