//! `[matrix]`: what varies, what may be lowered to what the machine gives, what is taken out.

use super::error::ScenarioError;
use super::reader::{Keys, Section, Value};
use super::{MAX_CELLS, arms};
use crate::arm::{self, ARM, Arm};
use crate::axis::{self, Axis, Condition};
use crate::cell::{KnobValue, Sandbox};
use crate::knob::{self, Admitted, Scope};
use crate::wording::{grouped, nearest, quoted};

const MATRIX: Keys = Keys {
    now: &["sysctl", "ulimit", "target", "load", "restart", "clamp", "exclude"],
    later: &["probe", "topology"],
    elsewhere: &[("limits", "ulimit"), ("sysctls", "sysctl"), ("arm", "[arms]"), ("arms", "[arms]")],
};
const EXCLUDE: Keys = Keys { now: &["when"], later: &[], elsewhere: &[] };

/// The one axis that a machine bounds, so the one that can be clamped, where sysctls are set.
const CLAMPABLE: &str = "ulimit.nofile";

/// Whether an axis may take what there is in place of what was asked. Where nothing is set, that is true of every sysctl.
fn clampable(name: &str, sandbox: Sandbox) -> bool {
    name == CLAMPABLE || sandbox == Sandbox::Host && name.starts_with("sysctl.")
}

/// What `[matrix]` says, checked, with the combinations it makes.
#[derive(Clone, Debug)]
pub(super) struct Matrix {
    pub(super) axes: Vec<Axis>,
    pub(super) clamp: Vec<String>,
    pub(super) exclude: Vec<Condition>,
    /// Every combination that is left, as one index into each axis' values.
    pub(super) rows: Vec<Vec<usize>>,
}

/// Reads `[matrix]`; arms are its first axis.
pub(super) fn read(root: &Section<'_>, arms: &[Arm], sandbox: Sandbox) -> Result<Matrix, ScenarioError> {
    let section = root.child("matrix", MATRIX)?;
    let mut axes = Vec::new();
    for (key, value) in section.values() {
        if !matches!(key, "clamp" | "exclude") {
            leaves(&value, key, &mut |name, value| axes.push((name, value)))?;
        }
    }
    let first = arm::axis(arms).into_iter().collect();
    let axes = axes.into_iter().try_fold(first, |axes, (name, value)| read_axis(axes, &name, &value))?;
    arms::check_axes(root, arms, &axes)?;
    check_size(&section, &axes)?;
    let clamp = clamp(&section, &axes, sandbox)?;
    let exclude = exclude(&section, &axes)?;
    let rows = axis::product(&axes, &exclude);
    if rows.is_empty() {
        return Err(section.error("`matrix.exclude` leaves no cell").hint("take out one of the conditions"));
    }
    axis::ids(&axes, &rows)
        .map_err(|error| section.error(error.to_string()).hint("vary fewer knobs in one scenario"))?;
    Ok(Matrix { axes, clamp, exclude, rows })
}

/// Walks the tables of a knob's name (`sysctl."net.core.somaxconn"`, `target.backlog`) down to its value.
pub(super) fn leaves<'s>(
    value: &Value<'s>,
    name: &str,
    found: &mut impl FnMut(String, Value<'s>),
) -> Result<(), ScenarioError> {
    for (key, inner) in value.any_table()?.values() {
        let name = format!("{name}.{key}");
        if inner.is_table() {
            leaves(&inner, &name, found)?;
        } else {
            found(name, inner);
        }
    }
    Ok(())
}

/// The knob of this name, its name in the one spelling.
pub(super) fn admit(name: &str, value: &Value<'_>) -> Result<(String, Admitted), ScenarioError> {
    let settled = if value.source.own_host { knob::settle_anywhere(name) } else { knob::settle(name) };
    settled.map_err(|refusal| value.error_at_key(refusal.what.clone()).hint(refusal.hint).class(refusal.class))
}

fn read_axis(mut axes: Vec<Axis>, name: &str, value: &Value<'_>) -> Result<Vec<Axis>, ScenarioError> {
    let (knob, admitted) = admit(name, value)?;
    if axes.iter().any(|axis| axis.knob == knob) {
        return Err(value.error_at_key(format!("`{knob}` is in the matrix twice")));
    }
    if !value.is_list() {
        return Err(value
            .error(format!("`{}` must be a list of values", value.name))
            .hint("a list of one fixes the knob: [128]"));
    }
    let items = value.list()?;
    if items.is_empty() {
        return Err(value.error(format!("`{}` has no values", value.name)).hint("take the axis out, or give it one"));
    }
    let mut values = Vec::with_capacity(items.len());
    for item in &items {
        let canonical = canonical(&knob, &admitted, item)?;
        if values.contains(&canonical) {
            return Err(item.error(format!("`{knob}` has the value `{canonical}` twice")));
        }
        values.push(canonical);
    }
    axes.push(Axis { knob, values });
    Ok(axes)
}

