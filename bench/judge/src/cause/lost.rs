//! Failed probes whose SYN, or its answer, was lost on the way: what all such causes have in common. Pure.
//!
//! A cause of this kind is shown by a counter that grew when the failed probes began, and only for probes that their own listener
//! did not drop: a listener that drops has received the SYN.

use brimful_evidence::series::Series;
use brimful_loadgen_plan::probe::{Outcome, Sample};

use super::super::syn_sent;
use super::super::view::View;
use super::waits::full_near;
use super::{Finding, ProofLine};
use crate::wording::count;

/// A counter that speaks of a loss, with the name of its series.
pub(super) struct Witness<'a> {
    pub(super) name: String,
    pub(super) series: &'a Series,
}

impl Witness<'_> {
    pub(super) fn grew(&self) -> u64 {
        self.series.delta()
    }

    /// Whether it grew when this probe began.
    pub(super) fn near(&self, view: &View<'_>, sample: &Sample) -> bool {
        view.growth(self.series, sample.started_ns, sample.started_ns).is_some_and(|n| n > 0)
    }
}

/// What a row says of its own counters.
pub(super) struct Words {
    /// What a counter that grew means.
    pub(super) shown: &'static str,
    /// What one that did not grow means.
    pub(super) flat: &'static str,
    /// That they were not read.
    pub(super) unread: &'static str,
    /// What would tell.
    pub(super) collect: &'static [&'static str],
}

impl Words {
    pub(super) fn open(&self, why: impl Into<String>) -> Finding {
        Finding::Open { why: why.into(), collect: self.collect.iter().map(|&c| c.to_owned()).collect() }
    }
}

/// The counter of that name on every side where it was read.
pub(super) fn on_each_side<'a>(view: &View<'a>, name: &str) -> Vec<Witness<'a>> {
    let read = view.sides().filter_map(|(side, namespace)| {
        let series = namespace.counters.get(name).filter(|s| s.reads > 0)?;
        Some(Witness { name: format!("{side}.{name}"), series })
    });
    read.collect()
}

/// The failed probes whose handshake timed out though their listener had room and dropped nothing. Where other listeners left SYNs
/// unanswered at the same time, a full queue of this one is no better explanation than what they share.
pub(super) fn unheard<'a>(view: &View<'a>) -> Vec<&'a Sample> {
    let lost = view.failed.iter().copied().filter(|s| s.outcome == Outcome::ConnectTimeout);
    let at_its_listener = |s: &Sample| {
        // `sk_drops` alone does not say that a SYN was turned away: a repeated SYN whose first one is in the SYN queue counts there
        // too (`net/ipv4/tcp_ipv4.c`, `tcp_v4_rcv`), and that is just what a lost SYN-ACK brings about.
        let turned_away = |at| view.grew_near("TcpExt.ListenDrops", at).is_none_or(|n| n > 0);
        view.queue.as_ref().is_some_and(|queue| {
            full_near(view, queue, s.started_ns)
                || queue.dropped_near(s.started_ns) == Some(true) && turned_away(s.started_ns)
        })
    };
    lost.filter(|s| !at_its_listener(s) || syn_sent::elsewhere_too(view, s.started_ns, s.ended_ns)).collect()
}

/// The line that excludes every loss before the listener: most failed probes were heard.
pub(super) fn heard(view: &View<'_>, unheard: usize) -> Option<ProofLine> {
    if view.explains_most(unheard) {
        return None;
    }
    let timeouts = view.failed.iter().filter(|s| s.outcome == Outcome::ConnectTimeout).count();
    if timeouts == 0 {
        return Some(ProofLine::new("probe.outcomes.connect-timeout", "0", "no probe timed out in its handshake"));
    }
    Some(if view.explains_most(timeouts - unheard) {
        ProofLine::new(
            view.queue.as_ref().map_or_else(|| "listener".to_owned(), |q| format!("listener.{}.drops", q.name)),
            view.queue.as_ref().and_then(|q| q.drops).map_or_else(String::new, |d| format!("+{}", d.delta())),
            "the SYNs of most failed probes reached their listener, which dropped them",
        )
    } else {
        ProofLine::new(
            "probe.outcomes.connect-timeout",
            format!("{timeouts} of {} failed", view.failed.len()),
            "most failed probes did not end in their handshake",
        )
    })
}

