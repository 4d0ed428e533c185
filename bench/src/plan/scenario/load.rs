//! `[load]`: the connections.

use std::time::Duration;

use brimful_loadgen::plan::Behaviour;

use super::error::ScenarioError;
use super::reader::{Keys, Section};
use crate::plan::cell::LoadSetup;
use crate::plan::knob::limits::{BEHAVIOUR, CONNECTIONS_MOST, SOURCE};

/// The longest time that anything in a scenario can take.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 3600);

const LOAD: Keys = Keys {
    now: &["connections", "ramp", "hold", "behaviour", "lifetime", "source", "ramp-until"],
    later: &["rate", "destinations", "interval"],
    elsewhere: &[("behavior", "behaviour"), ("conns", "connections"), ("duration", "hold")],
};
const LATER_BEHAVIOURS: &[&str] = &["heartbeat", "slow-reader", "reconnect"];
/// What can end a ramp.
const RAMP_UNTIL: &[&str] = &["unhealthy"];
/// The shortest life of a churned connection: below it the generator's own clock shows.
const SHORTEST_LIFE: Duration = Duration::from_millis(1);

/// The behaviour of this name. Only a churned connection has a lifetime, and it must have one.
///
/// # Errors
/// Says which of the two is missing.
pub(in crate::plan) fn behaviour(name: &str, lifetime: Option<Duration>) -> Result<Behaviour, String> {
    match (name, lifetime) {
        ("idle", _) => Ok(Behaviour::Idle),
        ("half-open", _) => Ok(Behaviour::HalfOpen),
        ("churn", Some(lifetime)) => Ok(Behaviour::Churn { lifetime }),
        ("churn", None) => Err("a load that churns needs `load.lifetime`, from handshake to close".to_owned()),
        _ => Err(format!("`{name}` is no behaviour of a load")),
    }
}

/// Reads `[load]`, and the lifetime apart: an axis may make a load churn that does not to begin with.
pub(super) fn read(root: &Section<'_>) -> Result<(LoadSetup, Option<Duration>), ScenarioError> {
    let section = root.child("load", LOAD)?;
    let any = Duration::ZERO..=LONGEST;
    let lifetime = section.value("lifetime").map(|value| value.duration(SHORTEST_LIFE..=LONGEST)).transpose()?;
    let load = LoadSetup {
        connections: section.required("connections")?.count(0..=CONNECTIONS_MOST)?,
        ramp: section.required("ramp")?.duration(any.clone())?,
        hold: section.required("hold")?.duration(any)?,
        behaviour: match section.value("behaviour") {
            None => Behaviour::Idle,
            Some(value) => {
                let name: String = value.word(BEHAVIOUR, LATER_BEHAVIOURS)?;
                behaviour(&name, lifetime).map_err(|what| value.error(what).hint("write lifetime = \"200ms\""))?
            }
        },
        source: section.word("source", SOURCE, &[])?,
        ramp_until: section.value("ramp-until").map(|value| value.word(RAMP_UNTIL, &[])).transpose()?,
    };
    if let Some(value) = section.value("ramp-until").filter(|_| load.ramp.is_zero()) {
        return Err(value
            .error_at_key("`load.ramp-until` needs a ramp to end, and `load.ramp` is zero")
            .hint("write ramp = \"20s\", slow against the probe's period"));
    }
    if load.ramp.is_zero() && load.hold.is_zero() {
        return Err(section.error("`load.ramp` and `load.hold` are both zero, so a cell would last no time at all"));
    }
    Ok((load, lifetime))
}
