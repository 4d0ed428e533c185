//! From records to a report. Pure.

use brimful_evidence::record::{KnobReading, Record};
use brimful_loadgen_plan::probe::Summary;
use brimful_plan::cell::Cell;
use brimful_plan::expect::CellOutcome;
use indexmap::IndexMap;

use super::super::breakers;
use super::super::knobs::{self, Judged, Settings};
use super::super::numbers::Numbers;
use super::super::tuning::Tunings;
use super::super::verdict::judge;
use super::{
    BlockReport, CellReport, LoadReport, MissingCell, ProbeReport, Report, RunInfo, SCHEMA_VERSION, ScenarioName, Tool,
    advice, evidence, headline, merge,
};
use crate::predicted;

impl Report {
    /// Judges every record and gathers what came of it, in the order of `planned`; records of a cell that is not in it come last.
    #[must_use]
    pub fn build(info: RunInfo, records: &[Record], planned: &[Cell]) -> Self {
        let missing = planned.iter().filter_map(|cell| missing(cell, records, info.blocks)).collect();
        Self::with(info, records, planned, missing)
    }

    fn with(info: RunInfo, records: &[Record], planned: &[Cell], missing: Vec<MissingCell>) -> Self {
        let mut by_cell: IndexMap<&str, Vec<&Record>> = planned.iter().map(|c| (c.id.as_str(), Vec::new())).collect();
        for record in records {
            by_cell.entry(record.cell.id.as_str()).or_default().push(record);
        }
        for of_cell in by_cell.values_mut() {
            of_cell.sort_by_key(|r| r.block);
        }
        let cells: Vec<CellReport> = by_cell.values().filter_map(|of_cell| cell(of_cell)).collect();
        let settings = Settings::of(cells.iter().map(|cell| &cell.knobs));
        let judged: Vec<Judged<'_>> = cells.iter().map(|cell| judged(cell, &settings)).collect();
        let knob_effects = knobs::effects(&judged);
        let smallest_cures = knobs::smallest_cures(&judged);
        let Tunings { ranking, cure, recommendation } = Tunings::of(&judged, &knob_effects);
        let (recommended, nothing_recommended) = advice::advice(recommendation, &cells);
        let mut report = Self {
            schema_version: SCHEMA_VERSION,
            tool: Tool { name: "brimful".into(), version: info.tool_version },
            host: info.host,
            scenario: ScenarioName { name: info.scenario, question: info.question },
            seed: info.seed,
            blocks: info.blocks,
            interrupted: info.interrupted,
            arms: info.arms,
            gate: info.gate,
            notes: info.notes,
            headline: Vec::new(),
            knob_effects,
            smallest_cures,
            breaks_the_loop: breakers::breakers(&cells),
            ranking,
            recommended,
            nothing_recommended,
            missing,
            cells,
        };
        report.headline = headline::headline(&report, cure.as_ref());
        report
    }

    /// The report of the same run, judged again from its records by this version.
    #[must_use]
    pub fn again(saved: Self, records: &[Record], tool_version: &str) -> Self {
        let order: Vec<&str> = saved.cells.iter().map(|cell| cell.id.as_str()).collect();
        let mut planned: Vec<Cell> = records.iter().map(|record| record.cell.clone()).collect();
        planned.sort_by_key(|cell| order.iter().position(|&id| id == cell.id).unwrap_or(usize::MAX));
        planned.dedup_by(|a, b| a.id == b.id);
        let info = RunInfo {
            scenario: saved.scenario.name,
            question: saved.scenario.question,
            tool_version: tool_version.to_owned(),
            host: saved.host,
            seed: saved.seed,
            blocks: saved.blocks,
            interrupted: saved.interrupted,
            arms: saved.arms,
            gate: saved.gate,
            notes: saved.notes,
        };
        // What was never run has no record; only the saved report knows of it.
        Self::with(info, records, &planned, saved.missing)
    }

    /// Whether any block of any cell is void.
    #[must_use]
    pub fn has_void_blocks(&self) -> bool {
        self.cells.iter().flat_map(|c| &c.blocks).any(|b| b.outcome == CellOutcome::Void)
    }
}

