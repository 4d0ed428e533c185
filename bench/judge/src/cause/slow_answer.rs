//! The connection is accepted in time, and the answer comes too late: the program's own time, and no limit of the kernel. Pure.
//!
//! That an answer did not come is no proof that it would have come later: a program at a cap of its own may leave a connection unread.
//! So there must be a sign that answers are slow as such: some came late, or none was ever fast, not even before there was a load.

use brimful_loadgen_plan::probe::{Outcome, Sample};

use super::super::syn_sent::most_around;
use super::super::view::View;
use super::waits::{Wait, wait_of};
use super::{Finding, ProofLine, acceptor_throttled};
use crate::wording::{count, time};

/// A handshake within this part of the time-out was not held up: on one machine it takes microseconds.
const CONNECT_WITHIN: u64 = 10;
/// An answer later than this part of the time-out is a late one: twice as slow, and it fails.
const LATE_FROM: u64 = 2;
/// Connections up to which a program is taken to be without load.
const NO_LOAD: u64 = 16;
/// A prober that begins later than this part of the time-out shares a machine that is busy with something else.
const LAG_WITHIN: u64 = 20;

pub(super) fn look(view: &View<'_>) -> Finding {
    let kind = view.failed.iter().filter(|s| s.outcome == Outcome::ResponseTimeout).count();
    if !view.explains_most(kind) {
        return Finding::Excluded(ProofLine::new(
            "probe.outcomes.response-timeout",
            format!("{kind} of {} failed", view.failed.len()),
            "most failed probes did not wait for an answer",
        ));
    }
    let Some(queue) = &view.queue else {
        return open("whether the probes were accepted is not known: the probed listener was not read".into());
    };
    let queued = view
        .failed
        .iter()
        .filter(|s| matches!(wait_of(view, queue, s), Wait::TooLong(_) | Wait::Absorbable(_)))
        .count();
    if view.explains_most(queued) {
        return Finding::Excluded(ProofLine::new(
            format!("listener.{}.recv_q", queue.name),
            queue.fullest(),
            "most failed probes were not accepted in time",
        ));
    }
    let waiting = view.failed.iter().filter(|s| accepted(view, s)).count();
    if !view.explains_most(waiting) {
        return open(format!(
            "that they were accepted at once, with descriptors and processor time to spare, is known of {waiting} of {} failed probes only",
            view.failed.len()
        ));
    }
    match sign(view) {
        Some(line) => Finding::Shown { proof: proof(view, waiting, line), why: None },
        None => open("answers were fast before and never came afterwards: slow, or left unread".into()),
    }
}

/// Whether this probe was connected at once, left the queue, and met no limit on the way.
fn accepted(view: &View<'_>, sample: &Sample) -> bool {
    let (from, to) = (sample.started_ns, sample.ended_ns);
    let fast = sample.connect_ns.is_some_and(|ns| ns <= view.timeout_ns / CONNECT_WITHIN);
    let free = !view.targets.is_empty() && !view.targets.iter().any(|t| t.at_limit_between(from, to));
    let Some(queue) = &view.queue else { return false };
    // Those that have sent their SYN-ACK again, where that was read: a handshake in the making is half-open too.
    let half_open = view.at_the_probed_port("SYN_RECV_RETRANS").or(view.at_the_probed_port("SYN_RECV"));
    let half_done = half_open.is_some_and(|s| most_around(view, s, from, to) > 0);
    let undropped = queue.dropped_near(from) != Some(true);
    sample.outcome == Outcome::ResponseTimeout
        && fast
        && free
        && undropped
        && !half_done
        && wait_of(view, queue, sample) == Wait::Elsewhere
        && sample.lag_ns() <= view.timeout_ns / LAG_WITHIN
        && acceptor_throttled::had_processor_time(view, sample)
}

/// What says that answers are slow rather than withheld.
fn sign(view: &View<'_>) -> Option<ProofLine> {
    let samples = &view.record.probe.samples;
    let late = |s: &&Sample| match s.outcome {
        Outcome::Ok => s.first_byte_ns.is_some_and(|ns| ns >= view.timeout_ns / LATE_FROM),
        Outcome::ResponseTimeout => s.first_byte_ns.is_some(),
        _ => false,
    };
    if let Some(slowest) = samples.iter().filter(late).max_by_key(|s| s.first_byte_ns) {
        let n = samples.iter().filter(late).count() as u64;
        return Some(
            ProofLine::new(
                "probe.first_byte",
                time(slowest.first_byte_ns.unwrap_or(0)),
                format!("{} answered late, within a time-out of {}", count(n), time(view.timeout_ns)),
            )
            .at(slowest.started_ns),
        );
    }
    let first = samples.first()?;
    let load = view.arrivals_between(0, first.started_ns).unwrap_or(u64::MAX);
    // Another life may be another program: it was started anew, perhaps with other settings.
    let ended_ns = view.record.lives.first().and_then(|life| life.end.as_ref()).map_or(u64::MAX, |end| end.decided_ns);
    let never_fast = samples.iter().filter(|s| s.started_ns < ended_ns).all(|s| s.outcome != Outcome::Ok);
    (never_fast && load <= NO_LOAD).then(|| {
        ProofLine::new(
            "probe",
            "none answered in time",
            format!(
                "not even the first, before {} connections had come: it is not the load",
                count(load.saturating_add(1))
            ),
        )
        .at(first.started_ns)
    })
}

fn proof(view: &View<'_>, waiting: usize, sign: ProofLine) -> Vec<ProofLine> {
    let connect = view.failed.iter().filter_map(|s| s.connect_ns).max().unwrap_or(0);
    let mut proof = vec![
        ProofLine::new(
            "probe.connect",
            format!("{} at most", time(connect)),
            format!("connected at once and not answered: {waiting} of {} failed probes", view.failed.len()),
        ),
        sign,
    ];
    if let Some(queue) = &view.queue {
        proof.push(ProofLine::new(
            format!("listener.{}.recv_q", queue.name),
            queue.fullest(),
            "the accept queue is drained: every probe was taken from it",
        ));
    }
    for target in &view.targets {
        proof.push(ProofLine::new(target.series_name(), target.fullest(), "descriptors to spare"));
    }
    proof
}

fn open(why: String) -> Finding {
    Finding::Open {
        why,
        collect: vec![
            "the same cell with a longer probe time-out: does the answer come?".into(),
            "what the server does between accept and answer: stacks, locks, a blocked event loop".into(),
        ],
    }
}
