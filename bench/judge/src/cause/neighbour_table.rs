//! The neighbour table of the host is full: no packet can be sent to a neighbour that has no entry yet. Pure.
//!
//! One table for all namespaces; `table_fulls` counts it (`net/core/neighbour.c`, `neigh_alloc`).

use super::super::view::View;
use super::lost::{self, Witness, Words};
use super::{Finding, ProofLine};

const WORDS: Words = Words {
    shown: "neighbours that found no room in the host's table",
    flat: "the neighbour table never overflowed",
    unread: "`table_fulls` of the neighbour table was not read: only the host's first network namespace shows it",
    collect: &[
        "`table_fulls` in /proc/net/stat/arp_cache (or ndisc_cache) of the node",
        "`ip -s neigh | wc -l` against gc_thresh3",
    ],
};

pub(super) fn look(view: &View<'_>) -> Finding {
    let address = view.record.probe.plan.address;
    if address.ip().is_loopback() {
        return Finding::Excluded(ProofLine::new("probe", address.to_string(), "loopback has no neighbours"));
    }
    let name = if address.is_ipv4() { "arp_cache.table_fulls" } else { "ndisc_cache.table_fulls" };
    let witnesses: Vec<Witness<'_>> =
        view.host(name).map(|series| Witness { name: format!("host.{name}"), series }).into_iter().collect();
    lost::weigh(view, &witnesses, true, &WORDS)
}
