//! Handshakes are kept in the SYN queue until data comes (`TCP_DEFER_ACCEPT`), and silent clients fill it. Pure.
//!
//! `tcp_check_req` drops the last ACK of such a handshake and counts `TCPDeferAcceptDrop`, which nothing else does. The queue is then full
//! as under half-open connections, with peers that did answer.

use brimful_loadgen_plan::probe::{Outcome, Sample};

use super::super::view::View;
use super::no_route_back::surplus_near;
use super::syn_queue::{not_the_syn_queue, open};
use super::{Finding, ProofLine};
use crate::wording::count;

const DEFERRED: &str = "TcpExt.TCPDeferAcceptDrop";

pub(super) fn look(view: &View<'_>) -> Finding {
    if let Some(finding @ Finding::Excluded(_)) = not_the_syn_queue(view) {
        return finding;
    }
    let port = view.record.probe.plan.address.port();
    match (view.grew(DEFERRED), view.at_the_probed_port("SYN_RECV")) {
        (Some(0), _) => Finding::Excluded(ProofLine::new(
            format!("server.{DEFERRED}"),
            "+0",
            "no handshake was kept waiting for data",
        )),
        (Some(n), Some(half_open)) if is_the_root(view) => Finding::Shown {
            proof: vec![
                ProofLine::new(
                    format!("server.{DEFERRED}"),
                    format!("+{}", count(n)),
                    "last ACKs set aside because no data came with them",
                )
                .at(view.counter(DEFERRED).and_then(|s| s.points.get(1)).map_or(0, |&(t, _)| t)),
                ProofLine::new(
                    format!("server.sockets.SYN_RECV.{port}"),
                    format!("{} at most", count(half_open.max)),
                    "handshakes in the SYN queue, most of them done and waiting for data",
                ),
                ProofLine::new(
                    "server.TcpExt.ListenDrops",
                    format!("+{}", count(view.grew("TcpExt.ListenDrops").unwrap_or(0))),
                    "SYNs that found no room in it",
                ),
            ],
            why: None,
        },
        (Some(n), _) => open(format!(
            "{} last ACKs were set aside to wait for data, but that they fill the SYN queue was not seen",
            count(n)
        )),
        (None, _) => open("TcpExt.TCPDeferAcceptDrop was not read".into()),
    }
}

/// Whether handshakes that wait for data fill the SYN queue while most probes fail: at least half of the half-open have answered.
pub(super) fn is_the_root(view: &View<'_>) -> bool {
    let (Some(deferred), Some(half_open)) = (view.grew(DEFERRED), view.at_the_probed_port("SYN_RECV")) else {
        return false;
    };
    let dropped = |s: &&&Sample| {
        let full = view.grew_near("TcpExt.TCPReqQFullDrop", s.started_ns).is_some_and(|n| n > 0);
        s.outcome == Outcome::ConnectTimeout && (full || surplus_near(view, s.started_ns).is_some_and(|n| n > 0))
    };
    half_open.max > 0
        && deferred.saturating_mul(2) >= half_open.max
        && deferred > 0
        && view.explains_most(view.failed.iter().filter(dropped).count())
}
