//! What is turned while a cell runs (`[[change]]`): whether it helps a server that is in trouble already is another question
//! than whether it helps one that is started with it.

use std::fmt;
use std::time::Duration;

use brimful_target::limits::Nofile;
use serde::{Deserialize, Serialize};

use super::cell::KnobValue;
use super::knob::print_nofile;

/// The most changes of one cell.
pub const CHANGES_MOST: usize = 32;

/// One thing that is done to a running cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
        #[cfg_attr(test, schemars(with = "NofileSchema"))]
        nofile: Nofile,
    },
    /// `listen(2)` is called again on the live sockets, from outside (`pidfd_getfd(2)`), with the backlog that the program is configured with.
    Relisten,
    /// The target is told to stop, and started again at once.
    Restart,
}

/// What [`Nofile`] looks like in a schema.
#[cfg(test)]
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
        }
    }
}

impl Turn {
    /// Whether it gives something another value, rather than having the target take notice.
    #[must_use]
    pub fn is_of_a_knob(&self) -> bool {
        !matches!(self, Self::Relisten | Self::Restart)
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
