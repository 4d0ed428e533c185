//! Descriptors: of the host, and of each process. Pure.

use brimful_evidence::snapshot::{Process, names};
use brimful_plan::expect::CauseName;

use super::case::{Case, called, host_subject, process_subject};
use super::cures;
use super::diagnosis::Found;
use super::rows::{Answer, excluded, found, open};
use crate::cause::ProofLine;
use crate::cure::program;
use crate::wording::count;

/// From which share of its soft limit on sockets in `CLOSE_WAIT` are a leak when none of them goes: one in this many. A program that only
/// answers after its client has finished has a few, for a moment.
pub(super) const LEAK_ONE_IN: u64 = 10;

pub(super) fn file_max(case: &Case<'_>) -> Answer {
    let (Some(open_now), Some(max)) = (case.host(names::FILES), case.host(names::FILES_MAX)) else {
        return open("the number of open files of the host was not read", &["`sysctl fs.file-nr`"]);
    };
    let value = format!("{} of {}", count(open_now), count(max));
    if open_now < max {
        return excluded("fs.file-nr", value, "the host has files to spare");
    }
    let proof = vec![ProofLine::new("fs.file-nr", value, "as many files are open as the whole host may have")];
    Answer::Shown(vec![found(CauseName::FileMax, host_subject(), proof, cures::files(max))])
}

/// Whether no descriptor is left: the limit is on the number, and the kernel hands out the lowest free one.
pub(super) fn at_limit(process: &Process) -> bool {
    matches!((process.descriptors, process.nofile), (Some(open), Some(limits)) if limits.soft > 0 && open >= limits.soft)
}

/// Sockets in `CLOSE_WAIT` that were there at both looks, and how many more there are now than then.
pub(super) fn stuck(case: &Case<'_>, process: &Process) -> (u64, u64) {
    let Some(before) = case.process_before(process.pid) else { return (0, 0) };
    let stayed = process.close_wait.iter().filter(|inode| before.close_wait.binary_search(inode).is_ok()).count();
    (stayed as u64, process.close_wait.len().saturating_sub(before.close_wait.len()) as u64)
}

/// A leak that is going on: full because of it, or so many that none of them goes and more come.
fn leaks(case: &Case<'_>, process: &Process) -> bool {
    let (stayed, more) = stuck(case, process);
    let waiting = process.close_wait.len() as u64;
    let Some(limits) = process.nofile else { return false };
    if at_limit(process) {
        return waiting.saturating_mul(2) >= process.descriptors.unwrap_or(u64::MAX);
    }
    let before = case.process_before(process.pid).map_or(0, |before| before.close_wait.len() as u64);
    stayed.saturating_mul(LEAK_ONE_IN) >= limits.soft && stayed == before && more > 0
}

pub(super) fn fd_leak(case: &Case<'_>) -> Answer {
    let shown: Vec<Found> = case
        .processes()
        .into_iter()
        .filter(|process| leaks(case, process))
        .map(|process| {
            let (stayed, more) = stuck(case, process);
            let mut proof = vec![
                descriptors_line(process, "descriptors against the soft limit"),
                ProofLine::new(
                    format!("process.{}.CLOSE_WAIT", process.pid),
                    count(process.close_wait.len() as u64),
                    "connections that the other end has closed and the program has not",
                ),
                ProofLine::new(
                    format!("process.{}.CLOSE_WAIT", process.pid),
                    format!("+{more}, {} stayed", count(stayed)),
                    "while it was watched: none that was there before has gone",
                ),
            ];
            proof.extend(queue_lines(case, process));
            found(CauseName::FdLeak, process_subject(process), proof, program::close_what_is_over())
        })
        .collect();
    if !shown.is_empty() {
        return Answer::Shown(shown);
    }
    let most = case.processes().into_iter().max_by_key(|process| process.close_wait.len());
    match most.filter(|process| process.descriptors.is_some()) {
        None => open(
            "which process holds which socket was not read",
            &["`ss -tanp state close-wait`, twice, a minute apart"],
        ),
        Some(process) => excluded(
            format!("process.{}.CLOSE_WAIT", process.pid),
            count(process.close_wait.len() as u64),
            format!("no process keeps and gathers connections that are over; the most has {}", called(process)),
        ),
    }
}

