//! How one failed probe stands to the accept queue: would it have been served, had it only been let in? Pure.

use brimful_loadgen_plan::probe::{Outcome, Sample};

use super::super::queue::Queue;
use super::super::spans::{Span, min_between};
use super::super::syn_sent::most_around;
use super::super::view::View;

/// One failed probe and the accept queue it had to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// The queue was full when its SYN came, but drained again within its time-out: with room it would have been served.
    Absorbable(Option<Span>),
    /// It waited, or would have waited, beyond its time-out: more room would not have helped.
    TooLong(Option<Span>),
    /// The queue was full or waiting, but it was read too seldom to tell how long.
    Untold,
    /// The queue did not hold it up.
    Elsewhere,
}

/// Classes one failed probe. A connect time-out loses its first SYN for certain, so what counts is the queue at its start
/// (with a time-out of 1 s that SYN is the only one: the first retransmission comes after 1.0 s, `tcp_timeout_init`).
pub(super) fn wait_of(view: &View<'_>, queue: &Queue<'_>, sample: &Sample) -> Wait {
    match sample.outcome {
        Outcome::ConnectTimeout if full_near(view, queue, sample.started_ns) => {
            kept_out(view, queue, sample, sample.started_ns)
        }
        Outcome::ResponseTimeout | Outcome::Reset if overflowed_at_its_ack(view, queue, sample) => {
            let (from, to) = (sample.started_ns, sample.ended_ns);
            let full = queue.full.iter().find(|span| span.overlaps(from, to));
            kept_out(view, queue, sample, full.map_or(from, |span| span.from_ns.max(from)))
        }
        Outcome::ConnectTimeout if may_have_been_full_unseen(view, queue) => Wait::Untold,
        Outcome::ResponseTimeout => match still_queued(view, queue, sample) {
            Some(true) => Wait::TooLong(queue.backed_up_near(sample.ended_ns)),
            Some(false) => Wait::Elsewhere,
            None => Wait::Untold,
        },
        _ => Wait::Elsewhere,
    }
}

/// How long a queue that was full at an instant kept a probe out.
fn kept_out(view: &View<'_>, queue: &Queue<'_>, sample: &Sample, at_ns: u64) -> Wait {
    if !queue.read_often_enough(view.timeout_ns) {
        return Wait::Untold;
    }
    let Some(span) = queue.backed_up_near(at_ns) else { return Wait::Absorbable(None) };
    let deadline = sample.started_ns.saturating_add(view.timeout_ns);
    let short = span.len_ns() < view.timeout_ns.saturating_add(queue.interval_ns);
    if (short && queue.drained_between(at_ns.min(deadline), deadline)) || kept_up(view, queue, span) {
        Wait::Absorbable(Some(span))
    } else {
        Wait::TooLong(Some(span))
    }
}

/// Whether the queue was full when the last ACK of this probe's handshake came (`tcp_v4_syn_recv_sock`): the client is connected, the server
/// is not, and either waits for the ACK to come again (a socket in `SYN_RECV` that sent its SYN-ACK again), or, with `tcp_abort_on_overflow`, resets it
/// (`EmbryonicRsts`).
fn overflowed_at_its_ack(view: &View<'_>, queue: &Queue<'_>, sample: &Sample) -> bool {
    let (from, to) = (sample.started_ns, sample.ended_ns);
    let grew = |name: &str| view.counter(name).and_then(|s| view.growth(s, from, to)).is_some_and(|n| n > 0);
    let turned_away = match sample.outcome {
        Outcome::ResponseTimeout => {
            let again = view.at_the_probed_port("SYN_RECV_RETRANS");
            again.is_some_and(|s| most_around(view, s, from, to.saturating_add(view.timeout_ns)) > 0)
        }
        Outcome::Reset => grew("TcpExt.EmbryonicRsts"),
        _ => false,
    };
    let dropped = || queue.drops.and_then(|drops| view.growth(drops, from, to)).is_some_and(|n| n > 0);
    let full = || queue.full.iter().any(|span| span.overlaps(from, to)) || dropped();
    sample.connect_ns.is_some() && turned_away && grew("TcpExt.ListenOverflows") && full()
}

/// Whether the queue was full around an instant: seen so, or betrayed by drops of this listener together with overflows of the namespace.
pub(super) fn full_near(view: &View<'_>, queue: &Queue<'_>, at_ns: u64) -> bool {
    let overflowed = || view.grew_near("TcpExt.ListenOverflows", at_ns).is_some_and(|n| n > 0);
    queue.seen_full_near(at_ns) || (queue.dropped_near(at_ns) == Some(true) && overflowed())
}

/// Whether nothing that was read excludes that the queue was full between two readings: no counter of drops, and more may have come
/// between two readings than the fullest one left room for.
pub(super) fn may_have_been_full_unseen(view: &View<'_>, queue: &Queue<'_>) -> bool {
    let counted = view.counter("TcpExt.ListenOverflows").is_some() || queue.drops.is_some();
    !counted && !room_for_all_between_readings(view, queue)
}

/// Whether the fullest reading left room for whatever may have come until the next one, twice over.
pub(super) fn room_for_all_between_readings(view: &View<'_>, queue: &Queue<'_>) -> bool {
    let between = view.arrivals_per_s().unwrap_or(0.0) * queue.interval_ns as f64 / 1e9;
    let least = min_between(queue.limit, 0, view.end_ns);
    queue.full.is_empty() && queue.recv_q.max.saturating_add((between * 2.0).ceil() as u64) < least
}

/// Whether the acceptor took as much as came while the queue was never seen drained, and more than one queue's worth.
fn kept_up(view: &View<'_>, queue: &Queue<'_>, span: Span) -> bool {
    let taken = view.taken_between(span.from_ns, span.to_ns);
    let came = view.arrivals_between(span.from_ns, span.to_ns);
    // Of several sockets on one address, what was taken may all have been another's.
    view.sockets_at_the_address() == 1
        && matches!((taken, came), (Some(taken), Some(came)) if taken >= came && taken > queue.limit.at(span.from_ns))
}

/// Whether a connected probe was still in the accept queue at its deadline: fewer were taken than stood before it. The first reading
/// after the handshake counts the probe itself. What may arrive within one reading is allowed for, as the two counts are not read at one instant.
fn still_queued(view: &View<'_>, queue: &Queue<'_>, sample: &Sample) -> Option<bool> {
    let connected = sample.started_ns.saturating_add(sample.connect_ns?);
    let from = connected.saturating_add(queue.interval_ns);
    let to = sample.ended_ns;
    if from >= to || !queue.read_often_enough(view.timeout_ns) {
        return None;
    }
    let before_it = queue.recv_q.at(from);
    let least = min_between(queue.recv_q, from, to);
    if least == 0 {
        return Some(false);
    }
    let noise = view.arrivals_between(to.saturating_sub(queue.interval_ns), to).unwrap_or(0);
    match view.taken_between(from, to) {
        Some(taken) => Some(taken.saturating_add(noise) < before_it || (least >= before_it && taken <= noise)),
        None if least >= before_it && view.arrivals_between(from, to) == Some(0) => Some(true),
        None => None,
    }
}
