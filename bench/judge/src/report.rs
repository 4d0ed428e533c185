//! The report of a run: `report.json`, whose paths scripts rely on, and its other forms. Pure.

use std::collections::BTreeMap;

use brimful_evidence::record::{Cost, Host, KnobReading};
use brimful_plan::arm::Arm;
use brimful_plan::expect::CellOutcome;
use brimful_plan::gate::Gate;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::breakers::Breaker;
use super::knobs::{KnobEffect, SmallestCure};
use super::tuning::{Ranked, Tuning};
use super::verdict::Verdict;
use crate::predicted::Foretold;

mod advice;
pub mod build;
mod evidence;
mod headline;
mod merge;
mod stats;
pub mod talk;

pub use stats::{At, ErrorCount, Lag, LatencySummary, LoadReport, ProbeReport, Quantiles};
pub use talk::{HeartbeatReport, ReconnectReport};

/// The version of the form of `report.json`. A reader refuses a higher one.
pub const SCHEMA_VERSION: u32 = 1;

/// What a run was, besides its records.
#[derive(Clone, Debug, PartialEq)]
pub struct RunInfo {
    /// The scenario's name.
    pub scenario: String,
    /// The question it asks.
    pub question: String,
    /// The version of brimful.
    pub tool_version: String,
    /// Where it ran.
    pub host: Host,
    /// The seed of the order of the cells; 0 where they stood as in the scenario's file.
    pub seed: u64,
    /// Blocks planned, at least 1.
    pub blocks: u32,
    /// Whether it was broken off by a signal.
    pub interrupted: bool,
    /// The versions that were run side by side; empty for most runs.
    pub arms: Vec<Arm>,
    /// What the scenario wants a gate to hold it to.
    pub gate: Option<Gate>,
    /// What else a reader should know of the run as a whole: that it was shortened, that cells ran side by side.
    pub notes: Vec<String>,
}

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The version of this form; a reader refuses a higher one than it knows.
    pub schema_version: u32,
    /// What wrote it.
    pub tool: Tool,
    /// Where it ran.
    pub host: Host,
    /// What was asked.
    pub scenario: ScenarioName,
    /// The seed of the order of the cells; 0 where they stood as in the scenario's file.
    pub seed: u64,
    /// Blocks planned.
    pub blocks: u32,
    /// Whether it was broken off by a signal.
    pub interrupted: bool,
    /// The versions that were run side by side, and what each sets; empty for most runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arms: Vec<Arm>,
    /// What the scenario wants a gate to hold it to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// What else a reader should know of the run as a whole: that it was shortened, that cells ran side by side.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The answer, in a few sentences.
    pub headline: Vec<String>,
    /// The cells that have at least one record, in the scenario's order.
    pub cells: Vec<CellReport>,
    /// What was planned and not run. A missing cell is not a pass.
    pub missing: Vec<MissingCell>,
    /// What each axis made of it.
    pub knob_effects: Vec<KnobEffect>,
    /// The fewest changes that cure each cell that fails.
    pub smallest_cures: Vec<SmallestCure>,
    /// What breaks a restart loop; empty where nothing does, or nothing loops.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub breaks_the_loop: Vec<Breaker>,
    /// The cells that are not void, the best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranking: Vec<Ranked>,
    /// The tuning to take; absent where there is none to take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recommended: Option<Tuning>,
    /// Why none is recommended, in words, where tunings were tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nothing_recommended: Option<String>,
}

/// What wrote a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// `brimful`.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ScenarioName {
    /// The scenario's name.
    pub name: String,
    /// Its question.
    pub question: String,
}

/// One cell over all its blocks.
///
/// The probes are merged over the blocks that are not void. Load, evidence and cost are those of one block, so that they belong together:
/// the first with the cell's outcome (`told_by_block`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CellReport {
    /// The cell's id.
    pub id: String,
    /// Every axis: asked and given.
    pub knobs: IndexMap<String, KnobReading>,
    /// The worst outcome of its blocks: failing, degraded, healthy; void only when all are.
    pub outcome: CellOutcome,
    /// The verdict of the telling block, if the blocks that are as bad agree on its cause; else `undetermined`.
    pub verdict: Verdict,
    /// The health check, over all blocks that are not void.
    pub probe: ProbeReport,
    /// The load of the telling block.
    pub load: LoadReport,
    /// Every series of the telling block.
    pub evidence: BTreeMap<String, SeriesSummary>,
    /// The limit that was to bind first, beside where the telling block met it; absent where none was to bind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prediction: Option<Foretold>,
    /// What the telling block cost.
    pub cost: Cost,
    /// The block that load, evidence and cost are from.
    pub told_by_block: u32,
    /// Every block by itself.
    pub blocks: Vec<BlockReport>,
}

/// One block of a cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BlockReport {
    /// Counts from 0.
    pub block: u32,
    /// When it began, RFC 3339, UTC.
    pub started_at: String,
    /// Attempts before this one that were void and were repeated.
    #[serde(default)]
    pub repeated: u32,
    /// What became of it.
    pub outcome: CellOutcome,
    /// What it means.
    pub verdict: Verdict,
    /// Its health check.
    pub probe: ProbeReport,
    /// Its load.
    pub load: LoadReport,
    /// What it cost.
    pub cost: Cost,
}

/// The first, the last and the largest value of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SeriesSummary {
    /// The first reading.
    pub first: u64,
    /// The last reading.
    pub last: u64,
    /// The largest reading.
    pub max: u64,
}

/// A cell that was planned and has no record for some of its blocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MissingCell {
    /// The cell's id.
    pub id: String,
    /// What its knobs were to be.
    pub knobs: IndexMap<String, KnobReading>,
    /// The blocks without a record.
    pub blocks: Vec<u32>,
}
