//! What goes together: settings that mean nothing, or cannot be had, without one another. Looks at axes as well as at what is fixed.

use brimful_loadgen::plan::Behaviour;

use super::error::ScenarioError;
use super::load;
use super::matrix::Matrix;
use super::reader::{Section, Value};
use crate::plan::cell::{KnobValue, LoadSetup, Path, SourceChoice, TargetSetup};
use crate::plan::knob::limits::BEHAVIOUR;

/// The values a knob takes: those of its axis, or none where it has no axis.
fn varied<'m>(matrix: &'m Matrix, knob: &str) -> &'m [KnobValue] {
    matrix.axes.iter().find(|axis| axis.knob == knob).map_or(&[], |axis| &axis.values)
}

fn is_word(value: &KnobValue, word: &str) -> bool {
    matches!(value, KnobValue::Word(text) if text == word)
}

/// The key of `table.key` or of its axis, whichever is in the file, to point at.
fn place<'s>(root: &Section<'s>, table: &str, key: &str) -> Option<Value<'s>> {
    let below = |value: Option<Value<'s>>, key: &str| value?.any_table().ok()?.value(key);
    below(below(root.value("matrix"), table), key).or_else(|| below(root.value(table), key))
}

fn error(root: &Section<'_>, table: &str, key: &str, message: String) -> ScenarioError {
    match place(root, table, key) {
        Some(value) => value.error(message),
        None => root.error(message),
    }
}

/// Checks a file whose parts were read.
pub(super) fn check(
    root: &Section<'_>,
    path: Path,
    target: &TargetSetup,
    (load, lifetime): (&LoadSetup, Option<std::time::Duration>),
    matrix: &Matrix,
) -> Result<(), ScenarioError> {
    behaviours(root, path, load, lifetime, matrix)?;
    let plan = &target.plan;
    let most = varied(matrix, "target.reuseport-stuck").iter().filter_map(|value| match value {
        KnobValue::Number(stuck) => Some(*stuck),
        KnobValue::Switch(_) | KnobValue::Word(_) => None,
    });
    let stuck = most.max().unwrap_or_else(|| u64::from(plan.reuseport_stuck));
    if stuck >= u64::from(plan.reuseport) {
        let message =
            format!("{stuck} of {} sockets cannot be stuck: at least one must be accepted from", plan.reuseport);
        return Err(error(root, "target", "reuseport-stuck", message)
            .hint("raise `target.reuseport`, or write accept = \"dead\" for a server that never accepts"));
    }
    let capped = plan.max_connections.is_some() || !varied(matrix, "target.max-connections").is_empty();
    if let Some(value) = place(root, "target", "at-max").filter(|_| !capped) {
        return Err(value.error("`target.at-max` goes with `target.max-connections`"));
    }
    Ok(())
}

fn behaviours(
    root: &Section<'_>,
    path: Path,
    load: &LoadSetup,
    lifetime: Option<std::time::Duration>,
    matrix: &Matrix,
) -> Result<(), ScenarioError> {
    let axis = varied(matrix, "load.behaviour");
    let now = |name: &str| match axis {
        [] => match load.behaviour {
            Behaviour::Idle => name == "idle",
            Behaviour::HalfOpen => name == "half-open",
            Behaviour::Churn { .. } => name == "churn",
        },
        _ => axis.iter().any(|value| is_word(value, name)),
    };
    for name in BEHAVIOUR.iter().filter(|name| now(name)) {
        load::behaviour(name, lifetime)
            .map_err(|what| error(root, "load", "behaviour", what).hint("write lifetime = \"200ms\" in [load]"))?;
    }
    if let Some(value) = place(root, "load", "lifetime").filter(|_| !now("churn")) {
        return Err(value.error("`load.lifetime` goes with behaviour = \"churn\""));
    }
    if let Some(value) = place(root, "load", "ramp-until").filter(|_| now("churn")) {
        return Err(value
            .error("`load.ramp-until` goes with a load that stays: one that churns does not rise")
            .hint("take it out; `brimful knee` finds the rate at which the probe fails"));
    }
    if now("half-open") && path != Path::Veth {
        let message = "half-open load needs client and server in two namespaces: loopback has no neighbours, so every answer \
                       arrives";
        return Err(error(root, "load", "behaviour", message.to_owned()).hint("write path = \"veth\" in [topology]"));
    }
    let sources = varied(matrix, "load.source");
    let kernel = match sources {
        [] => load.source == SourceChoice::Kernel,
        _ => sources.iter().any(|value| is_word(value, "kernel")),
    };
    if now("half-open") && kernel {
        let message = "half-open load comes from addresses of its own, so the kernel cannot choose its sources";
        return Err(error(root, "load", "source", message.to_owned()).hint("write source = \"auto\""));
    }
    Ok(())
}
