//! What can be typed after `brimful run`.

use std::path::PathBuf;

use brimful_plan::order::{BLOCKS_MOST, SEED_MOST};
use clap::Args;

use crate::arguments::Format;

/// The most cells at once; more would only measure each other.
const JOBS_MOST: i64 = 64;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  brimful run
  brimful run origin --only 'somaxconn=128,*'
  brimful run scenarios/ --verify
  brimful run my.toml --quick
  brimful run my.toml --blocks 10 --seed 42
  brimful run my.toml --blocks 10 --arm base:target.backlog=4096 --arm head:target.backlog=128
  brimful run my.toml --format json --out /tmp/mine")]
pub(crate) struct RunOptions {
    /// Files, folders of files, or names of built-in scenarios [default: origin]
    pub(super) scenarios: Vec<String>,
    /// Where to write; must be new or empty [default: brimful-out/NAME-TIME]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Write into a folder that is not empty
    #[arg(long)]
    pub(super) force: bool,
    /// Run only the cells whose id matches
    #[arg(long, value_name = "CELL-GLOB")]
    pub(super) only: Option<String>,
    /// Run every cell N times, each time in another order
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(BLOCKS_MOST)))]
    pub(super) blocks: u32,
    /// The seed of the order, to repeat a run; one block without it keeps the order of the file
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=SEED_MOST))]
    pub(super) seed: Option<u64>,
    /// Run N cells at once: sooner done, but they disturb each other's latencies
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=JOBS_MOST))]
    pub(super) jobs: u32,
    /// A version to run beside others; in place of the scenario's [arms]. Give at least two
    #[arg(long = "arm", value_name = "NAME:KNOB=VALUE,…")]
    pub(super) arms: Vec<String>,
    /// The shortest form that still answers: one block, few cells, no longer than needed
    #[arg(long, conflicts_with = "blocks")]
    pub(super) quick: bool,
    /// Compare with the scenario's [expect]; exit with 4 when the truth is another
    #[arg(long)]
    pub(super) verify: bool,
    /// Fail when a scenario of several needs what is not here (root), instead of listing it
    #[arg(long)]
    pub(super) strict: bool,
    /// Let a scenario change settings of this whole machine; each is journalled first and put back after its cell (docs/host.md)
    #[arg(long)]
    pub(super) allow_host_changes: bool,
    /// The folder of that journal [default: /run/brimful, or an ordinary user's XDG_RUNTIME_DIR/brimful]
    #[arg(long, value_name = "DIR", requires = "allow_host_changes")]
    pub(super) journal: Option<PathBuf>,
    /// What to print when it is done
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
    /// Lines instead of a progress display, also on a terminal
    #[arg(long)]
    pub(super) plain: bool,
}
