//! Each cause with a record that shows it, and one that nearly does.

use brimful_evidence::record::Record;
use brimful_evidence::series::Series;
use brimful_loadgen_plan::outcome::{Failure, Phase};
use brimful_loadgen_plan::probe::{Outcome, Sample};
use brimful_plan::cell::KnobValue;
use brimful_plan::expect::{CauseName, CellOutcome, Why};
use brimful_testing::*;

use crate::verdict::{Verdict, judge, worth_repeating};
use CauseName::*;

fn cause(record: &Record) -> Option<CauseName> {
    judge(record).cause
}

fn excludes(verdict: &Verdict, cause: CauseName) -> bool {
    verdict.ruled_out.iter().any(|out| out.cause == cause)
}

fn leaves_open(verdict: &Verdict, cause: CauseName) -> bool {
    verdict.undecided.iter().any(|open| open.cause == cause)
}

fn values(verdict: &Verdict) -> Vec<&str> {
    verdict.proof.iter().map(|line| line.value.as_str()).collect()
}

#[test]
fn a_healthy_cell_has_no_cause_and_says_how_near_it_came() {
    let verdict = judge(&healthy());
    assert_eq!((verdict.outcome, verdict.cause, &verdict.cure), (CellOutcome::Healthy, None, &None));
    assert_eq!(verdict.ruled_out, []);
    assert!(values(&verdict).contains(&"12012 of 65535"), "{:?}", verdict.proof);
}

#[test]
fn descriptors_at_the_limit_below_a_full_queue_show_as_connected_and_never_answered() {
    let record = fd_limit();
    assert!(record.probe.samples.iter().skip(1).all(|s| s.outcome == Outcome::ResponseTimeout));
    let verdict = judge(&record);
    assert_eq!((verdict.outcome, verdict.cause), (CellOutcome::Failing, Some(FdLimit)));
    assert!(values(&verdict).contains(&"1024 of 1024"));
    assert!(excludes(&verdict, AcceptQueue) && excludes(&verdict, SynQueue) && excludes(&verdict, GeneratorBound));
    let cure = verdict.cure.unwrap();
    assert_eq!((cure.knob.as_str(), cure.value), ("target.raise-nofile", Some(KnobValue::Switch(true))));
    assert!(cure.because.contains("14,000") && cure.because.contains("524,288"), "{}", cure.because);
}

#[test]
fn a_full_queue_behind_an_acceptor_without_descriptors_is_a_symptom_and_is_called_one() {
    let record = fd_limit_behind_full_queue();
    assert!(record.evidence.server.counters["TcpExt.ListenOverflows"].delta() > 1_000);
    let verdict = judge(&record);
    assert_eq!(verdict.cause, Some(FdLimit));
    for symptom in [AcceptQueue, AcceptorStalled] {
        let out = verdict.ruled_out.iter().find(|out| out.cause == symptom).unwrap();
        assert!(out.line.text.contains("symptom"), "{out:?}");
    }
}

#[test]
fn a_hard_limit_that_is_too_low_asks_for_the_hard_limit() {
    let mut record = fd_limit();
    record.evidence.processes[0].nofile_hard = Series { reads: 110, ..Series::starting(0, 4_096) };
    let cure = judge(&record).cure.unwrap();
    assert_eq!((cure.knob.as_str(), cure.value), ("ulimit.nofile", Some(KnobValue::Number(14_000))));
}

#[test]
fn descriptors_at_the_limit_explain_no_syn_lost_before_an_idle_queue() {
    let mut record = fd_limit();
    fail_from(&mut record, 1, Outcome::ConnectTimeout);
    let listener = record.evidence.server.listeners.get_mut(ADDRESS).unwrap();
    listener.recv_q = flat();
    let verdict = judge(&record);
    assert_eq!(verdict.cause, Some(Undetermined));
    assert!(excludes(&verdict, FdLimit) && excludes(&verdict, AcceptQueue), "{verdict:#?}");
}

