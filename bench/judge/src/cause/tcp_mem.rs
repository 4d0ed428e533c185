//! TCP is out of memory (`net.ipv4.tcp_mem`): connections that exist are stalled or aborted. Pure.
//!
//! It does not gate the handshake (`tcp_conn_request` does not ask), so a probe that cannot connect has another reason.

use brimful_loadgen_plan::probe::{Outcome, Sample};

use super::super::view::View;
use super::lost::{self, Words};
use super::waits::{Wait, wait_of};
use super::{Finding, ProofLine};
use crate::wording::count;

const WORDS: Words = Words {
    shown: "connections that the kernel aborted for want of TCP memory",
    flat: "no connection was aborted for want of TCP memory",
    unread: "TcpExt.TCPAbortOnMemory was not read",
    collect: &[
        "`mem` of TCP in /proc/net/sockstat against net.ipv4.tcp_mem of the node",
        "dmesg: \"out of memory -- consider tuning tcp_mem\"",
    ],
};

pub(super) fn look(view: &View<'_>) -> Finding {
    let connected: Vec<&Sample> = view
        .failed
        .iter()
        .copied()
        .filter(|s| matches!(s.outcome, Outcome::ResponseTimeout | Outcome::Reset))
        .collect();
    if !view.explains_most(connected.len()) {
        return Finding::Excluded(ProofLine::new(
            "probe",
            format!("{} of {} failed", connected.len(), view.failed.len()),
            "memory of TCP does not gate a handshake, and most failed probes were not connected",
        ));
    }
    if let Some(queue) = &view.queue {
        let waiting = connected.iter().filter(|s| matches!(wait_of(view, queue, s), Wait::TooLong(_))).count();
        if view.explains_most(waiting) {
            return Finding::Excluded(ProofLine::new(
                format!("listener.{}.recv_q", queue.name),
                queue.fullest(),
                "most failed probes waited to be accepted, which takes no memory of TCP",
            ));
        }
    }
    let aborted = lost::on_each_side(view, "TcpExt.TCPAbortOnMemory");
    let hit = connected
        .iter()
        .filter(|s| aborted.iter().any(|w| view.growth(w.series, s.started_ns, s.ended_ns).is_some_and(|n| n > 0)))
        .count();
    let pressure = view.grew("TcpExt.TCPMemoryPressures").unwrap_or(0);
    match lost::decide(view, &aborted, hit, true, &WORDS) {
        Finding::Excluded(_) if pressure > 0 => {
            WORDS.open(format!("TCP came under memory pressure {} times, but aborted nothing", count(pressure)))
        }
        Finding::Shown { mut proof, why } => {
            if pressure > 0 {
                proof.push(ProofLine::new(
                    "server.TcpExt.TCPMemoryPressures",
                    format!("+{}", count(pressure)),
                    "times TCP came under memory pressure",
                ));
            }
            Finding::Shown { proof, why }
        }
        finding => finding,
    }
}
