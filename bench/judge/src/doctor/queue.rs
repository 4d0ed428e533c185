//! Accept queues, and why accepting is slow. Pure.
//!
//! A full queue is a symptom. It is drained within the time that was watched: then it is too small for its bursts. It is not: then whoever
//! accepts is too slow, and a larger one would only let clients wait longer.

use brimful_evidence::snapshot::{Process, names};
use brimful_plan::expect::{CauseName, Why};

use super::case::{Case, Heard, called, host_subject, process_subject};
use super::cures;
use super::descriptors::at_limit;
use super::diagnosis::Found;
use super::rows::{Answer, because, excluded, found, open};
use crate::cause::ProofLine;
use crate::cure::{acceptor, program};
use crate::wording::{count, time};

/// Readings from which on a queue that is never empty says something about its acceptor.
const LEAST_READINGS: u32 = 10;
/// A client that waits longer than this in the queue is too late for a health check: the kubelet's default time-out, in nanoseconds.
const PATIENCE_NS: u64 = 1_000_000_000;

pub(super) fn no_listener(case: &Case<'_>) -> Answer {
    let Some(port) = case.scope.port else {
        return excluded("scope", "no port was named", "every listener that there is was looked at");
    };
    if let Some(heard) = case.listeners().first() {
        return excluded(heard.source("send_q"), count(heard.now.limit.into()), "somebody listens there");
    }
    if case.everywhere().all(|ns| ns.listeners.is_none()) {
        return open("listeners were not read", &["`ss -lnt` in the namespace of the server"]);
    }
    let line =
        ProofLine::new("listeners", format!("none on port {port}"), "in no network namespace that was looked into");
    Answer::Shown(vec![found(CauseName::NoListener, host_subject(), vec![line], cures::listen(port))])
}

/// Periods in which a process's group was stopped, and all of them, while it was watched.
pub(super) fn throttled(case: &Case<'_>, process: &Process) -> Option<(u64, u64)> {
    let now = process.throttle.as_ref()?;
    let before = case.process_before(process.pid)?.throttle.as_ref().filter(|before| before.group == now.group)?;
    Some((now.throttled.saturating_sub(before.throttled), now.periods.saturating_sub(before.periods)))
}

/// Whether it was stopped in most of the periods in which it wanted to run.
fn is_throttled(case: &Case<'_>, process: &Process) -> bool {
    throttled(case, process).is_some_and(|(stopped, all)| stopped > 0 && stopped.saturating_mul(2) >= all)
}

/// Whether somebody waited in its queue at most readings, or was dropped: a queue that is empty is served in time.
fn waits(heard: &Heard<'_>) -> bool {
    heard.least() > 0 || heard.was_full() || heard.most() > 0 && heard.dropped().is_some_and(|n| n > 0)
}

pub(super) fn acceptor_throttled(case: &Case<'_>) -> Answer {
    let shown: Vec<Found> = case
        .processes()
        .into_iter()
        .filter(|process| !at_limit(process) && is_throttled(case, process))
        .filter_map(|process| {
            let heard = case.listeners_of(process.pid).into_iter().find(|heard| waits(heard) || heard.most() > 0)?;
            Some(throttled_found(case, process, &heard))
        })
        .collect();
    if !shown.is_empty() {
        return Answer::Shown(shown);
    }
    let known = case.processes().into_iter().filter_map(|process| Some((throttled(case, process)?, process)));
    match known.max_by_key(|((stopped, _), _)| *stopped) {
        Some(((stopped, all), process)) if stopped > 0 => excluded(
            format!("process.{}.nr_throttled", process.pid),
            format!("{stopped} of {all} periods"),
            "nobody waited for it meanwhile, or it could run in most of them",
        ),
        _ if case.live => excluded("cpu.stat", "+0", "no process that listens was stopped by a quota"),
        _ => match case.nobody_waits() {
            Some((source, value)) => excluded(source, value, "nobody waits for the acceptor"),
            None => open(
                "the quota of its control group was not shown",
                &["`cpu.stat` of its control group, twice (nr_throttled)"],
            ),
        },
    }
}

