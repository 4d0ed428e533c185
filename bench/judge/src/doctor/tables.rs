//! What was seen, in rows. Pure.

use std::collections::BTreeMap;

use brimful_evidence::snapshot::{Namespace, Process, names};

use super::case::{Case, Heard, called, half_open, namespace_name, range};
use super::descriptors::{at_limit, share};
use super::diagnosis::{ListenerRow, NamespaceRow, PortsRow, ProcessRow, Waiting};
use super::queue::throttled;
use crate::wording::count;

/// Counters that only move when something is turned away, lost or sent again.
const TROUBLE: [&str; 14] = [
    "TcpExt.ListenOverflows",
    "TcpExt.ListenDrops",
    "TcpExt.TCPReqQFullDrop",
    "TcpExt.TCPReqQFullDoCookies",
    "TcpExt.TCPDeferAcceptDrop",
    "TcpExt.TCPAbortOnMemory",
    "TcpExt.TCPSynRetrans",
    "TcpExt.TCPTimeWaitOverflow",
    "Tcp.RetransSegs",
    "Tcp.AttemptFails",
    "Ip.OutNoRoutes",
    "Ip.InDiscards",
    "nf_conntrack.drop",
    "nf_conntrack.early_drop",
];

/// A process that is no listener's is told from this share of its limit on, in per mille.
const WORTH_A_ROW: u64 = 500;

pub(super) fn listeners(case: &Case<'_>) -> Vec<ListenerRow> {
    let mut heard = case.listeners();
    // The fullest first.
    heard.sort_by_key(|heard| {
        let full = u64::from(heard.most()).saturating_mul(1_000) / u64::from(heard.now.limit).max(1);
        (std::cmp::Reverse((full, heard.at_port().map_or(0, |at| at.held))), heard.now.address)
    });
    heard.iter().map(|heard| listener(case, heard)).collect()
}

fn listener(case: &Case<'_>, heard: &Heard<'_>) -> ListenerRow {
    ListenerRow {
        address: heard.now.address.to_string(),
        namespace: heard.namespace.id,
        recv_q: heard.now.waiting,
        recv_q_max: heard.now.watched.map(|watched| watched.most),
        send_q: heard.now.limit,
        somaxconn: heard.namespace.number(names::SOMAXCONN),
        clamp: clamp(heard).to_owned(),
        drops: heard.now.drops,
        drops_now: heard.dropped(),
        syn_recv: half_open(heard),
        held: heard.namespace.sockets.as_ref().filter(|s| s.complete).map(|_| heard.at_port().map_or(0, |at| at.held)),
        owners: heard.now.owners.iter().map(|pid| case.process(*pid).map_or_else(|| pid.to_string(), called)).collect(),
    }
}

/// What bounds a listener's queue, as far as it can be told from outside: what was asked is not kept by the kernel.
pub(super) fn clamp(heard: &Heard<'_>) -> &'static str {
    let Some(somaxconn) = heard.namespace.number(names::SOMAXCONN) else { return "somaxconn was not read" };
    match u64::from(heard.now.limit).cmp(&somaxconn) {
        std::cmp::Ordering::Equal => "as long as somaxconn allows: cut down by it, or asked for as much",
        std::cmp::Ordering::Less => {
            "shorter than somaxconn: the program asked for it, or listened before somaxconn was raised"
        }
        std::cmp::Ordering::Greater => "longer than somaxconn: it listened before somaxconn was lowered",
    }
}

pub(super) fn processes(case: &Case<'_>) -> Vec<ProcessRow> {
    let named = |process: &&Process| {
        !case.scope.pids.is_empty()
            || !case.listeners_of(process.pid).is_empty()
            || at_limit(process)
            || share(process) >= WORTH_A_ROW
            || process.pid == 0
    };
    let mut found: Vec<&Process> = case.processes().into_iter().filter(named).collect();
    found.sort_by_key(|process| (std::cmp::Reverse(share(process)), process.pid));
    found.into_iter().map(|process| row(case, process)).collect()
}

fn row(case: &Case<'_>, process: &Process) -> ProcessRow {
    let before = case.process_before(process.pid);
    let growth = process.descriptors.zip(before.and_then(|before| before.descriptors));
    let ran = process.cpu_ns.zip(before.and_then(|before| before.cpu_ns));
    let cpu_percent = ran
        .zip(case.window_ns().filter(|ns| *ns > 0))
        .map(|((now, then), ns)| now.saturating_sub(then).saturating_mul(100) / ns);
    ProcessRow {
        pid: process.pid,
        name: process.name.clone(),
        namespace: process.namespace,
        home: process.home.words(),
        descriptors: process.descriptors,
        growth: growth
            .map(|(now, then)| i64::try_from(now).unwrap_or(i64::MAX) - i64::try_from(then).unwrap_or(i64::MAX)),
        nofile_soft: process.nofile.map(|limits| limits.soft),
        nofile_hard: process.nofile.map(|limits| limits.hard),
        limit_from: process.limit_from.clone(),
        kinds: process.kinds.clone(),
        sockets: process.sockets.clone(),
        cpu_percent,
        throttled: throttled(case, process).map(|(stopped, periods)| [stopped, periods]),
    }
}

pub(super) fn namespaces(case: &Case<'_>) -> Vec<NamespaceRow> {
    case.namespaces().map(|namespace| namespace_row(case, namespace)).collect()
}

fn namespace_row(case: &Case<'_>, namespace: &Namespace) -> NamespaceRow {
    let sockets = namespace.sockets.as_ref();
    let moved: BTreeMap<String, u64> = TROUBLE
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), case.grew(namespace, name).filter(|n| *n > 0)?)))
        .collect();
    let most = sockets.and_then(|sockets| sockets.outgoing.first());
    NamespaceRow {
        id: namespace.id,
        name: namespace_name(namespace),
        sockets: sockets.iter().flat_map(|s| &s.states).map(|(state, n)| ((*state).to_owned(), *n)).collect(),
        syn_sent: sockets
            .iter()
            .flat_map(|s| &s.syn_sent)
            .map(|to| Waiting { to: to.to.to_string(), sockets: to.sockets, again: to.again })
            .collect(),
        conntrack: namespace.counters.get(names::CONNTRACK).copied(),
        conntrack_drops_now: case.grew(namespace, names::CONNTRACK_DROP),
        ports: most.map(|to| PortsRow {
            to: to.to.to_string(),
            used: to.ports,
            time_wait: to.time_wait,
            of: range(namespace).map(|range| range.size()),
        }),
        moved,
    }
}

/// `1,024 of 1,024`.
pub fn used(open: Option<u64>, of: Option<u64>) -> String {
    let word = |n: Option<u64>| {
        n.map_or_else(|| "?".to_owned(), |n| if n == u64::MAX { "unlimited".to_owned() } else { count(n) })
    };
    format!("{} of {}", word(open), word(of))
}
