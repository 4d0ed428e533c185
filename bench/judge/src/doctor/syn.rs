//! SYN queues, what fills them, and TCP's memory. Pure.

use brimful_evidence::snapshot::{Namespace, names};
use brimful_plan::expect::CauseName;

use super::case::{Case, half_open, host_subject, namespace_subject};
use super::diagnosis::Found;
use super::rows::{Answer, excluded, found, open};
use crate::cause::ProofLine;
use crate::cure::{node, program, syn};
use crate::wording::count;

/// Drops of listeners that neither a full accept queue nor a full SYN queue explains (`tcp_conn_request`).
pub(super) fn unexplained(case: &Case<'_>, namespace: &Namespace) -> Option<u64> {
    let grew = |name: &str| case.grew(namespace, name);
    let drops = grew("TcpExt.ListenDrops")?;
    let explained = grew("TcpExt.ListenOverflows")?.saturating_add(grew("TcpExt.TCPReqQFullDrop")?);
    Some(drops.saturating_sub(explained))
}

fn moved(case: &Case<'_>, name: &str) -> (Vec<(Namespace, u64)>, bool) {
    let mut found = Vec::new();
    let mut unknown = false;
    for namespace in case.namespaces() {
        match case.grew(namespace, name) {
            Some(0) => {}
            Some(n) => found.push((namespace.clone(), n)),
            None => unknown = true,
        }
    }
    (found, unknown)
}

pub(super) fn defer_accept(case: &Case<'_>) -> Answer {
    const DEFERRED: &str = "TcpExt.TCPDeferAcceptDrop";
    let (deferring, unknown) = moved(case, DEFERRED);
    let shown: Vec<Found> = deferring
        .iter()
        .filter_map(|(namespace, n)| {
            let dropped = case.grew(namespace, "TcpExt.TCPReqQFullDrop").filter(|n| *n > 0)?;
            let proof = vec![
                ProofLine::new(DEFERRED, format!("+{}", count(*n)), "handshakes kept back until data comes"),
                ProofLine::new(
                    "TcpExt.TCPReqQFullDrop",
                    format!("+{}", count(dropped)),
                    "SYNs that a full SYN queue dropped",
                ),
            ];
            Some(found(CauseName::DeferAccept, namespace_subject(namespace), proof, program::no_deferring()))
        })
        .collect();
    match deferring.first() {
        _ if !shown.is_empty() => Answer::Shown(shown),
        Some((_, n)) => {
            excluded(DEFERRED, format!("+{}", count(*n)), "handshakes are kept back, but no SYN queue is full")
        }
        None if unknown => no_full_syn_queue(case).unwrap_or_else(|| {
            open(
                "whether handshakes are kept back until data comes was not shown",
                &["`nstat -az TcpExtTCPDeferAcceptDrop`, twice"],
            )
        }),
        None => excluded(DEFERRED, "+0", "no handshake is kept back until data comes"),
    }
}

pub(super) fn syn_queue(case: &Case<'_>) -> Answer {
    const FULL: &str = "TcpExt.TCPReqQFullDrop";
    let (full, unknown) = moved(case, FULL);
    let (deferring, _) = moved(case, "TcpExt.TCPDeferAcceptDrop");
    let shown: Vec<Found> = full
        .iter()
        .filter(|(namespace, _)| deferring.iter().all(|(other, _)| other.id != namespace.id))
        .filter(|_| case.live || !unknown)
        .map(|(namespace, n)| {
            let line =
                ProofLine::new(FULL, format!("+{}", count(*n)), "SYNs that a full SYN queue dropped, with cookies off");
            found(CauseName::SynQueue, namespace_subject(namespace), vec![line], syn::cookies())
        })
        .collect();
    match full.first() {
        _ if !shown.is_empty() => Answer::Shown(shown),
        Some((_, n)) => excluded(
            FULL,
            format!("+{}", count(*n)),
            "full of handshakes that are kept back until data comes: a symptom",
        ),
        None if unknown => no_full_syn_queue(case).unwrap_or_else(|| {
            open(
                "whether a SYN queue is full was not shown",
                &[
                    "`ss -tan state syn-recv | wc -l` against Send-Q of the listener",
                    "`nstat -az TcpExtTCPReqQFullDrop TcpExtTCPReqQFullDoCookies`, twice",
                ],
            )
        }),
        None => excluded(FULL, "+0", "no SYN queue turned anybody away"),
    }
}

