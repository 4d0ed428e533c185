//! Comparisons of made-up arms.

use brimful_judge::compare::{Comparison, Question, Side, compare};
use brimful_plan::gate::{Gate, Metric};

use crate::reports::{Made, arms, noisy};

pub fn of_arms(base: Vec<(&str, Vec<Made>)>, head: Vec<(&str, Vec<Made>)>, rules: &Gate) -> Comparison {
    let run = arms(base, head);
    let (base, head) = (Side::arm(&run, "base").unwrap(), Side::arm(&run, "head").unwrap());
    compare(&base, &head, rules, Question::Worse).unwrap()
}

/// Blocks of a healthy server, a slower one, and one that runs out.
pub fn slower_and_out() -> Comparison {
    let out = |n: u32| -> Vec<Made> {
        (0..n)
            .map(|i| Made {
                failed: 60 + u64::from(i % 3),
                mean_ms: 600.0,
                p99_ms: None,
                held: 1_100,
                ..Made::default()
            })
            .collect()
    };
    let rules = Gate { metrics: vec![Metric::P99, Metric::LoadHeld], ..Gate::default() };
    of_arms(
        vec![
            ("nofile=1024", out(15)),
            ("nofile=65535", noisy(15, 1.0, 1)),
            ("nofile=20000", noisy(15, 1.0, 3)),
            ("nofile=30000", noisy(15, 1.0, 6)),
            ("nofile=7", noisy(15, 1.0, 8)),
        ],
        vec![
            ("nofile=1024", out(15)),
            ("nofile=65535", noisy(15, 1.3, 2)),
            ("nofile=20000", out(15)),
            ("nofile=30000", noisy(15, 1.1, 7)),
            ("nofile=8", noisy(15, 1.0, 9)),
        ],
        &rules,
    )
}
