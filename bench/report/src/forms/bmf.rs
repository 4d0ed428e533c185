//! Bencher's metric format: benchmark, then measure, then `value` with the range of the blocks. Pure.
//!
//! A benchmark is a cell, `SCENARIO/CELL`; a measure is a metric with hyphens (`latency-p99`), which is fit for a slug.
//! Latencies are in nanoseconds, the unit of Bencher's own. A void cell is not there.

use brimful_judge::report::Report;
use brimful_plan::gate::Metric;
use serde_json::{Map, Value, json};

use super::measure::{Measured, of_cell};

/// The report as Bencher's JSON, for its adapter `json`.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut benchmarks = Map::new();
    for cell in &report.cells {
        let measured = Metric::ALL.into_iter().filter_map(|metric| Some((metric, of_cell(metric, cell)?)));
        let measures: Map<String, Value> =
            measured.map(|(metric, number)| (metric.name().replace('.', "-"), value(number))).collect();
        if !measures.is_empty() {
            benchmarks.insert(format!("{}/{}", report.scenario.name, cell.id), Value::Object(measures));
        }
    }
    format!("{:#}\n", Value::Object(benchmarks))
}

fn value(number: Measured) -> Value {
    match number {
        Measured { value, range: None } => json!({ "value": value }),
        Measured { value, range: Some((least, most)) } => {
            json!({ "value": value, "lower_value": least, "upper_value": most })
        }
    }
}
