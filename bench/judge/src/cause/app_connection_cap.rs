//! The program allows no more connections, though it has descriptors left. Pure.
//!
//! Its descriptors rise to a number and stay there, far below the limit, for as long as probes fail. Beyond its cap a program either
//! closes what it accepts, which shows: connections are taken and their number does not grow. Or it lets them wait in the accept queue,
//! which looks like an acceptor that stopped for good; only a round number of connections tells the two apart, and only where
//! the instant is not round as well, because a stop at a round instant of an even load has a round number too.

use brimful_loadgen_plan::outcome::Phase;
use brimful_loadgen_plan::probe::Outcome;

use super::super::descriptors::Descriptors;
use super::super::spans::min_between;
use super::super::view::View;
use super::inotify_limit::{self, Stand};
use super::waits::{Wait, wait_of};
use super::{Finding, ProofLine, fd_limit, lost, of_commands};
use crate::wording::{count, time};

/// Connections that must have been turned away beyond the probes themselves: a handful may have other reasons.
const TURNED_AWAY_AT_LEAST: u64 = 10;
/// And one part in this many of those held, which is well beyond what a plateau may vary by.
const BEYOND_ONE_IN: u64 = 20;
/// Connections below which nothing is called a cap: so few are a program that never accepted, or stopped at its start.
const HELD_AT_LEAST: u64 = 8;
/// A reading may stand out of the plateau by one part in this many: a program that accepts in bursts has all of one open until it closes them.
const SPIKE_ONE_IN: u64 = 20;
/// The plateau lasts at least so many time-outs of the probe: as many failures as a kubelet takes for a restart.
const TIMEOUTS_AT_LEAST: u64 = 3;
/// An instant is round when it is a multiple of this, in nanoseconds: what people write down, and what brimful is told.
const ROUND_INSTANT_NS: u64 = 100_000_000;

/// A number of descriptors that was reached and then kept.
pub(super) struct Plateau {
    from_ns: u64,
    level: u64,
    /// Connections at that level, by what was open before the first.
    held: u64,
}

/// How a plateau comes about, as far as the evidence tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// Connections are taken and closed at once, at a level that does not grow.
    TurnsAway,
    /// Connections wait, at a round number that no round instant explains.
    WaitsAtRoundNumber,
    /// Connections wait, at a round number and since a round instant: a cap and a standstill look alike.
    WaitsAtRoundInstant,
    /// Connections wait, at a number that is not round.
    Waits,
}

pub(super) fn look(view: &View<'_>) -> Finding {
    let starved = view.failed.iter().filter(|s| fd_limit::explains(view, s)).count();
    let Some(target) = view.targets.first() else {
        return open("the target's descriptors were not read".into());
    };
    if view.explains_most(starved) {
        return Finding::Excluded(ProofLine::new(
            target.series_name(),
            target.fullest(),
            "it was out of descriptors, so no cap of its own was met",
        ));
    }
    let instances = inotify_limit::stand(view);
    if let Stand::Met(instances) = instances {
        return Finding::Excluded(ProofLine::new(
            instances.name,
            instances.fullest,
            "it was out of inotify instances, so no cap of its own was met",
        ));
    }
    match sign(view) {
        Some((_, Sign::TurnsAway | Sign::WaitsAtRoundNumber)) if matches!(instances, Stand::Unread) => {
            open("it takes no more, but its inotify instances were not read: their limit looks the same".into())
        }
        Some((plateau, Sign::TurnsAway | Sign::WaitsAtRoundNumber)) => {
            Finding::Shown { proof: proof(view, target, &plateau), why: None }
        }
        Some((plateau, Sign::WaitsAtRoundInstant | Sign::Waits)) => open(format!(
            "its descriptors stay at {} from {} on, which is {} connections: a cap of its own there would look the same",
            count(plateau.level),
            time(plateau.from_ns),
            count(plateau.held)
        )),
        None => no_plateau(view, target),
    }
}

