//! Whole runs, and what is said of their tunings first.

use brimful_evidence::record::{KnobReading, Record};
use brimful_judge::report::Report;
use brimful_plan::arm::ARM;
use brimful_plan::cell::{KnobSetting, KnobValue};
use brimful_testing::runs::report;
use brimful_testing::*;
use indexmap::IndexMap;

use crate::tests::report::text;
use crate::text::{Look, render};

const SOMAXCONN: &str = "sysctl.net.core.somaxconn";
const BACKLOG: &str = "target.backlog";
const NOFILE: &str = "ulimit.nofile";

/// The record as the cell of a matrix with these knobs: name, asked, given.
fn cell(mut record: Record, knobs: &[(&str, KnobValue, KnobValue)]) -> Record {
    let reading = |asked: &KnobValue, given: &KnobValue| KnobReading {
        asked: asked.clone(),
        given: Some(given.clone()),
        reason: (asked != given).then(|| "it was cut down".to_owned()),
    };
    let readings: IndexMap<String, KnobReading> =
        knobs.iter().map(|(name, asked, given)| ((*name).to_owned(), reading(asked, given))).collect();
    let setting = |k: &KnobReading| KnobSetting { asked: k.asked.clone(), set: k.asked.clone(), clamped_because: None };
    record.cell.knobs = readings.iter().map(|(name, k)| (name.clone(), setting(k))).collect();
    let short = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let id: Vec<String> = knobs.iter().map(|(name, asked, _)| format!("{}={asked}", short(name))).collect();
    record.cell.id = id.join(",");
    record.knobs = readings;
    record
}

fn number(n: u64) -> KnobValue {
    KnobValue::Number(n)
}

fn word(text: &str) -> KnobValue {
    KnobValue::Word(text.to_owned())
}

/// A knob that was given as it was asked.
fn as_asked(name: &str, value: KnobValue) -> (&str, KnobValue, KnobValue) {
    (name, value.clone(), value)
}

fn of(records: &[Record]) -> Report {
    report("Which one?", records)
}

/// Bursts before every combination of the two numbers that bound the queue; somaxconn cuts the backlog, as the kernel does.
fn queues() -> Vec<Record> {
    let mut records = Vec::new();
    for somaxconn in [128_u64, 4_096] {
        for backlog in [128_u64, 4_096] {
            let limit = backlog.min(somaxconn);
            let world = World { backlog: u32::try_from(backlog).unwrap(), somaxconn, limit, ..bursts() };
            let knobs = [as_asked(SOMAXCONN, number(somaxconn)), (BACKLOG, number(backlog), number(limit))];
            records.push(cell(world.record(), &knobs));
        }
    }
    records
}

fn nofile(given: u64) -> Record {
    World { nofile: (given, 20_000), ..World::default() }.record()
}

#[test]
fn the_origin_is_cured_by_the_descriptors_and_by_nothing_else() {
    let report = of(&origin_run());
    assert_eq!(
        report.headline[0],
        "Raising ulimit.nofile from 1024 to 20000 cures all 4 failing cells; sysctl.net.core.somaxconn and \
         sysctl.net.ipv4.tcp_max_syn_backlog make no difference."
    );
    let tuning = report.recommended.unwrap();
    assert_eq!(tuning.cell, "somaxconn=128,tcp_max_syn_backlog=1024,nofile=65535", "the smallest of what does nothing");
    assert_eq!(
        (tuning.changes.len(), &tuning.changes[0].to),
        (1, &number(20_000)),
        "what was given, not what was asked"
    );
    assert_eq!(tuning.leave, [SOMAXCONN, "sysctl.net.ipv4.tcp_max_syn_backlog"]);
    assert!(tuning.because.contains("asked for 65535 and was given 20000"), "{}", tuning.because);
    let texts: Vec<&str> = tuning.pastes.iter().map(|paste| paste.text.as_str()).collect();
    assert!(texts.contains(&"[Service]\nLimitNOFILE=20000"), "{texts:?}");
    assert!(texts.iter().all(|text| !text.contains("somaxconn")));
}

#[test]
fn effects_and_advice_are_legible_in_sixty_columns() {
    let page = render(&of(&origin_run()), Look { width: 60, color: false });
    let part: Vec<&str> = page.lines().skip_while(|l| !l.starts_with("What made")).collect();
    let part: Vec<&str> = part.into_iter().take_while(|l| !l.starts_with("fd-limit")).collect();
    // What is to be pasted stands six columns in, and is not broken.
    let wide: Vec<&&str> = part.iter().filter(|l| l.chars().count() > 60 && !l.starts_with("      ")).collect();
    assert!(wide.is_empty(), "{wide:?}");
    insta::assert_snapshot!(part.join("\n"));
}

