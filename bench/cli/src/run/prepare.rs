//! A scenario and what was asked of it, made ready: which cells, how often, in which order. Everything is refused here that cannot be run.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use brimful_plan::arm::Arm;
use brimful_plan::cell::{Cell, Sandbox};
use brimful_plan::cost::{self, Machine};
use brimful_plan::host;
use brimful_plan::order::Order;
use brimful_plan::quick::quick;
use brimful_plan::refusal::Refusal;
use brimful_plan::scenario::Scenario;

use crate::check;
use crate::error::Error;
use crate::sources::Source;

/// What is asked of a run besides its scenario.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    /// In place of the scenario's own; empty for those.
    pub(crate) arms: Vec<Arm>,
    /// A glob over the ids of cells.
    pub(crate) only: Option<String>,
    /// At least 1.
    pub(crate) blocks: u32,
    /// The order of the cells.
    pub(crate) order: Order,
    /// Cells at once, at least 1.
    pub(crate) jobs: usize,
    /// Whether the shortest form will do.
    pub(crate) quick: bool,
}

impl Wish {
    /// So many blocks of everything, one cell at a time, by a seed or by one of chance.
    pub(crate) fn blocks(blocks: u32, seed: Option<u64>) -> Self {
        let order = Order::of_run(blocks, seed, chance);
        Self { arms: Vec::new(), only: None, blocks, order, jobs: 1, quick: false }
    }
}

/// A run that can begin.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    /// With the arms that are to be run.
    pub(crate) scenario: Scenario,
    /// Every cell of a block, in the scenario's order.
    pub(crate) cells: Vec<Cell>,
    pub(super) blocks: u32,
    pub(super) order: Order,
    pub(super) jobs: usize,
    /// What a reader of the report should know before anything has run.
    pub(super) notes: Vec<String>,
}

/// Makes a scenario ready.
///
/// # Errors
/// When the arms do not go with the scenario, when no cell fits, and when this machine refuses.
pub(crate) fn prepare(source: &Source, wish: &Wish, machine: &Machine) -> Result<Prepared, Error> {
    let mut scenario = source.scenario.clone();
    if !wish.arms.is_empty() {
        scenario = scenario.with_arms(wish.arms.clone()).map_err(|refusal| Error::Refused(vec![refusal]))?;
    }
    let mut cells = check::cells(&scenario, machine, wish.only.as_deref())?;
    let mut notes = Vec::new();
    if wish.quick {
        let quick = quick(&cells, &scenario.expect);
        (cells, notes) = (quick.cells, quick.said);
    }
    check::refuse_infeasible(&cells, machine)?;
    if scenario.sandbox == Sandbox::Host {
        if wish.jobs > 1 {
            let (what, hint) = host::ONE_AT_A_TIME;
            return Err(Error::Refused(vec![Refusal::scenario(what, hint)]));
        }
        notes.push(host::NOTE.to_owned());
    }
    notes.extend(super::host::notes(&scenario, &cells, wish.jobs)?);
    if wish.jobs > 1 {
        if let Some(refusal) = cost::together(&cells, machine, wish.jobs) {
            return Err(Error::Refused(vec![refusal]));
        }
        notes.push(format!("up to {} cells ran at once, and disturbed each other's latencies", wish.jobs));
    }
    Ok(Prepared { scenario, cells, blocks: wish.blocks, order: wish.order, jobs: wish.jobs, notes })
}

/// A number that nobody chose: the keys that the system gives every hash table. Half of its digits are enough, and easier to type.
fn chance() -> u64 {
    RandomState::new().build_hasher().finish() >> 32
}
