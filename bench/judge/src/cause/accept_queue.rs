//! The accept queue is too small for the bursts it meets, though the acceptor keeps up on average. Pure.
//!
//! Shown probe by probe: the queue was full when the SYN came, and drained again within the probe's time-out, so that a
//! larger queue would have let it in and had it served. A full queue alone is only a symptom.

use brimful_loadgen_plan::probe::{Outcome, Sample};
use brimful_plan::expect::Why;

use super::super::queue::Queue;
use super::super::view::View;
use super::waits::{Wait, full_near, room_for_all_between_readings, wait_of};
use super::{Finding, ProofLine, fd_limit, roots};
use crate::wording::{count, time};

pub(super) fn look(view: &View<'_>) -> Finding {
    let overflows = view.grew("TcpExt.ListenOverflows");
    let Some(queue) = &view.queue else { return without_queue(view, overflows) };
    if let Some(line) = never_full(view, queue, overflows) {
        return Finding::Excluded(line);
    }
    let waits: Vec<Wait> = view.failed.iter().map(|s| wait_of(view, queue, s)).collect();
    let starved = view.failed.iter().filter(|s| fd_limit::explains(view, s)).count();
    if view.explains_most(starved) {
        return Finding::Excluded(ProofLine::new(
            recv_q(queue),
            queue.fullest(),
            "a full queue, but behind an acceptor without descriptors: a symptom, a larger one would fill too",
        ));
    }
    if let Some(line) = roots::of_the_queue(view) {
        return Finding::Excluded(line);
    }
    let absorbable: Vec<Wait> = waits.iter().copied().filter(|w| matches!(w, Wait::Absorbable(_))).collect();
    if view.explains_most(absorbable.len()) {
        return Finding::Shown { proof: proof(view, queue, &absorbable, overflows), why: why(view, queue) };
    }
    let too_long = waits.iter().filter(|w| matches!(w, Wait::TooLong(_))).count();
    if view.explains_most(too_long) {
        return Finding::Excluded(ProofLine::new(
            recv_q(queue),
            queue.fullest(),
            "the queue is backed up for longer than the probe waits: a symptom, in a larger one it would only wait longer",
        ));
    }
    let while_full = view.failed.iter().filter(|s| full_near(view, queue, s.started_ns)).count();
    let untold = waits.contains(&Wait::Untold);
    if while_full == 0 && !untold {
        return Finding::Excluded(ProofLine::new(
            format!("listener.{}.drops", queue.name),
            overflows.map_or_else(|| queue.fullest(), |n| format!("overflows +{n}")),
            "the queue overflowed, but at none of the instants at which a failed probe began",
        ));
    }
    Finding::Open {
        why: if untold && while_full == 0 {
            format!(
                "Recv-Q was seen at {} at most, but no drops were counted, so an overflow between two readings is not excluded",
                queue.fullest()
            )
        } else if untold {
            format!(
                "the queue was full when {while_full} of {} failed probes began, but it was read every {} only: too seldom to see whether it drains",
                view.failed.len(),
                time(queue.interval_ns)
            )
        } else {
            format!(
                "a larger queue explains {} of {} failed probes, not most of them",
                absorbable.len(),
                view.failed.len()
            )
        },
        collect: vec![
            "`Recv-Q` of the probed listener, read at least three times within the probe's time-out".into(),
            "the same cell with a larger backlog and `net.core.somaxconn`".into(),
        ],
    }
}

/// Which of the two numbers bounds the queue; `None` where what is known does not say. Equal numbers are the program's:
/// raising `net.core.somaxconn` alone would not reach it.
pub(crate) fn why(view: &View<'_>, queue: &Queue<'_>) -> Option<Why> {
    why_at(view, queue, moment(view, queue))
}

/// The instant that tells what bounds the queue, where numbers were changed while the cell ran: the last failed probe of those, the most, that
/// met the same. The end where no probe failed.
pub(crate) fn moment(view: &View<'_>, queue: &Queue<'_>) -> u64 {
    let met: Vec<(u64, Option<Why>)> =
        view.failed.iter().map(|sample| (sample.started_ns, why_at(view, queue, sample.started_ns))).collect();
    let alike = |why: Option<Why>| met.iter().filter(|(_, other)| *other == why).count();
    met.iter().max_by_key(|(at_ns, why)| (alike(*why), *at_ns)).map_or(view.end_ns, |(at_ns, _)| *at_ns)
}

fn why_at(view: &View<'_>, queue: &Queue<'_>, at_ns: u64) -> Option<Why> {
    let (limit, asked) = (queue.limit.at(at_ns), view.backlog_asked_at(at_ns)?);
    match view.sysctl_at("net.core.somaxconn", at_ns) {
        _ if limit == asked => Some(Why::AppBacklog),
        Some(now) if limit < asked && limit < now => Some(Why::NotRelistened),
        _ if limit < asked => Some(Why::SomaxconnClamp),
        _ => None,
    }
}

