//! Go's benchmark format, for `benchstat`: one line a block, so that benchstat does its own statistics. Pure.
//!
//! A name is `BenchmarkSCENARIO/KNOB=VALUE/…`, so that `benchstat -col /arm` and its like work. The configuration lines are
//! only those whose difference makes a comparison unfair: benchstat keeps what differs in them apart (`-ignore kernel` if not).
//! A quantile that is known only from below is left out of its line; a void block is not there.

use std::fmt::Write as _;

use brimful_judge::report::{BlockReport, Report};
use brimful_plan::gate::Metric;

use super::measure::{of_block, sound};

/// The report as benchmark lines.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    for (key, value) in [
        ("scenario", report.scenario.name.clone()),
        ("kernel", report.host.kernel.clone()),
        ("arch", report.host.arch.clone()),
        ("cpus", report.host.cpus.to_string()),
    ] {
        out.push_str(&format!("{key}: {}\n", value.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    for metric in Metric::ALL {
        let better = if metric.more_is_better() { "higher" } else { "lower" };
        out.push_str(&format!("Unit {} better={better}\n", unit(metric)));
    }
    for cell in &report.cells {
        let name = name(&report.scenario.name, &cell.id);
        for block in sound(cell) {
            out.push_str(&line(&name, block));
        }
    }
    out
}

fn line(name: &str, block: &BlockReport) -> String {
    let mut line = format!("{name} {}", block.probe.sent);
    for metric in Metric::ALL {
        if let Some(value) = of_block(metric, block) {
            // Writing to a String cannot fail.
            write!(line, " {value} {}", unit(metric)).ok();
        }
    }
    line + "\n"
}

/// Its unit, which is also the name of the metric here; benchstat itself turns a last part `ns` into seconds.
fn unit(metric: Metric) -> &'static str {
    match metric {
        Metric::FailureRate => "failures/probe",
        Metric::RestrictedMean => "restricted-mean-ns",
        Metric::P50 => "p50-ns",
        Metric::P90 => "p90-ns",
        Metric::P99 => "p99-ns",
        Metric::LoadRate => "conns/s",
        Metric::LoadHeld => "held-conns",
    }
}

/// The part after `Benchmark` begins with a capital, and holds no blank.
fn name(scenario: &str, id: &str) -> String {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join("_");
    let scenario = plain(scenario);
    let mut letters = scenario.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("Benchmark{first}{}/{}", letters.as_str(), plain(id).replace(',', "/"))
}
