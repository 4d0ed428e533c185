//! What is lost on the way, before a socket has seen it, and ports that are not to be had. Pure.

use std::net::IpAddr;

use brimful_evidence::inet_diag::State;
use brimful_evidence::snapshot::tally::Outgoing;
use brimful_evidence::snapshot::{Namespace, names};
use brimful_plan::expect::CauseName;

use super::case::{Case, host_subject, namespace_name, namespace_subject, range};
use super::diagnosis::Found;
use super::rows::{Answer, excluded, found, open};
use crate::cause::ProofLine;
use crate::cure::node;
use crate::wording::count;

/// Answers sent again from which on the way back is in question; a few half-open ones are on every public port.
const HALF_OPEN_AGAIN: u64 = 10;

/// Ports that are taken for good towards a destination: one in `TIME_WAIT` may be taken again where the kernel allows that.
pub(super) fn taken(namespace: &Namespace, to: &Outgoing) -> u64 {
    // 1: always; 2, the default: between addresses of loopback (`tcp_twsk_unique`).
    let loopback = |ip: IpAddr| ip.to_canonical().is_loopback();
    let again = match namespace.number(names::TW_REUSE) {
        Some(1) => true,
        Some(2) => loopback(to.from) || loopback(to.to.ip()),
        _ => false,
    };
    if again { to.ports.saturating_sub(to.time_wait) } else { to.ports }
}

pub(super) fn local_ports(case: &Case<'_>) -> Answer {
    let mut shown = Vec::new();
    let mut fullest: Option<(u64, u64, &Outgoing)> = None;
    let mut unread = true;
    for namespace in case.namespaces() {
        let (Some(range), Some(sockets)) = (range(namespace), &namespace.sockets) else { continue };
        unread = !sockets.complete || !case.live && sockets.outgoing.is_empty();
        let size = range.size();
        for to in &sockets.outgoing {
            let used = taken(namespace, to);
            if used >= size {
                shown.push(out_of_ports(namespace, to, size));
            } else if fullest.is_none_or(|(most, _, _)| used > most) {
                fullest = Some((used, size, to));
            }
        }
    }
    if !shown.is_empty() {
        return Answer::Shown(shown);
    }
    match fullest {
        Some((used, size, to)) => excluded(
            format!("ports.{}", to.to),
            format!("{} of {}", count(used), count(size)),
            "local ports to spare towards every destination; this one has most",
        ),
        None if unread => open(
            "how many local ports are in use towards each destination was not read",
            &["`ss -tan` as a whole, with `sysctl net.ipv4.ip_local_port_range`"],
        ),
        None => excluded("ports", "0", "no connection uses a local port of the range"),
    }
}

fn out_of_ports(namespace: &Namespace, to: &Outgoing, size: u64) -> Found {
    let proof = vec![
        ProofLine::new(
            format!("ports.{}", to.to),
            format!("{} of {}", count(to.ports), count(size)),
            format!("no local port is left from {} to there: connect() fails at once, and no counter moves", to.from),
        ),
        ProofLine::new(
            format!("ports.{}.TIME_WAIT", to.to),
            count(to.time_wait),
            "of them belong to connections that are over, and are kept for a minute",
        ),
    ];
    found(CauseName::LocalPorts, namespace_subject(namespace), proof, node::more_ports())
}

