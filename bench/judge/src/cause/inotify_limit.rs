//! The target's user is out of inotify instances: a program that takes one for each client can serve no more of them. Pure.
//!
//! `inotify_init1` answers `EMFILE` then (`fs/notify/inotify/inotify_user.c`, `inotify_new_group`), and its text, "too many open files", sends
//! everybody to the descriptor limit, which has room. The limit is each user's, over all processes; seen are those of the target.

use brimful_loadgen_plan::probe::{Action, Outcome, Sample};

use super::super::spans::{interval_ns, known};
use super::super::view::View;
use super::waits::{Wait, wait_of};
use super::{Finding, ProofLine, fd_limit};
use crate::wording::count;

/// How the inotify instances of the serving process stand to their limit.
pub(super) enum Stand {
    /// Not known.
    Unread,
    /// It has none, or fewer than are allowed.
    Spare(Instances),
    /// As many as are allowed, but not while most probes failed.
    Elsewhen(Instances),
    /// As many as are allowed, while most probes failed as they do then.
    Met(Instances),
}

/// The instances themselves.
pub(super) struct Instances {
    /// The name of their series in a report.
    pub(super) name: String,
    /// As `128 of 128`.
    pub(super) fullest: String,
}

pub(super) fn look(view: &View<'_>) -> Finding {
    let concerned = view.failed.iter().filter(|s| refused(view, s)).count();
    if !view.explains_most(concerned) {
        return Finding::Excluded(ProofLine::new(
            "probe",
            format!("{concerned} of {} failed", view.failed.len()),
            "most failed probes were neither turned away nor left to wait by a server with descriptors",
        ));
    }
    match stand(view) {
        Stand::Unread => Finding::Open {
            why: "the target's inotify instances, or their limit, were not read".into(),
            collect: vec![
                "`ls -l /proc/PID/fd | grep -c inotify` for every process of the target's user, against fs.inotify.max_user_instances"
                    .into(),
                "the system call that says EMFILE (`strace -f -e inotify_init1,accept4 -p PID`)".into(),
            ],
        },
        Stand::Spare(instances) => Finding::Excluded(ProofLine::new(
            instances.name,
            instances.fullest,
            "inotify instances to spare, as far as the target's own go",
        )),
        Stand::Elsewhen(instances) => Finding::Excluded(ProofLine::new(
            instances.name,
            instances.fullest,
            "its inotify instances were at their limit, but not while most probes failed",
        )),
        Stand::Met(instances) => Finding::Shown { proof: proof(view, instances, concerned), why: None },
    }
}

fn proof(view: &View<'_>, instances: Instances, concerned: usize) -> Vec<ProofLine> {
    let text = format!(
        "no inotify instance left for one client more; {concerned} of {} failed probes fall in that time",
        view.failed.len()
    );
    let mut proof = vec![ProofLine::new(instances.name, instances.fullest, text)];
    for target in &view.targets {
        proof.push(ProofLine::new(target.series_name(), target.fullest(), "the process had descriptors to spare"));
    }
    if let Some(n) = view.own_account("EMFILE").filter(|&n| n > 0) {
        proof.push(ProofLine::new(
            format!("target.{}.account", view.shard),
            format!("EMFILE {}", count(n)),
            "the server's own count agrees; the error's name is that of the descriptor limit",
        ));
    }
    proof
}

/// How they stand.
pub(super) fn stand(view: &View<'_>) -> Stand {
    let Some(target) = view.targets.first() else { return Stand::Unread };
    let Some(open) = target.process.inotify.as_ref().and_then(known) else { return Stand::Unread };
    let instances = |of: String| Instances {
        name: format!("target.{}.inotify", view.shard),
        fullest: format!("{} of {of}", count(open.max)),
    };
    let Some(max) = view.host("fs.inotify.max_user_instances") else {
        // Whatever the limit is, what a process does not use it does not lack.
        return if open.max == 0 { Stand::Spare(instances("an unread limit".to_owned())) } else { Stand::Unread };
    };
    let found = instances(count(max.last));
    if open.max < max.last {
        return Stand::Spare(found);
    }
    // They are counted seldom, so what there was at the reading after counts as well.
    let slack = interval_ns(open, view.end_ns);
    let full = |at_ns: u64| open.at(at_ns) >= max.at(at_ns);
    let explained = view.failed.iter().filter(|s| {
        refused(view, s) && [s.started_ns, s.ended_ns, s.started_ns.saturating_add(slack)].into_iter().any(full)
    });
    if view.explains_most(explained.count()) { Stand::Met(found) } else { Stand::Elsewhen(found) }
}

/// Whether a server that has descriptors, and cannot take a client for want of something else, does this to a probe.
fn refused(view: &View<'_>, sample: &Sample) -> bool {
    if fd_limit::explains(view, sample) {
        return false;
    }
    let waits = || view.queue.as_ref().is_some_and(|queue| matches!(wait_of(view, queue, sample), Wait::TooLong(_)));
    // A command is told so by its exit status, and fails so for other reasons too: it counts here, so that nothing else is blamed.
    let by_command =
        || matches!(view.record.probe.plan.action, Action::Exec(_)) && sample.outcome == Outcome::BadStatus;
    sample.outcome == Outcome::Reset || by_command() || waits()
}
