//! What the client's sockets in `SYN_SENT` say of where SYNs are lost: one listener in trouble, or several at once. Pure.
//!
//! A queue belongs to one listener. SYNs that stay unanswered at several listeners at once, of which at least one has room,
//! point to something that all of them share: connection tracking, a packet filter, a processor's backlog.

use brimful_evidence::series::Series;

use super::spans::{interval_ns, known, max_between};
use super::view::{View, address_of, sockets};
use crate::wording::listed;

/// The place of every port that is none of the target's, in the evidence.
const OTHER: &str = "other";

/// In how many parts of ten a SYN that was not answered to the client must have its half-open counterpart at the server for both to be the same
/// connections: counts of two tables are never taken at one instant.
const COUNTERPARTS_OF_TEN: u64 = 9;

/// The ports to which SYNs stayed unanswered between two instants, with how many at most; `other` for all that are none of the target's.
/// Sockets that have sent their SYN again are counted where that was read, so that a handshake in the making is not taken for a lost one.
pub(crate) fn unanswered(view: &View<'_>, from_ns: u64, to_ns: u64) -> Vec<(String, u64)> {
    let (_, client) = view.client_side();
    let ports = client.sockets.get("SYN_SENT").into_iter().flatten();
    let most = ports.filter_map(|(port, sent)| {
        let series = sockets(client, "SYN_SENT_RETRANS", port).or(known(sent))?;
        Some((port.clone(), most_around(view, series, from_ns, to_ns)))
    });
    most.filter(|&(_, n)| n > 0).collect()
}

/// Whether a listener other than the probed one also left SYNs unanswered between two instants, and did not drop them itself.
pub(crate) fn elsewhere_too(view: &View<'_>, from_ns: u64, to_ns: u64) -> bool {
    let probed = view.record.probe.plan.address.port().to_string();
    let others = unanswered(view, from_ns, to_ns).into_iter().filter(|(port, _)| *port != probed);
    others.into_iter().any(|(port, _)| port == OTHER || !dropped_at(view, &port, from_ns, to_ns))
}

/// Every port with unanswered SYNs while probes failed, in words; `None` where there were fewer than two.
pub(crate) fn several(view: &View<'_>) -> Option<String> {
    let (from, to) = (view.failed.first()?.started_ns, view.failed.last()?.ended_ns);
    let ports: Vec<String> = unanswered(view, from, to)
        .into_iter()
        .map(|(port, n)| if port == OTHER { format!("{n} to other ports") } else { format!("{n} to port {port}") })
        .collect();
    (ports.len() > 1).then(|| listed(&ports))
}

/// Whether the SYNs that the client sent to the probed port between two instants have reached the server: each has its half-open
/// counterpart there. `None` where either side was not counted.
pub(crate) fn arrived(view: &View<'_>, from_ns: u64, to_ns: u64) -> Option<bool> {
    let port = view.record.probe.plan.address.port().to_string();
    let (_, client) = view.client_side();
    let sent = most_around(view, sockets(client, "SYN_SENT", &port)?, from_ns, to_ns);
    let half_open = most_around(view, view.at_the_probed_port("SYN_RECV")?, from_ns, to_ns);
    Some(half_open > 0 && half_open.saturating_mul(10) >= sent.saturating_mul(COUNTERPARTS_OF_TEN))
}

/// The largest value held from one reading before an instant to one after another.
pub(crate) fn most_around(view: &View<'_>, series: &Series, from_ns: u64, to_ns: u64) -> u64 {
    let slack = interval_ns(series, view.end_ns);
    max_between(series, from_ns, to_ns.saturating_add(slack))
}

/// Whether a listener on that port dropped anything itself at that time.
fn dropped_at(view: &View<'_>, port: &str, from_ns: u64, to_ns: u64) -> bool {
    let listeners = &view.record.evidence.server.listeners;
    let there = listeners.iter().filter(|(name, _)| address_of(name).is_some_and(|a| a.port().to_string() == port));
    there.filter_map(|(_, l)| known(&l.drops)).any(|drops| view.growth(drops, from_ns, to_ns) != Some(0))
}
