//! Cookies are off, and the last quarter of `tcp_max_syn_backlog` is kept for peers that are known. Pure.
//!
//! `tcp_conn_request` drops a SYN from an unproven peer when `max - qlen < max >> 2`, and counts it in `ListenDrops` alone. The same
//! residue is left by a missing route back (`Ip.OutNoRoutes`) and by failed allocations, so it needs company to show anything.

use super::super::view::View;
use super::syn_queue::{at_the_time, not_the_syn_queue, open};
use super::{Finding, ProofLine};
use crate::wording::count;

pub(super) fn look(view: &View<'_>) -> Finding {
    if let Some(finding) = not_the_syn_queue(view) {
        return finding;
    }
    match view.sysctl("net.ipv4.tcp_syncookies") {
        Some(cookies) if cookies > 0 => {
            return Finding::Excluded(ProofLine::new(
                "sysctl.net.ipv4.tcp_syncookies",
                cookies.to_string(),
                "tcp_max_syn_backlog is not read while cookies are on",
            ));
        }
        _ => {}
    }
    match view.grew("TcpExt.TCPReqQFullDrop") {
        Some(0) => by_residue(view),
        Some(n) => Finding::Excluded(ProofLine::new(
            "server.TcpExt.TCPReqQFullDrop",
            format!("+{}", count(n)),
            "the SYN queue itself was full: the listen backlog bounds it, not tcp_max_syn_backlog",
        )),
        None => open("TcpExt.TCPReqQFullDrop was not read".into()),
    }
}

fn by_residue(view: &View<'_>) -> Finding {
    let (Some(drops), Some(overflows)) = (view.grew("TcpExt.ListenDrops"), view.grew("TcpExt.ListenOverflows")) else {
        return open("TcpExt.ListenDrops or TcpExt.ListenOverflows was not read".into());
    };
    let residue = drops.saturating_sub(overflows);
    let no_routes = view.grew("Ip.OutNoRoutes");
    let max = view.sysctl("net.ipv4.tcp_max_syn_backlog");
    let port = view.record.probe.plan.address.port();
    match (no_routes, view.sysctl("net.ipv4.tcp_syncookies"), max, view.at_the_probed_port("SYN_RECV")) {
        (Some(0), Some(0), Some(max), Some(half_open)) if half_open.max > max.saturating_sub(max / 4) => {
            let mut finding = at_the_time(
                view,
                "TcpExt.ListenDrops",
                residue,
                "drops that no full queue explains: the quarter reserved for proven peers",
            );
            if let Finding::Shown { proof, .. } = &mut finding {
                proof.push(ProofLine::new(
                    format!("server.sockets.SYN_RECV.{port}"),
                    format!("{} of {max}", half_open.max),
                    "half-open connections, more than three quarters of tcp_max_syn_backlog",
                ));
            }
            finding
        }
        (Some(n), ..) if n > 0 => open(format!(
            "{} SYNs were dropped beside a full queue, but {} packets found no route, which counts alike",
            count(residue),
            count(n)
        )),
        _ => open(format!(
            "{} SYNs were dropped at a listener, not for a full accept queue; what is known of SYN_RECV, tcp_max_syn_backlog and tcp_syncookies does not say why",
            count(residue)
        )),
    }
}
