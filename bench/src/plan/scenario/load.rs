//! `[load]`: the connections.

use std::time::Duration;

use super::error::ScenarioError;
use super::reader::{Keys, Section};
use crate::plan::cell::LoadSetup;
use crate::plan::knob::limits::{CONNECTIONS_MOST, SOURCE};

/// The longest time that anything in a scenario can take.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 3600);

const LOAD: Keys = Keys {
    now: &["connections", "ramp", "hold", "behaviour", "source"],
    later: &["rate", "destinations", "interval", "lifetime"],
    elsewhere: &[("behavior", "behaviour"), ("conns", "connections"), ("duration", "hold")],
};
const LATER_BEHAVIOURS: &[&str] = &["heartbeat", "churn", "slow-reader", "half-open", "reconnect"];

/// Reads `[load]`.
pub(super) fn read(root: &Section<'_>) -> Result<LoadSetup, ScenarioError> {
    let section = root.child("load", LOAD)?;
    let any = Duration::ZERO..=LONGEST;
    let load = LoadSetup {
        connections: section.required("connections")?.count(0..=CONNECTIONS_MOST)?,
        ramp: section.required("ramp")?.duration(any.clone())?,
        hold: section.required("hold")?.duration(any)?,
        behaviour: section.word("behaviour", &["idle"], LATER_BEHAVIOURS)?,
        source: section.word("source", SOURCE, &[])?,
    };
    if load.ramp.is_zero() && load.hold.is_zero() {
        return Err(section.error("`load.ramp` and `load.hold` are both zero, so a cell would last no time at all"));
    }
    Ok(load)
}
