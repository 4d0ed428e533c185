//! SYNs that are lost before a socket has seen them: something is wrong, and the evidence does not say what. Nothing is named here. Pure.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use brimful_evidence::snapshot::Listener;
use brimful_plan::expect::CauseName;

use super::case::{Case, host_subject, is_at};
use super::diagnosis::Found;
use super::path;
use crate::cause::ProofLine;
use crate::wording::{count, listed, time};

/// Steps of the kernel's clock for a SYN that is not answered, in seconds: 1, 3, 7 … before Linux 6.5, and 1, 2, 3, 4 … since
/// (`tcp_syn_linear_timeouts`). A request that takes one of them and a moment was delayed by lost SYNs.
const LADDER: [u64; 9] = [1, 2, 3, 4, 5, 7, 11, 15, 31];
/// How much longer such a request may take, in nanoseconds.
const MOMENT_NS: u64 = 150_000_000;

const COLLECT: [&str; 5] = [
    "`ss -lntm` in the server's namespace, twice: Recv-Q against Send-Q, and whether d of skmem moves",
    "`drop` in /proc/net/stat/nf_conntrack (`conntrack -S`), in the client's and in the server's namespace",
    "column 2 of /proc/net/softnet_stat, and `table_fulls` in /proc/net/stat/arp_cache",
    "a capture at both ends of the path at once: where is the SYN seen for the last time?",
    "packet filters and security agents on the path, switched off and on again",
];

/// The finding, where SYNs to a listener with room are not answered.
pub(super) fn before_the_socket(case: &Case<'_>) -> Option<Found> {
    let lost = lost(case);
    let ports: BTreeSet<u16> = lost.iter().map(|(to, _)| to.port()).collect();
    let steps: Vec<String> = case.symptoms.request_ns.iter().filter(|ns| is_a_step(**ns)).map(|ns| time(*ns)).collect();
    // One address alone may be down. Several at once, a listener with room, or a capture say that something is lost.
    let heard = |to: SocketAddr| listeners_at(case, to).next();
    let captured = case.symptoms.captured.iter().any(|seen| seen.syns > 1 && !seen.answered && !seen.reset);
    let certain = lost.iter().any(|(to, _)| heard(*to).is_some_and(|listener| listener.waiting <= listener.limit));
    if lost.is_empty() || !(certain || !case.live && (ports.len() > 1 || captured)) {
        return None;
    }
    let mut proof: Vec<ProofLine> = lost
        .iter()
        .map(|(to, n)| ProofLine::new(format!("SYN_SENT.{to}"), count(*n), "SYNs that nobody has answered"))
        .collect();
    for (to, _) in &lost {
        let drops =
            |listener: &Listener| listener.drops.map(|d| format!(", {} dropped", count(d.into()))).unwrap_or_default();
        proof.extend(heard(*to).map(|listener| {
            ProofLine::new(
                format!("listener.{}.recv_q", listener.address),
                format!("{} of {}{}", count(listener.waiting.into()), count(listener.limit.into()), drops(listener)),
                "the listener there has room, so it is not its queue that loses them",
            )
        }));
    }
    if !steps.is_empty() {
        let text = "requests took a step of the clock by which a SYN is sent again: SYNs were lost, and the retry came through";
        proof.push(ProofLine::new("requests", steps.join(", "), text));
    }
    proof.extend(path::hints(case).into_iter().map(|hint| ProofLine::new("Ip", "not delivered", hint)));
    let words = match ports.len() {
        0 | 1 => "SYNs are lost before the socket has seen them".to_owned(),
        n => {
            let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
            format!(
                "SYNs to {n} listeners at once are lost before their sockets (ports {}): look for what they share, not for one listener's queue",
                listed(&ports)
            )
        }
    };
    Some(Found {
        cause: CauseName::Undetermined,
        why: None,
        subject: host_subject(),
        words,
        proof,
        cure: None,
        collect: COLLECT.map(str::to_owned).to_vec(),
    })
}

/// Destinations whose SYNs go unanswered, with how many; those that were sent again, where that is known. In a ticket any that waits
/// counts, because it was caught by eye.
fn lost(case: &Case<'_>) -> Vec<(SocketAddr, u64)> {
    let mut found: Vec<(SocketAddr, u64)> = Vec::new();
    let waiting = case.namespaces().flat_map(|ns| ns.sockets.iter()).flat_map(|sockets| &sockets.syn_sent);
    found.extend(waiting.map(|to| (to.to, if case.live { to.again } else { to.sockets })).filter(|(_, n)| *n > 0));
    for seen in case.symptoms.captured.iter().filter(|seen| seen.syns > 1 && !seen.answered && !seen.reset) {
        match found.iter_mut().find(|(to, _)| *to == seen.to) {
            Some(_) => {}
            None => found.push((seen.to, seen.syns)),
        }
    }
    // A listener that itself dropped them, or is full, explains them; in a namespace that was not read nothing does.
    found.retain(|(to, _)| {
        listeners_at(case, *to).all(|listener| listener.waiting <= listener.limit) && !dropped(case, *to)
    });
    found
}

fn listeners_at<'a>(case: &Case<'a>, to: SocketAddr) -> impl Iterator<Item = &'a Listener> {
    case.namespaces().flat_map(|ns| ns.listeners.iter().flatten()).filter(move |listener| is_at(listener, to))
}

fn dropped(case: &Case<'_>, to: SocketAddr) -> bool {
    case.listeners().iter().any(|heard| is_at(heard.now, to) && heard.dropped().is_some_and(|n| n > 0))
}

fn is_a_step(ns: u64) -> bool {
    LADDER.iter().any(|second| {
        let step = second.saturating_mul(1_000_000_000);
        (step..step.saturating_add(MOMENT_NS)).contains(&ns)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_waited_for_a_retry_is_told_from_a_slow_one() {
        for (ms, step) in [(1_012, true), (3_014, true), (900, false), (1_500, false), (112_000, false)] {
            assert_eq!(is_a_step(ms * 1_000_000), step, "{ms} ms");
        }
    }
}