pub(super) fn canonical(knob: &str, admitted: &Admitted, value: &Value<'_>) -> Result<KnobValue, ScenarioError> {
    admitted.values().canonical(&value.knob_value()?).map_err(|what| value.error(format!("`{knob}`: {what}")))
}

fn check_size(section: &Section<'_>, axes: &[Axis]) -> Result<(), ScenarioError> {
    let said = match axis::size(axes) {
        Some(size) if size <= MAX_CELLS => return Ok(()),
        Some(size) => grouped(size),
        None => format!("more than {}", grouped(u64::MAX)),
    };
    let product = axes.iter().map(|axis| axis.values.len().to_string()).collect::<Vec<_>>().join(" × ");
    Err(section
        .error(format!("the matrix has {said} cells ({product}), at most {} are taken", grouped(MAX_CELLS)))
        .hint("give an axis fewer values, or split the question into two scenarios"))
}

fn clamp(section: &Section<'_>, axes: &[Axis], sandbox: Sandbox) -> Result<Vec<String>, ScenarioError> {
    let Some(list) = section.value("clamp") else { return Ok(Vec::new()) };
    let mut clamp = Vec::new();
    for item in list.list()? {
        let name = item.text()?;
        if !axes.iter().any(|axis| axis.knob == name) {
            return Err(not_an_axis(&item, name, axes));
        }
        if !clampable(name, sandbox) {
            return Err(item
                .error(format!("`{name}` has no limit of the machine to be lowered to"))
                .hint(format!("only `{CLAMPABLE}` can be clamped, and sysctls where topology.sandbox = \"host\"")));
        }
        clamp.push(name.to_owned());
    }
    Ok(clamp)
}

fn exclude(section: &Section<'_>, axes: &[Axis]) -> Result<Vec<Condition>, ScenarioError> {
    let Some(list) = section.value("exclude") else { return Ok(Vec::new()) };
    let mut exclude = Vec::new();
    let hint = "write [[matrix.exclude]] and when = { target.backlog = 511 }";
    if !list.is_list() {
        return Err(list.error("`matrix.exclude` must be a list of tables").hint(hint));
    }
    for item in list.list()? {
        let value = item.table(EXCLUDE)?.required("when").map_err(|error| error.hint(hint))?;
        let condition = condition(&value, axes)?;
        if condition.is_empty() {
            return Err(value.error("an empty `when` would exclude every cell").hint(hint));
        }
        exclude.push(condition);
    }
    Ok(exclude)
}

/// Reads a `when`: knobs that are axes, each with one of its values.
pub(super) fn condition(value: &Value<'_>, axes: &[Axis]) -> Result<Condition, ScenarioError> {
    let mut condition = Condition::new();
    let mut found = Vec::new();
    for (key, inner) in value.any_table()?.values() {
        if inner.is_table() {
            leaves(&inner, key, &mut |name, value| found.push((name, value)))?;
        } else {
            found.push((key.to_owned(), inner));
        }
    }
    for (name, value) in found {
        if let Some(axis) = axes.iter().find(|axis| axis.knob == ARM && name == ARM) {
            let wanted = KnobValue::Word(value.text()?.to_owned());
            if !axis.values.contains(&wanted) {
                return Err(never(&value, axis, &wanted));
            }
            condition.push((name, wanted));
            continue;
        }
        let spelt = admit(&name, &value);
        let known = spelt.as_ref().ok().and_then(|(name, _)| axes.iter().find(|axis| axis.knob == *name));
        let Some(axis) = known else {
            // A host-wide or malformed name is worth its own message; any other is simply not an axis.
            return Err(match spelt {
                Err(error) if knob::lookup(&name).is_some_and(|knob| knob.scope == Scope::HostWide) => error,
                _ => not_an_axis(&value, &name, axes),
            });
        };
        let (knob, admitted) = spelt?;
        let wanted = canonical(&knob, &admitted, &value)?;
        if !axis.values.contains(&wanted) {
            return Err(never(&value, axis, &wanted));
        }
        if condition.iter().any(|(name, _)| *name == knob) {
            return Err(value.error_at_key(format!("`{knob}` is in this condition twice")));
        }
        condition.push((knob, wanted));
    }
    Ok(condition)
}

fn never(value: &Value<'_>, axis: &Axis, wanted: &KnobValue) -> ScenarioError {
    let values = quoted(axis.values.iter().map(ToString::to_string));
    value.error(format!("`{}` never is `{wanted}` in this matrix: it takes {values}", axis.knob))
}

fn not_an_axis(value: &Value<'_>, name: &str, axes: &[Axis]) -> ScenarioError {
    let names: Vec<&str> = axes.iter().map(|axis| axis.knob.as_str()).collect();
    let error = value.error_at_key(format!("`{name}` is no axis of this matrix"));
    let error = match nearest(name, names.iter().copied()) {
        None if names.is_empty() => error.hint("the matrix has no axes"),
        _ => error,
    };
    error.valid(name, &names)
}