#[test]
fn one_descriptor_below_the_limit_is_not_the_limit() {
    let mut record = fd_limit();
    record.evidence.processes[0].nofile_soft = Series { reads: 110, ..Series::starting(0, 1_025) };
    assert_eq!(cause(&record), Some(AcceptorStalled));
}

#[test]
fn without_the_target_s_descriptors_neither_of_the_two_is_named() {
    let mut record = fd_limit();
    record.evidence.processes.clear();
    let verdict = judge(&record);
    assert_eq!(verdict.cause, Some(Undetermined));
    assert!(leaves_open(&verdict, FdLimit) && leaves_open(&verdict, AcceptorStalled), "{verdict:#?}");
}

#[test]
fn a_server_that_exits_at_emfile_is_out_of_descriptors_and_not_merely_gone() {
    let mut record = ended();
    record.evidence.processes[0].nofile_soft = Series { reads: 110, ..Series::starting(0, 12_012) };
    record.target.early_ends[0].said = "accept4: Too many open files".into();
    let verdict = judge(&record);
    assert_eq!(verdict.cause, Some(FdLimit));
    assert!(verdict.proof.iter().any(|l| l.text.contains("Too many open files")));
    assert!(excludes(&verdict, NoListener));
}

#[test]
fn too_many_open_files_is_believed_only_of_a_process_near_its_limit() {
    let mut record = ended();
    record.target.early_ends[0].said = "accept4: Too many open files (os error 24)".into();
    assert_eq!(cause(&record), Some(NoListener), "inotify says the same");
    record.evidence.processes[0].nofile_soft = Series { reads: 110, ..Series::starting(0, 12_100) };
    assert_eq!(cause(&record), Some(FdLimit));
    record.target.early_ends[0].said.clear();
    let verdict = judge(&record);
    assert_eq!(verdict.cause, Some(NoListener));
    assert!(leaves_open(&verdict, FdLimit), "{verdict:#?}");
}

#[test]
fn a_load_cut_short_by_the_end_of_the_target_is_not_the_generator_s_fault() {
    let mut record = ended();
    record.load.outcome.attempted -= 3_000;
    assert_eq!(cause(&record), Some(NoListener));
}

#[test]
fn a_queue_that_drains_between_bursts_is_too_small() {
    let record = bursts().record();
    let verdict = judge(&record);
    assert_eq!((verdict.cause, verdict.why), (Some(AcceptQueue), Some(Why::AppBacklog)), "{verdict:#?}");
    assert!(excludes(&verdict, AcceptorStalled) && excludes(&verdict, FdLimit));
    let cure = verdict.cure.unwrap();
    assert_eq!((cure.knob.as_str(), cure.value), ("target.backlog", Some(KnobValue::Number(2_048))));
    assert!(cure.also.is_empty());
}

#[test]
fn a_cell_with_the_proposed_backlog_is_indeed_healthy() {
    let record = World { backlog: 2_048, limit: 2_048, ..bursts() }.record();
    assert_eq!(judge(&record).outcome, CellOutcome::Healthy);
}

#[test]
fn two_equal_numbers_are_the_program_s_and_both_must_rise() {
    let verdict = judge(&World { somaxconn: 128, ..bursts() }.record());
    assert_eq!(verdict.why, Some(Why::AppBacklog));
    let cure = verdict.cure.unwrap();
    assert_eq!(cure.also.iter().map(|s| s.knob.as_str()).collect::<Vec<_>>(), ["sysctl.net.core.somaxconn"]);
    assert!(cure.because.contains("both must rise"), "{}", cure.because);
}

#[test]
fn a_backlog_cut_down_by_somaxconn_is_told_from_a_socket_that_listened_before() {
    let clamp = judge(&World { backlog: 4_096, somaxconn: 128, ..bursts() }.record());
    assert_eq!((clamp.cause, clamp.why), (Some(AcceptQueue), Some(Why::SomaxconnClamp)));
    let cure = clamp.cure.unwrap();
    assert_eq!((cure.knob.as_str(), cure.also.len()), ("sysctl.net.core.somaxconn", 0));
    let stale = judge(&World { backlog: 4_096, somaxconn: 4_096, ..bursts() }.record());
    assert_eq!((stale.cause, stale.why), (Some(AcceptQueue), Some(Why::NotRelistened)));
    assert_eq!(stale.cure.unwrap().value, None);
}

