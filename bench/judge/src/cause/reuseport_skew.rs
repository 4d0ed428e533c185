//! One of several sockets on the same port is not accepted from. Pure.
//!
//! With `SO_REUSEPORT` the kernel gives every connection to one socket by its hash, and drops it if that one is full
//! (`net/core/sock_reuseport.c`); that the others are idle does not help.

use brimful_loadgen_plan::probe::{Outcome, Sample};

use super::super::queue::Queue;
use super::super::spans::{max_between, min_between};
use super::super::view::View;
use super::{Finding, ProofLine};

pub(super) fn look(view: &View<'_>) -> Finding {
    let queues = view.shared_queues();
    let Some(probed) = &view.queue else {
        return Finding::Open {
            why: "the probed listener was not read".into(),
            collect: vec!["`ss -lntm`: several sockets on one port, and `Recv-Q` of each".into()],
        };
    };
    let sockets = view.sockets_at_the_address();
    if queues.len() < sockets {
        return Finding::Open {
            why: format!("of {sockets} sockets on the probed address only {} were read", queues.len()),
            collect: vec!["`Recv-Q` of each socket on the port (`ss -lntm`)".into()],
        };
    }
    if sockets < 2 {
        return Finding::Excluded(ProofLine::new(
            format!("listener.{}", probed.name),
            "1 socket",
            "the probed address has one listening socket",
        ));
    }
    let Some((stuck, explained)) = culprit(view, &queues) else {
        return Finding::Excluded(ProofLine::new(
            format!("listener.{}", probed.name),
            format!("{} sockets", queues.len()),
            "no socket of the group stood still while another was drained",
        ));
    };
    if !view.explains_most(explained) {
        return Finding::Open {
            why: format!(
                "one socket of the group that stands still explains {explained} of {} failed probes, not most of them",
                view.failed.len()
            ),
            collect: vec!["`Recv-Q` of each socket on the port (`ss -lntm`), read more often".into()],
        };
    }
    let mut proof = vec![
        ProofLine::new(
            format!("listener.{}.recv_q", stuck.name),
            stuck.fullest(),
            format!(
                "this socket was not drained while {explained} of {} failed probes waited for it",
                view.failed.len()
            ),
        )
        .at(stuck.recv_q.first_reached(stuck.recv_q.max).unwrap_or(0)),
    ];
    for queue in queues.iter().filter(|q| q.name != stuck.name) {
        let dropped = queue.drops.map_or_else(String::new, |d| format!(", drops +{}", d.delta()));
        proof.push(ProofLine::new(
            format!("listener.{}.recv_q", queue.name),
            format!("{}{dropped}", queue.fullest()),
            "another socket on the same address",
        ));
    }
    if let Some(drops) = stuck.drops.filter(|d| d.delta() > 0) {
        proof.push(ProofLine::new(
            format!("listener.{}.drops", stuck.name),
            format!("+{}", drops.delta()),
            "dropped at this socket",
        ));
    }
    Finding::Shown { proof, why: None }
}

/// Whether one socket of a group explains most failed probes.
pub(super) fn is_the_root(view: &View<'_>) -> bool {
    culprit(view, &view.shared_queues()).is_some_and(|(_, explained)| view.explains_most(explained))
}

/// The socket that stood still for most failed probes while another of its group was drained, and for how many.
fn culprit<'q, 'a>(view: &View<'a>, queues: &'q [Queue<'a>]) -> Option<(&'q Queue<'a>, usize)> {
    let count = |queue: &Queue<'a>| {
        let others = || queues.iter().filter(|other| other.name != queue.name);
        view.failed.iter().filter(|s| stood_still(queue, s) && others().any(|other| drained(other, s))).count()
    };
    queues.iter().map(|q| (q, count(q))).max_by_key(|&(_, n)| n).filter(|&(_, n)| n > 0)
}

/// Whether nothing was taken from this socket's queue for as long as the probe waited: for a lost SYN it must have been full, for one that
/// connected its queue must not have shrunk.
fn stood_still(queue: &Queue<'_>, sample: &Sample) -> bool {
    let (from, to) = (sample.started_ns, sample.ended_ns);
    match sample.outcome {
        Outcome::ConnectTimeout => queue.seen_full_near(from) && !queue.drained_between(from, to),
        Outcome::ResponseTimeout => {
            let from = from.saturating_add(queue.interval_ns);
            let waiting = queue.recv_q.at(from);
            from < to && waiting > 0 && min_between(queue.recv_q, from, to) >= waiting
        }
        _ => false,
    }
}

/// Whether this socket's queue was never backed up for as long as the probe waited.
fn drained(queue: &Queue<'_>, sample: &Sample) -> bool {
    max_between(queue.recv_q, sample.started_ns, sample.ended_ns) <= queue.drained_mark(sample.ended_ns)
}
