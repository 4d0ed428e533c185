//! The server has no route to the client: the SYN arrives, and is dropped when its answer finds no way. Pure.
//!
//! `tcp_conn_request` counts it as a drop of the listener, and routing as `Ip.OutNoRoutes`; neither queue is full.

use brimful_loadgen_plan::probe::{Outcome, Sample};

use super::super::view::View;
use super::Finding;
use super::lost::{self, Words};
use super::waits::full_near;

const WORDS: Words = Words {
    shown: "answers for which the server's namespace found no route, while its listener dropped SYNs for no full queue",
    flat: "every answer of the server found a route",
    unread: "Ip.OutNoRoutes of the server was not read",
    collect: &["`ip route get CLIENT` in the server's namespace", "`nstat -az IpOutNoRoutes TcpExtListenDrops`"],
};

pub(super) fn look(view: &View<'_>) -> Finding {
    let full = |s: &Sample| view.queue.as_ref().is_some_and(|q| full_near(view, q, s.started_ns));
    let lost: Vec<&Sample> =
        view.failed.iter().copied().filter(|s| s.outcome == Outcome::ConnectTimeout && !full(s)).collect();
    if let Some(line) = lost::heard(view, lost.len()) {
        return Finding::Excluded(line);
    }
    let mut witnesses = lost::on_each_side(view, "Ip.OutNoRoutes");
    witnesses.retain(|w| w.name.starts_with("server."));
    let hit = lost
        .iter()
        .filter(|s| {
            witnesses.iter().any(|w| w.near(view, s)) && surplus_near(view, s.started_ns).is_some_and(|n| n > 0)
        })
        .count();
    lost::decide(view, &witnesses, hit, true, &WORDS)
}

/// Drops of listeners around an instant that no full queue explains; `None` where a count that could explain them was not read.
pub(super) fn surplus_near(view: &View<'_>, at_ns: u64) -> Option<u64> {
    let drops = view.grew_near("TcpExt.ListenDrops", at_ns)?;
    let overflows = view.grew_near("TcpExt.ListenOverflows", at_ns)?;
    let full = view.grew_near("TcpExt.TCPReqQFullDrop", at_ns)?;
    Some(drops.saturating_sub(overflows).saturating_sub(full))
}
