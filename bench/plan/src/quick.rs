//! The shortest form of a run that still answers: fewer cells, and no longer than the health check needs to fail. Pure.
//!
//! What the question is about stays as it is: how many connections there are, how fast they come where that matters, what
//! a probe may take. What is left out or shortened is said, because it is another experiment then.

use std::time::Duration;

use brimful_loadgen_plan::plan::Behaviour;

use super::arm::ARM;
use super::cell::{Cell, KnobValue};
use super::expect::Expectation;
use crate::wording::{grouped, time};

/// Connections a second that every server of the catalogue takes without a queue: a ramp may be shortened to so many.
const GENTLE_RATE: u64 = 1_000;
/// Probes need not follow each other faster.
const SHORTEST_PERIOD: Duration = Duration::from_millis(200);

/// What is left of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quick {
    /// The cells, in their order, with shorter times.
    pub cells: Vec<Cell>,
    /// What was left out, shortened and kept, one line each, in words for the reader of a report.
    pub said: Vec<String>,
}

/// Shortens a run of these cells. Of the lines of `[expect]` each different truth keeps its first cell; without any, each axis
/// keeps its first and its last value, one axis at a time. Every arm is kept.
#[must_use]
pub fn quick(cells: &[Cell], expect: &[Expectation]) -> Quick {
    let kept: Vec<&Cell> = match truths(cells, expect) {
        kept if kept.is_empty() => corners(cells),
        kept => kept,
    };
    let chosen: Vec<Cell> =
        cells.iter().filter(|cell| kept.iter().any(|kept| same_but_arm(kept, cell))).cloned().collect();
    let mut said = Vec::new();
    if chosen.len() < cells.len() {
        said.push(format!("quick: {} of {} cells", grouped(chosen.len() as u64), grouped(cells.len() as u64)));
    }
    let shortened: Vec<Cell> = chosen.iter().map(shorten).collect();
    for (before, after) in chosen.iter().zip(&shortened) {
        for line in differences(before, after) {
            if !said.contains(&line) {
                said.push(line);
            }
        }
    }
    if said.is_empty() {
        said.push("quick: nothing could be left out".to_owned());
    }
    Quick { cells: shortened, said }
}

/// The first cell of each different truth.
fn truths<'a>(cells: &'a [Cell], expect: &[Expectation]) -> Vec<&'a Cell> {
    let mut seen: Vec<&Expectation> = Vec::new();
    let mut kept = Vec::new();
    for line in expect {
        let told = |other: &&Expectation| bare(other) == bare(line);
        if seen.iter().any(told) {
            continue;
        }
        let speaks = |cell: &&Cell| line.speaks_of(|knob| cell.knobs.get(knob).map(|setting| &setting.asked));
        if let Some(cell) = cells.iter().find(speaks) {
            seen.push(line);
            kept.push(cell);
        }
    }
    kept
}

/// What a line holds to be true, whichever cells it speaks of.
fn bare(line: &Expectation) -> Expectation {
    Expectation { when: Vec::new(), must_not_claim: Vec::new(), ..line.clone() }
}

/// The first cell, and for each knob the last of those that differ from it in that knob alone.
fn corners(cells: &[Cell]) -> Vec<&Cell> {
    let Some(base) = cells.first() else { return Vec::new() };
    let mut kept = vec![base];
    for knob in base.knobs.keys().filter(|knob| *knob != ARM) {
        let alone = |cell: &&Cell| asked(cell, knob) != asked(base, knob) && differ_only(cell, base, &[knob, ARM]);
        kept.extend(cells.iter().rev().find(alone));
    }
    kept
}

fn same_but_arm(a: &Cell, b: &Cell) -> bool {
    differ_only(a, b, &[ARM])
}

/// Whether two cells ask the same of every knob but these.
fn differ_only(a: &Cell, b: &Cell, but: &[&str]) -> bool {
    a.knobs.keys().filter(|knob| !but.contains(&knob.as_str())).all(|knob| asked(a, knob) == asked(b, knob))
}

