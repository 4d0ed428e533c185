//! `[load]`: the connections.

use std::time::Duration;

use super::error::ScenarioError;
use super::reader::{Keys, Section};
use crate::cell::LoadSetup;
use crate::knob::limits::{
    BEHAVIOUR, CONNECTIONS_MOST, HEARTBEAT_LEAST, PAUSE_LEAST, READ_RATE_MOST, RECONNECT, SHARE, SOURCE,
};
use crate::load_options::Manners;

/// The longest time that anything in a scenario can take.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 3600);

const LOAD: Keys = Keys {
    now: &[
        "connections",
        "ramp",
        "hold",
        "behaviour",
        "lifetime",
        "heartbeat-interval",
        "heartbeat-share",
        "read-rate",
        "reconnect",
        "reconnect-base",
        "reconnect-cap",
        "storm-at",
        "storm-share",
        "source",
        "ramp-until",
    ],
    later: &["rate", "destinations"],
    elsewhere: &[
        ("behavior", "behaviour"),
        ("conns", "connections"),
        ("duration", "hold"),
        ("interval", "heartbeat-interval"),
        ("backoff", "reconnect"),
    ],
};
/// What can end a ramp.
const RAMP_UNTIL: &[&str] = &["unhealthy"];
/// The shortest life of a churned connection: below it the generator's own clock shows.
const SHORTEST_LIFE: Duration = Duration::from_millis(1);

/// Reads `[load]`, and what behaviours go by apart: an axis may give a load a behaviour that it does not have to begin with.
pub(super) fn read(root: &Section<'_>) -> Result<(LoadSetup, Manners), ScenarioError> {
    let section = root.child("load", LOAD)?;
    let any = Duration::ZERO..=LONGEST;
    let manners = manners(&section)?;
    let behaviour = manners.behaviour().map_err(|what| match section.value("behaviour") {
        Some(value) => value.error(what).hint(hint(&manners.name)),
        None => section.error(what),
    })?;
    let load = LoadSetup {
        connections: section.required("connections")?.count(0..=CONNECTIONS_MOST)?,
        ramp: section.required("ramp")?.duration(any.clone())?,
        hold: section.required("hold")?.duration(any)?,
        behaviour,
        comeback: manners.comeback(),
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
    Ok((load, manners))
}

/// What to write for a behaviour that lacks something.
pub(super) fn hint(behaviour: &str) -> &'static str {
    match behaviour {
        "churn" => "write lifetime = \"200ms\" in [load]",
        "slow-reader" => "write read-rate = 1_000 in [load]",
        _ => "write reconnect = \"jittered\" in [load], or storm-at = \"5s\"",
    }
}

fn manners(section: &Section<'_>) -> Result<Manners, ScenarioError> {
    let plain = Manners::default();
    let span = |key: &str, range, unsaid| section.duration(key, range, unsaid);
    let some_span = |key: &str, range| section.value(key).map(|value| value.duration(range)).transpose();
    let share = |key: &str| Ok(u32::try_from(section.count(key, SHARE, 100)?).unwrap_or(100));
    let word = |key: &str, words: &[&str]| section.value(key).map(|value| value.word(words, &[])).transpose();
    Ok(Manners {
        name: word("behaviour", BEHAVIOUR)?.unwrap_or(plain.name),
        lifetime: some_span("lifetime", SHORTEST_LIFE..=LONGEST)?,
        interval: span("heartbeat-interval", HEARTBEAT_LEAST..=LONGEST, plain.interval)?,
        share_percent: share("heartbeat-share")?,
        read_rate: section.value("read-rate").map(|value| value.count(0..=READ_RATE_MOST)).transpose()?,
        policy: section.value("reconnect").map(|value| value.word(RECONNECT, &[])).transpose()?,
        base: span("reconnect-base", PAUSE_LEAST..=LONGEST, plain.base)?,
        cap: span("reconnect-cap", PAUSE_LEAST..=LONGEST, plain.cap)?,
        storm_at: some_span("storm-at", Duration::ZERO..=LONGEST)?,
        storm_share: share("storm-share")?,
    })
}
