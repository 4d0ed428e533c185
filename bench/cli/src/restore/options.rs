//! What can be typed after `brimful restore`.

use std::path::PathBuf;

use clap::Args;

use crate::arguments::Format;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  brimful restore --dry-run
  brimful restore
  brimful restore --force --format json

Exit status: 0 nothing is left to do, 3 something could not be put back or a run is still at work.
What it does and what it leaves alone: docs/host.md.")]
pub(crate) struct Options {
    /// Only look, and say what would be done
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Put old values back even where somebody else changed them since, and drop journals that cannot be read whole
    #[arg(long)]
    pub(super) force: bool,
    /// The folder of the journals [default: /run/brimful, or an ordinary user's XDG_RUNTIME_DIR/brimful]
    #[arg(long, value_name = "DIR")]
    pub(super) journal: Option<PathBuf>,
    /// The form of the answer
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}
