//! What goes together: settings that mean nothing, or cannot be had, without one another. Looks at axes as well as at what is fixed.

use brimful_loadgen_plan::plan::Behaviour;

use super::error::ScenarioError;
use super::load;
use super::matrix::Matrix;
use super::reader::{Section, Value};
use crate::arm::Arm;
use crate::cell::{Cell, KnobValue, LoadSetup, Path, SourceChoice, TargetSetup};
use crate::knob::limits::BEHAVIOUR;
use crate::knob::parse_time;
use crate::load_options::Manners;
use crate::refusal::Refusal;
use crate::wording::time;

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
    (load, manners): (&LoadSetup, &Manners),
    matrix: &Matrix,
    arms: &[Arm],
) -> Result<(), ScenarioError> {
    behaviours(root, path, (load, manners), matrix, arms)?;
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
    (load, manners): (&LoadSetup, &Manners),
    matrix: &Matrix,
    arms: &[Arm],
) -> Result<(), ScenarioError> {
    let axis = varied(matrix, "load.behaviour");
    let now = |name: &str| match axis {
        [] => manners.name == name,
        _ => axis.iter().any(|value| is_word(value, name)),
    };
    for name in BEHAVIOUR.iter().filter(|name| now(name)) {
        let named = Manners { name: (*name).to_owned(), ..with_axes(manners, matrix) };
        named.behaviour().map_err(|what| error(root, "load", "behaviour", what).hint(load::hint(name)))?;
    }
    // What an arm sets is put on top of the file: a key may be there for it.
    let of_arms: Vec<&KnobValue> = arms
        .iter()
        .flat_map(|arm| &arm.set)
        .filter(|(knob, _)| knob == "load.behaviour")
        .map(|(_, value)| value)
        .collect();
    let some_time = |name: &str| now(name) || of_arms.iter().any(|value| is_word(value, name));
    for (key, names) in GO_WITH {
        if let Some(value) = place(root, "load", key).filter(|_| !names.iter().any(|name| some_time(name))) {
            let names: Vec<String> = names.iter().map(|name| format!("behaviour = \"{name}\"")).collect();
            return Err(value.error(format!("`load.{key}` goes with {}", names.join(" or "))));
        }
    }
    comebacks(root, load, manners, matrix)?;
    if let Some(value) = place(root, "load", "ramp-until").filter(|_| now("churn")) {
        return Err(value
            .error("`load.ramp-until` goes with a load that stays: one that churns does not rise")
            .hint("take it out; `brimful knee` finds the rate at which the probe fails"));
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

/// The same for one cell, once arms are put on top of it: what an arm sets may go with nothing that the file fixes.
///
/// # Errors
/// A [`Refusal`] about the knob that does not go with the rest.
pub(crate) fn together(cell: &Cell) -> Result<(), Refusal> {
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

/// Keys of `[load]` that mean something to these behaviours only.
const GO_WITH: &[(&str, &[&str])] = &[
    ("lifetime", &["churn"]),
    ("heartbeat-interval", &["heartbeat"]),
    ("heartbeat-share", &["heartbeat"]),
    ("read-rate", &["slow-reader"]),
    ("reconnect", &["reconnect", "heartbeat"]),
    ("reconnect-base", &["reconnect", "heartbeat"]),
    ("reconnect-cap", &["reconnect", "heartbeat"]),
    ("storm-at", &["reconnect", "heartbeat"]),
    ("storm-share", &["reconnect", "heartbeat"]),
];

/// The manners with what axes will say in any case, so that nothing is missed that an axis gives.
fn with_axes(manners: &Manners, matrix: &Matrix) -> Manners {
    let mut all = manners.clone();
    if !varied(matrix, "load.read-rate").is_empty() {
        all.read_rate = all.read_rate.or(Some(0));
    }
    if !varied(matrix, "load.storm-at").is_empty() {
        all.storm_at = all.storm_at.or(Some(std::time::Duration::ZERO));
    }
    all
}

fn comebacks(root: &Section<'_>, load: &LoadSetup, manners: &Manners, matrix: &Matrix) -> Result<(), ScenarioError> {
    let spans = |knob: &str, fixed| {
        let axis: Vec<_> = varied(matrix, knob).iter().filter_map(|value| parse_time(value).ok()).collect();
        if axis.is_empty() { vec![fixed] } else { axis }
    };
    let base = spans("load.reconnect-base", manners.base).into_iter().max().unwrap_or(manners.base);
    let cap = spans("load.reconnect-cap", manners.cap).into_iter().min().unwrap_or(manners.cap);
    if base > cap {
        let message = format!("the first pause of {} is longer than the longest of {}", time(base), time(cap));
        let key = if place(root, "load", "reconnect-cap").is_some() { "reconnect-cap" } else { "reconnect-base" };
        return Err(
            error(root, "load", key, message).hint("raise `load.reconnect-cap`, or lower `load.reconnect-base`")
        );
    }
    let storms = matrix.axes.iter().any(|axis| axis.knob == "load.storm-at") || manners.storm_at.is_some();
    if let Some(value) = place(root, "load", "storm-share").filter(|_| !storms) {
        return Err(value.error("`load.storm-share` goes with `load.storm-at`"));
    }
    let duration = load.ramp + load.hold;
    let latest = spans("load.storm-at", manners.storm_at.unwrap_or_default()).into_iter().max().unwrap_or_default();
    if storms && latest >= duration {
        let message =
            format!("a storm at {} is not before the end of the cell, after {}", time(latest), time(duration));
        return Err(error(root, "load", "storm-at", message).hint("lengthen `load.hold`, or let it come earlier"));
    }
    Ok(())
}
