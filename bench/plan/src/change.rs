//! What is turned while a cell runs (`[[change]]`): whether it helps a server that is in trouble already is another question
//! than whether it helps one that is started with it.

use std::fmt;
use std::time::Duration;

use brimful_target_plan::Nofile;
use serde::{Deserialize, Serialize};

use super::cell::{Cell, KnobValue};
use super::command;
use super::knob::{parse_nofile, print_nofile};
use super::matrix::configured;
use super::refusal::Refusal;
use crate::wording::grouped;

/// The most changes of one cell.
pub const CHANGES_MOST: usize = 32;

/// One thing that is done to a running cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Turn {
    /// A knob is set from outside, while the target runs: a sysctl of its namespace, or `ulimit.nofile` of its processes
    /// by `prlimit(2)`. Nothing of it outlives the process.
    Set {
        /// Its full dotted name.
        knob: String,
        /// The value.
        value: KnobValue,
    },
    /// What the program is configured with, or its unit gives it: known to the next `listen(2)` or the next start, and to nobody before.
    Configure {
        /// Its full dotted name.
        knob: String,
        /// The value.
        value: KnobValue,
    },
    /// A limit is set in another process that merely stands in the same place, as `ulimit -n` typed into a shell does.
    Elsewhere {
        /// The limit in that process, soft and hard.
        #[cfg_attr(feature = "schema", schemars(with = "NofileSchema"))]
        nofile: Nofile,
    },
    /// `listen(2)` is called again on the live sockets, from outside (`pidfd_getfd(2)`), with the backlog that the program is configured with.
    Relisten,
    /// The target is told to stop, and started again at once; one that is dead is started.
    Restart,
    /// The target is killed (`SIGKILL`), with all its processes. Where the kubelet acts it starts it again; elsewhere it stays dead until a restart.
    Kill,
}

/// What [`Nofile`] looks like in a schema.
#[cfg(feature = "schema")]
#[derive(schemars::JsonSchema)]
#[expect(dead_code, reason = "only its form is used")]
struct NofileSchema {
    soft: u64,
    hard: u64,
}

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set { knob, value } => write!(f, "{knob} = {value}"),
            Self::Configure { knob, value } if knob == "ulimit.nofile" => {
                write!(f, "{knob} = {value} in the unit")
            }
            Self::Configure { knob, value } => write!(f, "{knob} = {value} in the configuration"),
            Self::Elsewhere { nofile } => write!(f, "ulimit -n {} in another shell", print_nofile(*nofile)),
            Self::Relisten => f.write_str("listen() again"),
            Self::Restart => f.write_str("restart"),
            Self::Kill => f.write_str("kill"),
        }
    }
}

impl Turn {
    /// Whether it gives something another value, rather than having the target take notice.
    #[must_use]
    pub fn is_of_a_knob(&self) -> bool {
        !matches!(self, Self::Relisten | Self::Restart | Self::Kill)
    }

    /// The sysctl that it sets, by its dotted name without the prefix, and the value.
    #[must_use]
    pub fn sysctl(&self) -> Option<(String, String)> {
        match self {
            Self::Set { knob, value } => Some((knob.strip_prefix("sysctl.")?.to_owned(), value.to_string())),
            Self::Configure { .. } | Self::Elsewhere { .. } | Self::Relisten | Self::Restart | Self::Kill => None,
        }
    }

    /// Whether a life of the target ends with it.
    #[must_use]
    pub fn ends_it(&self) -> bool {
        matches!(self, Self::Restart | Self::Kill)
    }
}

/// What is done, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Since the start of the cell.
    pub at: Duration,
    /// What.
    pub what: Turn,
}

/// Refuses a cell's changes where one of them could only fail on a machine whose hard descriptor limit is `nofile_hard`.
///
/// # Errors
/// A [`Refusal`] that says what cannot be changed, and what can.
pub(super) fn feasible(cell: &Cell, nofile_hard: u64) -> Result<(), Refusal> {
    // As the target is configured, and the hard limit of what runs, by the time of each change.
    let mut after = cell.clone();
    let mut hard = cell.nofile.map_or(nofile_hard, |limits| limits.hard);
    for Change { what, .. } in &cell.changes {
        match what {
            Turn::Set { knob, value } if knob == "ulimit.nofile" => {
                let wanted = machine_has(limit(value)?, nofile_hard)?.hard;
                if wanted > hard {
                    return Err(not_raised(wanted, hard));
                }
                hard = wanted;
            }
            Turn::Elsewhere { nofile } => {
                machine_has(*nofile, nofile_hard)?;
            }
            Turn::Configure { knob, value } => {
                if knob == "ulimit.nofile" {
                    machine_has(limit(value)?, nofile_hard)?;
                }
                after = reaches(&after, knob, value)?;
            }
            Turn::Relisten if after.target.backlog().is_none() => {
                return Err(Refusal::scenario(
                    "listen() cannot be called again: nobody says with which backlog the command listens",
                    "write it down: backlog = 511 in [target]",
                )
                .about("target.backlog"));
            }
            Turn::Restart => hard = after.nofile.map_or(nofile_hard, |limits| limits.hard),
            Turn::Set { .. } | Turn::Relisten | Turn::Kill => {}
        }
    }
    Ok(())
}

