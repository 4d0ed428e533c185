//! What can be typed after `brimful vm`.

use std::path::PathBuf;
use std::time::Duration;

use brimful_plan::order::{BLOCKS_MOST, SEED_MOST};
use clap::{Args, Subcommand, ValueEnum};

use crate::arguments::Format;

#[derive(Debug, Args)]
pub(crate) struct VmOptions {
    #[command(subcommand)]
    pub(super) what: VmCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum VmCommand {
    /// Boot a kernel with brimful as its only program, run scenarios there, and bring the run back
    Run(VmRunOptions),
}

/// Who makes the guest's processors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum AccelOption {
    /// KVM where a boot of a few seconds shows that it works, TCG otherwise
    #[default]
    Auto,
    /// By translation: works everywhere, and is many times slower
    Tcg,
    /// The processor itself
    Kvm,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  scripts/vm/kernel                          a kernel of Debian's, and its two paths
  brimful vm run smoke --kernel vmlinuz --modules lib/modules/6.1.0 --verify
  brimful vm run enfile-system --kernel vmlinuz --modules lib/modules/6.1.0 --time-limit 10m

Exit status: that of `brimful run` in the guest; 3 when there is no guest or its time is up.
Under TCG a verdict is worth as much as anywhere, and a latency nothing: the report says so, and no comparison uses it.")]
pub(super) struct VmRunOptions {
    /// Files, folders of files, or names of built-in scenarios
    #[arg(required = true)]
    pub(super) scenarios: Vec<String>,
    /// The kernel, as a boot loader takes it (bzImage, vmlinuz)
    #[arg(long, value_name = "BZIMAGE")]
    pub(super) kernel: PathBuf,
    /// The folder of its modules, with plain *.ko files; leave it out when all is built in
    #[arg(long, value_name = "DIR")]
    pub(super) modules: Option<PathBuf>,
    /// Who makes the guest's processors
    #[arg(long, value_enum, default_value_t)]
    pub(super) accel: AccelOption,
    /// The guest's memory, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 2_048, value_parser = clap::value_parser!(u32).range(256..=1_048_576))]
    pub(super) memory: u32,
    /// The guest's processors. Under TCG only a single one has a clock of its own, so that a slow host makes no load late
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=255))]
    pub(super) cpus: u32,
    /// Run as this user of the guest instead of root; 65534 is nobody
    #[arg(long, value_name = "UID", value_parser = clap::value_parser!(u32).range(1..=65_534))]
    pub(super) user: Option<u32>,
    /// The longest it may take, boot included [default: by what the scenarios cost]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(super) time_limit: Option<Duration>,
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
    /// The seed of the order
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=SEED_MOST))]
    pub(super) seed: Option<u64>,
    /// The shortest form that still answers
    #[arg(long, conflicts_with = "blocks")]
    pub(super) quick: bool,
    /// Compare with the scenario's [expect]; exit with 4 when the truth is another
    #[arg(long)]
    pub(super) verify: bool,
    /// Fail when a scenario of several needs what is not in the guest
    #[arg(long)]
    pub(super) strict: bool,
    /// What to print when it is done
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}
