//! Searches in the small world, and what is told of them.

use brimful_judge::Verdict;
use brimful_judge::knee::*;
use brimful_judge::verdict::judge;
use brimful_loadgen_plan::outcome::LoadPoint;
use brimful_loadgen_plan::probe::Outcome;
use brimful_plan::expect::{CauseName, CellOutcome};
use brimful_plan::knee::*;
use brimful_testing::knees::*;
use brimful_testing::{SECOND, World, fail_from, fd_limit, healthy, schema};

#[test]
fn the_knee_of_a_world_with_a_limit_is_its_closed_form() {
    let cell = knee_of(descriptors(1_024), "nofile=1024", 2_000, 9_999);
    let (low, top) = (cell.knee.healthy_to.unwrap(), cell.knee.unhealthy_from.unwrap());
    // The small world has 12 descriptors before the first connection, and the probe takes one more.
    assert!(low <= 1_011 && 1_011 < top && top - low <= 10, "{low} to {top}");
    assert!((0.98..=1.02).contains(&cell.ratio.unwrap()), "{:?}", cell.ratio);
    let broke = cell.breaks.as_ref().unwrap();
    assert_eq!((broke.load, broke.verdict.cause), (top, Some(CauseName::FdLimit)));
    assert!(cell.says_something());
}

#[test]
fn a_generator_that_ends_bounds_the_knee_from_below_only() {
    let cell = knee_of(descriptors(4_096), "base", 3_000, 1_500);
    let Knee { healthy_to, unhealthy_from, void_from, settled, .. } = cell.knee.clone();
    assert!(settled && unhealthy_from.is_none());
    assert!(healthy_to.unwrap() <= 1_500 && void_from.unwrap() > 1_500, "{:?}", cell.knee);
    assert_eq!(cell.ratio, None);
    assert_eq!(cell.breaks.unwrap().verdict.cause, Some(CauseName::GeneratorBound));
    assert!(!knee_of(descriptors(4_096), "base", 3_000, 0).tries.is_empty());
}

#[test]
fn a_search_is_void_where_nothing_can_be_said_of_any_cell() {
    let broken = World { connections: 5, ..descriptors(4_096) };
    let mut record = broken.record();
    record.probe.samples.clear();
    let seen = [Seen { load: 5, verdict: judge(&record), record: String::new() }];
    let knee = Knee { void_from: Some(5), ..Knee::default() };
    let void = CellKnee::gather(&record.cell, record.knobs.clone(), 5, knee, None, &seen);
    assert!(report(vec![void.clone(), void.clone()]).is_void());
    assert!(!report(vec![void, knee_of(descriptors(1_024), "base", 2_000, 9_999)]).is_void());
    assert!(!report(Vec::new()).is_void());
}

#[test]
fn a_rate_is_told_in_a_second() {
    let mut cell = knee_of(descriptors(1_024), "base", 2_000, 9_999);
    (cell.unit, cell.opened_over_ns) = (Unit::PerSecond, 4 * SECOND);
    assert_eq!([1, 50, 1_000, 6_000].map(|load| cell.load(load)), ["0.2/s", "12.5/s", "250/s", "1,500/s"]);
    assert_eq!(cell.load_in_words(1_000), "250 connections a second");
}

#[test]
fn a_ramp_that_broke_says_between_which_loads() {
    let mut record = fd_limit();
    let point = |s: u64, attempted| LoadPoint { at_ns: s * SECOND, attempted, ..LoadPoint::default() };
    record.load.outcome.timeline = (0..=11).map(|s| point(s, s * 100)).collect();
    for sample in &mut record.probe.samples {
        sample.outcome = Outcome::Ok;
    }
    fail_from(&mut record, 4, Outcome::ResponseTimeout);
    let verdict = judge(&record);
    // The probe of second 3 passed; that of second 4 was given up after 1.001 s.
    assert_eq!(hint(&record, &verdict), Some(Hint { passed_at: 300, failed_at: 600 }));
    // From the beginning: nothing passed, and the first was given up a little after a second.
    fail_from(&mut record, 0, Outcome::ResponseTimeout);
    assert_eq!(hint(&record, &verdict), Some(Hint { passed_at: 0, failed_at: 200 }));
    assert_eq!(hint(&healthy(), &judge(&healthy())), None);
    let void = Verdict { outcome: CellOutcome::Void, ..verdict };
    assert_eq!(hint(&record, &void), None, "what the generator did not give breaks nothing");
}

#[test]
fn json_is_read_as_it_is_written() {
    let report = many();
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<KneeReport>(&text).unwrap(), report);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&json["schema_version"], &json["within"]), (&1.into(), &"1%".into()));
    assert_eq!(json["cells"][0]["knee"]["unsteady"], serde_json::json!([]));
    assert!(serde_json::from_str::<Within>("\"2\"").is_err());
}

#[test]
fn knee_json_is_of_the_committed_schema() {
    schema::is_committed("knee", KNEE_VERSION, &schema::of::<KneeReport>("knee", "knee.json of brimful", KNEE_VERSION));
    let mut broken_off = report(Vec::new());
    broken_off.interrupted = true;
    for (which, report) in [("many", many()), ("broken-off", broken_off)] {
        schema::hand_over("knee", which, &report);
    }
}
