//! What was gathered in a cell, put together with what was planned: the record.

use std::time::Duration;

use brimful_evidence::given;
use brimful_evidence::record::{Cost, Host, LoadRecord, ProbeRecord, RECORD_VERSION, Record, TargetRecord};
use brimful_loadgen_plan::probe::{ProbePlan, Sample};
use brimful_plan::cell::Cell;
use brimful_plan::predict::Prediction;
use brimful_plan::topology::Layout;

use super::cell::Gathered;

/// Which run a cell belongs to.
#[derive(Clone, Debug)]
pub struct Belongs<'a> {
    /// The scenario's name.
    pub scenario: &'a str,
    /// Counts from 0.
    pub block: u32,
    /// Attempts at this block before this one.
    pub attempt: u32,
    /// The run's seed.
    pub seed: u64,
    /// How long the host's tables took to be back at their baseline before the cell began.
    pub cooldown: Duration,
    /// When the cell began, RFC 3339, UTC.
    pub started_at: String,
    /// Which limit was to bind first.
    pub prediction: Prediction,
}

/// The record of a cell.
#[must_use]
pub fn record(belongs: Belongs<'_>, host: Host, cell: &Cell, layout: &Layout, gathered: Gathered) -> Record {
    let sysctls: Vec<(String, String)> = gathered.sysctls.into_iter().map(|r| (r.name, r.given)).collect();
    Record {
        record_version: RECORD_VERSION,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        scenario: belongs.scenario.to_owned(),
        cell: cell.clone(),
        block: belongs.block,
        attempt: belongs.attempt,
        seed: belongs.seed,
        host: Host { user_namespace: gathered.user_namespace, ..host },
        started_at: belongs.started_at,
        duration_ns: gathered.duration_ns,
        interrupted: gathered.interrupted,
        prediction: Some(belongs.prediction),
        knobs: given::readings(cell, &sysctls, &gathered.evidence),
        target: TargetRecord {
            ready: gathered.ready,
            outcomes: gathered.target,
            early_ends: gathered.early_ends,
            commands: gathered.commands,
        },
        load: LoadRecord {
            plan: layout.load.clone(),
            // Told when it had risen already, it was not stopped.
            stopped_rising_at_ns: gathered.enough_at_ns.filter(|_| gathered.load.attempted < gathered.load.requested),
            outcome: gathered.load,
            missing_shards: gathered.missing_shards,
        },
        probe: ProbeRecord { plan: layout.probe.clone(), samples: gathered.samples },
        turned: gathered.turned,
        lives: gathered.lives,
        startup: beside(layout.startup.as_ref(), gathered.startup),
        readiness: beside(layout.readiness.as_ref(), gathered.readiness),
        evidence: gathered.evidence,
        cost: Cost {
            setup_ms: gathered.setup.as_secs_f64() * 1e3,
            teardown_ms: gathered.teardown.as_secs_f64() * 1e3,
            cooldown_ms: belongs.cooldown.as_secs_f64() * 1e3,
            observer_cpu_fraction: gathered.observer_cpu_fraction,
        },
    }
}

/// A probe beside liveness, where it was planned.
fn beside(plan: Option<&ProbePlan>, samples: Vec<Sample>) -> Option<ProbeRecord> {
    plan.map(|plan| ProbeRecord { plan: plan.clone(), samples })
}