fn limit(value: &KnobValue) -> Result<Nofile, Refusal> {
    parse_nofile(value)
        .map_err(|what| Refusal::scenario(what, "write a number, or \"soft:hard\"").about("ulimit.nofile"))
}

/// Refuses a limit that no process of this machine could be given.
fn machine_has(wanted: Nofile, nofile_hard: u64) -> Result<Nofile, Refusal> {
    if wanted.hard <= nofile_hard {
        return Ok(wanted);
    }
    let what = format!(
        "[[change]] asks for a hard limit of {}, and that of this machine is {}",
        grouped(wanted.hard),
        grouped(nofile_hard)
    );
    Err(Refusal::machine(what, "raise the limit (LimitNOFILE=, ulimit -Hn), or ask for less").about("ulimit.nofile"))
}

fn not_raised(wanted: u64, hard: u64) -> Refusal {
    let what = format!(
        "[[change]] sets a hard limit of {} on a process that was started with {}: it cannot be raised while it runs",
        grouped(wanted),
        grouped(hard)
    );
    let hint = format!(
        "start it with room above its soft limit, as nofile = \"1024:{wanted}\", or use next-start and restart"
    );
    Refusal::scenario(what, hint).about("ulimit.nofile")
}

/// The cell once its target is configured so; refuses what this target has not, or what reaches no text of a command.
fn reaches(cell: &Cell, knob: &str, value: &KnobValue) -> Result<Cell, Refusal> {
    let after = configured(cell, knob, value)?;
    command::complete(&after)?;
    let silent = after.target.command.as_ref().is_some_and(|command| command.place_of("backlog").is_none());
    if knob == "target.backlog" && silent {
        let hint = "write {{backlog}} into `target.argv` or one of `target.files`";
        let what = "`target.backlog` reaches nothing: no text of the command asks for it";
        return Err(Refusal::scenario(what, hint).about(knob));
    }
    Ok(after)
}

#[cfg(test)]
mod tests {
    use crate::matrix::expand;
    use crate::scenario::Scenario;

    /// What is said to a scenario when it is read, or when its cells are made for a machine.
    fn refusal(rest: &str) -> Option<String> {
        let text = format!("question = \"?\"\n{rest}[load]\nconnections = 10\nramp = \"1s\"\nhold = \"9s\"\n");
        match Scenario::parse("t.toml", &text) {
            Err(error) => Some(error.to_string()),
            Ok(scenario) => expand(&scenario, 20_000).err().map(|refusals| refusals[0].what.clone()),
        }
    }

    const BORN: &str = "[matrix.ulimit]\nnofile = [\"64:4096\"]\n";
    const COMMAND: &str = "[target]\nkind = \"command\"\nargv = [\"x\", \"{{conns}}\"]\narg = { conns = 5 }\n";

    #[test]
    fn what_could_only_fail_is_refused_before_anything_starts() {
        let set = |what: &str| format!("[[change]]\nat = \"1s\"\n{what}\n");
        let above = set("set = { ulimit.nofile = 30_000 }");
        let raised = set("set = { ulimit.nofile = 5_000 }");
        let lowered = set("set = { ulimit.nofile = 100 }") + &set("set = { ulimit.nofile = \"100:4096\" }");
        let started = set("next-start = { ulimit.nofile = 5_000 }") + &set("restart = true") + &raised;
        let table = [
            (format!("{BORN}{above}"), Some("that of this machine is 20,000")),
            (format!("{BORN}{raised}"), Some("cannot be raised while it runs")),
            (format!("{BORN}{lowered}"), Some("was started with 100")),
            (format!("{BORN}{started}"), None),
            (format!("{BORN}{}", set("elsewhere = { ulimit.nofile = 5_000 }")), None),
            (format!("{COMMAND}{}", set("relisten = true")), Some("with which backlog")),
            (format!("{COMMAND}backlog = 5\n{}", set("relisten = true")), None),
            (format!("{COMMAND}{}", set("set = { target.backlog = 7 }")), Some("reaches nothing")),
            (format!("{COMMAND}{}", set("set = { target.accept = \"dead\" }")), Some("brimful's own server")),
            (
                format!("{COMMAND}{}", set("set = { target.arg.colour = 3 }")),
                Some("reaches nothing: no text of the command asks for it"),
            ),
            (format!("{COMMAND}{}", set("set = { target.arg.conns = 9 }")), None),
            (format!("{COMMAND}{}", set("kill = true")), None),
        ];
        for (rest, wanted) in table {
            let found = refusal(&rest);
            match (&found, wanted) {
                (None, None) => {}
                (Some(said), Some(what)) => assert!(said.contains(what), "{rest}: {said}"),
                _ => panic!("{rest}: {found:?}"),
            }
        }
    }
}
