//! The forms of a report, as people and scripts will see them.

use brimful_evidence::record::Record;
use brimful_judge::confusion::{Confusion, pairs};
use brimful_judge::expect::check;
use brimful_judge::report::Report;
use brimful_plan::cell::KnobValue;
use brimful_plan::expect::{CauseName, CellOutcome, Expectation};
use brimful_testing::runs::*;
use brimful_testing::*;

use crate::text::{Look, render};

pub(super) fn text(report: &Report) -> String {
    render(report, Look { width: 100, color: false })
}

#[test]
fn the_origin_reads_well_in_a_hundred_columns() {
    let page = text(&report(ORIGIN, &origin_run()));
    assert!(page.lines().all(|line| line.chars().count() <= 100), "{page}");
    insta::assert_snapshot!(page);
}

#[test]
fn bursts_name_their_reason_and_what_to_paste() {
    let mut records: Vec<Record> = Vec::new();
    for (backlog, somaxconn) in [(128, 128), (128, 4_096), (4_096, 128), (4_096, 4_096)] {
        let limit = u64::from(backlog).min(somaxconn);
        let mut record = World { backlog, somaxconn, limit, ..bursts() }.record();
        record.cell.knobs.shift_remove("ulimit.nofile");
        record.knobs.shift_remove("ulimit.nofile");
        records.push(record);
    }
    insta::assert_snapshot!(text(&report("Which of the two numbers bounds the accept queue?", &records)));
}

#[test]
fn that_a_number_is_not_read_with_cookies_is_said_beside_what_it_made() {
    let mut records = origin_run();
    for record in &mut records {
        record.cell.sysctls.insert("net.ipv4.tcp_syncookies".into(), "1".into());
    }
    let page = render(&report(ORIGIN, &records), Look { width: 160, color: false });
    assert!(page.contains("made no difference here, in 4 pairs; it is not read while cookies are on"), "{page}");
    records[0].cell.sysctls.insert("net.ipv4.tcp_syncookies".into(), "0".into());
    let page = render(&report(ORIGIN, &records), Look { width: 160, color: false });
    assert!(page.contains("in 7 cells cookies are on, and it is not read"), "{page}");
}

#[test]
fn a_loss_that_several_listeners_share_reads_well() {
    insta::assert_snapshot!(text(&report("What do the published figures allow?", &[origin_with_a_filter()])));
}

#[test]
fn a_healthy_cell_is_told_in_few_lines() {
    insta::assert_snapshot!(text(&report("Is anything wrong?", &[healthy()])));
}

#[test]
fn a_void_cell_blames_the_generator() {
    insta::assert_snapshot!(text(&report("How many can it hold?", &[out_of_ports()])));
}

#[test]
fn the_actual_evidence_of_the_origin_is_told_without_a_name() {
    insta::assert_snapshot!(text(&report("What do the published figures allow?", &[origin_replay()])));
}

#[test]
fn the_json_keeps_its_paths() {
    let report = report(ORIGIN, &[fd_limit()]);
    insta::assert_snapshot!(serde_json::to_string_pretty(&report).unwrap());
    let json = serde_json::to_value(&report).unwrap();
    for path in [
        "/schema_version",
        "/tool/version",
        "/host/kernel",
        "/scenario/name",
        "/scenario/question",
        "/seed",
        "/cells/0/id",
        "/cells/0/knobs/ulimit.nofile/asked",
        "/cells/0/knobs/ulimit.nofile/given",
        "/cells/0/blocks/0/outcome",
        "/cells/0/outcome",
        "/cells/0/verdict/cause",
        "/cells/0/verdict/proof",
        "/cells/0/verdict/ruled_out",
        "/cells/0/verdict/undecided",
        "/cells/0/verdict/cure/where",
        "/cells/0/probe/sent",
        "/cells/0/probe/ok",
        "/cells/0/probe/failed",
        "/cells/0/probe/outcomes/response-timeout",
        "/cells/0/probe/failure_rate",
        "/cells/0/probe/restricted_mean_ns",
        "/cells/0/probe/latency_ns/p50/at_least_ns",
        "/cells/0/probe/latency_ns/p90",
        "/cells/0/probe/latency_ns/p99",
        "/cells/0/probe/latency_ns/max",
        "/cells/0/probe/would_restart_at_s",
        "/cells/0/load/requested",
        "/cells/0/load/attempted",
        "/cells/0/load/established",
        "/cells/0/load/held",
        "/cells/0/load/errors",
        "/cells/0/load/rate_per_s",
        "/cells/0/load/lag_ns/p99",
        "/cells/0/evidence/server.TcpExt.ListenOverflows/max",
        "/cells/0/evidence/listener.127.0.0.1:23380.recv_q/first",
        "/cells/0/evidence/target.0.descriptors/last",
        "/cells/0/cost/setup_ms",
        "/cells/0/cost/teardown_ms",
        "/cells/0/cost/observer_cpu_fraction",
        "/ranking/0/cell",
        "/ranking/0/rank",
        "/ranking/0/cost/changed",
    ] {
        assert!(json.pointer(path).is_some(), "{path}");
    }
}

