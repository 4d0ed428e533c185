//! The SYN queue is full and cookies are off: `tcp_conn_request` drops, and counts `TCPReqQFullDrop`. Pure.
//!
//! Its other way to drop, the quarter of `tcp_max_syn_backlog` that is kept for proven peers, is a row of its own.

use brimful_loadgen_plan::probe::Outcome;

use super::super::view::View;
use super::{Finding, ProofLine, defer_accept};
use crate::wording::count;

pub(super) fn look(view: &View<'_>) -> Finding {
    if let Some(finding) = not_the_syn_queue(view) {
        return finding;
    }
    if defer_accept::is_the_root(view) {
        return Finding::Excluded(ProofLine::new(
            "server.TcpExt.TCPDeferAcceptDrop",
            format!("+{}", view.grew("TcpExt.TCPDeferAcceptDrop").unwrap_or(0)),
            "the SYN queue is full of handshakes that are done and wait for data: a symptom",
        ));
    }
    match view.grew("TcpExt.TCPReqQFullDrop") {
        Some(0) => Finding::Excluded(ProofLine::new(
            "server.TcpExt.TCPReqQFullDrop",
            "+0",
            "no SYN was dropped because the SYN queue was full",
        )),
        Some(n) => {
            at_the_time(view, "TcpExt.TCPReqQFullDrop", n, "SYNs dropped by a full SYN queue, with no cookie sent")
        }
        None => open("TcpExt.TCPReqQFullDrop was not read".into()),
    }
}

/// What keeps a failed probe from being the SYN queue's doing, whichever of its rules; `None` where nothing does.
pub(super) fn not_the_syn_queue(view: &View<'_>) -> Option<Finding> {
    let timeouts = view.failed.iter().filter(|s| s.outcome == Outcome::ConnectTimeout).count();
    let (drops, overflows) = (view.grew("TcpExt.ListenDrops"), view.grew("TcpExt.ListenOverflows"));
    if drops == Some(0) {
        return Some(Finding::Excluded(ProofLine::new(
            "server.TcpExt.ListenDrops",
            "+0",
            "no SYN was dropped by a listener",
        )));
    }
    if let (Some(drops), Some(overflows)) = (drops, overflows)
        && drops <= overflows
    {
        return Some(Finding::Excluded(ProofLine::new(
            "server.TcpExt.ListenDrops",
            format!("+{drops}, ListenOverflows +{overflows}"),
            "every dropped SYN met a full accept queue, none a full SYN queue",
        )));
    }
    if timeouts == 0 {
        return Some(Finding::Excluded(ProofLine::new(
            "probe",
            "no connect time-out",
            "a full SYN queue drops SYNs, and every failed probe had connected or was answered",
        )));
    }
    (!view.explains_most(timeouts))
        .then(|| open(format!("it could explain {timeouts} of {} failed probes, not most of them", view.failed.len())))
}

/// Shown if the counter grew while failed probes were in their handshake, and most of them.
pub(super) fn at_the_time(view: &View<'_>, counter: &str, grew: u64, text: &str) -> Finding {
    let series = view.counter(counter);
    let hit = |s: &&&brimful_loadgen_plan::probe::Sample| {
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

pub(super) fn open(why: String) -> Finding {
    Finding::Open {
        why,
        collect: vec![
            "`nstat -az TcpExtTCPReqQFullDrop TcpExtListenDrops TcpExtListenOverflows IpOutNoRoutes` before and after"
                .into(),
            "the number of SYN_RECV sockets on the probed port (`ss -nt state syn-recv`)".into(),
        ],
    }
}