fn throttled_found(case: &Case<'_>, process: &Process, heard: &Heard<'_>) -> Found {
    let (stopped, all) = throttled(case, process).unwrap_or_default();
    let group = process.throttle.as_ref().map_or("", |throttle| throttle.group.as_str());
    let proof = vec![
        ProofLine::new(
            format!("process.{}.nr_throttled", process.pid),
            format!("{stopped} of {all} periods"),
            format!("its control group had used up its quota ({group})"),
        ),
        ProofLine::new(heard.source("recv_q"), spread(heard), "connections waited for it meanwhile"),
    ];
    found(CauseName::AcceptorThrottled, process_subject(process), proof, program::more_processor())
}

/// `3 to 129 of 128, full in 40 of 50 readings`.
fn spread(heard: &Heard<'_>) -> String {
    let (least, most, limit) = (heard.least(), heard.most(), count(heard.now.limit.into()));
    let range =
        if least == most { count(most.into()) } else { format!("{} to {}", count(least.into()), count(most.into())) };
    let full = heard.now.watched.filter(|watched| watched.full > 0 && watched.readings > 1);
    let full = full.map(|w| format!(", full in {} of {} readings", w.full, w.readings)).unwrap_or_default();
    format!("{range} of {limit}{full}")
}

/// Why its queue is no fault of its own: the process that should accept cannot.
fn owner_is_at_fault(case: &Case<'_>, heard: &Heard<'_>) -> bool {
    let owners = heard.now.owners.iter().filter_map(|pid| case.process(*pid));
    owners.into_iter().any(|process| at_limit(process) || is_throttled(case, process))
}

/// The sockets that share its address.
fn group<'a>(all: &[Heard<'a>], heard: &Heard<'a>) -> Vec<Heard<'a>> {
    let same = |other: &&Heard<'a>| other.now.address == heard.now.address && other.namespace.id == heard.namespace.id;
    all.iter().filter(same).copied().collect()
}

fn is_skewed(all: &[Heard<'_>], heard: &Heard<'_>) -> bool {
    let group = group(all, heard);
    group.len() > 1
        && heard.was_full()
        && heard.least() > 0
        && group.iter().any(|other| other.least() == 0 && !other.was_full())
}

pub(super) fn reuseport_skew(case: &Case<'_>) -> Answer {
    let all = case.listeners();
    let shown: Vec<Found> = all
        .iter()
        .filter(|heard| is_skewed(&all, heard) && !owner_is_at_fault(case, heard))
        .map(|heard| {
            let others = group(&all, heard);
            let idle = others.iter().filter(|other| other.least() == 0).count();
            let proof = vec![
                ProofLine::new(heard.source("recv_q"), spread(heard), "this socket is full and not drained"),
                ProofLine::new(
                    heard.source("recv_q"),
                    format!("{idle} of {} sockets", others.len()),
                    "on the same address are drained meanwhile",
                ),
            ];
            found(CauseName::ReuseportSkew, heard.subject(case), proof, program::serve_every_socket())
        })
        .collect();
    if !shown.is_empty() {
        return Answer::Shown(shown);
    }
    match all.iter().map(|heard| group(&all, heard).len()).max() {
        Some(0 | 1) => excluded("listeners", "one socket for each address", "no sockets share a port"),
        Some(n) => excluded(
            "listeners",
            format!("{n} sockets on one address"),
            "none of them is full beside one that is drained",
        ),
        None => open("listeners were not shown", &["`ss -lntm`"]),
    }
}

/// What kept standing still, with the reason in words.
fn stall(heard: &Heard<'_>, window_ns: Option<u64>) -> Option<&'static str> {
    let window_ns = window_ns?;
    if heard.readings() < LEAST_READINGS || heard.least() == 0 {
        return None;
    }
    match heard.taken {
        Some(0) => return Some("nothing was accepted, and the queue was never empty"),
        Some(taken) => {
            // What waits at least, at the pace at which it is taken.
            let wait_ns = u128::from(heard.least()) * u128::from(window_ns) / u128::from(taken);
            if wait_ns > u128::from(PATIENCE_NS) {
                return Some("at the pace at which it accepts, what waits is not served within a second");
            }
        }
        None => {}
    }
    let above_half = heard.least().saturating_mul(2) > heard.now.limit;
    (heard.was_full() && above_half).then_some("the queue was full, and not drained by half at any reading")
}

fn stalled<'a>(case: &'a Case<'a>, all: &[Heard<'a>]) -> Vec<(Heard<'a>, &'static str)> {
    let fits = |heard: &&Heard<'a>| !owner_is_at_fault(case, heard) && !is_skewed(all, heard);
    all.iter().filter(fits).filter_map(|heard| Some((*heard, stall(heard, case.window_ns())?))).collect()
}