#[test]
fn a_pause_longer_than_the_probe_waits_is_a_stalled_acceptor() {
    let record = World { pause: Some((900, 4_000, 3_500)), ..bursts() }.record();
    let verdict = judge(&record);
    assert_eq!(verdict.cause, Some(AcceptorStalled), "{verdict:#?}");
    assert!(excludes(&verdict, AcceptQueue));
}

#[test]
fn an_acceptor_slower_than_what_comes_is_stalled_though_it_runs() {
    let record = World { accepts_per_s: 200, backlog: 128, limit: 128, hold_ms: 4_000, ..World::default() }.record();
    let verdict = judge(&record);
    assert_eq!(verdict.cause, Some(AcceptorStalled), "{verdict:#?}");
}

#[test]
fn an_acceptor_that_never_accepts_is_stalled_with_a_full_queue_and_with_an_ample_one() {
    for limit in [128, 32_768] {
        let verdict = judge(&dead(limit));
        assert_eq!(
            (verdict.outcome, verdict.cause),
            (CellOutcome::Failing, Some(AcceptorStalled)),
            "{limit}: {verdict:#?}"
        );
        assert!(excludes(&verdict, AcceptQueue) && excludes(&verdict, FdLimit));
        assert_eq!(verdict.cure.unwrap().value, None);
    }
}

#[test]
fn a_queue_read_once_a_second_does_not_tell_a_pause_from_a_standstill() {
    let mut record = bursts().record();
    let listener = record.evidence.server.listeners.get_mut(ADDRESS).unwrap();
    let mut seldom = Series::default();
    (0..11).for_each(|i| seldom.push(i * SECOND, if i < 7 { 129 } else { 0 }));
    listener.recv_q = seldom;
    let verdict = judge(&record);
    assert_eq!(verdict.cause, Some(Undetermined));
    assert!(leaves_open(&verdict, AcceptQueue) && leaves_open(&verdict, AcceptorStalled), "{verdict:#?}");
}

#[test]
fn an_overflow_at_another_time_is_no_cause() {
    let mut record = bursts().record();
    fail_from(&mut record, 0, Outcome::Ok);
    fail_from(&mut record, 9, Outcome::ConnectTimeout);
    let verdict = judge(&record);
    assert_eq!((verdict.outcome, verdict.cause), (CellOutcome::Degraded, Some(Undetermined)));
    assert!(excludes(&verdict, AcceptQueue), "{verdict:#?}");
}

#[test]
fn the_actual_evidence_of_the_origin_rules_out_both_published_causes() {
    let verdict = judge(&origin_replay());
    assert_eq!((verdict.outcome, verdict.cause), (CellOutcome::Failing, Some(Undetermined)));
    for out in [AcceptQueue, SynQueue, FdLimit, AcceptorStalled, NoListener, GeneratorBound] {
        assert!(excludes(&verdict, out), "{out}: {verdict:#?}");
    }
    let open = verdict.undecided.first().unwrap();
    assert!(open.why.contains("before the socket") && open.collect.iter().any(|c| c.contains("conntrack")));
    assert_eq!(verdict.cure, None);
}

#[test]
fn an_idle_queue_is_excluded_even_where_no_counter_was_read() {
    let mut record = origin_replay();
    record.evidence.server.counters.clear();
    record.evidence.server.listeners.get_mut(ADDRESS).unwrap().drops = Series::default();
    let verdict = judge(&record);
    assert_eq!(verdict.cause, Some(Undetermined));
    assert!(excludes(&verdict, AcceptQueue) && leaves_open(&verdict, SynQueue), "{verdict:#?}");
}

