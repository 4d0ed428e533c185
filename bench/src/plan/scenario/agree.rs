//! What goes together: settings that mean nothing, or cannot be had, without one another. Looks at axes as well as at what is fixed.

use brimful_loadgen::plan::Behaviour;

use super::error::ScenarioError;
use super::load;
use super::matrix::Matrix;
use super::reader::{Section, Value};
use crate::plan::arm::Arm;
use crate::plan::cell::{Cell, KnobValue, LoadSetup, Path, SourceChoice, TargetSetup};
use crate::plan::knob::limits::BEHAVIOUR;
use crate::plan::refusal::Refusal;

const NO_NEIGHBOURS: &str =
    "half-open load needs client and server in two namespaces: loopback has no neighbours, so every answer arrives";
const WRITE_VETH: &str = "write path = \"veth\" in [topology]";
const OWN_ADDRESSES: &str = "half-open load comes from addresses of its own, so the kernel cannot choose its sources";
const WRITE_AUTO: &str = "write source = \"auto\"";
const ALL_STUCK_HINT: &str = "raise `target.reuseport`, or write accept = \"dead\" for a server that never accepts";

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
    arms: &[Arm],
) -> Result<(), ScenarioError> {
    behaviours(root, path, load, lifetime, matrix)?;
    churns(root, load, matrix, arms)?;
    let plan = &target.plan;
    let most = varied(matrix, "target.reuseport-stuck").iter().filter_map(|value| match value {
        KnobValue::Number(stuck) => Some(*stuck),
        KnobValue::Switch(_) | KnobValue::Word(_) => None,
    });
    let stuck = most.max().unwrap_or_else(|| u64::from(plan.reuseport_stuck));
    if stuck >= u64::from(plan.reuseport) {
        let message = all_stuck(stuck, plan.reuseport);
        return Err(error(root, "target", "reuseport-stuck", message).hint(ALL_STUCK_HINT));
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
    if now("half-open") && path != Path::Veth {
        return Err(error(root, "load", "behaviour", NO_NEIGHBOURS.to_owned()).hint(WRITE_VETH));
    }
    let sources = varied(matrix, "load.source");
    let kernel = match sources {
        [] => load.source == SourceChoice::Kernel,
        _ => sources.iter().any(|value| is_word(value, "kernel")),
    };
    if now("half-open") && kernel {
        return Err(error(root, "load", "source", OWN_ADDRESSES.to_owned()).hint(WRITE_AUTO));
    }
    Ok(())
}

/// A lifetime is for connections that churn, in the matrix or in some arm.
fn churns(root: &Section<'_>, load: &LoadSetup, matrix: &Matrix, arms: &[Arm]) -> Result<(), ScenarioError> {
    let axis = varied(matrix, "load.behaviour");
    let fixed = axis.is_empty() && matches!(load.behaviour, Behaviour::Churn { .. });
    let of_arms =
        arms.iter().flat_map(|arm| &arm.set).filter(|(knob, _)| knob == "load.behaviour").map(|(_, value)| value);
    let churn = fixed || axis.iter().chain(of_arms).any(|value| is_word(value, "churn"));
    match place(root, "load", "lifetime").filter(|_| !churn) {
        Some(value) => Err(value.error("`load.lifetime` goes with behaviour = \"churn\"")),
        None => Ok(()),
    }
}

/// The same for one cell, once arms are put on top of it: what an arm sets may go with nothing that the file fixes.
///
/// # Errors
/// A [`Refusal`] about the knob that does not go with the rest.
pub(in crate::plan) fn together(cell: &Cell) -> Result<(), Refusal> {
    let half_open = cell.load.behaviour == Behaviour::HalfOpen;
    let plan = &cell.target.plan;
    if half_open && cell.path != Path::Veth {
        return Err(Refusal::scenario(NO_NEIGHBOURS, WRITE_VETH).about("load.behaviour"));
    }
    if half_open && cell.load.source == SourceChoice::Kernel {
        return Err(Refusal::scenario(OWN_ADDRESSES, WRITE_AUTO).about("load.source"));
    }
    if plan.reuseport_stuck >= plan.reuseport {
        let what = all_stuck(plan.reuseport_stuck.into(), plan.reuseport);
        return Err(Refusal::scenario(what, ALL_STUCK_HINT).about("target.reuseport-stuck"));
    }
    Ok(())
}

fn all_stuck(stuck: u64, sockets: u32) -> String {
    format!("{stuck} of {sockets} sockets cannot be stuck: at least one must be accepted from")
}