/// What the plateau of the serving process says, where it explains most failed probes.
pub(super) fn sign(view: &View<'_>) -> Option<(Plateau, Sign)> {
    let plateau = plateau(view)?;
    let since = || view.failed.iter().filter(|s| s.started_ns >= plateau.from_ns);
    let reset = since().filter(|s| s.outcome == Outcome::Reset).count();
    let commands = of_commands::turned_away(view, plateau.from_ns).len();
    if (view.explains_most(reset) || view.explains_most(commands)) && turned_away(view, &plateau) {
        return Some((plateau, Sign::TurnsAway));
    }
    let queue = view.queue.as_ref()?;
    let waiting = since().filter(|s| matches!(wait_of(view, queue, s), Wait::TooLong(_))).count();
    if !view.explains_most(waiting) {
        return None;
    }
    let sign = match (round(plateau.held), at_a_round_instant(view, &plateau)) {
        (true, false) => Sign::WaitsAtRoundNumber,
        (true, true) => Sign::WaitsAtRoundInstant,
        (false, _) => Sign::Waits,
    };
    Some((plateau, sign))
}

/// The level that was kept from some instant to the end, far below the limit: a tenth of it free. The processes of a command share their
/// connections, so they are added up.
fn plateau(view: &View<'_>) -> Option<Plateau> {
    let together = view.descriptors_together()?;
    let open = together.as_ref();
    let least_ns = view.timeout_ns.saturating_mul(TIMEOUTS_AT_LEAST);
    let level = min_between(open, view.end_ns.saturating_sub(least_ns), view.end_ns);
    // What is accepted and closed at once, and a probe being answered, stand out of it.
    let slack = (level / 100).saturating_add(2);
    let from_ns = open.first_reached(level.saturating_sub(slack))?;
    let no_higher = open.max <= level.saturating_add(slack.max(level / SPIKE_ONE_IN));
    let kept = no_higher && min_between(open, from_ns, view.end_ns).saturating_add(slack) >= level;
    let long = view.end_ns.saturating_sub(from_ns) >= least_ns;
    let far = view.targets.iter().all(|t| t.open.max.saturating_mul(10) <= t.soft.last.saturating_mul(9));
    let each = 1 + u64::from(view.record.cell.target.plan.extra_fds_per_connection);
    let before = view.record.target.ready.get(view.shard as usize).map_or(open.first, |ready| ready.descriptors);
    let by_descriptors = level.saturating_sub(before) / each;
    // A command may open and close files of its own at its start; what it took from the queue and did not close is exact.
    let command = view.record.cell.target.command.is_some();
    let held = kept_of_those_taken(view).filter(|&kept| command && kept <= level).unwrap_or(by_descriptors);
    let destinations = (view.record.load.plan.destinations.len() as u64).max(1);
    let wanted = view.record.load.outcome.attempted / destinations;
    // Everybody held is a plateau too, and no cap.
    let beyond = wanted.saturating_sub(held) >= TURNED_AWAY_AT_LEAST.max(held / BEYOND_ONE_IN);
    (kept && long && far && beyond && held >= HELD_AT_LEAST).then_some(Plateau { from_ns, level, held })
}

/// Connections of the load that were ever taken from the queue, where none was closed again: without those that waited there before the
/// start, and the probes that were answered. `None` where that was not read, or some were closed.
fn kept_of_those_taken(view: &View<'_>) -> Option<u64> {
    if !view.record.load.outcome.failures.is_empty() {
        return None;
    }
    let before = view.queue.as_ref()?.recv_q.first;
    let answered = view.record.probe.samples.iter().filter(|sample| sample.outcome.passed()).count() as u64;
    view.taken_between(0, view.end_ns)?.checked_sub(before)?.checked_sub(answered)
}

/// Whether connections were taken and closed again at the plateau, and the load says so too.
fn turned_away(view: &View<'_>, plateau: &Plateau) -> bool {
    let probes = view.record.probe.samples.iter().filter(|s| s.ended_ns >= plateau.from_ns).count() as u64;
    let taken = view.taken_between(plateau.from_ns, view.end_ns);
    let closed: u64 =
        view.record.load.outcome.failures.iter().filter(|f| f.phase == Phase::Hold).map(|f| f.count).sum();
    let enough = probes.saturating_add(TURNED_AWAY_AT_LEAST);
    taken.is_some_and(|taken| taken >= enough) && closed >= TURNED_AWAY_AT_LEAST
}

