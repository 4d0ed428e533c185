//! What can be typed.

use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use crate::aa::AaOptions;
use crate::check::CheckOptions;
use crate::compare::CompareOptions;
use crate::doctor::DoctorOptions;
use crate::gate::GateOptions;
#[cfg(feature = "k8s")]
use crate::k8s::K8sOptions;
use crate::knee::KneeOptions;
use crate::load::LoadOptions;
use crate::merge::MergeOptions;
use crate::probe::ProbeOptions;
use crate::report::ReportOptions;
use crate::restore::RestoreOptions;
use crate::run::RunOptions;
use crate::scenarios::ScenariosOptions;
use crate::serve::ServeOptions;
#[cfg(feature = "vm")]
use crate::vm::VmOptions;

/// Finds out by experiment which limit makes a health check fail under many connections.
#[derive(Debug, Parser)]
#[command(name = "brimful", version, about, long_about = None, max_term_width = 100, after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  brimful run                                the built-in scenario `origin`: descriptors or queue?
  brimful run scenarios/null.toml --verify   hold a scenario to its own [expect]
  brimful run my.toml --quick                the shortest form that still answers
  brimful check my.toml                      what it would run and cost, and whether this machine can
  brimful scenarios new > my.toml            a file to start from
  brimful probe 127.0.0.1:8080               like ping, for a health check

Exit status: 0 done, 1 a bug in brimful, 2 usage or scenario wrong, 3 this machine refuses
or a server does not consent, 4 --verify found another truth or a gate failed, 5 a gate is not settled, 6 generator-bound, 7 the target did not start or died,
130/143 stopped by a signal (what was done is saved). A failing cell is a finding, not an error.";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run scenarios: every cell in a sandbox of its own, then the table and the verdicts
    Run(RunOptions),
    /// Parse scenarios, print every cell with its cost, and refuse what this machine cannot do
    Check(CheckOptions),
    /// Search for the largest load at which the probe stays healthy, for each cell
    Knee(KneeOptions),
    /// The built-in scenarios
    Scenarios(ScenariosOptions),
    /// Judge a saved run again and render it
    Report(ReportOptions),
    /// Several runs of one scenario as one: from several generators, or from several occasions
    Merge(MergeOptions),
    /// Set two runs, or two arms of one run, side by side
    Compare(CompareOptions),
    /// Hold a run to a baseline and to ceilings; exit with 4 when it fails, with 5 when it is not settled
    Gate(GateOptions),
    /// Run one thing under two labels, to learn how much of a difference this machine makes by itself
    Aa(AaOptions),
    /// Run the target server alone
    Serve(ServeOptions),
    /// Open and hold connections against a server on loopback, or one that consents
    Load(LoadOptions),
    /// Probe a server as a kubelet does, like ping for a health check: on loopback, or one that consents
    Probe(ProbeOptions),
    /// Look at a live host, process, port or container without changing anything: what limit is met, and which binds first
    Doctor(DoctorOptions),
    /// Put back what a run with --allow-host-changes had changed when it was killed, and sweep control groups
    Restore(RestoreOptions),
    /// Kubernetes: a scenario as plain YAML, and restarts set beside what was foretold
    #[cfg(feature = "k8s")]
    K8s(K8sOptions),
    /// Run scenarios on another kernel, in a virtual machine that lasts as long as the run
    #[cfg(feature = "vm")]
    Vm(VmOptions),
}

/// The form of an answer on standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// A duration that is not zero.
pub(super) fn above_zero(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration.is_zero() => Err("must be above zero".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(error.to_string()),
    }
}

/// Reads one of the words of a closed set as scenario files write them.
pub(super) fn word<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Arguments::command().debug_assert();
    }
}
