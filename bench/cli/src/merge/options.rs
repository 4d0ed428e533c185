//! What can be typed after `brimful merge`.

use std::path::PathBuf;

use clap::Args;

use crate::arguments::Format;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  brimful merge monday tuesday --out both
  brimful merge generator-*/ --out all --force")]
pub(crate) struct Options {
    /// Folders that `brimful run` wrote, or the report.json in them
    #[arg(required = true, num_args = 2.., value_name = "DIR")]
    pub(super) runs: Vec<PathBuf>,
    /// Where to write; must be new or empty
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Merge runs of different machines or kernels too, and write into a folder that is not empty
    #[arg(long)]
    pub(super) force: bool,
    /// What to print when it is done
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}
