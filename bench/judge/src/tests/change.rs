//! Causes of a cell in which something was changed, or whose target had several lives.

use brimful_evidence::record::{Life, LifeEnd, LifeEndWhy, Role, Turned};
use brimful_loadgen_plan::probe::Outcome;
use brimful_plan::cell::KnobValue;
use brimful_plan::change::Turn;
use brimful_plan::expect::{CauseName, Why};
use brimful_testing::*;

use crate::verdict::judge;

#[test]
fn what_bounds_the_queue_is_what_most_of_the_failed_probes_met() {
    let raised_at = |at_ns: u64| {
        let mut record = World { backlog: 4_096, somaxconn: 128, ..bursts() }.record();
        let what = Turn::Set { knob: "sysctl.net.core.somaxconn".into(), value: KnobValue::Number(4_096) };
        record.turned =
            vec![Turned { what, due_ns: at_ns, done_ns: Some(at_ns), given: Some("4096".into()), error: None }];
        let failed: Vec<u64> =
            record.probe.samples.iter().filter(|s| !s.outcome.passed()).map(|s| s.started_ns).collect();
        (judge(&record).why, failed)
    };
    let (early, failed) = raised_at(0);
    assert_eq!(early, Some(Why::NotRelistened));
    let last = failed[failed.len() - 1];
    assert!(failed.len() > 2, "{failed:?}");
    assert_eq!(raised_at(last).0, Some(Why::SomaxconnClamp), "one of many met the new number");
}

#[test]
fn answers_that_are_fast_in_a_second_life_do_not_make_the_first_one_s_withheld() {
    let mut record = slow();
    let last = record.probe.samples.len() - 3;
    let ended_ns = record.probe.samples[last].started_ns;
    for sample in &mut record.probe.samples[last..] {
        let answered_ns = sample.started_ns + 1_000_000;
        (sample.outcome, sample.ended_ns, sample.first_byte_ns) = (Outcome::Ok, answered_ns, Some(1_000_000));
    }
    let withheld = judge(&record);
    assert_eq!(withheld.cause, Some(CauseName::Undetermined), "one process that was fast now and then");
    let life =
        |started_ns, end| Life { started_ns, listening_ns: Some(started_ns), up_ns: None, ready: Vec::new(), end };
    let end = LifeEnd {
        why: LifeEndWhy::Change,
        decided_ns: ended_ns,
        gone_ns: Some(ended_ns),
        killed: false,
        how: "exit status 0".into(),
    };
    record.lives = vec![life(0, Some(end)), life(ended_ns, None)];
    assert_eq!(judge(&record).cause, Some(CauseName::SlowAnswer));
}

#[test]
fn an_acceptor_that_is_at_its_limit_now_and_then_while_probes_wait_is_not_called_stalled() {
    let mut record = dead(4_096);
    assert_eq!(judge(&record).cause, Some(CauseName::AcceptorStalled));
    let at: Vec<u64> = record.probe.samples.iter().filter(|s| !s.outcome.passed()).map(|s| s.ended_ns).collect();
    let target = record.evidence.processes.iter_mut().find(|p| p.role == Role::Target).expect("a target");
    let (limit, reads) = (target.nofile_soft.last, target.descriptors.reads);
    let mut open = brimful_evidence::series::Series::starting(0, 11);
    for ns in at {
        // Long after the probe connected, and not for long.
        open.push(ns - 500_000_000, limit);
        open.push(ns - 490_000_000, 11);
    }
    open.reads = reads;
    target.descriptors = open;
    let verdict = judge(&record);
    assert_eq!(verdict.cause, Some(CauseName::Undetermined), "{:?}", verdict.proof);
    assert!(verdict.undecided.iter().any(|open| open.cause == CauseName::AcceptorStalled));
}
