//! Answers of gates over made-up runs.

use brimful_judge::compare::{Question, Refused, Side};
use brimful_judge::gate::{GateAnswer, ceilings_only, gate};
use brimful_judge::report::Report;
use brimful_plan::gate::{Gate, Metric};

use crate::reports::{Made, arms, cell, noisy, report};

pub fn of_arms(run: &Report, rules: &Gate) -> Result<GateAnswer, Refused> {
    gate(&Side::arm(run, "base").unwrap(), &Side::arm(run, "head").unwrap(), rules, Question::Worse)
}

pub fn with_ceiling(metric: Metric, ceiling: f64) -> Gate {
    Gate { ceiling: [(metric, ceiling)].into(), ..Gate::default() }
}

pub fn alone(blocks: &[Made], rules: &Gate) -> GateAnswer {
    let run = report(vec![cell("base", blocks)]);
    ceilings_only(&Side::run("mine", &run), rules).unwrap()
}

/// A slower server that also breaks a ceiling.
pub fn slower_beyond_a_ceiling() -> GateAnswer {
    let slower: Vec<Made> = noisy(12, 1.3, 2).into_iter().map(|made| Made { failed: 1, ..made }).collect();
    let run = arms(
        vec![("nofile=1024", noisy(12, 1.0, 1)), ("nofile=65535", noisy(12, 1.0, 3))],
        vec![("nofile=1024", slower), ("nofile=65535", noisy(12, 1.0, 4))],
    );
    let ceiling = [(Metric::P99, 2.5e6), (Metric::FailureRate, 0.0), (Metric::LoadHeld, 10_000.0)].into();
    of_arms(&run, &Gate { ceiling, ..Gate::default() }).unwrap()
}