/// Weighs the counters of a loss before the listener. `complete` says whether they were read wherever they could have grown.
pub(super) fn weigh(view: &View<'_>, witnesses: &[Witness<'_>], complete: bool, words: &Words) -> Finding {
    let unheard = unheard(view);
    if let Some(line) = heard(view, unheard.len()) {
        return Finding::Excluded(line);
    }
    let hit = unheard.iter().filter(|s| witnesses.iter().any(|w| w.near(view, s))).count();
    decide(view, witnesses, hit, complete, words)
}

/// Shown where the counters grew for most failed probes, at least once for each; excluded where they did not grow, or at none of them.
pub(super) fn decide(view: &View<'_>, witnesses: &[Witness<'_>], hit: usize, complete: bool, words: &Words) -> Finding {
    let grew: u64 = witnesses.iter().map(Witness::grew).fold(0, u64::saturating_add);
    let Some(loudest) = witnesses.iter().rev().max_by_key(|w| w.grew()) else { return words.open(words.unread) };
    if view.explains_most(hit) && grew >= hit as u64 {
        return Finding::Shown { proof: proof(view, witnesses, hit, words), why: None };
    }
    let value = format!("+{}", count(loudest.grew()));
    match (grew, hit) {
        (0, _) if complete => Finding::Excluded(ProofLine::new(loudest.name.clone(), value, words.flat)),
        (0, _) => words.open(words.unread),
        (_, 0) if complete => Finding::Excluded(ProofLine::new(
            loudest.name.clone(),
            value,
            "it grew, but at none of the instants at which a failed probe began",
        )),
        _ => words.open(format!(
            "{} grew by {}, but around {hit} of {} failed probes only",
            loudest.name,
            count(loudest.grew()),
            view.failed.len()
        )),
    }
}

fn proof(view: &View<'_>, witnesses: &[Witness<'_>], hit: usize, words: &Words) -> Vec<ProofLine> {
    let mut proof: Vec<ProofLine> = witnesses
        .iter()
        .filter(|w| w.grew() > 0)
        .map(|w| {
            let from = w.series.points.get(1).map_or(0, |&(t, _)| t);
            ProofLine::new(w.name.clone(), format!("+{}", count(w.grew())), words.shown).at(from)
        })
        .collect();
    proof.push(ProofLine::new(
        "probe",
        format!("{hit} of {} failed", view.failed.len()),
        "each began while that counter grew",
    ));
    proof.extend(shared(view));
    proof
}

/// The line that says that several listeners are concerned at once.
pub(super) fn shared(view: &View<'_>) -> Option<ProofLine> {
    let (side, _) = view.client_side();
    syn_sent::several(view).map(|ports| {
        ProofLine::new(
            format!("{side}.sockets.SYN_SENT"),
            ports,
            "unanswered at several listeners at once: what they share, not one queue",
        )
    })
}

/// Packets that reached a namespace and were delivered to no protocol, around an instant; `None` where either count was not read.
pub(super) fn undelivered_near(
    view: &View<'_>,
    counters: &std::collections::BTreeMap<String, Series>,
    at_ns: u64,
) -> Option<u64> {
    less(view, counters, "Ip.InReceives", "Ip.InDelivers", at_ns)
}

/// Packets that a namespace wanted to send and that never left it, around an instant; `None` where either count was not read.
pub(super) fn unsent_near(
    view: &View<'_>,
    counters: &std::collections::BTreeMap<String, Series>,
    at_ns: u64,
) -> Option<u64> {
    less(view, counters, "Ip.OutRequests", "Ip.OutTransmits", at_ns)
}

fn less(
    view: &View<'_>,
    counters: &std::collections::BTreeMap<String, Series>,
    all: &str,
    passed: &str,
    at_ns: u64,
) -> Option<u64> {
    let near =
        |name: &str| counters.get(name).filter(|s| s.reads > 0).and_then(|series| view.growth(series, at_ns, at_ns));
    Some(near(all)?.saturating_sub(near(passed)?))
}
