//! `brimful restore`: what runs left behind when they were killed, undone. Settings of the host by their journals, and control groups.

mod page;

use std::path::PathBuf;

use brimful_live::cgroup::{self, Left};
use brimful_live::journal::{self, Ended, JournalError, Places, Undo, undo};
use clap::Args;
use serde::Serialize;

use super::{put, say};
use crate::arguments::Format;
use crate::error::{Error, ExitStatus};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  brimful restore --dry-run
  brimful restore
  brimful restore --force --format json

Exit status: 0 nothing is left to do, 3 something could not be put back or a run is still at work.
What it does and what it leaves alone: docs/host.md.")]
pub(super) struct RestoreOptions {
    /// Only look, and say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Put old values back even where somebody else changed them since, and drop journals that cannot be read whole
    #[arg(long)]
    force: bool,
    /// The folder of the journals [default: /run/brimful, or an ordinary user's XDG_RUNTIME_DIR/brimful]
    #[arg(long, value_name = "DIR")]
    journal: Option<PathBuf>,
    /// The form of the answer
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The version of the form that `--format json` has.
const VERSION: u32 = 1;

/// All that was found and done.
#[derive(Debug, Serialize)]
struct Restored {
    schema_version: u32,
    /// Whether this was a look only.
    dry_run: bool,
    /// Whether nothing is left that could not be undone.
    done: bool,
    journals: Vec<Ended>,
    control_groups: Vec<Left>,
}

pub(super) fn restore(options: &RestoreOptions) -> Result<ExitStatus, Error> {
    let places = Places::of_this_machine(options.journal.as_deref());
    let dry = options.dry_run;
    let account = undo(&places, Undo { dry, force: options.force })?;
    let control_groups = cgroup::sweep_all(dry);
    let done = account.done() && control_groups.iter().all(|left| left.why.is_none());
    let journals = account.journals;
    let restored = Restored { schema_version: VERSION, dry_run: dry, done, journals, control_groups };
    match options.format {
        Format::Text => put(&page::render(&restored, &places)),
        Format::Json => {
            let text = serde_json::to_string_pretty(&restored).map_err(JournalError::from)?;
            put(&format!("{text}\n"));
        }
    }
    // An ordinary user's folder says nothing of what root's runs did to the same host.
    if options.journal.is_none()
        && !places.are_roots()
        && let Some(warning) = journal::warning()
    {
        say(&format!("error: {warning}"));
        say("hint: run brimful as root");
        return Ok(ExitStatus::Machine);
    }
    if done {
        return Ok(ExitStatus::Done);
    }
    say("error: not everything could be put back");
    for hint in page::hints(&restored, options) {
        say(&format!("hint: {hint}"));
    }
    Ok(ExitStatus::Machine)
}
