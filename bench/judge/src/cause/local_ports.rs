//! The client has no source port left: `connect` fails at once, and no packet leaves. Pure.
//!
//! No counter of the kernel moves anywhere (`__inet_hash_connect`), so only the errno tells. It is a finding where the kernel chooses the
//! port, as it does for every probe and every real client; a load whose ports were planned has planned them wrongly.

use super::super::spans::known;
use super::super::view::View;
use super::local_error::{Lack, lack};
use super::{Finding, ProofLine};
use crate::wording::count;

pub(super) fn look(view: &View<'_>) -> Finding {
    let refused: Vec<_> = view.failed.iter().filter(|s| lack(s) == Some(Lack::Ports)).collect();
    if !view.explains_most(refused.len()) {
        return Finding::Excluded(ProofLine::new(
            "probe.outcomes.local-error",
            format!("EADDRNOTAVAIL {}", refused.len()),
            if refused.is_empty() {
                "every probe found a source port"
            } else {
                "most failed probes found a source port"
            },
        ));
    }
    let first = refused.first().map_or(0, |s| s.ended_ns);
    let message = refused.first().map_or_else(String::new, |s| s.message.clone());
    let mut proof = vec![
        ProofLine::new(
            "probe.outcomes.local-error",
            format!("EADDRNOTAVAIL {} of {} failed", refused.len(), view.failed.len()),
            format!("no source port was left for the probe, and nothing was sent: {message}"),
        )
        .at(first),
    ];
    let (side, client) = view.client_side();
    if let Some(waiting) = client.sockets.get("TIME_WAIT").and_then(|ports| ports.values().find_map(known)) {
        proof.push(ProofLine::new(
            format!("{side}.sockets.TIME_WAIT"),
            format!("{} at most", count(waiting.max)),
            "ports that closed connections keep for a minute",
        ));
    }
    let load =
        view.record.load.outcome.failures.iter().filter(|f| f.errno == "EADDRNOTAVAIL").map(|f| f.count).sum::<u64>();
    if load > 0 {
        proof.push(ProofLine::new(
            "load.errors",
            format!("EADDRNOTAVAIL {}", count(load)),
            "the load met the same limit",
        ));
    }
    if let (Some(0), Some(0)) = (view.grew("TcpExt.ListenDrops"), view.grew("TcpExt.ListenOverflows")) {
        proof.push(ProofLine::new("server.TcpExt.ListenDrops", "+0", "the server turned nobody away"));
    }
    Finding::Shown { proof, why: None }
}
