//! `brimful check`: every cell, what it would cost, and whether this machine can.

use brimful_live::{machine, preflight, sysctl};
use brimful_plan::cell::Cell;
use brimful_plan::cost::{self, Machine};
use brimful_plan::order::BLOCKS_MOST;
use brimful_plan::scenario::{HostWide, Scenario};
use brimful_plan::{host, matrix};
use clap::Args;

use super::run::could_change_host;
use super::{put, say, sources};
use crate::error::{Error, ExitStatus};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  brimful check scenarios/*.toml
  brimful check my.toml --only '*nofile=1024*'
  brimful check --syntax my.toml")]
pub(super) struct CheckOptions {
    /// Files, folders of files, or names of built-in scenarios
    #[arg(required = true)]
    pub(super) scenarios: Vec<String>,
    /// Only parse; do not ask what this machine can do
    #[arg(long)]
    pub(super) syntax: bool,
    /// Take settings of this whole machine too, as `run --allow-host-changes` does; nothing is changed
    #[arg(long)]
    pub(super) allow_host_changes: bool,
    /// Show only the cells whose id matches
    #[arg(long, value_name = "CELL-GLOB")]
    pub(super) only: Option<String>,
    /// Show the time that so many blocks take
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(BLOCKS_MOST)))]
    pub(super) blocks: u32,
}

/// The hard descriptor limit assumed when only the syntax is asked for: no value is refused.
const NO_LIMIT: u64 = u64::MAX;

pub(super) fn check(options: &CheckOptions) -> Result<ExitStatus, Error> {
    let host_wide = if options.allow_host_changes { HostWide::Admitted } else { HostWide::Refused };
    let found = sources::find_with(&options.scenarios, host_wide)?;
    if options.syntax {
        for source in &found {
            let cells = matrix::expand(&source.scenario, NO_LIMIT).map_err(Error::Refused)?;
            put(&format!("{}: {} cells\n", source.typed, cells.len()));
        }
        return Ok(ExitStatus::Done);
    }
    let machine = machine::read().map_err(|source| Error::Machine { doing: "read this machine's limits", source })?;
    let mut status = ExitStatus::Done;
    for (index, source) in found.iter().enumerate() {
        if index > 0 {
            put("\n");
        }
        put(&format!("{}\n{}\n", source.typed, source.scenario.question));
        if let Some(missing) = machine::missing(&source.scenario, found.len() == 1) {
            put(&format!("not here, because {}\n", missing.because));
            if found.len() == 1 {
                status = status.worse(ExitStatus::Machine);
            }
            continue;
        }
        // One file that cannot run here must not hide what the next one would need.
        match feasible_cells(&source.scenario, &machine, options.only.as_deref()) {
            Ok(cells) => put(&format!(
                "\n{}\n",
                cost::table(&cells, &machine, options.blocks).map_err(|r| Error::Refused(vec![r]))?
            )),
            Err(error) => {
                super::explain(&error);
                status = status.worse(error.exit_status());
            }
        }
    }
    if status != ExitStatus::Done && found.len() > 1 {
        say("error: not every scenario can run here");
    }
    Ok(status)
}

/// The cells of a scenario that this machine can run, all of them or a refusal.
fn feasible_cells(scenario: &Scenario, machine: &Machine, only: Option<&str>) -> Result<Vec<Cell>, Error> {
    let cells = cells(scenario, machine, only)?;
    refuse_infeasible(&cells, machine)?;
    could_change_host(scenario, &cells)?;
    Ok(cells)
}

/// The cells of a scenario, or those of them whose id fits a glob.
pub(super) fn cells(scenario: &Scenario, machine: &Machine, only: Option<&str>) -> Result<Vec<Cell>, Error> {
    let mut cells = matrix::expand(scenario, machine.nofile_hard).map_err(Error::Refused)?;
    if let Some(glob) = only {
        cells = matrix::only(cells, glob).map_err(|refusal| Error::Refused(vec![refusal]))?;
    }
    host::settle(cells, &scenario.clamp, sysctl::standing).map_err(Error::Refused)
}

/// Refuses what this machine cannot do, before anything is started.
pub(super) fn refuse_infeasible(cells: &[Cell], machine: &Machine) -> Result<(), Error> {
    let mut refusals = cost::feasible(cells, machine);
    if refusals.is_empty() {
        refusals = preflight::try_sysctls(cells)?;
    }
    if refusals.is_empty() { Ok(()) } else { Err(Error::Refused(refusals)) }
}
