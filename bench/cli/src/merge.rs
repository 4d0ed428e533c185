//! `brimful merge`: several runs of one scenario as one.

mod options;

use std::path::Path;

use super::say;
use crate::error::{Error, ExitStatus};
use brimful_judge::gather::{Part, gather};
use brimful_runner::store::{self, RunDirectory, Saved};

pub(super) use self::options::Options;

pub(super) fn merge(options: &Options) -> Result<ExitStatus, Error> {
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