#[test]
fn two_numbers_that_must_rise_together_are_named_together() {
    let report = of(&queues());
    assert_eq!(
        report.headline[0],
        "Raising sysctl.net.core.somaxconn from 128 to 4096 and target.backlog from 128 to 4096 together cures all 3 failing cells."
    );
    let cut = &report.smallest_cures[1];
    assert_eq!(cut.cures[0].words(), "sysctl.net.core.somaxconn from 128 to 4096", "the backlog was asked for already");
    insta::assert_snapshot!(text(&report));
}

#[test]
fn healthy_cells_that_do_not_tie_are_shown_in_their_order() {
    let slow = |ms: u64| {
        let record = World { answer_ms: ms, ..World::default() }.record();
        cell(record, &[as_asked("target.answer-delay", word(&format!("{ms}ms")))])
    };
    let report = of(&[slow(600), slow(5), slow(0), slow(300)]);
    let page = text(&report);
    let shown = "Healthy cells, best first\n    1  answer-delay=5ms and answer-delay=0ms\n    \
                 3  answer-delay=300ms (behind by mean latency)\n    \
                 4  answer-delay=600ms (behind by mean latency)\n";
    assert!(page.contains(shown), "{page}");
    assert!(!text(&of(&origin_run())).contains("best first"), "four that tie need no order");
}

#[test]
fn every_kind_of_change_has_its_place_to_be_written_down() {
    let sick = [
        as_asked("sysctl.net.ipv4.tcp_syncookies", number(0)),
        as_asked("sysctl.net.ipv4.tcp_tw_reuse", number(0)),
        as_asked("target.cpu", number(1)),
        as_asked("target.leak-one-in", number(4)),
        as_asked(NOFILE, number(64)),
    ];
    let well = [
        as_asked("sysctl.net.ipv4.tcp_syncookies", number(1)),
        as_asked("sysctl.net.ipv4.tcp_tw_reuse", number(1)),
        as_asked("target.cpu", number(150)),
        as_asked("target.leak-one-in", number(0)),
        as_asked(NOFILE, word("1024:20000")),
    ];
    let report = of(&[cell(nofile(64), &sick), cell(nofile(20_000), &well)]);
    let pastes = report.recommended.unwrap().pastes;
    let shown: Vec<String> = pastes
        .iter()
        .map(|p| format!("{} | {} | {}\n{}", p.place.words(), p.title, p.note.map_or("", |n| n.words()), p.text))
        .collect();
    insta::assert_snapshot!(shown.join("\n\n"));
}

#[test]
fn where_no_number_helps_none_is_recommended_and_the_evidence_is_asked() {
    let records = [8, 4_096].map(|n| cell(dead(n), &[as_asked(BACKLOG, number(n.into()))]));
    let report = of(&records);
    assert_eq!(report.headline[0], "No value of target.backlog that was tried cures.");
    assert!(report.headline[1].starts_with("Both cells fail: "), "{:?}", report.headline);
    assert_eq!(report.headline.len(), 2, "{:?}", report.headline);
    assert_eq!(report.recommended, None);
    assert_eq!(
        report.nothing_recommended.as_deref(),
        Some("no cell of this run is healthy; the evidence points for acceptor-stalled to target.accept")
    );
}

#[test]
fn where_nothing_fails_nothing_needs_to_change() {
    let records = [128, 4_096].map(|n| cell(healthy(), &[as_asked(SOMAXCONN, number(n))]));
    let report = of(&records);
    assert_eq!(
        report.headline,
        [
            "Both cells stay healthy: no probe failed.",
            "Nothing needs to change: the smallest values that were tried will do.",
            "sysctl.net.core.somaxconn makes no difference here.",
        ]
    );
    assert_eq!(report.recommended, None);
    let nothing = report.nothing_recommended.unwrap();
    assert_eq!(
        nothing,
        "nothing needs to change: no cell fails, and of the best somaxconn=4096 is the nearest to what is usual"
    );
}

#[test]
fn what_a_clamp_made_alike_was_not_put_to_the_test() {
    let records: Vec<Record> = [(1_024, 64), (1_024, 20_000), (4_096, 64), (4_096, 20_000)]
        .map(|(somaxconn, n)| {
            let mut record = nofile(1_024);
            record.cell.target.plan.backlog = 4_096;
            cell(record, &[as_asked(SOMAXCONN, number(somaxconn)), (NOFILE, number(n), number(1_024))])
        })
        .into();
    let report = of(&records);
    assert_eq!(
        report.headline[0],
        "No combination of sysctl.net.core.somaxconn and ulimit.nofile that was tried cures."
    );
    let last = report.headline.last().unwrap();
    assert_eq!(last, "This run does not tell what ulimit.nofile does: every cell was given the same value.");
    assert!(report.knob_effects[1].metrics.is_empty(), "a knob without pairs has no effect");
}

