//! The whole system is out of descriptors (`fs.file-max`): `accept4` answers `ENFILE` though the process has room. Pure.
//!
//! `alloc_empty_file` (`fs/file_table.c`) refuses when as many files are open as `fs.file-max` allows. As with `EMFILE`, nothing is taken from the queue.

use brimful_loadgen_plan::probe::{Outcome, Sample};

use super::super::view::View;
use super::local_error::{Lack, lack};
use super::waits::{Wait, full_near, wait_of};
use super::{Finding, ProofLine, fd_limit};
use crate::wording::count;

pub(super) fn look(view: &View<'_>) -> Finding {
    let explained = view.failed.iter().filter(|s| explains(view, s)).count();
    if view.explains_most(explained) {
        return Finding::Shown { proof: proof(view, explained), why: None };
    }
    if let Some(line) = not_waiting(view) {
        return Finding::Excluded(line);
    }
    let (Some(open), Some(max)) = (view.host("fs.file-nr.allocated"), view.host("fs.file-nr.max")) else {
        return Finding::Open {
            why: "the number of files open on the host was not read".into(),
            collect: vec!["/proc/sys/fs/file-nr while probes fail".into()],
        };
    };
    let value = format!("{} of {}", count(open.max), count(max.last));
    if explained == 0 && view.own_account("ENFILE").unwrap_or(0) == 0 {
        let text = if open.max.saturating_add(slack(view)) < max.last {
            "the host had files to spare"
        } else {
            "the host came near its limit, but no failed probe fits that"
        };
        return Finding::Excluded(ProofLine::new("host.fs.file-nr.allocated", value, text));
    }
    Finding::Open {
        why: format!("it explains {explained} of {} failed probes, not most of them", view.failed.len()),
        collect: vec![
            "/proc/sys/fs/file-nr, read more often".into(),
            "`accept4` of the target (`strace -e accept4 -p PID`): EMFILE or ENFILE".into(),
        ],
    }
}

/// The line that excludes it where most failed probes did not wait before an acceptor that stood still, or where its own limit was met,
/// which `accept4` asks first (`get_unused_fd_flags`).
fn not_waiting(view: &View<'_>) -> Option<ProofLine> {
    let own = view.failed.iter().filter(|s| fd_limit::explains(view, s)).count();
    if let Some(target) = view.targets.first().filter(|_| view.explains_most(own)) {
        return Some(ProofLine::new(
            target.series_name(),
            target.fullest(),
            "the process met its own limit, which is asked before the host's",
        ));
    }
    let queue = view.queue.as_ref()?;
    let elsewhere =
        |s: &&&Sample| lack(s).is_none() && matches!(wait_of(view, queue, s), Wait::Elsewhere | Wait::Absorbable(_));
    let spared = view.failed.iter().filter(elsewhere).count();
    view.explains_most(spared).then(|| {
        ProofLine::new(
            format!("listener.{}.recv_q", queue.name),
            queue.fullest(),
            "most failed probes did not wait before an acceptor that stood still",
        )
    })
}

/// Whether this failed probe is what a host without descriptors does to it, while its server had some of its own.
pub(super) fn explains(view: &View<'_>, sample: &Sample) -> bool {
    if lack(sample) == Some(Lack::Files) {
        return true;
    }
    let own = view.targets.iter().any(|t| t.at_limit_between(sample.started_ns, sample.ended_ns));
    if view.targets.is_empty() || own || !exhausted(view, sample) {
        return false;
    }
    let Some(queue) = &view.queue else { return false };
    match sample.outcome {
        Outcome::ConnectTimeout => full_near(view, queue, sample.started_ns),
        Outcome::ResponseTimeout => queue.most_between(sample.started_ns, sample.ended_ns) > 0,
        _ => false,
    }
}

/// Whether as many files were open as the host allows, when the probe was sent.
fn exhausted(view: &View<'_>, sample: &Sample) -> bool {
    match (view.host("fs.file-nr.allocated"), view.host("fs.file-nr.max")) {
        (Some(open), Some(max)) => open.at(sample.started_ns).saturating_add(slack(view)) >= max.at(sample.started_ns),
        _ => false,
    }
}

/// How far the number shown may lie behind the true one: every processor keeps up to a batch to itself (`lib/percpu_counter.c`).
fn slack(view: &View<'_>) -> u64 {
    let cpus = u64::from(view.record.host.cpus);
    cpus.saturating_mul(cpus.saturating_mul(2).max(32))
}

fn proof(view: &View<'_>, explained: usize) -> Vec<ProofLine> {
    let mut proof = Vec::new();
    if let (Some(open), Some(max)) = (view.host("fs.file-nr.allocated"), view.host("fs.file-nr.max")) {
        proof.push(ProofLine::new(
            "host.fs.file-nr.allocated",
            format!("{} of {}", count(open.max), count(max.last)),
            format!(
                "no file left on the whole host; {explained} of {} failed probes fall in that time",
                view.failed.len()
            ),
        ));
    }
    for target in &view.targets {
        proof.push(ProofLine::new(
            target.series_name(),
            target.fullest(),
            "the target itself had descriptors to spare",
        ));
    }
    if let Some(n) = view.own_account("ENFILE").filter(|&n| n > 0) {
        proof.push(ProofLine::new(
            format!("target.{}.account", view.shard),
            format!("ENFILE {}", count(n)),
            "the server's own count agrees",
        ));
    }
    if let Some(sample) = view.failed.iter().find(|s| lack(s) == Some(Lack::Files)) {
        proof.push(ProofLine::new("probe", "ENFILE", sample.message.clone()).at(sample.ended_ns));
    }
    proof
}