#[test]
fn the_json_of_a_matrix_has_its_tunings() {
    let json = serde_json::to_value(report(ORIGIN, &origin_run())).unwrap();
    for path in [
        "/knob_effects/2/values/1",
        "/knob_effects/2/metrics/failure-rate/median",
        "/knob_effects/2/metrics/latency.restricted-mean/least",
        "/knob_effects/2/metrics/latency.p99/median/at_most",
        "/knob_effects/2/metrics/load.held/up",
        "/ranking/7/behind_by",
        "/ranking/7/cost/takes",
        "/ranking/7/cost/weight",
        "/ranking/7/cost/memory_bytes",
        "/recommended/cell",
        "/recommended/from",
        "/recommended/changes/0/to",
        "/recommended/cures",
        "/recommended/of",
        "/recommended/because",
        "/recommended/costs/changed",
        "/recommended/leave/1",
        "/recommended/pastes/0/place",
        "/recommended/pastes/0/title",
        "/recommended/pastes/0/text",
        "/recommended/pastes/0/note",
    ] {
        assert!(json.pointer(path).is_some(), "{path}");
    }
}

#[test]
fn a_report_from_before_tunings_were_ranked_is_read() {
    let mut json = serde_json::to_value(report(ORIGIN, &origin_run())).unwrap();
    let all = json.as_object_mut().unwrap();
    all.retain(|key, _| !["ranking", "recommended", "nothing_recommended"].contains(&key.as_str()));
    for effect in all["knob_effects"].as_array_mut().unwrap() {
        effect.as_object_mut().unwrap().retain(|key, _| !["values", "metrics"].contains(&key.as_str()));
    }
    let old: Report = serde_json::from_value(json).unwrap();
    assert!(old.ranking.is_empty() && old.recommended.is_none());
    assert!(!text(&old).contains("Recommended"));
}

#[test]
fn a_report_reads_back_as_it_was_written() {
    let report = report(ORIGIN, &origin_run());
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
}

#[test]
fn colour_is_there_only_when_asked_for() {
    let report = report(ORIGIN, &origin_run());
    assert!(!render(&report, Look { width: 80, color: false }).contains('\u{1b}'));
    let coloured = render(&report, Look { width: 80, color: true });
    assert!(coloured.contains("\u{1b}["), "{coloured}");
}

#[test]
fn the_worst_block_speaks_for_a_cell_and_a_void_one_only_when_all_are() {
    let report = report(ORIGIN, &blocks(vec![out_of_ports(), healthy(), fd_limit()]));
    let cell = &report.cells[0];
    assert_eq!(
        (cell.outcome, cell.verdict.cause, cell.told_by_block),
        (CellOutcome::Failing, Some(CauseName::FdLimit), 2)
    );
    assert_eq!(cell.probe.sent, 20, "the void block's ten are left out");
    assert!(cell.verdict.notes.iter().any(|n| n.starts_with("of 3 blocks 1 failing, 1 healthy, 1 void")));
    assert!(report.has_void_blocks());
}

#[test]
fn blocks_that_disagree_on_the_cause_leave_it_undetermined() {
    let report = report(ORIGIN, &blocks(vec![fd_limit(), dead(128)]));
    let verdict = &report.cells[0].verdict;
    assert_eq!((verdict.cause, &verdict.cure), (Some(CauseName::Undetermined), &None));
    assert!(verdict.undecided.iter().any(|u| u.why.contains("fd-limit in block 0, acceptor-stalled in block 1")));
    assert!(verdict.ruled_out.iter().all(|out| ![CauseName::FdLimit, CauseName::AcceptorStalled].contains(&out.cause)));
}

fn expectation(nofile: u64, outcome: CellOutcome, cause: Option<CauseName>) -> Expectation {
    Expectation {
        when: vec![("ulimit.nofile".into(), KnobValue::Number(nofile))],
        outcome: vec![outcome],
        cause,
        why: None,
        must_not_claim: vec![CauseName::AcceptQueue, CauseName::SynQueue],
        took: None,
        restarts: None,
        settles: None,
    }
}

#[test]
fn a_run_that_finds_what_it_should_has_no_mismatch() {
    let report = report(ORIGIN, &origin_run());
    let expected = [
        expectation(1_024, CellOutcome::Failing, Some(CauseName::FdLimit)),
        expectation(65_535, CellOutcome::Healthy, None),
    ];
    assert_eq!(check(&expected, &report), []);
}