#[test]
fn an_arm_is_no_cure_and_what_heals_one_arm_only_is_not_recommended() {
    let run = |head_at_64: u64| -> Vec<Record> {
        let mut records = Vec::new();
        for (arm, few) in [("base", 64_u64), ("head", head_at_64)] {
            for (asked, given) in [(64, few), (20_000, 20_000)] {
                records.push(cell(nofile(given), &[as_asked(ARM, word(arm)), as_asked(NOFILE, number(asked))]));
            }
        }
        records
    };
    let both = of(&run(64));
    assert_eq!(
        both.headline,
        [
            "Raising ulimit.nofile from 64 to 20000 cures both failing cells.",
            "2 of 4 cells fail: the target is out of descriptors (fd-limit).",
            "The arms do not differ in outcome or cause.",
        ]
    );
    assert!(both.smallest_cures.iter().flat_map(|c| &c.cures).flat_map(|c| &c.changes).all(|c| c.knob != ARM));
    assert_eq!(both.recommended.unwrap().changes.len(), 1);
    // The head raises its limit by itself.
    let one = of(&run(20_000));
    assert_eq!(one.headline[0], "Raising ulimit.nofile from 64 to 20000 cures the failing cell.");
    assert_eq!(one.headline[2], "The arms differ in outcome or cause, in 1 of 2 pairs.");
    // The base fails whatever is set, so no tuning is for both.
    let mut records = run(64);
    records[1] = cell(nofile(64), &[as_asked(ARM, word("base")), as_asked(NOFILE, number(20_000))]);
    let none = of(&records);
    assert_eq!(
        none.headline[0],
        "Raising ulimit.nofile from 64 to 20000 cures 1 of 3 failing cells; no change in this run cures the others."
    );
    assert_eq!(none.recommended, None);
    let nothing = none.nothing_recommended.unwrap();
    assert_eq!(nothing, "no tuning of this run is healthy in every arm and under every load");
}

#[test]
fn a_cell_that_fails_in_one_block_is_no_cure_and_effects_count_every_block() {
    let mut records = Vec::new();
    for block in 0..3 {
        for (asked, given) in [(64, 64), (4_096, if block == 1 { 64 } else { 20_000 }), (20_000, 20_000)] {
            let record = cell(nofile(given), &[as_asked(NOFILE, number(asked))]);
            records.push(Record { block, ..record });
        }
    }
    let report = of(&records);
    assert_eq!(report.headline[0], "Raising ulimit.nofile to 20000 cures both failing cells.");
    assert_eq!(report.recommended.unwrap().cell, "nofile=20000");
    let failures = &report.knob_effects[0].metrics[&brimful_plan::gate::Metric::FailureRate];
    assert_eq!((failures.pairs, failures.up, failures.down, failures.alike), (3, 0, 6, 3));
    assert!(failures.consistent());
}

#[test]
fn of_several_ways_the_ones_that_cure_as_much_stand_side_by_side() {
    let mut records = Vec::new();
    for raises in [false, true] {
        for n in [1_024, 20_000] {
            let record = nofile(if raises { 20_000 } else { n });
            let raise = KnobValue::Switch(raises);
            records.push(cell(record, &[as_asked("target.raise-nofile", raise), as_asked(NOFILE, number(n))]));
        }
    }
    let report = of(&records);
    assert_eq!(
        report.headline[0],
        "Changing target.raise-nofile from false to true, or raising ulimit.nofile from 1024 to 20000, cures the failing cell."
    );
    let tuning = report.recommended.unwrap();
    assert_eq!(
        tuning.changes[0].knob, "target.raise-nofile",
        "a change of the program costs less than one of the node"
    );
}

#[test]
fn what_is_healthy_only_now_and_then_is_not_recommended() {
    let records = [(64, 64), (20_000, 9_000), (65_535, 9_000)].map(|(asked, given)| {
        let soft = if asked == 65_535 { 20_000 } else { 64 };
        cell(nofile(soft), &[as_asked(SOMAXCONN, number(128)), (NOFILE, number(asked), number(given))])
    });
    let report = of(&records);
    assert_eq!(report.recommended, None);
    let nothing = report.nothing_recommended.unwrap();
    assert_eq!(nothing, "cells that were given the same values differ in outcome, so none is healthy for sure");
}

#[test]
fn a_void_cell_leaves_it_open_what_it_would_have_shown() {
    let records =
        [cell(nofile(64), &[as_asked(NOFILE, number(64))]), cell(out_of_ports(), &[as_asked(NOFILE, number(20_000))])];
    let report = of(&records);
    assert_eq!(report.headline[0], "No value of ulimit.nofile that was tried cures.");
    assert!(report.headline[1].contains("1 of 2 cells is void"), "{:?}", report.headline);
    let last = report.headline.last().unwrap();
    assert_eq!(
        last,
        "This run does not tell what ulimit.nofile does: no two cells that are not void differ in it alone."
    );
    assert_eq!(report.ranking.len(), 1, "a void cell has no place");
}
