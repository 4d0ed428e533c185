//! The table of causes: what shows each, what excludes it, and what cures it. Pure.
//!
//! A new cause is one row in `table` and one file beside it. The order of the rows is the order of precedence: where two are
//! shown, the earlier one is the cause and the later one its symptom or its company. `table` says why it is as it is.
//!
//! A row is shown only when it explains **more than half** of the failed probes, each probe on its own evidence at its
//! own time: a full table at another time is no cause. More than half, so that two rows cannot both claim a cell.

pub(crate) mod accept_queue;
mod acceptor_stalled;
mod acceptor_throttled;
mod app_connection_cap;
mod conntrack_full;
mod defer_accept;
mod fd_leak;
mod fd_limit;
mod file_max;
mod generator_bound;
mod inotify_limit;
mod local_error;
mod local_ports;
mod lost;
mod neighbour_table;
mod no_listener;
mod no_route_back;
mod of_commands;
mod packet_filter;
mod prober_fd_limit;
mod return_path;
mod reuseport_skew;
mod roots;
mod slow_answer;
mod softirq_backlog;
mod syn_cookies;
mod syn_queue;
mod table;
mod tcp_mem;
mod three_quarter_rule;
mod waits;

pub(crate) use generator_bound::{Shortfall, may_pass, shortfalls};
pub(crate) use syn_cookies::sent as cookies_sent;
pub use table::TABLE;

use serde::{Deserialize, Serialize};

use super::cure::Cure;
use super::view::View;
use brimful_plan::expect::{CauseName, Why};

/// One line of evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ProofLine {
    /// Where it was read, as `report.json` names the series: `server.TcpExt.ListenOverflows`, `target.0.descriptors`.
    pub source: String,
    /// What was read: `1024 of 1024`, `+3884`.
    pub value: String,
    /// When, in nanoseconds since the start of the cell; `None` for what holds over the whole cell.
    pub at_ns: Option<u64>,
    /// What it means.
    pub text: String,
}

impl ProofLine {
    pub(crate) fn new(source: impl Into<String>, value: impl Into<String>, text: impl Into<String>) -> Self {
        Self { source: source.into(), value: value.into(), at_ns: None, text: text.into() }
    }

    pub(crate) fn at(mut self, at_ns: u64) -> Self {
        self.at_ns = Some(at_ns);
        self
    }
}

/// What a row of the table makes of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The evidence shows it.
    Shown {
        /// The lines that do.
        proof: Vec<ProofLine>,
        /// The reason within the cause, where it has one.
        why: Option<Why>,
    },
    /// The evidence excludes it as the cause of the failed probes; this line does.
    Excluded(ProofLine),
    /// The evidence does not tell.
    Open {
        /// Why not.
        why: String,
        /// What would tell.
        collect: Vec<String>,
    },
}

/// One cause.
pub struct Row {
    /// Its name.
    pub name: CauseName,
    /// What it is, to be read after "because": lower case, no full stop.
    pub words: &'static str,
    /// What shows it.
    pub shown_by: &'static str,
    /// What excludes it.
    pub excluded_by: &'static str,
    pub(crate) look: fn(&View<'_>) -> Finding,
    pub(crate) cure: fn(&View<'_>, Option<Why>) -> Option<Cure>,
}

/// What a cause is, to be read after "because".
#[must_use]
pub fn words(name: CauseName) -> &'static str {
    TABLE.iter().find(|row| row.name == name).map_or("the evidence does not tell why", |row| row.words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_but_undetermined_has_one_row() {
        use CauseName::*;
        for name in [FdLimit, AcceptQueue, AcceptorStalled, SynQueue, NoListener, GeneratorBound] {
            assert_eq!(TABLE.iter().filter(|row| row.name == name).count(), 1, "{name}");
        }
        assert!(TABLE.iter().all(|row| row.name != Undetermined));
        let mut names: Vec<CauseName> = TABLE.iter().map(|row| row.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!((names.len(), TABLE.len()), (25, 25), "as many as the vocabulary has, without undetermined");
    }
}