#[test]
fn a_small_queue_without_counters_is_not_taken_for_one_that_never_overflowed() {
    let mut record = World { backlog: 128, limit: 128, ..World::default() }.record();
    fail_from(&mut record, 1, Outcome::ConnectTimeout);
    record.evidence.server.counters.clear();
    record.evidence.server.listeners.get_mut(ADDRESS).unwrap().drops = Series::default();
    let verdict = judge(&record);
    assert!(leaves_open(&verdict, AcceptQueue) && leaves_open(&verdict, AcceptorStalled), "{verdict:#?}");
}

#[test]
fn a_slow_program_is_no_limit() {
    let mut record = healthy();
    fail_from(&mut record, 2, Outcome::ResponseTimeout);
    let verdict = judge(&record);
    assert_eq!(verdict.cause, Some(Undetermined));
    for out in [AcceptQueue, AcceptorStalled, FdLimit, SynQueue] {
        assert!(excludes(&verdict, out), "{out}: {verdict:#?}");
    }
    assert!(verdict.undecided[0].why.contains("the program itself"));
}

#[test]
fn a_syn_queue_that_drops_is_shown_by_its_own_counter() {
    let verdict = judge(&syn_queue());
    assert_eq!(verdict.cause, Some(SynQueue), "{verdict:#?}");
    assert!(excludes(&verdict, AcceptQueue));
    assert_eq!(verdict.cure.unwrap().knob, "sysctl.net.ipv4.tcp_syncookies");
}

#[test]
fn the_three_quarter_rule_shows_by_what_no_other_counter_explains() {
    let verdict = judge(&three_quarters());
    assert_eq!(verdict.cause, Some(SynQueueThreeQuarterRule));
    assert!(excludes(&verdict, SynQueue), "TCPReqQFullDrop counts every drop of a full SYN queue");
    let mut unrouted = three_quarters();
    unrouted.evidence.server.counters.insert("Ip.OutNoRoutes".into(), rising(37));
    assert!(leaves_open(&judge(&unrouted), SynQueueThreeQuarterRule));
    let mut few = three_quarters();
    few.evidence.server.sockets.clear();
    assert_eq!(cause(&few), Some(Undetermined));
}

#[test]
fn cookies_sent_are_no_drops() {
    let mut record = syn_queue();
    for name in ["TcpExt.TCPReqQFullDrop", "TcpExt.ListenDrops"] {
        record.evidence.server.counters.insert(name.into(), flat());
    }
    record.evidence.server.counters.insert("TcpExt.TCPReqQFullDoCookies".into(), rising(37));
    assert!(excludes(&judge(&record), SynQueue));
}

#[test]
fn a_counter_an_older_kernel_lacks_is_not_zero() {
    let verdict = judge(&without_counters(syn_queue(), &["TcpExt.TCPReqQFullDrop"]));
    assert_eq!(verdict.cause, Some(Undetermined));
    assert!(leaves_open(&verdict, SynQueue) && !excludes(&verdict, SynQueue));
    let flat_drops = judge(&without_counters(origin_replay(), &["TcpExt.TCPReqQFullDrop"]));
    assert!(excludes(&flat_drops, SynQueue), "ListenDrops counts every kind of drop");
}

#[test]
fn a_target_that_ended_is_named_with_its_last_words() {
    let verdict = judge(&ended());
    assert_eq!(verdict.cause, Some(NoListener), "{verdict:#?}");
    assert!(verdict.proof.iter().any(|l| l.text.contains("panicked at src/main.rs:7")));
}

#[test]
fn a_refusal_while_something_listens_is_not_a_missing_listener() {
    let mut record = ended();
    record.target.early_ends.clear();
    let verdict = judge(&record);
    assert_eq!(verdict.cause, Some(Undetermined));
    assert!(leaves_open(&verdict, NoListener));
}

#[test]
fn a_generator_out_of_ports_makes_the_cell_void_and_blames_nobody() {
    let verdict = judge(&out_of_ports());
    assert_eq!((verdict.outcome, verdict.cause), (CellOutcome::Void, Some(GeneratorBound)));
    assert_eq!(verdict.cure.unwrap().knob, "load.source");
    assert_eq!(verdict.ruled_out, []);
}

