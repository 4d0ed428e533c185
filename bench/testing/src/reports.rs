//! Reports for tests, made of numbers instead of records.

use std::sync::LazyLock;

use brimful_evidence::record::{Host, KnobReading};
use brimful_judge::report::{At, BlockReport, CellReport, Quantiles, Report, RunInfo};
use brimful_plan::arm::{ARM, Arm};
use brimful_plan::cell::KnobValue;
use brimful_plan::expect::{CauseName, CellOutcome};
use indexmap::IndexMap;

use crate::healthy;

/// What one block of 100 probes came to.
#[derive(Clone, Copy)]
pub struct Made {
    pub void: bool,
    pub failed: u64,
    pub mean_ms: f64,
    /// `None` where it falls among the censored.
    pub p99_ms: Option<f64>,
    pub rate: Option<f64>,
    pub held: u64,
    pub timeout_ns: u64,
}

impl Default for Made {
    fn default() -> Self {
        Self {
            void: false,
            failed: 0,
            mean_ms: 0.5,
            p99_ms: Some(2.0),
            rate: Some(4_000.0),
            held: 12_000,
            timeout_ns: 1_000_000_000,
        }
    }
}

/// A cell that came of a record, made once.
fn any_cell() -> CellReport {
    static ANY: LazyLock<CellReport> = LazyLock::new(from_record);
    ANY.clone()
}

fn from_record() -> CellReport {
    let record = healthy();
    let info = RunInfo {
        scenario: "made-up".into(),
        question: "Is the new one slower?".into(),
        tool_version: "0.1.0".into(),
        host: record.host.clone(),
        seed: 7,
        blocks: 1,
        interrupted: false,
        arms: Vec::new(),
        gate: None,
        notes: Vec::new(),
    };
    let planned = [record.cell.clone()];
    Report::build(info, &[record], &planned).cells.remove(0)
}

pub fn block(number: u32, made: Made) -> BlockReport {
    of(&any_cell().blocks[0], number, made)
}

fn of(like: &BlockReport, number: u32, made: Made) -> BlockReport {
    let mut block = like.clone();
    let ns = |ms: f64| (ms * 1e6) as u64;
    block.block = number;
    block.outcome = match made.failed {
        _ if made.void => CellOutcome::Void,
        0 => CellOutcome::Healthy,
        1..10 => CellOutcome::Degraded,
        _ => CellOutcome::Failing,
    };
    block.probe.timeout_ns = made.timeout_ns;
    (block.probe.sent, block.probe.ok, block.probe.failed) = (100, 100 - made.failed, made.failed);
    block.probe.failure_rate = Some(made.failed as f64 / 100.0);
    block.probe.restricted_mean_ns = Some(ns(made.mean_ms));
    let p99 = made.p99_ms.map_or(At::AtLeast { at_least_ns: made.timeout_ns }, |ms| At::Exact(ns(ms)));
    block.probe.latency_ns =
        Quantiles { p50: Some(At::Exact(400_000)), p90: Some(At::Exact(600_000)), p99: Some(p99), max: Some(p99) };
    block.load.rate_per_s = made.rate;
    block.load.held = made.held;
    block
}

pub fn cell(id: &str, blocks: &[Made]) -> CellReport {
    let mut cell = any_cell();
    let like = cell.blocks[0].clone();
    cell.id = id.to_owned();
    cell.knobs = IndexMap::new();
    cell.blocks = (0..).zip(blocks).map(|(number, &made)| of(&like, number, made)).collect();
    cell.outcome = if cell.blocks.iter().any(|b| b.outcome == CellOutcome::Failing) {
        CellOutcome::Failing
    } else {
        cell.blocks.first().map_or(CellOutcome::Void, |b| b.outcome)
    };
    cell.verdict.cause = (cell.outcome == CellOutcome::Failing).then_some(CauseName::FdLimit);
    cell.verdict.outcome = cell.outcome;
    if let Some(first) = cell.blocks.first() {
        cell.probe = first.probe.clone();
    }
    cell
}

/// A run of these cells.
pub fn report(cells: Vec<CellReport>) -> Report {
    let info = RunInfo {
        scenario: "made-up".into(),
        question: "Is the new one slower?".into(),
        tool_version: "0.1.0".into(),
        host: Host { kernel: "6.18.44".into(), arch: "x86_64".into(), cpus: 2, ..Host::default() },
        seed: 7,
        blocks: cells.iter().map(|cell| cell.blocks.len() as u32).max().unwrap_or(0),
        interrupted: false,
        arms: Vec::new(),
        gate: None,
        notes: Vec::new(),
    };
    let mut report = Report::build(info, &[], &[]);
    report.cells = cells;
    report
}

/// A run with two arms of these cells, by the ids that they have without the arm; `""` for the only one.
pub fn arms(base: Vec<(&str, Vec<Made>)>, head: Vec<(&str, Vec<Made>)>) -> Report {
    let mut cells = Vec::new();
    for (arm, own) in [("base", base), ("head", head)] {
        for (id, blocks) in own {
            let id = if id.is_empty() { format!("{ARM}={arm}") } else { format!("{ARM}={arm},{id}") };
            let mut cell = cell(&id, &blocks);
            let asked = KnobValue::Word(arm.to_owned());
            cell.knobs.insert(ARM.to_owned(), KnobReading { asked: asked.clone(), given: Some(asked), reason: None });
            cells.push(cell);
        }
    }
    let arm = |name: &str| Arm { name: name.to_owned(), set: Vec::new() };
    Report { arms: vec![arm("base"), arm("head")], ..report(cells) }
}

/// Blocks that differ a little, as those of a machine do, about `factor` times a level; the same for the same salt.
pub fn noisy(blocks: u32, factor: f64, salt: u64) -> Vec<Made> {
    let mut seeded = brimful_loadgen_plan::seeded::Seeded::stream(99, salt);
    (0..blocks)
        .map(|_| {
            let mut around = |level: f64| level * factor * (1.0 + 0.04 * (seeded.unit() - 0.5));
            Made { mean_ms: around(0.5), p99_ms: Some(around(2.0)), ..Made::default() }
        })
        .collect()
}
