//! Laws of the ranking and of the recommendation, on matrices small enough to try everything.

use brimful_evidence::record::KnobReading;
use brimful_plan::cell::KnobValue;
use brimful_plan::expect::{CauseName, CellOutcome};
use brimful_plan::gate::Metric;
use indexmap::IndexMap;
use proptest::prelude::*;

use super::*;
use crate::knobs::{Settings, effects};
use crate::metric::Value;
use crate::numbers::Numbers;

type Knobs = IndexMap<String, KnobReading>;

const AXES: [&str; 3] = ["sysctl.net.core.somaxconn", "target.backlog", "ulimit.nofile"];

/// One cell: its id, its knobs, and what became of it.
#[derive(Clone, Debug)]
struct Made {
    id: String,
    knobs: Knobs,
    outcome: CellOutcome,
    failures: f64,
    mean_ms: f64,
    held: f64,
}

fn knobs(values: &[(&str, u64)]) -> Knobs {
    let reading = |n| KnobReading { asked: KnobValue::Number(n), given: Some(KnobValue::Number(n)), reason: None };
    values.iter().map(|&(name, n)| (name.to_owned(), reading(n))).collect()
}

/// The product of the axes, each with the values 1 to its number, with what came of each combination.
fn made(sizes: &[u64], came: &[(u8, u8, u8)]) -> Vec<Made> {
    let mut rows: Vec<Vec<u64>> = vec![Vec::new()];
    for &size in sizes {
        rows = rows.iter().flat_map(|row| (1..=size).map(move |n| [row.as_slice(), &[n]].concat())).collect();
    }
    let cell = |(row, &(outcome, mean, held)): (Vec<u64>, &(u8, u8, u8))| {
        let (outcome, failures) = match outcome % 8 {
            0 => (CellOutcome::Void, 0.0),
            1 => (CellOutcome::Degraded, 0.1),
            2 | 3 => (CellOutcome::Failing, 0.9),
            _ => (CellOutcome::Healthy, 0.0),
        };
        let values: Vec<(&str, u64)> = AXES.iter().copied().zip(row.clone()).collect();
        let id = row.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
        // Steps of 7 ms, so that neighbours are alike but for noise and others are not.
        Made {
            id,
            knobs: knobs(&values),
            outcome,
            failures,
            mean_ms: f64::from(mean % 16) * 7.0,
            held: f64::from(held % 4),
        }
    };
    rows.into_iter().zip(came.iter().cycle()).map(cell).collect()
}

fn judged(cells: &[Made]) -> Vec<Judged<'_>> {
    let settings = Settings::of(cells.iter().map(|cell| &cell.knobs));
    let one = |cell: &'_ Made| {
        let values = [
            (Metric::FailureRate, Value::Known(cell.failures)),
            (Metric::RestrictedMean, Value::Known(cell.mean_ms * 1e6)),
            (Metric::LoadHeld, Value::Known(cell.held)),
        ];
        Numbers { values: values.into(), timeout_ns: 1_000_000_000, probes: 10, requested: 3 }
    };
    let cell = |cell| {
        let Made { id, knobs, outcome, .. }: &Made = cell;
        let (tuning, context) = settings.cell(knobs);
        let cause = matches!(outcome, CellOutcome::Failing | CellOutcome::Degraded).then_some(CauseName::AcceptQueue);
        Judged { id, knobs, tuning, context, outcome: *outcome, cause, whole: one(cell), blocks: vec![(0, one(cell))] }
    };
    cells.iter().map(cell).collect()
}

fn look(cells: &[Made]) -> Tunings {
    let judged = judged(cells);
    Tunings::of(&judged, &effects(&judged))
}

/// The number of knobs in which two cells differ.
fn apart(a: &Made, b: &Made) -> usize {
    a.knobs.iter().filter(|(knob, reading)| b.knobs.get(*knob) != Some(reading)).count()
}

fn matrices() -> impl Strategy<Value = Vec<Made>> {
    let came = proptest::collection::vec(any::<(u8, u8, u8)>(), 27);
    (proptest::collection::vec(1..4_u64, 1..4), came).prop_map(|(sizes, came)| made(&sizes, &came))
}

