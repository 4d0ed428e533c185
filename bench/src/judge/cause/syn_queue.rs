//! The SYN queue is full and cookies are off. Pure.
//!
//! `tcp_conn_request` drops in two ways: the queue is full (`TCPReqQFullDrop`), or, with cookies off, less than a quarter of
//! `tcp_max_syn_backlog` is left for peers not yet proven, which moves `ListenDrops` alone. The same residue is left by a missing
//! route back (`Ip.OutNoRoutes`) and by failed allocations, so it needs company to show anything.

use brimful_loadgen::probe::Outcome;

use super::super::spans::known;
use super::super::view::View;
use super::super::words::count;
use super::{Finding, ProofLine};

pub(super) fn look(view: &View<'_>) -> Finding {
    let timeouts = view.failed.iter().filter(|s| s.outcome == Outcome::ConnectTimeout).count();
    let (drops, overflows) = (view.grew("TcpExt.ListenDrops"), view.grew("TcpExt.ListenOverflows"));
    let full = view.grew("TcpExt.TCPReqQFullDrop");
    if drops == Some(0) {
        return Finding::Excluded(ProofLine::new(
            "server.TcpExt.ListenDrops",
            "+0",
            "no SYN was dropped by a listener",
        ));
    }
    if let (Some(drops), Some(overflows)) = (drops, overflows)
        && drops <= overflows
    {
        return Finding::Excluded(ProofLine::new(
            "server.TcpExt.ListenDrops",
            format!("+{drops}, ListenOverflows +{overflows}"),
            "every dropped SYN met a full accept queue, none a full SYN queue",
        ));
    }
    if timeouts == 0 {
        return Finding::Excluded(ProofLine::new(
            "probe",
            "no connect time-out",
            "a full SYN queue drops SYNs, and every failed probe had connected or was answered",
        ));
    }
    if !view.explains_most(timeouts) {
        return open(format!("it could explain {timeouts} of {} failed probes, not most of them", view.failed.len()));
    }
    match full {
        Some(n) if n > 0 => {
            at_the_time(view, "TcpExt.TCPReqQFullDrop", n, "SYNs dropped by a full SYN queue, with no cookie sent")
        }
        Some(_) => three_quarters(view, drops, overflows),
        None => open("TcpExt.TCPReqQFullDrop was not read".into()),
    }
}

fn three_quarters(view: &View<'_>, drops: Option<u64>, overflows: Option<u64>) -> Finding {
    let (Some(drops), Some(overflows)) = (drops, overflows) else {
        return open("TcpExt.ListenDrops or TcpExt.ListenOverflows was not read".into());
    };
    let residue = drops.saturating_sub(overflows);
    let no_routes = view.grew("Ip.OutNoRoutes");
    let max = view.sysctl("net.ipv4.tcp_max_syn_backlog");
    let port = view.record.probe.plan.address.port().to_string();
    let half_open =
        view.record.evidence.server.sockets.get("SYN_RECV").and_then(|by_port| by_port.get(&port)).and_then(known);
    match (no_routes, view.sysctl("net.ipv4.tcp_syncookies"), max, half_open) {
        // `max - qlen < max >> 2`, net/ipv4/tcp_input.c.
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

/// Shown if the counter grew while failed probes were in their handshake, and most of them.
fn at_the_time(view: &View<'_>, counter: &str, grew: u64, text: &str) -> Finding {
    let series = view.counter(counter);
    let hit = |s: &&&brimful_loadgen::probe::Sample| {
        s.outcome == Outcome::ConnectTimeout && view.grew_near(counter, s.started_ns).is_some_and(|n| n > 0)
    };
    let explained = view.failed.iter().filter(hit).count();
    if !view.explains_most(explained) {
        return open(format!(
            "{counter} grew by {}, but around {explained} of {} failed probes only",
            count(grew),
            view.failed.len()
        ));
    }
    let mut proof = vec![
        ProofLine::new(format!("server.{counter}"), format!("+{grew}"), text)
            .at(series.and_then(|s| s.points.get(1)).map_or(0, |&(t, _)| t)),
    ];
    proof.push(ProofLine::new(
        "probe",
        format!("{explained} of {} failed", view.failed.len()),
        "each began while that counter grew",
    ));
    if let Some(cookies) = view.sysctl("net.ipv4.tcp_syncookies") {
        proof.push(ProofLine::new(
            "sysctl.net.ipv4.tcp_syncookies",
            cookies.to_string(),
            "with cookies on the kernel would have answered instead of dropping",
        ));
    }
    Finding::Shown { proof, why: None }
}

fn open(why: String) -> Finding {
    Finding::Open {
        why,
        collect: vec![
            "`nstat -az TcpExtTCPReqQFullDrop TcpExtListenDrops TcpExtListenOverflows IpOutNoRoutes` before and after"
                .into(),
            "the number of SYN_RECV sockets on the probed port (`ss -nt state syn-recv`)".into(),
        ],
    }
}