pub(super) fn acceptor_stalled(case: &Case<'_>) -> Answer {
    let all = case.listeners();
    let standing = stalled(case, &all);
    let shown: Vec<Found> = standing
        .iter()
        .filter(|(heard, _)| !case.owner_is_unknown(heard))
        .map(|(heard, why)| {
            let mut proof = vec![ProofLine::new(heard.source("recv_q"), spread(heard), *why)];
            if let Some(taken) = heard.taken {
                proof.push(ProofLine::new(
                    heard.source("accepted"),
                    format!("+{}", count(taken)),
                    "connections taken by a program that are still open",
                ));
            }
            let owners = heard.now.owners.iter().filter_map(|pid| case.process(*pid));
            proof.extend(owners.map(|p| super::descriptors::descriptors_line(p, "it has descriptors left")));
            found(CauseName::AcceptorStalled, heard.subject(case), proof, acceptor::accept_at_once())
        })
        .collect();
    if !shown.is_empty() {
        return Answer::Shown(shown);
    }
    if let Some((heard, _)) = standing.first() {
        return owner_not_read(heard);
    }
    if let Some((source, value)) = case.nobody_waits() {
        return excluded(source, value, "nobody waits to be accepted");
    }
    if all.is_empty() {
        return open("listeners were not shown", &["`ss -lntm`, several times within a second"]);
    }
    match all.iter().max_by_key(|heard| heard.least()) {
        Some(heard) if !case.live && heard.most() > 0 => open(
            format!(
                "{} connections waited at {} at one instant, which does not tell whether they are taken",
                count(heard.most().into()),
                heard.now.address
            ),
            &["`ss -lntm` several times within a second: is the queue ever drained?"],
        ),
        Some(heard) => excluded(
            heard.source("recv_q"),
            spread(heard),
            "every queue was drained, or what waits in it has another cause",
        ),
        None => open("listeners were not shown", &["`ss -lntm`"]),
    }
}

/// A queue that is not drained or overflows, with nothing known of whoever should take from it.
fn owner_not_read(heard: &Heard<'_>) -> Answer {
    open(
        format!(
            "connections wait at {} ({}), and whoever listens there, or how many descriptors they have left, was not read",
            heard.now.address,
            spread(heard)
        ),
        &["the same as root, on the node itself: `sudo brimful doctor`"],
    )
}

/// Whether it dropped for want of room: it was full, or dropped while its namespace counted overflows.
pub(super) fn overflows(case: &Case<'_>, heard: &Heard<'_>) -> bool {
    let counted = case.grew(heard.namespace, "TcpExt.ListenOverflows").is_some_and(|n| n > 0);
    heard.dropped().is_some_and(|n| n > 0) && counted && case.live || heard.was_full() && case.window_ns().is_some()
}

