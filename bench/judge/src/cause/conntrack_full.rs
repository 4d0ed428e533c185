//! The connection-tracking table is full: a SYN that would need an entry is dropped before any socket sees it. Pure.
//!
//! `drop` of `/proc/net/stat/nf_conntrack` counts it, in the namespace whose table is full (`net/netfilter/nf_conntrack_core.c`,
//! `__nf_conntrack_alloc`). No counter of TCP moves.

use super::super::spans::known;
use super::super::view::View;
use super::lost::{self, Words};
use super::{Finding, ProofLine};
use crate::wording::count;

const WORDS: Words = Words {
    shown: "packets for which the connection-tracking table had no room",
    flat: "the connection-tracking table dropped nothing",
    unread: "`drop` of nf_conntrack was not read on every side",
    collect: &["`drop` in /proc/net/stat/nf_conntrack, in the client's and in the server's namespace"],
};

pub(super) fn look(view: &View<'_>) -> Finding {
    let witnesses = lost::on_each_side(view, "nf_conntrack.drop");
    let complete = witnesses.len() == view.sides().count();
    let mut finding = lost::weigh(view, &witnesses, complete, &WORDS);
    if let Finding::Shown { proof, .. } = &mut finding {
        for (side, namespace) in view.sides() {
            let Some(entries) = namespace.counters.get("nf_conntrack.count").and_then(known) else { continue };
            let most = view.host("nf_conntrack.max").map_or_else(String::new, |max| format!(" of {}", count(max.last)));
            proof.push(ProofLine::new(
                format!("{side}.nf_conntrack.count"),
                format!("{}{most}", count(entries.max)),
                "entries at most; the limit is one for all namespaces, and compared with the count of each",
            ));
        }
    }
    finding
}
