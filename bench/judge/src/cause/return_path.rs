//! The server's answers are lost on the way back: it hears every SYN, answers again and again, and the client never hears it. Pure.
//!
//! Half-open connections look the same from the server alone, so the client's unanswered SYNs must have their counterparts there.

use brimful_loadgen_plan::probe::Sample;

use super::super::syn_sent::{arrived, most_around};
use super::super::view::View;
use super::lost::{self, Words};
use super::{Finding, ProofLine};
use crate::wording::count;

const WORDS: Words = Words {
    shown: "SYN-ACKs that the server sent again, because none was acknowledged",
    flat: "the server sent no SYN-ACK again",
    unread: "SYN_RECV at the server, SYN_SENT at the client and the server's retransmissions were not all read",
    collect: &[
        "`ss -nto state syn-recv` at the server and `ss -nto state syn-sent` at the client, at the same time",
        "a capture on both ends",
    ],
};

pub(super) fn look(view: &View<'_>) -> Finding {
    let unheard = lost::unheard(view);
    if let Some(line) = lost::heard(view, unheard.len()) {
        return Finding::Excluded(line);
    }
    let Some(half_open) = view.at_the_probed_port("SYN_RECV") else { return WORDS.open(WORDS.unread) };
    let port = view.record.probe.plan.address.port();
    if half_open.max == 0 && half_open.reads > 1 {
        return Finding::Excluded(ProofLine::new(
            format!("server.sockets.SYN_RECV.{port}"),
            "0",
            "no SYN of the failed probes was being answered: they did not reach the listener",
        ));
    }
    let there: Vec<Option<bool>> = unheard.iter().map(|s| arrived(view, s.started_ns, s.ended_ns)).collect();
    if view.explains_most(there.iter().filter(|a| **a == Some(false)).count()) {
        return Finding::Excluded(ProofLine::new(
            format!("server.sockets.SYN_RECV.{port}"),
            format!("{} at most", count(half_open.max)),
            "fewer than the client's unanswered SYNs: most did not reach the listener",
        ));
    }
    let hit = unheard.iter().filter(|s| answered_in_vain(view, s)).count();
    if !view.explains_most(hit) {
        return WORDS.open(format!(
            "answers that were lost explain {hit} of {} failed probes, as far as SYN_RECV, SYN_SENT and the retransmissions were read",
            view.failed.len()
        ));
    }
    let mut proof = vec![ProofLine::new(
        format!("server.sockets.SYN_RECV.{port}"),
        format!("{} at most", count(half_open.max)),
        "SYNs that arrived and were answered, as many as the client has without an answer",
    )];
    for name in ["TcpExt.TCPSynRetrans", "Tcp.RetransSegs"] {
        if let Some(n) = view.grew(name).filter(|&n| n > 0) {
            proof.push(ProofLine::new(format!("server.{name}"), format!("+{}", count(n)), WORDS.shown));
        }
    }
    proof.push(ProofLine::new(
        "probe",
        format!("{hit} of {} failed", view.failed.len()),
        "each began while the server's answers went unacknowledged, and no listener dropped anything",
    ));
    Finding::Shown { proof, why: None }
}

/// Whether the SYN of this probe was answered, and the answers were sent again: the server's own retransmissions are told from
/// the client's by sockets in `SYN_RECV` that have sent theirs again, or, in two namespaces, by the server's counter.
fn answered_in_vain(view: &View<'_>, sample: &Sample) -> bool {
    let (from, to) = (sample.started_ns, sample.ended_ns);
    let again = match view.at_the_probed_port("SYN_RECV_RETRANS") {
        Some(series) => most_around(view, series, from, to.saturating_add(view.timeout_ns)) > 0,
        None => {
            view.record.evidence.client.is_some()
                && view
                    .counter("TcpExt.TCPSynRetrans")
                    .and_then(|s| view.growth(s, from, to.saturating_add(view.timeout_ns)))
                    .is_some_and(|n| n > 0)
        }
    };
    let server = &view.record.evidence.server.counters;
    let lost_at_the_server = lost::undelivered_near(view, server, from).unwrap_or(0);
    // On loopback the namespace that loses the answer is the server's own.
    let before_it = view.record.evidence.client.is_some() && lost_at_the_server > 0;
    again && !before_it && arrived(view, from, to) == Some(true)
}