fn asked<'a>(cell: &'a Cell, knob: &str) -> Option<&'a KnobValue> {
    cell.knobs.get(knob).map(|setting| &setting.asked)
}

fn shorten(before: &Cell) -> Cell {
    let mut cell = before.clone();
    // Changes and restarts have instants of their own, which would come too late or never.
    if has_a_pace(&cell) || !cell.changes.is_empty() || cell.restart.is_some() {
        return cell;
    }
    let gentle = cell.load.connections.div_ceil(GENTLE_RATE);
    cell.load.ramp = cell.load.ramp.min(Duration::from_secs(gentle.max(1)));
    cell.probe.period = cell.probe.period.min(cell.probe.timeout.max(SHORTEST_PERIOD));
    let needed = hold_needed(&cell);
    if before.load.hold < needed {
        // Where the hold is short already, the probes may fall as they must only because of the times that the file has.
        return before.clone();
    }
    cell.load.hold = needed;
    cell
}

/// Whether times are part of what is asked: a server that works at a pace of its own, connections that come and go, a path that
/// lets some packets through. Such a cell keeps its times.
fn has_a_pace(cell: &Cell) -> bool {
    let plan = &cell.target.plan;
    cell.load.behaviour != Behaviour::Idle
        || !cell.faults.is_empty()
        || cell.target.cpu_percent.is_some()
        || plan.accept_rate.is_some()
        || plan.accept_pause.is_some()
        || plan.block.is_some()
        || plan.defer_accept.is_some()
        || !plan.answer_delay.is_zero()
}

/// How long everything must be held for a health check to be lost that fails from the end of the ramp on: until the probe that is the
/// last one needed has begun, and half a period more, because an exact end would leave it out.
fn hold_needed(cell: &Cell) -> Duration {
    let probe = &cell.probe;
    // The prober is serial, so failures follow each other by the longer of the two.
    let apart = probe.period.max(probe.timeout);
    let begins = probe.initial_delay.saturating_sub(cell.load.ramp);
    begins + probe.period + apart * probe.failure_threshold.saturating_sub(1) + probe.period / 2
}

