//! The target is out of descriptors: `accept4` answers `EMFILE` and takes nothing from the queue (`net/socket.c`, `do_accept`). Pure.
//!
//! It begins as "connects at once, the answer never comes", every counter flat and `Recv-Q` growing below its limit, and
//! becomes "SYN dropped by a full accept queue" only when the queue is full too.

use brimful_loadgen_plan::probe::{Outcome, Sample};

use super::super::descriptors::Descriptors;
use super::super::view::View;
use super::waits::full_near;
use super::{Finding, ProofLine, fd_leak};
use crate::wording::{count, time};

/// How long before its end a process must have been at the limit for the end to count as its answer to it, in nanoseconds:
/// a server that gives up does so at its first failing accept, and one second covers its farewell.
const LAST_WORDS_NS: u64 = 1_000_000_000;

pub(super) fn look(view: &View<'_>) -> Finding {
    if view.targets.is_empty() {
        return Finding::Open {
            why: not_read(view),
            collect: vec!["the number of open descriptors of the target (`/proc/PID/fd`) and its limit (`/proc/PID/limits`) while probes fail".into()],
        };
    }
    let explained = view.failed.iter().filter(|s| explains(view, s)).count();
    if view.explains_most(explained) {
        return match tightest(view).filter(|_| fd_leak::is_the_root(view)) {
            Some(target) => Finding::Excluded(ProofLine::new(
                target.series_name(),
                target.fullest(),
                "at its limit, but with connections that nobody holds any more: a symptom, a higher limit is met later",
            )),
            None => Finding::Shown { proof: proof(view, explained), why: None },
        };
    }
    let emfile = view.own_account("EMFILE").unwrap_or(0);
    let tightest = tightest(view);
    if explained > 0 {
        return Finding::Open {
            why: format!("it explains {explained} of {} failed probes, not most of them", view.failed.len()),
            collect: vec!["the same cell with a higher `ulimit.nofile`".into()],
        };
    }
    if view.queue.is_none() && at_limit_while_failing(view) {
        return Finding::Open {
            why: "the target was at its descriptor limit, but its accept queue was not read, so whether the probes waited there is not known".into(),
            collect: vec!["`Recv-Q` of the probed listener (`ss -lnt`)".into()],
        };
    }
    if emfile > 0 {
        return Finding::Open {
            why: format!(
                "the target counted EMFILE {} times, but was not seen at its limit when probes failed",
                count(emfile)
            ),
            collect: vec!["its open descriptors, read more often".into()],
        };
    }
    match (view.early_end(), &tightest) {
        (Some(end), Some(target)) if target.may_have_met_the_limit_unseen() => Finding::Open {
            why: format!(
                "the target ended at {} with {} descriptors open at the last reading, rising fast enough to meet the limit between two",
                time(end.at_ns),
                target.fullest()
            ),
            collect: vec![
                "what the target says before it ends".into(),
                "the same cell with a higher `ulimit.nofile`".into(),
            ],
        },
        (_, Some(target)) => Finding::Excluded(excluded(target)),
        (_, None) => Finding::Open { why: not_read(view), collect: Vec::new() },
    }
}

/// Whether this failed probe is what an acceptor without descriptors does to it.
pub(super) fn explains(view: &View<'_>, sample: &Sample) -> bool {
    let at_limit = |from, to| view.targets.iter().any(|t| t.at_limit_between(from, to));
    let connected = sample.started_ns.saturating_add(sample.connect_ns.unwrap_or(0));
    match sample.outcome {
        // Its SYN was lost, so the queue must have been full as well: an idle queue drops nothing.
        Outcome::ConnectTimeout => {
            at_limit(sample.started_ns, sample.started_ns)
                && view.queue.as_ref().is_some_and(|q| full_near(view, q, sample.started_ns))
        }
        // EMFILE leaves it in the queue, so something must have been waiting there.
        Outcome::ResponseTimeout => {
            at_limit(sample.started_ns, connected)
                && view.queue.as_ref().is_some_and(|q| q.most_between(sample.started_ns, sample.ended_ns) > 0)
        }
        // Taken with a reserved descriptor and closed, or closed because its extra descriptors could not be had.
        Outcome::Reset => at_limit(sample.started_ns, sample.ended_ns),
        Outcome::Refused => ended_for_want_of_descriptors(view, sample),
        Outcome::Ok | Outcome::BadStatus | Outcome::LocalError => false,
    }
}

