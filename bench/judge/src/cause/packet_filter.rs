//! A packet filter drops what should reach the listener. Pure.
//!
//! That a rule's counter grew says that packets met it, not that it drops. So the same namespace must also have lost packets between
//! its network and its protocols (`Ip.InReceives` less `Ip.InDelivers`, or `Ip.OutRequests` less `Ip.OutTransmits`: what lies between is
//! netfilter), more of them than its connection tracking dropped. Without a rule's counter the filter is not named.

use brimful_evidence::record::NamespaceEvidence;
use brimful_loadgen_plan::probe::{Outcome, Sample};

use super::super::syn_sent;
use super::super::view::View;
use super::lost::{self, Witness, Words};
use super::{Finding, ProofLine};

const WORDS: Words = Words {
    shown: "packets met this rule, and the same namespace lost packets between its network and its sockets",
    flat: "no rule of a packet filter that counts was met",
    unread: "no counter of a packet filter was read on every side",
    collect: &[
        "`nft list ruleset` or `iptables-save -c` twice, in the client's and in the server's namespace",
        "packet filters and security agents on the path, switched off and on again",
    ],
};

pub(super) fn look(view: &View<'_>) -> Finding {
    let candidates = candidates(view);
    if let Some(line) = lost::heard(view, candidates.len()) {
        return Finding::Excluded(line);
    }
    let rules: Vec<Witness<'_>> = view.sides().flat_map(|(side, ns)| rules(side, ns)).collect();
    if rules.is_empty() {
        return WORDS.open(between_network_and_socket(view).unwrap_or_else(|| WORDS.unread.to_owned()));
    }
    let met = |s: &&Sample| rules.iter().any(|rule| rule.near(view, s));
    let hit = candidates.iter().copied().filter(|s| dropped_beside(view, s)).count();
    let complete = view.sides().all(|(side, ns)| !rules_of(side, ns).is_empty()) && undelivered(view) == 0;
    match lost::decide(view, &rules, hit, complete, &WORDS) {
        Finding::Shown { mut proof, why } => {
            proof.extend(lines_of_the_loss(view));
            Finding::Shown { proof, why }
        }
        // Met, but nothing says that the rule drops.
        Finding::Excluded(_) if candidates.iter().any(met) => WORDS
            .open("a rule of a packet filter was met when probes failed, but nothing that was read says that it drops"),
        Finding::Open { why, collect } => {
            Finding::Open { why: between_network_and_socket(view).unwrap_or(why), collect }
        }
        excluded @ Finding::Excluded(_) => excluded,
    }
}

/// Probes that such a filter may have stopped: their SYN was lost and did not arrive, or their handshake stayed half done at the server.
fn candidates<'a>(view: &View<'a>) -> Vec<&'a Sample> {
    let lost = lost::unheard(view).into_iter();
    let mut found: Vec<&Sample> =
        lost.filter(|s| syn_sent::arrived(view, s.started_ns, s.ended_ns) != Some(true)).collect();
    found.extend(view.failed.iter().copied().filter(|s| final_ack_missing(view, s)));
    found
}

/// Connected as the client sees it, half-open as the server does, and no queue overflowed: its last ACK did not arrive.
fn final_ack_missing(view: &View<'_>, sample: &Sample) -> bool {
    let half_open = view
        .at_the_probed_port("SYN_RECV_RETRANS")
        .is_some_and(|s| syn_sent::most_around(view, s, sample.started_ns, sample.ended_ns) > 0);
    sample.outcome == Outcome::ResponseTimeout
        && half_open
        && view.counter("TcpExt.ListenOverflows").and_then(|s| view.growth(s, sample.started_ns, sample.ended_ns))
            == Some(0)
}

/// Whether on one side a rule was met when the probe began, and packets were lost there that connection tracking did not drop.
fn dropped_beside(view: &View<'_>, sample: &Sample) -> bool {
    let at = sample.started_ns;
    view.sides().any(|(side, ns)| {
        let lost = lost::undelivered_near(view, &ns.counters, at)
            .unwrap_or(0)
            .max(lost::unsent_near(view, &ns.counters, at).unwrap_or(0));
        let tracked = ns.counters.get("nf_conntrack.drop").and_then(|s| view.growth(s, at, at)).unwrap_or(0);
        lost > tracked && rules_of(side, ns).iter().any(|rule| rule.near(view, sample))
    })
}

fn rules<'a>(side: &'static str, ns: &'a NamespaceEvidence) -> impl Iterator<Item = Witness<'a>> + use<'a> {
    let counters = ns
        .counters
        .iter()
        .filter(|(name, series)| name.starts_with("nftables.") && name.ends_with(".packets") && series.reads > 0);
    counters.map(move |(name, series)| Witness { name: format!("{side}.{name}"), series })
}

fn rules_of<'a>(side: &'static str, ns: &'a NamespaceEvidence) -> Vec<Witness<'a>> {
    rules(side, ns).collect()
}

/// Packets that reached the server's namespace and no protocol of it, over the whole cell.
fn undelivered(view: &View<'_>) -> u64 {
    match (view.grew("Ip.InReceives"), view.grew("Ip.InDelivers")) {
        (Some(received), Some(delivered)) => received.saturating_sub(delivered),
        _ => 0,
    }
}

/// What the loss looks like where no rule counts: it is left open, because hooks of other kinds lie at the same place.
fn between_network_and_socket(view: &View<'_>) -> Option<String> {
    let lost = undelivered(view);
    (lost >= view.failed.len() as u64).then(|| {
        format!(
            "{lost} packets reached the server's namespace and none of its protocols (Ip.InReceives less Ip.InDelivers): a packet filter \
             or a security agent may have dropped them there, but no rule that counts was read"
        )
    })
}

fn lines_of_the_loss(view: &View<'_>) -> Vec<ProofLine> {
    let lost = undelivered(view);
    let line = ProofLine::new(
        "server.Ip.InReceives",
        format!("{lost} more than Ip.InDelivers"),
        "packets that reached the server's namespace and none of its protocols",
    );
    if lost > 0 { vec![line] } else { Vec::new() }
}
