//! Records of servers that are not brimful's own: no account, several processes, and words that prove nothing.

use std::time::Duration;

use brimful_evidence::record::{CommandRecord, Member, Record, TargetRecord};
use brimful_evidence::series::Series;
use brimful_evidence::server_log::{Message, Words};
use brimful_plan::cell::KnobValue;
use brimful_plan::command::{Command, Readiness, StopSignal};
use brimful_plan::expect::{CauseName, CellOutcome, Why};
use brimful_testing::*;
use indexmap::IndexMap;

use crate::cause::ProofLine;
use crate::verdict::{Verdict, judge};
use CauseName::*;

/// The same seen of a stranger: a master beside the process that serves, no word of its own but what it wrote.
fn strange(mut record: Record, wrote: &str) -> Record {
    let message = Message { text: wrote.into(), lines: 14, first_ns: SECOND, last_ns: 9 * SECOND };
    let words = Words { messages: vec![message], lines: 14, unkept: 0 };
    record.target = TargetRecord {
        early_ends: record.target.early_ends,
        commands: vec![CommandRecord { shard: 0, ready_after_ns: 40 * MS, ended: None, words }],
        ..TargetRecord::default()
    };
    record.cell.target.command = Some(Command {
        argv: vec!["server".into()],
        env: IndexMap::new(),
        files: IndexMap::new(),
        directory: None,
        user: None,
        ready: Readiness::Tcp(23_380),
        start_timeout: Duration::from_secs(10),
        stop_signal: StopSignal::Term,
        args: IndexMap::new(),
        backlog: None,
    });
    let mut worker = record.evidence.processes[0].clone();
    worker.member = Some(Member { number: 1, name: "worker".into() });
    worker.pid += 1;
    let mut master = worker.clone();
    master.member = Some(Member { number: 0, name: "master".into() });
    master.pid -= 1;
    master.descriptors = steady(8);
    record.evidence.processes.splice(0..1, [master, worker]);
    record
}

fn said(verdict: &Verdict) -> Vec<&ProofLine> {
    verdict.proof.iter().filter(|line| line.text.starts_with("said by the server")).collect()
}

#[test]
fn a_worker_at_its_limit_is_enough_and_what_it_says_stands_beside_it() {
    for record in [fd_limit(), fd_limit_behind_full_queue()] {
        let verdict = judge(&strange(record, "accept4() failed (24: Too many open files)"));
        assert_eq!((verdict.outcome, verdict.cause), (CellOutcome::Failing, Some(FdLimit)));
        assert!(verdict.proof.iter().any(|line| line.source == "target.0.1.descriptors"), "{:#?}", verdict.proof);
        let [line] = said(&verdict)[..] else { panic!("{:#?}", verdict.proof) };
        assert_eq!((line.source.as_str(), line.at_ns), ("target.0.log", Some(SECOND)));
        let cure = verdict.cure.unwrap();
        assert_eq!(cure.knob, "ulimit.nofile", "whether a stranger raises its own limit is not ours to say");
    }
}

#[test]
fn words_alone_prove_nothing() {
    // Slow answers, while something else in the program has met some other limit of files.
    let verdict = judge(&strange(slow(), "inotify_init: Too many open files"));
    assert_eq!(verdict.cause, Some(SlowAnswer));
    assert!(verdict.ruled_out.iter().any(|out| out.cause == FdLimit));
    assert!(said(&verdict).is_empty(), "{:#?}", verdict.proof);
}

#[test]
fn a_cap_is_one_of_all_processes_together() {
    // Slowly enough that the first reading is taken before the first connection, as in a cell.
    let world = World { connections: 1_500, ramp_ms: 3_100, cap: Some((1_000, false)), ..World::default() };
    let mut record = strange(world.record(), "");
    let verdict = judge(&record);
    assert_eq!(verdict.cause, Some(AppConnectionCap), "{verdict:#?}");
    let whole = record.evidence.processes[1].descriptors.clone();
    // Two workers with half of the connections each.
    let mut half = Series::default();
    whole.points.iter().for_each(|&(at_ns, open)| half.push(at_ns, 8 + (open - whole.first) / 2));
    half.reads = whole.reads;
    record.evidence.processes[1].descriptors = half;
    let mut second = record.evidence.processes[1].clone();
    second.pid += 1;
    second.member = Some(Member { number: 2, name: "worker".into() });
    record.evidence.processes.push(second);
    let verdict = judge(&record);
    assert_eq!(verdict.cause, Some(AppConnectionCap), "{:#?}", verdict);
    assert_eq!(judge(&strange(turning_away(), "max number of clients reached")).cause, Some(AppConnectionCap));
}

#[test]
fn a_backlog_that_nobody_stated_is_read_from_the_limit_where_somaxconn_is_above_it() {
    let verdict = judge(&strange(bursts().record(), ""));
    assert_eq!((verdict.cause, verdict.why), (Some(AcceptQueue), Some(Why::AppBacklog)));
    assert_eq!(verdict.cure.unwrap().knob, "target.backlog");
    // The limit is somaxconn: the program may have asked for more, or for just that.
    let record = World { somaxconn: 128, ..bursts() }.record();
    let verdict = judge(&strange(record, ""));
    assert_eq!((verdict.cause, verdict.why), (Some(AcceptQueue), None));
    assert!(verdict.cure.is_none());
}

#[test]
fn a_cap_is_cured_by_the_one_setting_that_varies() {
    let mut record = strange(turning_away(), "");
    assert_eq!(judge(&record).cure.unwrap().knob, "the program's own limit");
    let reading = brimful_evidence::record::KnobReading {
        asked: KnobValue::Number(1_000),
        given: Some(KnobValue::Number(1_000)),
        reason: None,
    };
    record.knobs.insert("target.arg.maxconn".into(), reading);
    assert_eq!(judge(&record).cure.unwrap().knob, "target.arg.maxconn");
}