/// A load whose heartbeats, each four seconds, were sent so late.
fn beats(record: &mut Record, late_ns: u64) {
    let interval = std::time::Duration::from_secs(4);
    record.load.plan.behaviour = brimful_loadgen_plan::plan::Behaviour::Heartbeat { interval, share_percent: 10 };
    (0..200).for_each(|_| record.load.outcome.heartbeat_lag.record(late_ns));
}

#[test]
fn every_shortfall_of_the_generator_voids_the_cell_and_next_to_one_does_not() {
    type Change = fn(&mut Record);
    let void: [Change; 8] = [
        |r| r.load.missing_shards.push(1),
        |r| r.load.outcome.attempted -= 1,
        |r| (0..200).for_each(|_| r.load.outcome.lag.record(400 * MS)),
        |r| beats(r, 210 * MS),
        |r| r.probe.samples.clear(),
        |r| fail_from(r, 9, Outcome::LocalError),
        |r| {
            fail_from(r, 9, Outcome::ConnectTimeout);
            r.probe.samples[9].started_ns += 500 * MS;
        },
        |r| r.probe.samples.iter_mut().take(2).for_each(begins_late),
    ];
    for (i, change) in void.iter().enumerate() {
        let mut record = healthy();
        change(&mut record);
        let verdict = judge(&record);
        assert_eq!((verdict.outcome, verdict.cause), (CellOutcome::Void, Some(GeneratorBound)), "{i}");
        assert!(verdict.cure.is_some(), "{i}");
    }
    let sound: [Change; 6] = [
        |r| beats(r, 190 * MS),
        |r| (0..100).for_each(|_| r.load.outcome.lag.record(400 * MS)),
        |r| {
            r.interrupted = true;
            r.load.outcome.attempted -= 4_000;
        },
        |r| r.load.outcome.failures.push(Failure { phase: Phase::Bind, errno: "EADDRINUSE".into(), count: 12 }),
        |r| r.load.outcome.failures.push(Failure { phase: Phase::Hold, errno: "EOF".into(), count: 3_000 }),
        |r| r.probe.samples.iter_mut().take(1).for_each(begins_late),
    ];
    for (i, change) in sound.iter().enumerate() {
        let mut record = healthy();
        change(&mut record);
        assert_eq!(judge(&record).outcome, CellOutcome::Healthy, "{i}");
    }
}

/// Half a time-out late, and then as quick as ever.
fn begins_late(sample: &mut Sample) {
    sample.started_ns += 500 * MS;
    sample.ended_ns += 500 * MS;
}

#[test]
fn a_block_is_worth_repeating_when_the_machine_was_short_of_time_and_not_when_a_limit_was_met() {
    let mut busy = healthy();
    busy.probe.samples.iter_mut().take(2).for_each(begins_late);
    assert!(worth_repeating(&busy));
    assert!(!worth_repeating(&out_of_ports()));
    busy.load.outcome.failures.push(Failure { phase: Phase::Socket, errno: "EMFILE".into(), count: 3_000 });
    assert!(!worth_repeating(&busy), "both: the limit would be met again");
    let mut broken_off = healthy();
    broken_off.interrupted = true;
    broken_off.probe.samples.clear();
    assert!(!worth_repeating(&broken_off));
}

#[test]
fn an_interrupted_record_without_a_probe_is_void_and_names_no_cause() {
    let mut record = healthy();
    record.interrupted = true;
    record.probe.samples.clear();
    let verdict = judge(&record);
    assert_eq!((verdict.outcome, verdict.cause), (CellOutcome::Void, Some(Undetermined)));
}

#[test]
fn a_verdict_reads_back_as_it_was_written() {
    for record in [healthy(), fd_limit(), bursts().record(), origin_replay(), out_of_ports()] {
        let verdict = judge(&record);
        let text = serde_json::to_string(&verdict).unwrap();
        assert_eq!(serde_json::from_str::<Verdict>(&text).unwrap(), verdict);
    }
}