pub(super) fn conntrack_full(case: &Case<'_>) -> Answer {
    let max = case.host(names::CONNTRACK_MAX);
    let mut shown = Vec::new();
    let mut calm = None;
    let mut unknown = false;
    for namespace in case.everywhere() {
        let entries = namespace.counters.get(names::CONNTRACK).copied();
        let dropped = case.grew(namespace, names::CONNTRACK_DROP);
        let full = entries.zip(max).is_some_and(|(entries, max)| max > 0 && entries >= max);
        let value =
            |entries: u64| max.map_or_else(|| count(entries), |max| format!("{} of {}", count(entries), count(max)));
        if dropped.is_some_and(|n| n > 0) || full {
            let mut proof = Vec::new();
            if let Some(n) = dropped.filter(|n| *n > 0) {
                let text = "packets that needed an entry were dropped while it was watched";
                proof.push(ProofLine::new(names::CONNTRACK_DROP, format!("+{}", count(n)), text));
            }
            if let Some(entries) = entries {
                proof.push(ProofLine::new(names::CONNTRACK, value(entries), "entries of the table"));
            }
            shown.push(found(CauseName::ConntrackFull, namespace_subject(namespace), proof, node::more_entries(max)));
        } else if let Some(entries) = entries.filter(|_| max.is_some()) {
            calm = calm.max(Some((entries, value(entries))));
        } else if case.live && !namespace.counters.is_empty() {
            calm = calm.max(Some((0, "no table".to_owned())));
        } else if case.live || dropped != Some(0) {
            unknown = true;
        }
    }
    match calm {
        _ if !shown.is_empty() => Answer::Shown(shown),
        Some((_, value)) => {
            excluded(names::CONNTRACK, value, "no connection-tracking table is full, and none dropped anything")
        }
        None if unknown => open(
            "the connection-tracking table was not read",
            &[
                "`sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max`, and `conntrack -S` twice: in both namespaces",
            ],
        ),
        None => excluded(names::CONNTRACK_DROP, "0", "it has dropped nothing since boot"),
    }
}

/// Whether anything of this host waits for an answer and has asked again. Without that nothing that the host can see is lost on the way.
fn no_loss(case: &Case<'_>, what: &str) -> Option<Answer> {
    let read = case.namespaces().any(|ns| ns.sockets.as_ref().is_some_and(|sockets| sockets.complete));
    let captured = case.symptoms.captured.iter().any(|seen| !seen.answered && !seen.reset && seen.syns > 1);
    let waiting = case.namespaces().flat_map(|ns| ns.sockets.iter()).any(|s| s.in_state(State::SYN_SENT) > 0);
    let calm = read && case.syns_again() == 0 && !captured && (case.live || !waiting);
    calm.then(|| {
        excluded(
            "SYN_SENT",
            "none sent again",
            format!("{what}, as far as connections from here tell; other clients are not seen from here"),
        )
    })
}

pub(super) fn packet_filter(case: &Case<'_>) -> Answer {
    if let Some(answer) = no_loss(case, "no packet filter keeps a SYN of this host from being answered") {
        return answer;
    }
    let met: Vec<String> = case
        .namespaces()
        .flat_map(|ns| {
            let rules = ns.counters.keys().filter(|name| name.starts_with("nftables."));
            rules.filter_map(move |name| Some((name, case.grew(ns, name).filter(|n| *n > 0)?)))
        })
        .map(|(name, n)| format!("{name} (+{})", count(n)))
        .collect();
    let why = if met.is_empty() {
        "SYNs go unanswered, and a packet filter or a security agent that counts nothing leaves no trace".to_owned()
    } else {
        format!("SYNs go unanswered, and rules that count were met, which may drop or only count: {}", met.join(", "))
    };
    open(
        why,
        &[
            "`nft list ruleset` and `iptables-save -c`, twice, in the client's and in the server's namespace",
            "packet filters and security agents on the path, switched off and on again: the one experiment that proves it",
        ],
    )
}

pub(super) fn no_route_back(case: &Case<'_>) -> Answer {
    let mut shown = Vec::new();
    let mut unknown = false;
    for namespace in case.namespaces() {
        let routes = case.grew(namespace, "Ip.OutNoRoutes");
        let unexplained = super::syn::unexplained(case, namespace);
        match (routes, unexplained) {
            (Some(n), Some(drops)) if n > 0 && drops > 0 => {
                let proof = vec![
                    ProofLine::new("Ip.OutNoRoutes", format!("+{}", count(n)), "answers that found no route"),
                    ProofLine::new(
                        "TcpExt.ListenDrops",
                        format!("+{}", count(drops)),
                        "SYNs dropped that no full queue explains",
                    ),
                ];
                shown.push(found(CauseName::NoRouteBack, namespace_subject(namespace), proof, node::a_route()));
            }
            (Some(_), Some(_)) | (Some(0), None) | (None, Some(0)) => {}
            _ => unknown = true,
        }
    }
    if !shown.is_empty() {
        Answer::Shown(shown)
    } else if unknown {
        open("whether answers find a route was not read", &["`nstat -az IpOutNoRoutes TcpExtListenDrops`, twice"])
    } else {
        excluded("Ip.OutNoRoutes", "no drop beside it", "no SYN was dropped for want of a route")
    }
}

