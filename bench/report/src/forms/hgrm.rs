//! HdrHistogram's percentile distribution (`.hgrm`), in milliseconds, for its plotter: a table for each cell. Pure.
//!
//! The probes that were never answered are in it, because a distribution without them would be that of another server: they
//! stand last, at the deadline, and a comment above the table says from which percentile on a value is only known from below.

use std::fmt::Write as _;

use brimful_evidence::record::Record;
use brimful_judge::report::{CellReport, Report, build};
use brimful_judge::wording::{count, counted, time};
use brimful_loadgen_plan::latency::Distribution;

/// Rows for each halving of the distance to 100 %, as HdrHistogram's own printers have it.
const STEPS_PER_HALF: u64 = 5;
/// Nanoseconds in the unit of the table.
const MILLISECOND: f64 = 1e6;

/// A table for each cell of the report that has probes, over all its blocks that are not void.
#[must_use]
pub fn render(report: &Report, records: &[Record]) -> String {
    let mut out = String::new();
    for cell in &report.cells {
        let mut of_cell: Vec<&Record> = records.iter().filter(|record| record.cell.id == cell.id).collect();
        of_cell.sort_by_key(|record| record.block);
        let Some(summary) = build::summary(&of_cell, &cell.blocks, cell.outcome) else { continue };
        if summary.latency.count() > 0 {
            // Writing to a String cannot fail.
            table(&mut out, &report.scenario.name, cell, &summary.latency).ok();
        }
    }
    out
}

fn table(out: &mut String, scenario: &str, cell: &CellReport, latency: &Distribution) -> std::fmt::Result {
    let (all, answered) = (latency.count(), latency.answered.count());
    if !out.is_empty() {
        out.push('\n');
    }
    writeln!(out, "# {scenario}: {}: {}, in milliseconds", cell.id, counted(all, "health check"))?;
    if latency.censored > 0 {
        let deadline = time(latency.deadline_ns);
        let share = 100.0 * answered as f64 / all as f64;
        writeln!(
            out,
            "# {} of {} were not answered within {deadline}: above {share:.2} % read every value as \"at least {deadline}\"",
            count(latency.censored),
            count(all)
        )?;
    }
    writeln!(out, "{:>12} {:>14} {:>10} {:>14}\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)")?;
    for level in Levels::default() {
        let rank = level.rank(all);
        let (ns, total) = if rank > answered {
            (latency.deadline_ns, all)
        } else {
            // Halfway to the rank before, so that no rounding of the fraction changes the rank.
            let ns = latency.answered.quantile((rank as f64 - 0.5) / answered as f64);
            (ns, latency.answered.histogram().count_between(0, ns))
        };
        let (ms, fraction) = (ns as f64 / MILLISECOND, level.part as f64 / level.of as f64);
        let odds = level.of as f64 / (level.of - level.part) as f64;
        writeln!(out, "{ms:>12.3} {fraction:>2.12} {total:>10} {odds:>14.2}")?;
        if rank == all {
            writeln!(out, "{ms:>12.3} {:>2.12} {all:>10}", 1.0)?;
            break;
        }
    }
    let mut whole = latency.answered.clone();
    (0..latency.censored).for_each(|_| whole.record(latency.deadline_ns));
    let histogram = whole.histogram();
    let largest = if latency.censored > 0 { latency.deadline_ns } else { histogram.max() };
    writeln!(
        out,
        "#[Mean    = {:>12.3}, StdDeviation   = {:>12.3}]",
        latency.restricted_mean().unwrap_or_default() / MILLISECOND,
        histogram.stdev() / MILLISECOND
    )?;
    writeln!(out, "#[Max     = {:>12.3}, Total count    = {all:>12}]", largest as f64 / MILLISECOND)?;
    // As HdrHistogram makes them: twice what the significant digits tell apart, up to a power of two.
    let sub_buckets = (2 * 10_u64.pow(u32::from(histogram.sigfig()))).next_power_of_two();
    writeln!(out, "#[Buckets = {:>12}, SubBuckets     = {sub_buckets:>12}]", histogram.buckets())
}

/// A fraction of all values, exactly.
#[derive(Clone, Copy, Debug)]
struct Level {
    part: u64,
    of: u64,
}

impl Level {
    /// The rank of the value at this fraction among `all`, from 1.
    fn rank(self, all: u64) -> u64 {
        let rank = (u128::from(self.part) * u128::from(all)).div_ceil(u128::from(self.of));
        u64::try_from(rank).unwrap_or(all).clamp(1, all)
    }
}

/// The levels of a percentile table, finer by a half with every halving of what is left to 1.
#[derive(Debug, Default)]
struct Levels {
    halvings: u32,
    step: u64,
}

impl Iterator for Levels {
    type Item = Level;

    fn next(&mut self) -> Option<Level> {
        // What is left of 1 is cut into twice as many steps as are made, the other half is the next interval.
        // More halvings than a count has bits would tell nothing apart, and overflow.
        let of = (self.halvings < 56).then(|| (2 * STEPS_PER_HALF) << self.halvings)?;
        let level = Level { part: of - 2 * STEPS_PER_HALF + self.step, of };
        self.step += 1;
        if self.step == STEPS_PER_HALF {
            (self.halvings, self.step) = (self.halvings + 1, 0);
        }
        Some(level)
    }
}