fn judged<'a>(cell: &'a CellReport, settings: &Settings<'a>) -> Judged<'a> {
    let (tuning, context) = settings.cell(&cell.knobs);
    let sound = cell.blocks.iter().filter(|b| b.outcome != CellOutcome::Void);
    Judged {
        id: &cell.id,
        knobs: &cell.knobs,
        tuning,
        context,
        outcome: cell.outcome,
        cause: cell.verdict.cause,
        whole: Numbers::of(&cell.probe, &cell.load),
        blocks: sound.map(|b| (b.block, Numbers::of(&b.probe, &b.load))).collect(),
    }
}

fn missing(cell: &Cell, records: &[Record], blocks: u32) -> Option<MissingCell> {
    let run: Vec<u32> = records.iter().filter(|r| r.cell.id == cell.id).map(|r| r.block).collect();
    let blocks: Vec<u32> = (0..blocks.max(1)).filter(|block| !run.contains(block)).collect();
    let knobs = cell.knobs.iter().map(|(name, setting)| {
        let reading =
            KnobReading { asked: setting.asked.clone(), given: None, reason: setting.clamped_because.clone() };
        (name.clone(), reading)
    });
    (!blocks.is_empty()).then(|| MissingCell { id: cell.id.clone(), knobs: knobs.collect(), blocks })
}

fn cell(records: &[&Record]) -> Option<CellReport> {
    let blocks: Vec<BlockReport> = records.iter().map(|r| block(r)).collect();
    let outcome = merge::outcome(&blocks);
    let (telling, record) = blocks.iter().zip(records).find(|(b, _)| b.outcome == outcome)?;
    Some(CellReport {
        id: record.cell.id.clone(),
        knobs: record.knobs.clone(),
        outcome,
        verdict: merge::verdict(&blocks, telling),
        probe: probes(records, &blocks, outcome)?,
        load: telling.load.clone(),
        evidence: evidence::flatten(&record.evidence),
        prediction: predicted::of(record),
        cost: telling.cost,
        told_by_block: telling.block,
        blocks,
    })
}

fn probes(records: &[&Record], blocks: &[BlockReport], outcome: CellOutcome) -> Option<ProbeReport> {
    let first = sound(records, blocks, outcome).next()?;
    let failed = sound(records, blocks, outcome).flat_map(|r| &r.probe.samples).find(|s| !s.outcome.passed());
    Some(ProbeReport::of(&first.probe.plan, &summary(records, blocks, outcome)?, failed))
}

/// The probes of all blocks that are not void; of all, when all are. `records` and `blocks` are those of one cell, in the same order.
pub fn summary(records: &[&Record], blocks: &[BlockReport], outcome: CellOutcome) -> Option<Summary> {
    let mut summaries =
        sound(records, blocks, outcome).map(|record| Summary::of(&record.probe.samples, &record.probe.plan));
    let mut sum = summaries.next()?;
    summaries.for_each(|other| merge::probes(&mut sum, &other));
    Some(sum)
}

fn sound<'a>(
    records: &'a [&'a Record],
    blocks: &'a [BlockReport],
    outcome: CellOutcome,
) -> impl Iterator<Item = &'a Record> {
    let counted = move |b: &BlockReport| b.outcome != CellOutcome::Void || outcome == CellOutcome::Void;
    records.iter().zip(blocks).filter(move |(_, b)| counted(b)).map(|(record, _)| *record)
}

fn one(record: &Record) -> ProbeReport {
    let samples = &record.probe.samples;
    let failed = samples.iter().find(|s| !s.outcome.passed());
    ProbeReport::of(&record.probe.plan, &Summary::of(samples, &record.probe.plan), failed)
}

fn block(record: &Record) -> BlockReport {
    let verdict = judge(record);
    BlockReport {
        block: record.block,
        started_at: record.started_at.clone(),
        repeated: record.attempt,
        outcome: verdict.outcome,
        verdict,
        probe: one(record),
        load: LoadReport::of(&record.load.outcome),
        cost: record.cost,
    }
}
