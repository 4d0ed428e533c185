//! What can be measured of a cell or of one of its blocks, for the forms that are tables of numbers. Pure.

use brimful_judge::report::{At, BlockReport, CellReport, LoadReport, ProbeReport};
use brimful_plan::expect::CellOutcome;
use brimful_plan::gate::Metric;

/// A number over all sound blocks of a cell, and the least and the largest of a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Measured {
    pub(crate) value: f64,
    /// `None` for a single block, and where a block's number is known only from below.
    pub(crate) range: Option<(f64, f64)>,
}

/// The blocks that say something about the target.
pub(crate) fn sound(cell: &CellReport) -> impl Iterator<Item = &BlockReport> {
    cell.blocks.iter().filter(|block| block.outcome != CellOutcome::Void)
}

/// A metric of a block; `None` where there is no number, or only a bound.
pub(crate) fn of_block(metric: Metric, block: &BlockReport) -> Option<f64> {
    number(metric, &block.probe, &block.load)
}

/// A metric of a cell: of the probes of all sound blocks together, for the load the mean of the sound blocks.
pub(crate) fn of_cell(metric: Metric, cell: &CellReport) -> Option<Measured> {
    let of_blocks: Option<Vec<f64>> = sound(cell).map(|block| of_block(metric, block)).collect();
    let of_blocks = of_blocks.filter(|all| !all.is_empty());
    if cell.outcome == CellOutcome::Void {
        return None;
    }
    let value = match metric {
        Metric::LoadRate | Metric::LoadHeld => {
            of_blocks.as_ref().map(|all| all.iter().sum::<f64>() / all.len() as f64)?
        }
        Metric::FailureRate | Metric::RestrictedMean | Metric::P50 | Metric::P90 | Metric::P99 => {
            number(metric, &cell.probe, &cell.load)?
        }
    };
    let least = |all: &Vec<f64>| all.iter().copied().fold(f64::INFINITY, f64::min);
    let most = |all: &Vec<f64>| all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let range = of_blocks.filter(|all| all.len() > 1).map(|all| (least(&all), most(&all)));
    Some(Measured { value, range })
}

fn number(metric: Metric, probe: &ProbeReport, load: &LoadReport) -> Option<f64> {
    match metric {
        Metric::FailureRate => probe.failure_rate,
        Metric::RestrictedMean => probe.restricted_mean_ns.map(|ns| ns as f64),
        Metric::P50 => exact(probe.latency_ns.p50),
        Metric::P90 => exact(probe.latency_ns.p90),
        Metric::P99 => exact(probe.latency_ns.p99),
        Metric::LoadRate => load.rate_per_s,
        Metric::LoadHeld => Some(load.held as f64),
    }
}

fn exact(quantile: Option<At>) -> Option<f64> {
    match quantile {
        Some(At::Exact(ns)) => Some(ns as f64),
        Some(At::AtLeast { .. }) | None => None,
    }
}