fn never_full(view: &View<'_>, queue: &Queue<'_>, overflows: Option<u64>) -> Option<ProofLine> {
    if !queue.full.is_empty() {
        return None;
    }
    let dropped = queue.drops.and_then(|d| d.last.checked_sub(d.first));
    let fullest = format!("Recv-Q at most {}", queue.fullest());
    match (overflows, dropped) {
        (Some(0), _) => Some(ProofLine::new(
            "server.TcpExt.ListenOverflows",
            format!("+0, {fullest}"),
            "the accept queue never overflowed",
        )),
        (_, Some(0)) => Some(ProofLine::new(
            format!("listener.{}.drops", queue.name),
            format!("+0, {fullest}"),
            "the probed listener dropped nothing",
        )),
        (_, None) if room_for_all_between_readings(view, queue) => Some(ProofLine::new(
            recv_q(queue),
            format!("at most {}", queue.fullest()),
            "the accept queue had room for everything that could have come between two readings",
        )),
        // Overflows are there, or cannot be told; without a time-out, or a reset for `tcp_abort_on_overflow`, they were not the probe's.
        _ => view.failed.iter().all(|s| !may_be_turned_away(view, s)).then(|| {
            ProofLine::new("probe", "no time-out", "a full accept queue drops SYNs in silence, and no probe timed out")
        }),
    }
}

/// Whether a full queue can end a probe so: a time-out, or a reset by a server that resets handshakes it has no room for.
fn may_be_turned_away(view: &View<'_>, sample: &Sample) -> bool {
    match sample.outcome {
        Outcome::ConnectTimeout | Outcome::ResponseTimeout => true,
        Outcome::Reset => view.grew("TcpExt.EmbryonicRsts").is_some_and(|n| n > 0),
        Outcome::Ok | Outcome::Refused | Outcome::BadStatus | Outcome::LocalError => false,
    }
}

fn without_queue(view: &View<'_>, overflows: Option<u64>) -> Finding {
    if overflows == Some(0) {
        return Finding::Excluded(ProofLine::new("server.TcpExt.ListenOverflows", "+0", "no accept queue overflowed"));
    }
    let reason = view.unavailable("inet_diag.listeners").map(|r| format!(": {r}")).unwrap_or_default();
    Finding::Open {
        why: match overflows {
            Some(n) => {
                format!("accept queues overflowed {} times, but the probed listener was not read{reason}", count(n))
            }
            None => format!("neither the probed listener nor TcpExt.ListenOverflows was read{reason}"),
        },
        collect: vec![
            "`Recv-Q`, `Send-Q` and drops of the probed listener (`ss -lntm`)".into(),
            "`nstat -az TcpExtListenOverflows`".into(),
        ],
    }
}

fn proof(view: &View<'_>, queue: &Queue<'_>, absorbable: &[Wait], overflows: Option<u64>) -> Vec<ProofLine> {
    let spans = absorbable.iter().filter_map(|w| match w {
        Wait::Absorbable(span) => *span,
        _ => None,
    });
    let longest = spans.max_by_key(|span| span.len_ns());
    let mut proof = vec![
        ProofLine::new(
            recv_q(queue),
            queue.fullest(),
            format!(
                "full (it holds one more than its limit) when {} of {} failed probes began",
                absorbable.len(),
                view.failed.len()
            ),
        )
        .at(queue.full.first().map_or(0, |s| s.from_ns)),
    ];
    if let Some(span) = longest {
        proof.push(
            ProofLine::new(
                recv_q(queue),
                format!("drained after {}", time(span.len_ns())),
                format!(
                    "the acceptor catches up within the probe's {}, so a probe let in would have been served",
                    time(view.timeout_ns)
                ),
            )
            .at(span.to_ns),
        );
    }
    if let Some(n) = overflows {
        proof.push(ProofLine::new(
            "server.TcpExt.ListenOverflows",
            format!("+{n}"),
            "SYNs dropped by a full accept queue; packets, not connections",
        ));
    }
    if let Some(n) = queue.drops.and_then(|d| d.last.checked_sub(d.first)).filter(|&n| n > 0) {
        proof.push(ProofLine::new(
            format!("listener.{}.drops", queue.name),
            format!("+{n}"),
            "dropped at this very listener",
        ));
    }
    proof.push(bound_by(view, queue));
    proof
}

fn bound_by(view: &View<'_>, queue: &Queue<'_>) -> ProofLine {
    let then_ns = moment(view, queue);
    let known = |number: Option<u64>| number.map_or_else(|| "not known".to_owned(), |n| n.to_string());
    let asked = known(view.backlog_asked_at(then_ns));
    let somaxconn = known(view.sysctl_at("net.core.somaxconn", then_ns));
    let text = match why(view, queue) {
        Some(Why::AppBacklog) => "the program asks listen(2) for no more",
        Some(Why::SomaxconnClamp) => "the program asked for more, and net.core.somaxconn cut it down",
        Some(Why::NotRelistened) => "both allow more now, but the socket has listened since before the change",
        None => "which number bounds it is not known",
    };
    ProofLine::new(
        format!("listener.{}.limit", queue.name),
        format!("{} (backlog asked {asked}, somaxconn {somaxconn})", queue.limit.at(then_ns)),
        text,
    )
}

fn recv_q(queue: &Queue<'_>) -> String {
    format!("listener.{}.recv_q", queue.name)
}
