//! The target is out of descriptors because it keeps closed connections. Pure.
//!
//! A limit that is too low is met by connections that are held; a leak meets it with connections that nobody holds any more.
//! Two witnesses, each enough by itself: most of the descriptors are sockets in `CLOSE_WAIT`, which only the program's `close` can end
//! (those still in the accept queue are nobody's descriptors, and are taken off); or the second half of the descriptors came while
//! the clients held no more connections.

use brimful_evidence::series::Series;

use super::super::descriptors::Descriptors;
use super::super::view::{View, sockets};
use super::{Finding, ProofLine, fd_limit};
use crate::wording::{count, time};

/// Connections held may grow by one part in this many while the second half of the descriptors comes, and still count as steady.
const STEADY_ONE_IN: u64 = 10;

pub(super) fn look(view: &View<'_>) -> Finding {
    let starved = view.failed.iter().filter(|s| fd_limit::explains(view, s)).count();
    let Some(target) = view.targets.iter().find(|t| !t.at_limit.is_empty()).or(view.targets.first()) else {
        return Finding::Open {
            why: "the target's descriptors were not read".into(),
            collect: vec!["the number of open descriptors of the target over time (`/proc/PID/fd`)".into()],
        };
    };
    if !view.explains_most(starved) {
        return Finding::Excluded(ProofLine::new(
            target.series_name(),
            target.fullest(),
            "a leak fails a probe only at the limit, and most failed probes did not meet it",
        ));
    }
    let proof = proof(view, target);
    if !proof.is_empty() {
        return Finding::Shown { proof, why: None };
    }
    match closing(view) {
        Some(closing) => Finding::Excluded(ProofLine::new(
            closing.0,
            format!("{} at most", count(closing.1.max)),
            "most of its descriptors are connections that are held",
        )),
        None if held_grew(view, target) == Some(true) => Finding::Excluded(ProofLine::new(
            "load.held",
            count(view.record.load.outcome.held),
            "its descriptors grew with the connections that were held",
        )),
        None if held_fill_it(view, target) => Finding::Excluded(ProofLine::new(
            "load.held",
            format!("{} for {} descriptors", count(view.record.load.outcome.held), count(target.soft.last)),
            "the connections that are held, less those that wait to be accepted, account for its descriptors",
        )),
        None => Finding::Open {
            why: "whether its descriptors are connections that somebody still holds was not read".into(),
            collect: vec![
                "`ss -nt state close-wait sport = :PORT | wc -l` against the number of open descriptors".into(),
            ],
        },
    }
}

/// Whether a leak is why the target is out of descriptors.
pub(super) fn is_the_root(view: &View<'_>) -> bool {
    view.targets.iter().find(|t| !t.at_limit.is_empty()).is_some_and(|target| !proof(view, target).is_empty())
}

fn proof(view: &View<'_>, target: &Descriptors<'_>) -> Vec<ProofLine> {
    let mut proof = Vec::new();
    if let Some((name, closing)) = closing(view) {
        let queued = view.queue.as_ref().map_or(0, |q| q.recv_q.last);
        let kept = closing.last.saturating_sub(queued);
        if kept.saturating_mul(per_connection(view)).saturating_mul(2) > target.open.last && closing.max > closing.first
        {
            proof.push(
                ProofLine::new(
                    name,
                    format!("{} of {} descriptors", count(kept), count(target.open.last)),
                    "connections that their clients have closed and the program has not",
                )
                .at(closing.first_reached(closing.max).unwrap_or(0)),
            );
        }
    }
    if held_grew(view, target) == Some(false) {
        let at = at_the_limit(target).unwrap_or(0);
        proof.push(
            ProofLine::new(
                target.series_name(),
                format!("{} with {} connections held", target.fullest(), count(held_at(view, at).unwrap_or(0))),
                format!(
                    "the second half of its descriptors came by {} without any more connections being held",
                    time(at)
                ),
            )
            .at(at),
        );
    }
    proof
}

/// Sockets in `CLOSE_WAIT` at the probed port, with the name of their series.
fn closing<'a>(view: &View<'a>) -> Option<(String, &'a Series)> {
    let port = view.record.probe.plan.address.port().to_string();
    let series = sockets(&view.record.evidence.server, "CLOSE_WAIT", &port)?;
    Some((format!("server.sockets.CLOSE_WAIT.{port}"), series))
}

/// Whether the clients came to hold more connections while the second half of the descriptors was used up; `None` where that is not known.
fn held_grew(view: &View<'_>, target: &Descriptors<'_>) -> Option<bool> {
    let half = target.open.first_reached(target.soft.last / 2)?;
    let full = at_the_limit(target).filter(|&full| full > half.saturating_add(target.interval_ns))?;
    let (before, after) = (held_at(view, half)?, held_at(view, full)?);
    Some(after > before.saturating_add(before / STEADY_ONE_IN).saturating_add(per_connection(view)))
}

/// Whether connections that the clients hold and that were accepted account for nine in ten of its descriptors.
fn held_fill_it(view: &View<'_>, target: &Descriptors<'_>) -> bool {
    let destinations = (view.record.load.plan.destinations.len() as u64).max(1);
    let waiting = view.queue.as_ref().map_or(0, |q| q.recv_q.last);
    let accepted = (view.record.load.outcome.held / destinations).saturating_sub(waiting);
    let used = target.open.last.saturating_sub(target.open.first);
    accepted.saturating_mul(per_connection(view)).saturating_mul(10) >= used.saturating_mul(9)
}

fn at_the_limit(target: &Descriptors<'_>) -> Option<u64> {
    target.at_limit.first().map(|span| span.from_ns)
}

/// Connections that the load held at an instant, by its own timeline; `None` before its first point and without one.
fn held_at(view: &View<'_>, at_ns: u64) -> Option<u64> {
    let timeline = &view.record.load.outcome.timeline;
    let after = timeline.partition_point(|p| p.at_ns <= at_ns);
    after.checked_sub(1).and_then(|i| timeline.get(i)).map(|p| p.held)
}

fn per_connection(view: &View<'_>) -> u64 {
    1 + u64::from(view.record.cell.target.plan.extra_fds_per_connection)
}