proptest! {
    #[test]
    fn the_ranking_is_a_total_preorder_that_puts_outcomes_first(cells in matrices()) {
        let ranking = look(&cells).ranking;
        let of = |ranked: &Ranked| cells.iter().find(|cell| cell.id == ranked.cell).unwrap().clone();
        let sound = cells.iter().filter(|cell| cell.outcome != CellOutcome::Void).count();
        prop_assert_eq!(ranking.len(), sound, "every cell that is not void has one place");
        for (i, ranked) in ranking.iter().enumerate() {
            let better = ranking.iter().filter(|other| other.rank < ranked.rank).count() as u64;
            prop_assert_eq!(ranked.rank, better + 1);
            prop_assert_eq!(ranked.behind_by.is_none(), ranked.rank == 1);
            if let Some(next) = ranking.get(i + 1) {
                prop_assert!(ranked.rank <= next.rank, "best first");
                let (a, b) = (of(ranked), of(next));
                let badness = |cell: &Made| match cell.outcome {
                    CellOutcome::Healthy => 0,
                    CellOutcome::Degraded => 1,
                    _ => 2,
                };
                prop_assert!(badness(&a) <= badness(&b));
                if ranked.rank == next.rank {
                    prop_assert_eq!(a.outcome, b.outcome);
                    prop_assert!((a.mean_ms - b.mean_ms).abs() <= 20.0, "what ties is alike but for noise");
                }
            }
        }
    }

    #[test]
    fn the_ranking_does_not_depend_on_the_order_of_the_cells(cells in matrices()) {
        let backwards: Vec<Made> = cells.iter().rev().cloned().collect();
        let ranks = |cells: &[Made]| {
            let mut ranks: Vec<(String, u64)> = look(cells).ranking.into_iter().map(|r| (r.cell, r.rank)).collect();
            ranks.sort();
            ranks
        };
        prop_assert_eq!(ranks(&cells), ranks(&backwards));
    }

    #[test]
    fn what_is_recommended_is_among_the_best_and_nothing_best_is_nearer(cells in matrices()) {
        let tunings = look(&cells);
        let healthy: Vec<&Made> = cells.iter().filter(|cell| cell.outcome == CellOutcome::Healthy).collect();
        let sick = cells.iter().filter(|c| matches!(c.outcome, CellOutcome::Failing | CellOutcome::Degraded)).count();
        let Recommendation::Take(tuning) = tunings.recommendation else {
            prop_assert!(cells.len() < 2 || healthy.is_empty() || sick == 0);
            return Ok(());
        };
        let rank = |id: &str| tunings.ranking.iter().find(|r| r.cell == id).unwrap().rank;
        let find = |id: &str| cells.iter().find(|cell| cell.id == id).unwrap();
        let (from, to) = (find(&tuning.from), find(&tuning.cell));
        prop_assert_eq!((rank(&to.id), to.outcome), (1, CellOutcome::Healthy));
        prop_assert_eq!(tuning.changes.len(), apart(from, to));
        let best: Vec<&&Made> = healthy.iter().filter(|cell| rank(&cell.id) == 1).collect();
        let nearest = |cell: &Made| best.iter().map(|to| apart(cell, to)).min().unwrap();
        prop_assert_eq!(nearest(from), tuning.changes.len(), "no best cell takes fewer changes");
        let furthest = cells.iter().filter(|c| matches!(c.outcome, CellOutcome::Failing | CellOutcome::Degraded));
        prop_assert_eq!(furthest.map(nearest).max(), Some(tuning.changes.len()), "no sick cell needs more");
        for change in &tuning.changes {
            let value = |cell: &Made| cell.knobs[&change.knob].given.clone().unwrap();
            prop_assert_eq!((value(from), value(to)), (change.from.clone(), change.to.clone()));
        }
        prop_assert!(tuning.leave.iter().all(|knob| tuning.changes.iter().all(|change| change.knob != *knob)));
    }

    #[test]
    fn what_is_said_to_be_cured_is_healthy_after_these_changes_alone(cells in matrices()) {
        let Some(cure) = look(&cells).cure else { return Ok(()) };
        let sick: Vec<&Made> =
            cells.iter().filter(|c| matches!(c.outcome, CellOutcome::Failing | CellOutcome::Degraded)).collect();
        let cured = sick.iter().filter(|cell| {
            let mut knobs = cell.knobs.clone();
            for change in &cure.changes {
                knobs[&change.knob].asked = change.to.clone();
                knobs[&change.knob].given = Some(change.to.clone());
            }
            cells.iter().any(|other| other.knobs == knobs && other.outcome == CellOutcome::Healthy)
        });
        prop_assert_eq!((cure.cures, cure.of), (cured.count() as u64, sick.len() as u64));
        prop_assert!(cure.cures >= 1);
    }

    #[test]
    fn a_run_that_is_healthy_or_sick_throughout_recommends_nothing(sizes in proptest::collection::vec(2..4_u64, 1..3), sick: bool) {
        let cells = made(&sizes, &[(if sick { 2 } else { 7 }, 0, 0)]);
        let expected = |r: &Recommendation| match r {
            Recommendation::NoneHealthy => sick,
            Recommendation::AllHealthy { cell } => !sick && *cell == cells[0].id,
            _ => false,
        };
        let recommendation = look(&cells).recommendation;
        prop_assert!(expected(&recommendation), "{recommendation:?}");
    }
}