/// Whether the process ended because of its limit before this probe: seen at the limit shortly before, or by its own word. A count of EMFILE
/// at accept is enough for that; the words "too many open files" are not by themselves, because inotify says the same with few descriptors open.
fn ended_for_want_of_descriptors(view: &View<'_>, sample: &Sample) -> bool {
    let Some(end) = view.early_end().filter(|end| end.at_ns <= sample.ended_ns) else { return false };
    let seen = view.targets.iter().any(|t| t.at_limit_between(end.at_ns.saturating_sub(LAST_WORDS_NS), end.at_ns));
    let counted = || {
        let outcome = view.record.target.outcomes.get(view.shard as usize).and_then(Option::as_ref);
        outcome.is_some_and(|o| o.exited_on_emfile) && view.own_account("EMFILE").is_some_and(|n| n > 0)
    };
    let said = || {
        let words = end.said.to_lowercase();
        (words.contains("emfile") || words.contains("too many open files"))
            && view.targets.iter().any(Descriptors::may_have_met_the_limit_unseen)
    };
    seen || counted() || said()
}

fn at_limit_while_failing(view: &View<'_>) -> bool {
    view.failed.iter().any(|s| view.targets.iter().any(|t| t.at_limit_between(s.started_ns, s.ended_ns)))
}

fn tightest<'v, 'a>(view: &'v View<'a>) -> Option<&'v Descriptors<'a>> {
    view.targets.iter().min_by_key(|t| t.soft.last.saturating_sub(t.open.max))
}

fn excluded(target: &Descriptors<'_>) -> ProofLine {
    match target.at_limit.first() {
        None => ProofLine::new(target.series_name(), target.fullest(), "the target had descriptors to spare"),
        Some(span) => ProofLine::new(
            target.series_name(),
            target.fullest(),
            format!(
                "it was at its limit from {} to {}, but no failed probe fits that",
                time(span.from_ns),
                time(span.to_ns)
            ),
        )
        .at(span.from_ns),
    }
}

fn proof(view: &View<'_>, explained: usize) -> Vec<ProofLine> {
    let mut proof = Vec::new();
    if let Some(target) = view.targets.iter().find(|t| !t.at_limit.is_empty()) {
        let span = target.at_limit.first().copied();
        let line = ProofLine::new(
            target.series_name(),
            target.fullest(),
            format!(
                "no descriptor left to accept with; {explained} of {} failed probes fall in that time",
                view.failed.len()
            ),
        );
        proof.push(span.map_or(line.clone(), |s| line.at(s.from_ns)));
    }
    if let Some(queue) = &view.queue {
        let (text, at) = match queue.full.first() {
            Some(full) => {
                ("connections wait in the queue until it is full: a symptom, as nobody can accept", full.from_ns)
            }
            None => (
                "connections are established and wait unaccepted, below the queue's limit",
                queue.recv_q.first_reached(queue.recv_q.max).unwrap_or(0),
            ),
        };
        if queue.recv_q.max > 0 {
            proof.push(ProofLine::new(format!("listener.{}.recv_q", queue.name), queue.fullest(), text).at(at));
        }
    }
    if let Some(n) = view.own_account("EMFILE").filter(|&n| n > 0) {
        proof.push(ProofLine::new(
            format!("target.{}.account", view.shard),
            format!("EMFILE {}", count(n)),
            "the server's own count agrees",
        ));
    }
    if let Some(end) = view.early_end() {
        proof.push(
            ProofLine::new(
                format!("target.{}.end", view.shard),
                end.how.clone(),
                format!("the target ended by itself; it said: {}", last_line(&end.said)),
            )
            .at(end.at_ns),
        );
    }
    proof
}

/// The last line of what a process said, or that it said nothing.
pub(super) fn last_line(said: &str) -> &str {
    said.lines().rfind(|line| !line.trim().is_empty()).map_or("(nothing)", str::trim)
}

fn not_read(view: &View<'_>) -> String {
    match view.unavailable("process.descriptors") {
        Some(reason) => format!("the target's descriptors could not be read: {reason}"),
        None => "the target's descriptors were not read".into(),
    }
}
