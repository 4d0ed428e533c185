//! The list that github-action-benchmark reads with `tool: customSmallerIsBetter`. Pure.
//!
//! So only metrics are in it of which less is better. A void cell, and a quantile that is known only from below, are not there.

use brimful_judge::report::{CellReport, Report};
use brimful_judge::wording::counted;
use brimful_plan::gate::Metric;
use serde_json::{Value, json};

use super::measure::{of_cell, sound};

/// The report as a list of `{name, unit, value}`, with `range` where there are several blocks.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut list = Vec::new();
    for cell in &report.cells {
        for metric in Metric::ALL.into_iter().filter(|metric| !metric.more_is_better()) {
            let Some(measured) = of_cell(metric, cell) else { continue };
            let mut entry = json!({
                "name": format!("{}/{} {metric}", report.scenario.name, cell.id),
                "unit": if metric == Metric::FailureRate { "share" } else { "ns" },
                "value": measured.value,
                "extra": extra(cell),
            });
            if let (Some((least, most)), Some(entry)) = (measured.range, entry.as_object_mut()) {
                entry.insert("range".to_owned(), Value::String(format!("{least} to {most}")));
            }
            list.push(entry);
        }
    }
    format!("{:#}\n", Value::Array(list))
}

/// What stands beside a point when one looks at it.
fn extra(cell: &CellReport) -> String {
    let cause = cell.verdict.cause.map(|cause| format!(" ({cause})")).unwrap_or_default();
    let blocks = counted(sound(cell).count() as u64, "block");
    format!("{}{cause}; {} in {blocks}", cell.outcome, counted(cell.probe.sent, "probe"))
}
