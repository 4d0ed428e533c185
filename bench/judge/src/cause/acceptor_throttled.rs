//! The acceptor gets too little processor time: throttled by its group's quota, or kept waiting by others. Pure.
//!
//! Handshakes are completed by the kernel while the server waits for a processor, so its queue fills whatever its size. Two witnesses:
//! the group spent most of its periods throttled (`nr_throttled` of `cpu.stat`), or the process waited in the run queue for most
//! of the time while using less than half of it (`/proc/PID/schedstat`).

use brimful_evidence::record::{ProcessEvidence, Role};
use brimful_loadgen_plan::probe::{Outcome, Sample};

use super::super::spans::{interval_ns, known};
use super::super::view::View;
use super::waits::full_near;
use super::{Finding, ProofLine, fd_limit};
use crate::wording::{count, time};

const PERIODS: &str = "cgroup.target.nr_periods";
const THROTTLED: &str = "cgroup.target.nr_throttled";
const THROTTLED_NS: &str = "cgroup.target.throttled_ns";

/// Fewer periods than this around a probe say nothing of a share: a third of a second at the usual 100 ms.
const PERIODS_AT_LEAST: u64 = 3;

pub(super) fn look(view: &View<'_>) -> Finding {
    let waiting = view.failed.iter().filter(|s| waits(view, s)).count();
    if !view.explains_most(waiting) {
        return Finding::Excluded(ProofLine::new(
            "probe",
            format!("{waiting} of {} failed", view.failed.len()),
            "most failed probes did not wait for the acceptor",
        ));
    }
    let starved = view.failed.iter().filter(|s| fd_limit::explains(view, s)).count();
    if let Some(target) = view.targets.first().filter(|_| view.explains_most(starved)) {
        return Finding::Excluded(ProofLine::new(
            target.series_name(),
            target.fullest(),
            "accepting stood still for want of descriptors: a symptom",
        ));
    }
    let explained = explained(view);
    if view.explains_most(explained) {
        return Finding::Shown { proof: proof(view, explained), why: None };
    }
    let group = view.host(THROTTLED);
    let process = serving(view).filter(|p| p.runqueue_wait_ns.reads > 1);
    match (group, process) {
        (Some(throttled), Some(process)) => {
            let waited = process.runqueue_wait_ns.delta();
            Finding::Excluded(ProofLine::new(
                format!("host.{THROTTLED}"),
                format!("+{}, run-queue wait {}", count(throttled.delta()), time(waited)),
                "the target had processor time while most failed probes waited",
            ))
        }
        _ => Finding::Open {
            why: match (group, process) {
                (None, Some(_)) => {
                    "the target hardly waited for a processor, but whether its control group was throttled was not read"
                        .into()
                }
                (Some(_), None) => {
                    "its control group was not throttled for most of the time, but its run-queue wait was not read"
                        .into()
                }
                _ => "neither throttling of its control group nor its run-queue wait was read".into(),
            },
            collect: vec![
                "nr_periods and nr_throttled in cpu.stat of the target's control group, before and after".into(),
                "the second number of /proc/PID/schedstat of the target, before and after".into(),
            ],
        },
    }
}

/// Whether want of processor time explains most failed probes.
pub(super) fn is_the_root(view: &View<'_>) -> bool {
    view.explains_most(explained(view))
}

/// Whether the target lacked processor time at all while this probe waited.
pub(super) fn starved(view: &View<'_>, sample: &Sample) -> bool {
    throttled(view, sample) == Some(true) || queued(view, sample) == Some(true)
}

/// Whether it is known to have had processor time while this probe waited.
pub(super) fn had_processor_time(view: &View<'_>, sample: &Sample) -> bool {
    queued(view, sample) == Some(false) && throttled(view, sample) != Some(true)
}

fn explained(view: &View<'_>) -> usize {
    view.failed.iter().filter(|s| waits(view, s) && starved(view, s) && !fd_limit::explains(view, s)).count()
}

/// Whether this probe waited for the acceptor: kept out by its full queue, or let in and not answered.
fn waits(view: &View<'_>, sample: &Sample) -> bool {
    match sample.outcome {
        Outcome::ConnectTimeout => view.queue.as_ref().is_some_and(|q| full_near(view, q, sample.started_ns)),
        Outcome::ResponseTimeout => true,
        _ => false,
    }
}

/// Whether the group was throttled in most periods while the probe waited; `None` where that was not read.
fn throttled(view: &View<'_>, sample: &Sample) -> Option<bool> {
    let (from, to) = (sample.started_ns, sample.ended_ns);
    match (view.host(PERIODS), view.host(THROTTLED), view.host(THROTTLED_NS)) {
        (Some(periods), Some(throttled), _) => {
            let (periods, throttled) = (view.growth(periods, from, to)?, view.growth(throttled, from, to)?);
            Some(periods >= PERIODS_AT_LEAST && throttled.saturating_mul(2) > periods)
        }
        (_, _, Some(ns)) => Some(view.growth(ns, from, to)?.saturating_mul(2) > to.saturating_sub(from)),
        _ => None,
    }
}

/// Whether the process waited for a processor most of the time while using less than half of it; `None` where that was not read.
fn queued(view: &View<'_>, sample: &Sample) -> Option<bool> {
    let process = serving(view)?;
    let (wait, cpu) = (known(&process.runqueue_wait_ns)?, known(&process.cpu_ns)?);
    let slack = interval_ns(wait, view.end_ns);
    let watched = sample.ended_ns.saturating_sub(sample.started_ns).saturating_add(slack.saturating_mul(2));
    let waited = view.growth(wait, sample.started_ns, sample.ended_ns)?;
    let used = view.growth(cpu, sample.started_ns, sample.ended_ns)?;
    Some(waited.saturating_mul(2) > watched && used.saturating_mul(2) < watched)
}

fn serving<'a>(view: &View<'a>) -> Option<&'a ProcessEvidence> {
    let mut processes =
        view.record.evidence.processes.iter().filter(|p| p.role == Role::Target && p.shard == view.shard);
    view.targets.first().map(|target| target.process).or_else(|| processes.next())
}

fn proof(view: &View<'_>, explained: usize) -> Vec<ProofLine> {
    let mut proof = Vec::new();
    if let (Some(periods), Some(throttled)) = (view.host(PERIODS), view.host(THROTTLED)) {
        proof.push(ProofLine::new(
            format!("host.{THROTTLED}"),
            format!("+{} of {} periods", count(throttled.delta()), count(periods.delta())),
            "periods in which the target's control group had used up its quota",
        ));
    }
    if let Some(process) = serving(view) {
        let name = format!("target.{}", process.place());
        if let Some(wait) = known(&process.runqueue_wait_ns) {
            proof.push(ProofLine::new(
                format!("{name}.runqueue_wait_ns"),
                time(wait.delta()),
                "ready to run, and waiting for a processor",
            ));
        }
        if let Some(cpu) = known(&process.cpu_ns) {
            proof.push(ProofLine::new(format!("{name}.cpu_ns"), time(cpu.delta()), "processor time that it got"));
        }
    }
    if let Some(queue) = &view.queue {
        proof.push(ProofLine::new(
            format!("listener.{}.recv_q", queue.name),
            queue.fullest(),
            "what waits for the acceptor: a symptom",
        ));
    }
    proof.push(ProofLine::new(
        "probe",
        format!("{explained} of {} failed", view.failed.len()),
        "each waited while the target had no processor for most of the time",
    ));
    proof
}