/// Whether the half-open connections that were listed leave room in every SYN queue: in its own limit, which is the backlog's, and below
/// three quarters of `tcp_max_syn_backlog`.
fn no_full_syn_queue(case: &Case<'_>) -> Option<Answer> {
    let all = case.listeners();
    let mut least: Option<(u64, u64, String)> = None;
    for heard in &all {
        let waiting = half_open(heard)?;
        let quarter = heard.namespace.number(names::MAX_SYN_BACKLOG).map_or(u64::MAX, |max| max - max / 4);
        let room = u64::from(heard.now.limit).min(quarter);
        if waiting >= room {
            return None;
        }
        if least.as_ref().is_none_or(|(of, _, _)| room < *of) {
            least = Some((room, waiting, heard.source("syn_recv")));
        }
    }
    let (room, waiting, source) = least?;
    let text = "half-open connections, against what its SYN queue holds before anything is dropped";
    Some(excluded(source, format!("{} of {}", count(waiting), count(room)), text))
}

pub(super) fn three_quarter_rule(case: &Case<'_>) -> Answer {
    let mut shown = Vec::new();
    let mut unknown = false;
    let mut cookies = false;
    for namespace in case.namespaces() {
        if namespace.number(names::SYNCOOKIES).is_some_and(|value| value > 0) {
            cookies = true;
            continue;
        }
        let Some(drops) = unexplained(case, namespace) else {
            unknown |= namespace.listeners.is_some() || !case.live;
            continue;
        };
        let Some(max) = namespace.number(names::MAX_SYN_BACKLOG) else { continue };
        let half_open =
            namespace.sockets.iter().flat_map(|s| s.ports.values()).map(|at| at.syn_recv).max().unwrap_or(0);
        let routes = case.grew(namespace, "Ip.OutNoRoutes").unwrap_or(0);
        if drops > routes && half_open >= max - max / 4 {
            let proof = vec![
                ProofLine::new(
                    "TcpExt.ListenDrops",
                    format!("+{}", count(drops)),
                    "SYNs dropped that no full queue explains",
                ),
                ProofLine::new(
                    "SYN_RECV",
                    format!("{} of {}", count(half_open), count(max)),
                    "half-open at one port, against tcp_max_syn_backlog",
                ),
            ];
            shown.push(found(CauseName::SynQueueThreeQuarterRule, namespace_subject(namespace), proof, syn::cookies()));
        }
    }
    if !shown.is_empty() {
        Answer::Shown(shown)
    } else if unknown {
        no_full_syn_queue(case).unwrap_or_else(|| {
            open(
                "drops of listeners were not shown twice",
                &["`nstat -az TcpExtListenDrops TcpExtListenOverflows`, twice", "`sysctl net.ipv4.tcp_syncookies`"],
            )
        })
    } else if cookies {
        excluded(names::SYNCOOKIES, "on", "tcp_max_syn_backlog is not read while cookies are on")
    } else {
        excluded(
            "TcpExt.ListenDrops",
            "+0",
            "no drop without a full queue, or too few half-open connections for the rule",
        )
    }
}

pub(super) fn tcp_mem(case: &Case<'_>) -> Answer {
    const ABORTED: &str = "TcpExt.TCPAbortOnMemory";
    let (aborted, unknown) = moved(case, ABORTED);
    let total: u64 = aborted.iter().map(|(_, n)| n).sum();
    if total > 0 {
        let line = ProofLine::new(ABORTED, format!("+{}", count(total)), "connections aborted for want of memory");
        return Answer::Shown(vec![found(CauseName::TcpMem, host_subject(), vec![line], node::more_tcp_memory())]);
    }
    if unknown {
        return open(
            "whether TCP is short of memory was not shown",
            &["`nstat -az TcpExtTCPAbortOnMemory`, twice", "`cat /proc/net/sockstat` and `sysctl net.ipv4.tcp_mem`"],
        );
    }
    excluded(ABORTED, "+0", "no connection was aborted for want of memory")
}
