//! The acceptor takes too little from its queue, for another reason than descriptors: blocked, starved of CPU, throttled, gone. Pure.

use brimful_loadgen_plan::probe::Sample;

use super::super::queue::Queue;
use super::super::view::View;
use super::app_connection_cap::Sign;
use super::waits::{Wait, wait_of};
use super::{Finding, ProofLine, fd_limit, roots};
use crate::wording::{count, time};

pub(super) fn look(view: &View<'_>) -> Finding {
    let Some(queue) = &view.queue else {
        return Finding::Open {
            why: match view.unavailable("inet_diag.listeners") {
                Some(reason) => format!("the probed listener could not be read: {reason}"),
                None => "the probed listener was not read".into(),
            },
            collect: vec!["`Recv-Q` of the probed listener over time (`ss -lnt`)".into()],
        };
    };
    let starved = view.failed.iter().filter(|s| fd_limit::explains(view, s)).count();
    if view.explains_most(starved) {
        return Finding::Excluded(ProofLine::new(
            view.targets.first().map_or_else(|| "target".to_owned(), |t| t.series_name()),
            view.targets.first().map_or_else(String::new, |t| t.fullest()),
            "accepting stood still for want of descriptors: a symptom",
        ));
    }
    if let Some(line) = roots::of_the_queue(view) {
        return Finding::Excluded(line);
    }
    if let Some(Sign::WaitsAtRoundNumber | Sign::WaitsAtRoundInstant | Sign::TurnsAway) = roots::cap(view) {
        return Finding::Open {
            why: "an acceptor that stopped for good at that very number of connections would look the same as a cap"
                .into(),
            collect: vec![
                "a stack of the target's accepting thread (`/proc/PID/task/TID/stack`, `perf`)".into(),
                "whether one more connection is taken as soon as one of those held is closed".into(),
            ],
        };
    }
    let waits: Vec<Wait> = view.failed.iter().map(|s| wait_of(view, queue, s)).collect();
    let too_long = waits.iter().filter(|w| matches!(w, Wait::TooLong(_))).count();
    if view.explains_most(too_long) {
        if view.targets.is_empty() {
            return Finding::Open {
                why: "the acceptor takes too little, but its descriptors were not read, so it may be for want of them"
                    .into(),
                collect: vec!["open descriptors and limit of the target while probes fail".into()],
            };
        }
        if let Some(finding) = may_be_for_want_of_descriptors(view, &waits) {
            return finding;
        }
        return Finding::Shown { proof: proof(view, queue, &waits, too_long), why: None };
    }
    let absorbable = waits.iter().filter(|w| matches!(w, Wait::Absorbable(_))).count();
    if view.explains_most(absorbable) {
        return Finding::Excluded(ProofLine::new(
            format!("listener.{}.recv_q", queue.name),
            format!("{}, then drained", queue.fullest()),
            "the acceptor empties its queue within the probe's time-out again and again",
        ));
    }
    if !waits.iter().any(|w| matches!(w, Wait::TooLong(_) | Wait::Untold | Wait::Absorbable(_))) {
        return Finding::Excluded(ProofLine::new(
            format!("listener.{}.recv_q", queue.name),
            format!("at most {} while probes failed", most_while_failing(view, queue)),
            "no failed probe was waiting in the accept queue, or kept out by it",
        ));
    }
    Finding::Open {
        why: if waits.contains(&Wait::Untold) {
            "connections waited in the accept queue, but what was read does not tell how fast they were taken".into()
        } else {
            format!("it explains {too_long} of {} failed probes, not most of them", view.failed.len())
        },
        collect: vec![
            "`Recv-Q` and `Tcp.PassiveOpens`, read at least three times within the probe's time-out".into(),
            "a stack of the target's accepting thread (`/proc/PID/task/TID/stack`, `perf`)".into(),
        ],
    }
}

/// Where connections come and go, an acceptor without descriptors gets some back while a probe waits, so that none of them begins at the limit.
/// Which of the two holds it up is not known then.
fn may_be_for_want_of_descriptors(view: &View<'_>, waits: &[Wait]) -> Option<Finding> {
    let met = |sample: &Sample| view.targets.iter().any(|t| t.at_limit_between(sample.started_ns, sample.ended_ns));
    let waited = view.failed.iter().zip(waits).filter(|(_, wait)| matches!(wait, Wait::TooLong(_)));
    let met = waited.filter(|(sample, _)| met(sample)).count();
    view.explains_most(met).then(|| Finding::Open {
        why: format!(
            "the acceptor takes too little, but while {met} of {} failed probes waited it was at its descriptor limit for a time",
            view.failed.len()
        ),
        collect: vec!["the same cell with a higher `ulimit.nofile`".into()],
    })
}

fn most_while_failing(view: &View<'_>, queue: &Queue<'_>) -> u64 {
    view.failed.iter().map(|s| queue.most_between(s.started_ns, s.ended_ns)).max().unwrap_or(0)
}

fn proof(view: &View<'_>, queue: &Queue<'_>, waits: &[Wait], too_long: usize) -> Vec<ProofLine> {
    let longest =
        waits.iter().filter_map(|w| if let Wait::TooLong(span) = w { *span } else { None }).max_by_key(|s| s.len_ns());
    let first = view.failed.first().map_or(0, |s| s.started_ns);
    let last = view.failed.last().map_or(view.end_ns, |s| s.ended_ns);
    let (from, to) = longest.map_or((first, last), |s| (s.from_ns, s.to_ns));
    let mut proof = vec![
        ProofLine::new(
            format!("listener.{}.recv_q", queue.name),
            queue.fullest(),
            match longest {
                Some(span) => format!(
                    "backed up for {}, longer than the probe's {}; {too_long} of {} failed probes wait behind it",
                    time(span.len_ns()),
                    time(view.timeout_ns),
                    view.failed.len()
                ),
                None => format!(
                    "established and waiting unaccepted; {too_long} of {} failed probes are among them",
                    view.failed.len()
                ),
            },
        )
        .at(from),
    ];
    if let Some(taken) = view.taken_between(from, to) {
        let came = view.arrivals_between(from, to).filter(|&n| n > 0);
        let value = came.map_or_else(|| count(taken), |came| format!("{} of {}", count(taken), count(came)));
        let text = format!(
            "connections taken from the queue in those {}{}",
            time(to.saturating_sub(from)),
            if came.is_some() { ", of those that came" } else { "" }
        );
        proof.push(ProofLine::new("server.Tcp.PassiveOpens", value, text));
    }
    for target in &view.targets {
        proof.push(ProofLine::new(target.series_name(), target.fullest(), "so it is not for want of descriptors"));
        let cpu = &target.process.cpu_ns;
        if cpu.reads > 1 {
            let used = cpu.at(to).saturating_sub(cpu.at(from));
            let text = if used.saturating_mul(20) < to.saturating_sub(from) {
                "processor time in that stretch: it hardly ran, so it does not ask (blocked, stopped or throttled)"
            } else {
                "processor time in that stretch: it runs, but takes little from the queue"
            };
            proof.push(ProofLine::new(format!("target.{}.cpu_ns", target.process.place()), time(used), text));
        }
    }
    proof
}