#[test]
fn truth_and_verdict_are_paired_for_every_block_that_an_expectation_speaks_of() {
    let report = report(ORIGIN, &origin_run());
    let mut open = expectation(1_024, CellOutcome::Failing, None);
    open.outcome.push(CellOutcome::Degraded);
    let expected = [
        expectation(1_024, CellOutcome::Failing, Some(CauseName::FdLimit)),
        expectation(65_535, CellOutcome::Healthy, None),
        open,
    ];
    let matrix = Confusion::of(pairs(&expected, &report));
    assert_eq!((matrix.right(), matrix.undetermined(), matrix.wrong()), (8, 0, 0), "{matrix}");
}

#[test]
fn every_way_to_miss_an_expectation_is_said_in_words() {
    let records = origin_run();
    let planned = cells(&records);
    let report = Report::build(info(ORIGIN, 1), &records[..7], &planned);
    assert_eq!(report.missing.len(), 1);
    let mut wrong = expectation(1_024, CellOutcome::Healthy, Some(CauseName::AcceptQueue));
    wrong.must_not_claim.push(CauseName::FdLimit);
    let expected = [wrong, expectation(65_535, CellOutcome::Healthy, None), expectation(7, CellOutcome::Healthy, None)];
    let said: Vec<String> = check(&expected, &report)
        .iter()
        .map(|m| format!("{}: expected {}, got {}", m.cell.as_deref().unwrap_or("-"), m.expected, m.got))
        .collect();
    let first = "somaxconn=128,tcp_max_syn_backlog=1024,nofile=1024";
    assert_eq!(
        said[..3],
        [
            format!("{first}: expected outcome healthy, got failing (fd-limit)"),
            format!("{first}: expected cause accept-queue, got fd-limit"),
            format!("{first}: expected not to claim fd-limit, got fd-limit claimed"),
        ]
    );
    assert_eq!(
        said[said.len() - 2..],
        [
            "somaxconn=32768,tcp_max_syn_backlog=32768,nofile=65535: expected to be run, got no record of block 0",
            "-: expected a cell with ulimit.nofile = 7, got none",
        ]
    );
}

#[test]
fn a_run_without_a_record_is_still_a_report() {
    let report = Report::build(info(ORIGIN, 1), &[], &cells(&[healthy()]));
    assert_eq!(report.headline[0], "No cell was run.");
    assert!(text(&report).contains("not run to the end"));
}

/// Saved records, as `brimful report` finds them: what the form means must not change under them.
const SAVED: [(&str, &str, Option<CauseName>); 3] = [
    ("fd-limit", include_str!("../../../judge/tests/fixtures/records/fd-limit.json"), Some(CauseName::FdLimit)),
    (
        "accept-queue",
        include_str!("../../../judge/tests/fixtures/records/accept-queue.json"),
        Some(CauseName::AcceptQueue),
    ),
    (
        "origin-replay",
        include_str!("../../../judge/tests/fixtures/records/origin-replay.json"),
        Some(CauseName::Undetermined),
    ),
];

#[test]
fn a_verdict_can_be_recomputed_from_a_saved_record() {
    for (name, text, cause) in SAVED {
        let record: Record = serde_json::from_str(text).unwrap();
        assert_eq!(record.record_version, brimful_evidence::record::RECORD_VERSION, "{name}");
        assert_eq!(brimful_judge::judge(&record).cause, cause, "{name}");
        assert_eq!(serde_json::to_string(&record).unwrap(), text.trim_end(), "{name}");
    }
}

/// A record as a brimful wrote it that knew none of the later settings of the target, no faults and no prediction.
#[test]
fn a_record_from_before_a_setting_is_read_as_one_without_it() {
    for (name, text, cause) in SAVED {
        let whole: Record = serde_json::from_str(text).unwrap();
        let mut value: serde_json::Value = serde_json::from_str(text).unwrap();
        let later = [
            ("/cell", "faults"),
            ("/cell/target", "cpu_percent"),
            ("/cell/target/plan", "accept-rate"),
            ("/cell/target/plan", "block"),
            ("/cell/target/plan", "max-connections"),
            ("/cell/target/plan", "at-max"),
            ("/cell/target/plan", "leak-one-in"),
            ("/cell/target/plan", "answer-delay"),
            ("/cell/target/plan", "defer-accept"),
            ("/cell/target/plan", "reuseport"),
            ("/cell/target/plan", "reuseport-stuck"),
        ];
        for (table, key) in later {
            let table = value.pointer_mut(table).and_then(serde_json::Value::as_object_mut).unwrap();
            assert!(table.remove(key).is_some(), "{name}: {key} is not there to be taken out");
        }
        let older: Record = serde_json::from_value(value).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(older.cell, whole.cell, "{name}");
        assert_eq!(brimful_judge::judge(&older).cause, cause, "{name}");
    }
}
