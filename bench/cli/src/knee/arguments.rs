//! What can be typed after `brimful knee`.

use std::path::PathBuf;

use brimful_plan::knee::Within;
use clap::{Args, ValueEnum};

/// The form of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum KneeFormat {
    /// For people
    #[default]
    Text,
    /// For programs: knee.json
    Json,
    /// For a page: knee.md
    Md,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  brimful knee fd-soft-1024
  brimful knee origin --only 'somaxconn=128,*' --within 5%
  brimful knee my.toml --max 50000 --format md

One ramp shows about where a cell breaks. Then loads around that are tried, each in a fresh
sandbox and for as long as failure-threshold probes need, until the ends of the interval are
near enough. Healthy means that no probe failed.

Exit status: 0 done, 2 usage or scenario wrong, 3 this machine refuses, 6 the generator gave no
load that says something, 7 the target did not start, 130/143 stopped by a signal (what is known
is saved).")]
pub(crate) struct KneeOptions {
    /// Files, folders of files, or names of built-in scenarios
    #[arg(required = true)]
    pub(crate) scenarios: Vec<String>,
    /// Search only the cells whose id matches
    #[arg(long, value_name = "CELL-GLOB")]
    pub(crate) only: Option<String>,
    /// How near the last healthy and the first unhealthy load are to be
    #[arg(long, value_name = "PERCENT", default_value_t = Within::DEFAULT)]
    pub(crate) within: Within,
    /// The most connections tried [default: the scenario's, or a quarter beyond a foretold knee that is farther, up to four times as many]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=4_000_000))]
    pub(crate) max: Option<u64>,
    /// Where to write; must be new or empty [default: brimful-out/knee-NAME-TIME]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Write into a folder that is not empty
    #[arg(long)]
    pub(crate) force: bool,
    /// What to print when it is done
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: KneeFormat,
}