pub(super) fn fd_limit(case: &Case<'_>) -> Answer {
    let full: Vec<&Process> = case.processes().into_iter().filter(|process| at_limit(process)).collect();
    let shown: Vec<Found> =
        full.iter().filter(|process| !leaks(case, process)).map(|process| at(case, process)).collect();
    if !shown.is_empty() {
        return Answer::Shown(shown);
    }
    if let Some(process) = full.first() {
        let line = descriptors_line(
            process,
            "at its limit, but with connections that are over: a symptom, a higher limit is met later",
        );
        return Answer::Excluded(line);
    }
    let known: Vec<&Process> =
        case.processes().into_iter().filter(|p| p.descriptors.is_some() && p.nofile.is_some()).collect();
    let fullest = known.iter().max_by_key(|process| share(process));
    if case.symptoms.too_many_open_files {
        return open(
            "a program said \"too many open files\", and the descriptors of no process were shown at their limit",
            &["`ls /proc/PID/fd | wc -l` and `cat /proc/PID/limits` of that program, while it says so"],
        );
    }
    let unknown = case.listeners().into_iter().find(|heard| heard.most() > 0 && case.owner_is_unknown(heard));
    if let Some(heard) = unknown {
        return open(
            format!(
                "connections wait at {}, and the descriptors of whoever listens there were not read",
                heard.now.address
            ),
            &["`ls /proc/PID/fd | wc -l` and `grep 'open files' /proc/PID/limits`, of the process that listens"],
        );
    }
    match (fullest, case.nobody_waits()) {
        (Some(process), _) => Answer::Excluded(descriptors_line(
            process,
            "below its soft limit; no process that was read is nearer to its own",
        )),
        (None, Some((source, value))) => excluded(
            source,
            value,
            "nobody waits to be accepted, and an acceptor without descriptors leaves its connections in the queue",
        ),
        (None, None) => open(
            "descriptors and limits of the process that listens were not read",
            &["`ls /proc/PID/fd | wc -l` and `grep 'open files' /proc/PID/limits`, of the process that listens"],
        ),
    }
}

fn at(case: &Case<'_>, process: &Process) -> Found {
    let mut proof = vec![descriptors_line(process, "no descriptor is left to accept, connect or open with")];
    if let Some(from) = &process.limit_from {
        let limits = process.nofile.map_or_else(String::new, |l| format!("{}:{}", l.soft, l.hard));
        proof.push(ProofLine::new(format!("process.{}.nofile", process.pid), limits, format!("who set it: {from}")));
    }
    proof.extend(queue_lines(case, process));
    found(CauseName::FdLimit, process_subject(process), proof, cures::nofile(process))
}

/// What its queues show: symptoms.
fn queue_lines(case: &Case<'_>, process: &Process) -> Vec<ProofLine> {
    let waiting = case.listeners_of(process.pid).into_iter().filter(|heard| heard.most() > 0);
    let line = |heard: super::case::Heard<'_>| {
        let value = format!("{} of {}", count(heard.most().into()), count(heard.now.limit.into()));
        ProofLine::new(heard.source("recv_q"), value, "connections wait to be accepted: a symptom")
    };
    waiting.map(line).collect()
}

pub(super) fn descriptors_line(process: &Process, text: &str) -> ProofLine {
    let open = process.descriptors.map_or_else(|| "?".to_owned(), count);
    let soft = process.nofile.map_or_else(|| "?".to_owned(), |limits| count(limits.soft));
    ProofLine::new(format!("process.{}.descriptors", process.pid), format!("{open} of {soft}"), text)
}

/// Descriptors in per mille of the soft limit.
pub(super) fn share(process: &Process) -> u64 {
    match (process.descriptors, process.nofile) {
        (Some(open), Some(limits)) => open.saturating_mul(1_000) / limits.soft.max(1),
        _ => 0,
    }
}
