//! Which limit binds first, and at how many connections: those of now and the room there is. Pure.
//!
//! A straight line from what is: each connection costs what one costs now. An accept queue is no such limit, as it bounds what
//! comes at once and not what is held.

use brimful_evidence::snapshot::{Namespace, Process, names};

use super::case::{Case, called, namespace_name, range};
use super::diagnosis::Bound;
use super::path::taken;
use crate::wording::{count, counted};

/// Connections from which on it is worth asking what one costs.
const ENOUGH: u64 = 64;
/// A destination that uses less than one in so many of the local ports is left out.
const PORTS_ONE_IN: u64 = 20;
/// Limits that are told.
const MOST: usize = 16;

pub(super) fn bounds(case: &Case<'_>) -> Vec<Bound> {
    let mut bounds: Vec<Bound> = case
        .processes()
        .into_iter()
        .filter(|process| !case.listeners_of(process.pid).is_empty())
        .filter_map(|process| descriptors(case, process))
        .collect();
    let connections = case.processes().into_iter().map(connections).sum();
    bounds.extend(files(case, connections));
    for namespace in case.namespaces() {
        bounds.extend(conntrack(case, namespace));
        bounds.extend(ports(namespace));
    }
    bounds.sort_by_key(|bound| bound.room);
    bounds.truncate(MOST);
    bounds
}

/// TCP sockets of a process that are connections.
fn connections(process: &Process) -> u64 {
    let connected = process.sockets.iter().filter(|(state, _)| !matches!(state.as_str(), "LISTEN" | "OTHER"));
    connected.map(|(_, n)| *n).sum()
}

fn descriptors(case: &Case<'_>, process: &Process) -> Option<Bound> {
    let (used, soft) = (process.descriptors?, process.nofile?.soft);
    // A proxy's connection upstream is no connection of a client; only those at its own ports are.
    let held: u64 = {
        let mut ports: Vec<u16> = case.listeners_of(process.pid).iter().map(|heard| heard.now.address.port()).collect();
        ports.dedup();
        case.listeners_of(process.pid)
            .iter()
            .filter(|heard| {
                ports.iter().position(|p| *p == heard.now.address.port()).map(|at| ports.remove(at)).is_some()
            })
            .filter_map(|heard| heard.at_port())
            .map(|at| at.held)
            .sum()
    };
    let now = held.min(connections(process));
    let each = if now >= ENOUGH { (used.saturating_add(now / 2) / now).max(1) } else { 1 };
    let room = soft.saturating_sub(used) / each;
    let because = if now >= ENOUGH {
        format!(
            "{} descriptors for {} make {} each",
            count(used),
            counted(now, "connection"),
            counted(each, "descriptor")
        )
    } else {
        "reckoned with one descriptor each, as there are too few connections to tell".to_owned()
    };
    Some(Bound {
        limit: "ulimit.nofile".to_owned(),
        subject: called(process),
        used,
        of: soft,
        room,
        at_connections: now.saturating_add(room),
        because,
    })
}

fn files(case: &Case<'_>, connections: u64) -> Option<Bound> {
    let (used, of) = (case.host(names::FILES)?, case.host(names::FILES_MAX)?);
    let room = of.saturating_sub(used);
    Some(Bound {
        limit: "fs.file-max".to_owned(),
        subject: "the host".to_owned(),
        used,
        of,
        room,
        at_connections: connections.saturating_add(room),
        because: "one open file each; two where both ends are on this host".to_owned(),
    })
}

fn conntrack(case: &Case<'_>, namespace: &Namespace) -> Option<Bound> {
    let used = namespace.counters.get(names::CONNTRACK).copied().filter(|used| *used > 0)?;
    let of = case.host(names::CONNTRACK_MAX)?;
    let room = of.saturating_sub(used);
    Some(Bound {
        limit: "net.netfilter.nf_conntrack_max".to_owned(),
        subject: namespace_name(namespace),
        used,
        of,
        room,
        at_connections: of,
        because: "one entry each, until long after its end".to_owned(),
    })
}

fn ports(namespace: &Namespace) -> Option<Bound> {
    let size = range(namespace)?.size();
    let sockets = namespace.sockets.as_ref().filter(|sockets| sockets.complete)?;
    let (used, to) = sockets.outgoing.iter().map(|to| (taken(namespace, to), to)).max_by_key(|(used, _)| *used)?;
    (used.saturating_mul(PORTS_ONE_IN) >= size).then(|| Bound {
        limit: "net.ipv4.ip_local_port_range".to_owned(),
        subject: format!("from {} to {}, in {}", to.from, to.to, namespace_name(namespace)),
        used,
        of: size,
        room: size.saturating_sub(used),
        at_connections: size,
        because: "one local port each towards one destination".to_owned(),
    })
}
