//! Frames as they look, at the widths of real terminals.

use brimful_live::cell::Live;
use brimful_live::observe::Glance;
use brimful_loadgen_plan::outcome::LoadPoint;
use brimful_loadgen_plan::probe::{Outcome, Sample};
use proptest::prelude::*;

use super::*;

const ID: &str = "somaxconn=128,tcp_max_syn_backlog=1024,nofile=1024";

fn probe(seq: u64, outcome: Outcome) -> Live {
    let ms = if outcome.passed() { 1 } else { 1_000 };
    Live::Probe(Sample {
        seq,
        intended_ns: seq * 1_000_000_000,
        started_ns: seq * 1_000_000_000,
        ended_ns: seq * 1_000_000_000 + ms * 1_000_000,
        connect_ns: None,
        tls_ns: None,
        first_byte_ns: None,
        outcome,
        status: None,
        message: String::new(),
        missed_ticks: 0,
        discarded: false,
    })
}

/// A cell whose server runs out of descriptors after 0.3 s, up to so many tenths of a second.
fn fill(course: &mut Course, id: &str, tenths: u64) {
    course.live(Some(id), Live::Step("running"));
    for tenth in 0..=tenths {
        let at_ns = tenth * 100_000_000;
        let attempted = (tenth * 400).min(12_000);
        let held = attempted.min(1_142);
        let point = LoadPoint { at_ns, attempted, established: held, held, failed: 0, pending: attempted - held };
        let glance = Glance {
            at_ns,
            recv_q: Some(attempted.saturating_sub(1_013).min(129)),
            limit: Some(128),
            drops: Some(attempted.saturating_sub(1_142) * 2),
            target_descriptors: Some((attempted + 11).min(1_024)),
            target_nofile_soft: Some(1_024),
        };
        course.live(Some(id), Live::Load(point));
        course.live(Some(id), Live::Table(glance));
        if tenth % 10 == 0 && tenth > 0 {
            let seq = tenth / 10 - 1;
            course.live(Some(id), probe(seq, if seq == 0 { Outcome::Ok } else { Outcome::ConnectTimeout }));
        }
    }
}

fn underway() -> Course {
    let mut course = Course::new(8, Duration::from_secs(88));
    for id in ["a", "b"] {
        course.begin(id, 12_000, Duration::from_secs(11), Duration::ZERO);
        course.end(id, Duration::from_millis(11_600));
    }
    course.begin(ID, 12_000, Duration::from_secs(11), Duration::from_millis(23_200));
    course
}

fn shown(course: &Course, columns: usize, rows: usize) -> String {
    let lines = frame(course, Duration::from_millis(29_000), Size { columns, rows });
    lines.iter().map(|line| format!("{}\n", line.painted(false))).collect()
}

fn at_widths(course: &Course, widths: &[usize]) -> String {
    widths.iter().map(|&width| format!("{width} columns\n{}\n", shown(course, width, 24))).collect()
}

#[test]
fn a_cell_at_its_limits_reads_well_at_every_width() {
    let mut course = underway();
    fill(&mut course, ID, 52);
    insta::assert_snapshot!(at_widths(&course, &[40, 60, 80, 100, 120, 200]));
}

#[test]
fn a_cell_that_begins_shows_what_is_done() {
    let mut course = underway();
    course.block(2, 10);
    course.end(ID, Duration::from_secs(24));
    course.begin("base", 200, Duration::from_secs(2), Duration::from_secs(24));
    course.live(None, Live::Step("making the sandbox"));
    insta::assert_snapshot!(at_widths(&course, &[40, 80]));
}

#[test]
fn cells_that_run_together_have_a_line_each() {
    let mut course = underway();
    course.begin("arm=head,nofile=1024", 12_000, Duration::from_secs(11), Duration::from_millis(23_200));
    course.begin("arm=head,nofile=20000", 12_000, Duration::from_secs(11), Duration::from_millis(23_200));
    fill(&mut course, ID, 52);
    fill(&mut course, "arm=head,nofile=1024", 30);
    course.live(None, Live::Step("making the sandbox"));
    let few_rows = format!("80 columns, 3 rows\n{}", shown(&course, 80, 3));
    insta::assert_snapshot!(at_widths(&course, &[40, 80, 120]) + &few_rows);
}

#[test]
fn a_low_terminal_shows_the_cell_in_a_line() {
    let mut course = underway();
    fill(&mut course, ID, 52);
    insta::assert_snapshot!(shown(&course, 80, 5));
}

#[test]
fn what_is_wrong_is_red_and_what_passed_is_green() {
    let mut course = underway();
    fill(&mut course, ID, 52);
    let painted: String = frame(&course, Duration::from_secs(29), Size { columns: 80, rows: 24 })
        .iter()
        .map(|line| line.painted(true))
        .collect();
    for part in ["\u{1b}[31mCCCC\u{1b}[0m", "\u{1b}[32m·\u{1b}[0m", "\u{1b}[31m21,716 dropped\u{1b}[0m"] {
        assert!(painted.contains(part), "{part:?} in {painted:?}");
    }
}

proptest! {
    #[test]
    fn a_frame_never_leaves_its_room(
        columns in 0..240_usize, rows in 0..30_usize, tenths in 0..140_u64, cells in 0..5_usize,
        limit in prop::option::of(any::<u64>()), value in prop::option::of(any::<u64>()),
    ) {
        let mut course = Course::new(8, Duration::from_secs(88));
        let ids: Vec<String> = (0..cells).map(|n| format!("{ID},n={n}")).collect();
        for id in &ids {
            course.begin(id, 12_000, Duration::from_secs(11), Duration::ZERO);
            fill(&mut course, id, tenths);
            let glance = Glance {
                at_ns: 1, recv_q: value, limit, drops: value, target_descriptors: value, target_nofile_soft: limit,
            };
            course.live(Some(id), Live::Table(glance));
        }
        let lines = frame(&course, Duration::from_secs(14), Size { columns, rows });
        prop_assert!(lines.len() <= rows);
        prop_assert!(lines.iter().all(|line| line.width() <= columns));
        prop_assert!(cells == 0 || rows == 0 || !lines.is_empty());
    }
}