fn differences(before: &Cell, after: &Cell) -> Vec<String> {
    let changed = [
        ("load.ramp", before.load.ramp, after.load.ramp),
        ("load.hold", before.load.hold, after.load.hold),
        ("probe.period", before.probe.period, after.probe.period),
    ];
    let lines = changed.iter().filter(|(_, from, to)| from != to);
    let lines: Vec<String> =
        lines.map(|(knob, from, to)| format!("quick: {knob} is {} instead of {}", time(*to), time(*from))).collect();
    if lines.is_empty() && has_a_pace(before) {
        return vec!["quick: no time was shortened where times are part of the question".to_owned()];
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogue;
    use crate::matrix::expand;
    use crate::scenario::Scenario;

    fn of(scenario: &Scenario) -> Quick {
        quick(&expand(scenario, 20_000).unwrap(), &scenario.expect)
    }

    fn embedded(name: &str) -> Scenario {
        Scenario::parse(name, catalogue::find(name).unwrap().text).unwrap()
    }

    fn ids(quick: &Quick) -> Vec<&str> {
        quick.cells.iter().map(|cell| cell.id.as_str()).collect()
    }

    #[test]
    fn each_truth_of_the_first_scenario_keeps_one_cell() {
        let quick = of(&embedded("origin"));
        let id = |nofile| format!("somaxconn=128,tcp_max_syn_backlog=1024,nofile={nofile}");
        assert_eq!(ids(&quick), [id("1024"), id("65535")]);
        let cell = &quick.cells[0];
        assert_eq!((cell.load.connections, cell.load.ramp), (12_000, Duration::from_secs(3)));
        assert_eq!(quick.said, ["quick: 2 of 8 cells", "quick: load.hold is 3s 500ms instead of 8s"]);
    }

    #[test]
    fn without_a_truth_each_axis_keeps_its_ends_and_every_arm_is_kept() {
        let text = "question = \"?\"\nload = { connections = 5, ramp = \"1s\", hold = \"60s\" }\n[arms]\na = {}\nb = {}\n\
                    [matrix]\ntarget.backlog = [1, 2, 3]\nulimit.nofile = [64, 65, 66]";
        let quick = of(&Scenario::parse("t", text).unwrap());
        let short: Vec<String> = ["1,nofile=64", "1,nofile=66", "3,nofile=64"].map(|s| format!("backlog={s}")).into();
        let both: Vec<String> =
            ["a", "b"].iter().flat_map(|arm| short.iter().map(move |s| format!("arm={arm},{s}"))).collect();
        assert_eq!(ids(&quick), both);
        assert_eq!(
            quick.said[1..],
            ["quick: load.hold is 3s 500ms instead of 1m", "quick: probe.period is 1s instead of 10s"]
        );
    }

    #[test]
    fn a_long_ramp_is_shortened_where_nothing_has_a_pace() {
        let text = "question = \"?\"\nload = { connections = 12_000, ramp = \"60s\", hold = \"9s\" }";
        let quick = of(&Scenario::parse("t", text).unwrap());
        assert_eq!(quick.cells[0].load.ramp, Duration::from_secs(12));
        let paced = of(&Scenario::parse("t", &format!("{text}\ntarget.accept-rate = 300")).unwrap());
        assert_eq!(paced.cells[0].load.ramp, Duration::from_secs(60));
        assert_eq!(paced.said, ["quick: no time was shortened where times are part of the question"]);
    }

    #[test]
    fn every_scenario_of_the_catalogue_keeps_each_of_its_truths() {
        for scenario in catalogue::list().iter().map(|one| embedded(one.name)) {
            let quick = of(&scenario);
            for line in &scenario.expect {
                let alike = |other: &&Expectation| {
                    (&other.outcome, other.cause, other.why) == (&line.outcome, line.cause, line.why)
                };
                let speaks = |line: &Expectation| {
                    quick
                        .cells
                        .iter()
                        .any(|cell| line.speaks_of(|knob| cell.knobs.get(knob).map(|setting| &setting.asked)))
                };
                assert!(scenario.expect.iter().filter(alike).any(speaks), "{}", scenario.name);
            }
            assert!(!quick.said.is_empty() && quick.cells.len() <= scenario.expect.len(), "{}", scenario.name);
        }
    }

    proptest! {
        #[test]
        fn enough_probes_begin_after_the_ramp_to_lose_the_health_check(
            ramp in 0_u64..5_000, hold in 0_u64..60_000, period in 1_u64..20_000, timeout in 1_u64..5_000,
            threshold in 1_u64..6, delay in 0_u64..5_000,
        ) {
            let text = format!(
                "question = \"?\"\nload = {{ connections = 5_000, ramp = \"{ramp}ms\", hold = \"{}ms\" }}\nprobe = {{ \
                 period = \"{period}ms\", timeout = \"{timeout}ms\", failure-threshold = {threshold}, initial-delay = \"{delay}ms\" }}",
                hold + 5_001
            );
            let scenario = Scenario::parse("t", &text).unwrap();
            let whole = &expand(&scenario, 20_000).unwrap()[0];
            let short = &of(&scenario).cells[0];
            prop_assert!(short.load.hold <= whole.load.hold && short.load.ramp <= whole.load.ramp);
            // Every probe times out from the end of the ramp on: when does the last one that is needed begin?
            let last = |cell: &Cell| {
                let (period, apart) = (cell.probe.period, cell.probe.period.max(cell.probe.timeout));
                let mut first = cell.probe.initial_delay;
                while first < cell.load.ramp {
                    first += period;
                }
                first + apart * (cell.probe.failure_threshold - 1)
            };
            prop_assert!(last(short) < short.duration() || last(whole) >= whole.duration());
        }
    }
}
