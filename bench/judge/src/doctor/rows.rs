//! The causes that the doctor looks for, in the order of precedence of [`crate::cause::TABLE`]. Pure.
//!
//! What a health check alone can tell (its own lateness, its own descriptors, a generator) has no row here: the doctor sends nothing.

use brimful_plan::expect::{CauseName, Why};

use super::case::Case;
use super::diagnosis::{Found, Subject};
use super::{descriptors, path, queue, syn, words_of};
use crate::cause::ProofLine;
use crate::cure::Cure;

/// What a row makes of a case.
pub(super) enum Answer {
    /// The evidence shows it, for each of these; never empty.
    Shown(Vec<Found>),
    /// The evidence excludes it; this line does.
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
pub(super) struct Row {
    pub(super) name: CauseName,
    pub(super) look: fn(&Case<'_>) -> Answer,
}

const fn row(name: CauseName, look: fn(&Case<'_>) -> Answer) -> Row {
    Row { name, look }
}

/// The rows.
pub(super) static ROWS: [Row; 19] = [
    row(CauseName::LocalPorts, path::local_ports),
    row(CauseName::FileMax, descriptors::file_max),
    row(CauseName::FdLeak, descriptors::fd_leak),
    row(CauseName::FdLimit, descriptors::fd_limit),
    row(CauseName::NoListener, queue::no_listener),
    row(CauseName::ConntrackFull, path::conntrack_full),
    row(CauseName::PacketFilterDrop, path::packet_filter),
    row(CauseName::NoRouteBack, path::no_route_back),
    row(CauseName::SoftirqBacklog, path::softirq_backlog),
    row(CauseName::NeighbourTable, path::neighbour_table),
    row(CauseName::ReturnPathLoss, path::return_path),
    row(CauseName::ReuseportSkew, queue::reuseport_skew),
    row(CauseName::AcceptorThrottled, queue::acceptor_throttled),
    row(CauseName::AcceptorStalled, queue::acceptor_stalled),
    row(CauseName::AcceptQueue, queue::accept_queue),
    row(CauseName::DeferAccept, syn::defer_accept),
    row(CauseName::SynQueue, syn::syn_queue),
    row(CauseName::SynQueueThreeQuarterRule, syn::three_quarter_rule),
    row(CauseName::TcpMem, syn::tcp_mem),
];

/// A cause that is shown.
pub(super) fn found(cause: CauseName, subject: Subject, proof: Vec<ProofLine>, cure: Cure) -> Found {
    Found { cause, why: None, subject, words: words_of(cause), proof, cure: Some(cure), collect: Vec::new() }
}

/// With the reason within it.
pub(super) fn because(found: Found, why: Option<Why>) -> Found {
    Found { why, ..found }
}

/// What cannot be told, and what would tell.
pub(super) fn open(why: impl Into<String>, collect: &[&str]) -> Answer {
    Answer::Open { why: why.into(), collect: collect.iter().map(|&line| line.to_owned()).collect() }
}

/// What a line excludes.
pub(super) fn excluded(source: impl Into<String>, value: impl Into<String>, text: impl Into<String>) -> Answer {
    Answer::Excluded(ProofLine::new(source, value, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::TABLE;

    #[test]
    fn the_rows_stand_in_the_order_of_the_table() {
        let mut rest = TABLE.iter();
        for row in &ROWS {
            assert!(rest.any(|of_table| of_table.name == row.name), "{} is not where the table has it", row.name);
        }
    }
}