pub(super) fn accept_queue(case: &Case<'_>) -> Answer {
    let all = case.listeners();
    let standing = stalled(case, &all);
    let is_standing = |heard: &Heard<'_>| {
        standing.iter().any(|(other, _)| other.now.inode == heard.now.inode && other.namespace.id == heard.namespace.id)
    };
    let over: Vec<&Heard<'_>> = all.iter().filter(|heard| overflows(case, heard)).collect();
    let own = |heard: &&&Heard<'_>| !owner_is_at_fault(case, heard) && !is_skewed(&all, heard) && !is_standing(heard);
    let known = |heard: &&&Heard<'_>| !case.owner_is_unknown(heard);
    let shown: Vec<Found> = over.iter().filter(own).filter(known).map(|heard| too_small(case, heard)).collect();
    if !shown.is_empty() {
        return Answer::Shown(shown);
    }
    if let Some(heard) = over.iter().find(|heard| case.owner_is_unknown(heard)) {
        return owner_not_read(heard);
    }
    if let Some(heard) = over.first() {
        let owner = heard
            .now
            .owners
            .first()
            .and_then(|pid| case.process(*pid))
            .map_or_else(|| "the acceptor".to_owned(), called);
        let text =
            format!("full, but because {owner} does not take what waits: a symptom, a larger one would fill too");
        return excluded(heard.source("recv_q"), spread(heard), text);
    }
    if let Some(heard) = all.iter().find(|heard| heard.was_full()) {
        return open(
            format!(
                "the queue of {} is full ({}): a symptom, and what is shown does not tell why accepting is slow",
                heard.now.address,
                spread(heard)
            ),
            &[
                "descriptors and limit of the process that listens: `ls /proc/PID/fd | wc -l`, `cat /proc/PID/limits`",
                "`ss -lntm` several times within a second, and `cpu.stat` of its control group",
            ],
        );
    }
    let total = |name: &str| case.namespaces().filter_map(|ns| case.grew(ns, name)).reduce(u64::wrapping_add);
    match (all.as_slice(), total("TcpExt.ListenOverflows")) {
        (_, Some(0)) => excluded("TcpExt.ListenOverflows", "+0", "no accept queue turned anybody away"),
        ([], _) => open(
            "no listener's queue was shown",
            &[
                "`ss -lntm` in the namespace of the server: Recv-Q against Send-Q, and d of skmem",
                "`nstat -az TcpExtListenOverflows TcpExtListenDrops`, twice",
            ],
        ),
        ([one], _) => excluded(one.source("recv_q"), spread(one), "the queue has room"),
        (many, _) => {
            let fullest =
                many.iter().max_by_key(|heard| u64::from(heard.most()) * 1_000 / u64::from(heard.now.limit).max(1));
            fullest.map_or_else(
                || open("no listener's queue was shown", &["`ss -lntm`"]),
                |heard| excluded(heard.source("recv_q"), spread(heard), "every queue has room; this is the fullest"),
            )
        }
    }
}

/// Which of the two numbers bounds it. A limit below today's somaxconn was asked for, or is that of a socket that listened before a
/// change: from outside the two look alike.
pub(super) fn why(heard: &Heard<'_>) -> Option<Why> {
    let somaxconn = heard.namespace.number(names::SOMAXCONN)?;
    match u64::from(heard.now.limit).cmp(&somaxconn) {
        std::cmp::Ordering::Equal => Some(Why::SomaxconnClamp),
        std::cmp::Ordering::Less | std::cmp::Ordering::Greater => None,
    }
}

fn too_small(case: &Case<'_>, heard: &Heard<'_>) -> Found {
    let mut proof = vec![ProofLine::new(
        heard.source("recv_q"),
        spread(heard),
        "the queue drained again while it was watched: bursts",
    )];
    if let Some(dropped) = heard.dropped().filter(|n| *n > 0) {
        proof.push(ProofLine::new(
            heard.source("drops"),
            format!("+{}", count(dropped)),
            "packets that it dropped while it was watched",
        ));
    }
    if let Some(n) = case.grew(heard.namespace, "TcpExt.ListenOverflows").filter(|n| *n > 0) {
        proof.push(ProofLine::new(
            "TcpExt.ListenOverflows",
            format!("+{}", count(n)),
            "accept queues of its namespace were full",
        ));
    }
    if let Some(somaxconn) = heard.namespace.number(names::SOMAXCONN) {
        let text = super::tables::clamp(heard);
        proof.push(ProofLine::new(
            heard.source("send_q"),
            format!("{} with somaxconn {}", count(heard.now.limit.into()), count(somaxconn)),
            text,
        ));
    }
    if let Some(ns) = case.window_ns() {
        proof.push(ProofLine::new("window", time(ns), format!("{} readings of the queue", heard.readings())));
    }
    because(found(CauseName::AcceptQueue, heard.subject(case), proof, cures::backlog(heard)), why(heard))
}
