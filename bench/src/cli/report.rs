//! `brimful report`: the verdicts judged again from the saved records.

use super::arguments::Report as Options;
use crate::error::{Error, ExitStatus};
use crate::judge::report::Report;
use crate::store::{self, RunDirectory};

pub(super) fn report(options: &Options) -> Result<ExitStatus, Error> {
    let saved = store::read_run(&options.run)?;
    let report = Report::again(saved.report, &saved.records, env!("CARGO_PKG_VERSION"));
    if options.save {
        RunDirectory::open(&saved.folder)?.save_report(&report)?;
    }
    super::show(&report, options.format);
    Ok(ExitStatus::Done)
}
