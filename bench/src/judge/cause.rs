//! The table of causes: what shows each, what excludes it, and what cures it. Pure.
//!
//! A new cause is one row here and one file beside it. The order of the rows is the order of precedence: where two are
//! shown, the earlier one is the cause and the later one its symptom or its company. The generator comes first, because
//! an experiment that did not work says nothing; then the descriptors, because an acceptor without them leaves both a
//! full queue and a stalled acceptor behind; then a missing listener; then the standstill before the too small queue,
//! because a larger queue before an acceptor that stands still only lets clients wait longer.
//!
//! A row is shown only when it explains **more than half** of the failed probes, each probe on its own evidence at its
//! own time: a full table at another time is no cause. More than half, so that two rows cannot both claim a cell.

mod accept_queue;
mod acceptor_stalled;
mod fd_limit;
mod generator_bound;
mod no_listener;
mod syn_queue;
mod waits;

pub(crate) use generator_bound::{Shortfall, shortfalls};

use serde::{Deserialize, Serialize};

use super::cure::{self, Cure};
use super::view::View;
use crate::plan::expect::{CauseName, Why};

/// One line of evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// Every cause brimful can name, in the order of precedence.
pub static TABLE: [Row; 6] = [
    Row {
        name: CauseName::GeneratorBound,
        words: "the generator did not keep its plan, so the cell says nothing about the target",
        shown_by: "late, failed or missing connections or probes on the generator's own side",
        excluded_by: "every connection attempted on time, no local error",
        look: generator_bound::look,
        cure: cure::generator::cure,
    },
    Row {
        name: CauseName::FdLimit,
        words: "the target is out of descriptors",
        shown_by: "open descriptors at the soft limit while probes fail: they wait in the accept queue, or the full queue drops them",
        excluded_by: "descriptors below the limit at every reading while probes fail",
        look: fd_limit::look,
        cure: cure::nofile::cure,
    },
    Row {
        name: CauseName::NoListener,
        words: "nothing listens where the probe connects",
        shown_by: "probes refused, and resets sent by the server's namespace",
        excluded_by: "no probe was refused",
        look: no_listener::look,
        cure: cure::listener::cure,
    },
    Row {
        name: CauseName::AcceptorStalled,
        words: "the acceptor takes too little from its queue, though it has descriptors",
        shown_by: "the queue backed up for longer than the probe waits, and less taken from it than came",
        excluded_by: "an accept queue drained within the probe's time-out, or no descriptors to accept with",
        look: acceptor_stalled::look,
        cure: cure::acceptor::cure,
    },
    Row {
        name: CauseName::AcceptQueue,
        words: "the accept queue is too small for the bursts it meets",
        shown_by: "the queue full when the probe's SYN came, and drained again within the probe's time-out",
        excluded_by: "no overflow at the probed listener, or a full queue that is the symptom of another cause",
        look: accept_queue::look,
        cure: cure::backlog::cure,
    },
    Row {
        name: CauseName::SynQueue,
        words: "the SYN queue is full and cookies are off",
        shown_by: "TCPReqQFullDrop, or drops that no other counter explains with SYN_RECV above three quarters of tcp_max_syn_backlog",
        excluded_by: "every listen drop was an accept-queue overflow, or there was none",
        look: syn_queue::look,
        cure: cure::syn::cure,
    },
];

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
    }
}