pub(super) fn return_path(case: &Case<'_>) -> Answer {
    let known: Vec<u64> =
        case.namespaces().filter_map(|ns| Some(ns.sockets.as_ref().filter(|s| s.complete)?.syn_recv_again)).collect();
    let again: u64 = known.iter().sum();
    if known.is_empty() {
        return open("half-open connections were not listed", &["`ss -tano state syn-recv`"]);
    }
    if again < HALF_OPEN_AGAIN {
        return excluded(
            "SYN_RECV",
            format!("{again} answered again"),
            "the answers of the listeners are acknowledged",
        );
    }
    open(
        format!(
            "{} half-open connections were answered more than once: the answers are lost, or the clients never meant to finish",
            count(again)
        ),
        &[
            "a capture at a client that should connect: does the SYN-ACK arrive?",
            "filters, rp_filter and NAT on the way back",
        ],
    )
}

pub(super) fn softirq_backlog(case: &Case<'_>) -> Answer {
    match case.host_grew(names::SOFTNET_DROPPED) {
        None => open("the per-processor backlogs were not read twice", &["`cat /proc/net/softnet_stat`, twice"]),
        Some(0) => excluded(names::SOFTNET_DROPPED, "+0", "no processor's backlog dropped a packet"),
        Some(n) if case.syns_again() == 0 => excluded(
            names::SOFTNET_DROPPED,
            format!("+{}", count(n)),
            "packets were dropped, but no SYN had to be sent again: not what keeps connections out",
        ),
        Some(n) => {
            let proof = vec![
                ProofLine::new(names::SOFTNET_DROPPED, format!("+{}", count(n)), "packets that a full backlog dropped"),
                ProofLine::new("SYN_SENT", count(case.syns_again()), "SYNs that had to be sent again meanwhile"),
            ];
            Answer::Shown(vec![found(CauseName::SoftirqBacklog, host_subject(), proof, node::longer_backlog())])
        }
    }
}

pub(super) fn neighbour_table(case: &Case<'_>) -> Answer {
    let mut shown = Vec::new();
    let mut calm = None;
    for (table, sysctl) in names::NEIGHBOURS {
        let grew = case.host_grew(&format!("{table}.table_fulls"));
        let entries = case.host(&format!("{table}.entries"));
        match grew {
            Some(n) if n > 0 => {
                let text = "neighbours that found no place in the table while it was watched";
                let line = ProofLine::new(format!("{table}.table_fulls"), format!("+{}", count(n)), text);
                let because =
                    "more neighbours than the host's one table holds; raise gc_thresh1 and gc_thresh2 with it";
                let cure = node::node_sysctl(sysctl, case.host(sysctl), because.to_owned());
                shown.push(found(CauseName::NeighbourTable, host_subject(), vec![line], cure));
            }
            Some(_) => {
                let of = case.host(sysctl).map_or_else(String::new, |max| format!(" of {}", count(max)));
                let value = entries.map_or_else(|| "+0".to_owned(), |entries| format!("{}{of}", count(entries)));
                calm = calm.or(Some((format!("{table}.entries"), value)));
            }
            None => {}
        }
    }
    match calm {
        _ if !shown.is_empty() => Answer::Shown(shown),
        Some((source, value)) => excluded(source, value, "the neighbour table was not full"),
        None => open(
            "the neighbour table was not read: the kernel shows it in the host's first namespace only",
            &["`ip neigh | wc -l`, and `table_fulls` in /proc/net/stat/arp_cache, on the node itself"],
        ),
    }
}

/// Counters of a namespace by which the path loses, for what is left open.
pub(super) fn hints(case: &Case<'_>) -> Vec<String> {
    let mut hints = Vec::new();
    for namespace in case.namespaces() {
        let grew = |name: &str| case.grew(namespace, name);
        if let (Some(received), Some(delivered)) = (grew("Ip.InReceives"), grew("Ip.InDelivers"))
            && grew("Ip.ForwDatagrams").unwrap_or(0) == 0
            && received > delivered
        {
            hints.push(format!(
                "{} packets reached {} and were not delivered (Ip.InReceives less Ip.InDelivers)",
                count(received - delivered),
                namespace_name(namespace)
            ));
        }
    }
    hints
}