#[test]
fn whoever_must_act_is_in_the_price() {
    let cells = [
        Made {
            id: "a".into(),
            knobs: knobs(&[("sysctl.net.core.somaxconn", 4_096), ("ulimit.nofile", 1_024)]),
            ..base()
        },
        Made {
            id: "b".into(),
            knobs: knobs(&[("sysctl.net.core.somaxconn", 128), ("ulimit.nofile", 20_000)]),
            ..base()
        },
    ];
    let costs: Vec<String> = look(&cells).ranking.iter().map(|ranked| ranked.cost.words()).collect();
    assert_eq!(
        costs,
        [
            "no change from what is usual; at most 20.0 MiB of kernel memory for connections",
            "2 changes from what is usual: 1 that the kubelet must allow and 1 on the node; at most 78.6 MiB of kernel memory for connections",
        ]
    );
    let takes = [
        ("sysctl.net.ipv4.tcp_syncookies", Takes::Pod),
        ("target.cpu", Takes::Pod),
        ("target.backlog", Takes::Program),
        ("sysctl.net.ipv4.tcp_of_tomorrow", Takes::Kubelet),
        ("sysctl.net.core.netdev_max_backlog", Takes::Node),
        ("ulimit.nofile", Takes::Node),
    ];
    for (knob, expected) in takes {
        assert_eq!(Takes::of(knob), expected, "{knob}");
    }
}

fn base() -> Made {
    Made {
        id: String::new(),
        knobs: Knobs::new(),
        outcome: CellOutcome::Healthy,
        failures: 0.0,
        mean_ms: 1.0,
        held: 3.0,
    }
}

#[test]
fn a_slow_cell_ranks_behind_and_says_by_what() {
    let mut cells = made(&[3], &[(7, 0, 3)]);
    cells[1].mean_ms = 300.0;
    cells[2].held = 1.0;
    let ranking = look(&cells).ranking;
    let places: Vec<(&str, u64, Option<Criterion>)> =
        ranking.iter().map(|r| (r.cell.as_str(), r.rank, r.behind_by)).collect();
    assert_eq!(places, [("1", 1, None), ("3", 2, Some(Criterion::Held)), ("2", 3, Some(Criterion::RestrictedMean))]);
}

#[test]
fn the_slowest_of_a_few_probes_is_no_quantile() {
    let cells = made(&[2], &[(7, 0, 3)]);
    let ranks = |probes, p99: [Value; 2]| {
        let mut judged = judged(&cells);
        for (cell, p99) in judged.iter_mut().zip(p99) {
            cell.whole.probes = probes;
            cell.whole.values.insert(Metric::P99, p99);
        }
        let ranking = Tunings::of(&judged, &[]).ranking;
        ranking.into_iter().map(|r| (r.cell, r.rank)).collect::<Vec<_>>()
    };
    let (slow, out) =
        ([Value::Known(400e6), Value::Known(2e6)], [Value::AtLeast { at_least: 1e9 }, Value::Known(990e6)]);
    let tie = vec![("1".to_owned(), 1), ("2".to_owned(), 1)];
    let apart = vec![("2".to_owned(), 1), ("1".to_owned(), 2)];
    assert_eq!((ranks(10, slow), ranks(100, slow), ranks(100, out)), (tie, apart.clone(), apart));
}