/// Whether people would write such a number as a cap, give or take the one connection that a probe has: one digit and then noughts from 100 on,
/// two from 1,000 on, or a power of two from 64 on. By chance one number in thirty between 1,000 and 10,000 is.
fn round(held: u64) -> bool {
    let exactly = |n: u64| {
        let mut rest = n;
        while rest >= 10 && rest.is_multiple_of(10) {
            rest /= 10;
        }
        (n >= 100 && rest < 10) || (n >= 1_000 && rest < 100) || (n >= 64 && n.is_power_of_two())
    };
    (held.saturating_sub(1)..=held.saturating_add(1)).any(exactly)
}

/// Whether the planned load reached that number at a round instant, within two connections and 2 ms of lateness. Without a known pace it may have.
fn at_a_round_instant(view: &View<'_>, plateau: &Plateau) -> bool {
    let (Some(rate), Some(first)) = (view.arrivals_per_s(), view.record.load.outcome.first_attempt_ns) else {
        return true;
    };
    let at_ns = first.saturating_add((plateau.held as f64 * 1e9 / rate) as u64);
    let beyond = at_ns % ROUND_INSTANT_NS;
    beyond.min(ROUND_INSTANT_NS - beyond) <= 2_000_000_u64.saturating_add((2e9 / rate) as u64)
}

fn no_plateau(view: &View<'_>, target: &Descriptors<'_>) -> Finding {
    let unheard = lost::unheard(view).len();
    if view.explains_most(unheard) {
        return Finding::Excluded(ProofLine::new(
            "probe.outcomes.connect-timeout",
            format!("{unheard} of {} failed", view.failed.len()),
            "a program at its own cap drops no SYN while its accept queue has room",
        ));
    }
    let unanswered = view
        .failed
        .iter()
        .filter(|s| matches!(s.outcome, Outcome::ResponseTimeout | Outcome::Reset | Outcome::BadStatus))
        .count();
    if !view.explains_most(unanswered) {
        return Finding::Excluded(ProofLine::new(
            target.series_name(),
            target.fullest(),
            "no plateau: the number of its connections does not stand still while probes fail",
        ));
    }
    let queue = view.queue.as_ref();
    let waiting =
        view.failed.iter().filter(|s| queue.is_some_and(|q| matches!(wait_of(view, q, s), Wait::TooLong(_)))).count();
    if view.explains_most(waiting) {
        return Finding::Excluded(ProofLine::new(
            target.series_name(),
            target.fullest(),
            "no plateau above a few connections: not a number at which it would stop",
        ));
    }
    open("a program may also accept what is beyond its cap and leave it unread, which descriptors do not show".into())
}

fn open(why: String) -> Finding {
    Finding::Open {
        why,
        collect: vec![
            "the program's own limit of connections, in its configuration".into(),
            "whether one more connection is taken as soon as one of those held is closed".into(),
        ],
    }
}

fn proof(view: &View<'_>, target: &Descriptors<'_>, plateau: &Plateau) -> Vec<ProofLine> {
    let mut proof = vec![
        ProofLine::new(
            target.series_name(),
            format!("{} of {}, {} connections", count(plateau.level), count(target.soft.last), count(plateau.held)),
            format!(
                "reached and kept for {}, with descriptors to spare",
                time(view.end_ns.saturating_sub(plateau.from_ns))
            ),
        )
        .at(plateau.from_ns),
    ];
    if let Some(taken) = view.taken_between(plateau.from_ns, view.end_ns) {
        proof.push(ProofLine::new(
            "server.Tcp.PassiveOpens",
            count(taken),
            "connections taken from the queue in that time",
        ));
    }
    proof.extend(of_commands::proof(view, plateau.from_ns));
    if let Some(queue) = &view.queue {
        proof.push(ProofLine::new(
            format!("listener.{}.recv_q", queue.name),
            queue.fullest(),
            "connections that wait to be accepted",
        ));
    }
    proof
}
