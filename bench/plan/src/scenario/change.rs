//! `[[change]]`: what is turned while a cell runs.

use std::time::Duration;

use super::error::ScenarioError;
use super::matrix::{Matrix, admit, canonical, condition, leaves};
use super::reader::{Keys, Section, Value};
use crate::axis::Condition;
use crate::cell::{KnobValue, Sandbox};
use crate::change::{CHANGES_MOST, Change, Turn};
use crate::knob::{is_host_wide, parse_nofile};
use crate::wording::time;

const CHANGE: Keys = Keys {
    now: &["at", "when", "set", "next-start", "elsewhere", "relisten", "restart", "kill"],
    later: &[],
    elsewhere: &[("listen", "relisten"), ("shell", "elsewhere"), ("after", "at"), ("stop", "restart")],
};
const ACTIONS: &[&str] = &["set", "next-start", "elsewhere", "relisten", "restart", "kill"];
const EXAMPLE: &str = "write [[change]] at = \"12s\", set = { ulimit.nofile = 20_000 }";

/// Reads all of them, in the order of time; those of one instant stay in the file's order.
pub(super) fn read(
    root: &Section<'_>,
    matrix: &Matrix,
    sandbox: Sandbox,
    cell: Duration,
) -> Result<Vec<(Condition, Change)>, ScenarioError> {
    let Some(value) = root.value("change") else { return Ok(Vec::new()) };
    if !value.is_list() {
        return Err(value.error("`change` must be a list of tables").hint(EXAMPLE));
    }
    let mut changes = Vec::new();
    for item in value.list()? {
        let section = item.table(CHANGE)?;
        let at_value = section.required("at").map_err(|error| error.hint(EXAMPLE))?;
        let at = at_value.duration(Duration::ZERO..=super::load::LONGEST)?;
        if at >= cell {
            return Err(at_value
                .error(format!("a change at {} is not before the end of the cell, after {}", time(at), time(cell)))
                .hint("lengthen `load.hold`, or let it come earlier"));
        }
        let when = section.value("when").map_or(Ok(Vec::new()), |when| condition(&when, &matrix.axes))?;
        changes.extend(turns(&item, &section, sandbox)?.into_iter().map(|what| (when.clone(), Change { at, what })));
    }
    if changes.len() > CHANGES_MOST {
        return Err(value.error(format!("{} changes are too many, at most {CHANGES_MOST}", changes.len())));
    }
    changes.sort_by_key(|(_, change)| change.at);
    Ok(changes)
}

/// What one of them does.
fn turns(item: &Value<'_>, section: &Section<'_>, sandbox: Sandbox) -> Result<Vec<Turn>, ScenarioError> {
    let said: Vec<_> = section.values().filter(|(key, _)| ACTIONS.contains(key)).collect();
    let [(action, value)] = &said[..] else {
        return Err(match said.get(1) {
            None => item.error("this change does nothing").hint(EXAMPLE),
            Some((_, second)) => second
                .error_at_key("a change does one thing")
                .hint("write a second [[change]] for the other; those of one instant are done in the file's order"),
        });
    };
    match *action {
        "relisten" => value.only_true().map(|()| vec![Turn::Relisten]),
        "restart" => value.only_true().map(|()| vec![Turn::Restart]),
        "kill" => value.only_true().map(|()| vec![Turn::Kill]),
        "elsewhere" => elsewhere(value).map(|turn| vec![turn]),
        action => knobs(value)?.iter().map(|(name, value)| knob(action, name, value, sandbox)).collect(),
    }
}

/// The knobs of a table, each with its value.
fn knobs<'s>(value: &Value<'s>) -> Result<Vec<(String, Value<'s>)>, ScenarioError> {
    let mut found = Vec::new();
    for (key, inner) in value.any_table()?.values() {
        if inner.is_table() {
            leaves(&inner, key, &mut |name, value| found.push((name, value)))?;
        } else {
            return Err(inner.error_at_key(format!("`{key}` is no knob")).hint(EXAMPLE));
        }
    }
    if found.is_empty() { Err(value.error("nothing is set").hint(EXAMPLE)) } else { Ok(found) }
}

fn knob(action: &str, name: &str, value: &Value<'_>, sandbox: Sandbox) -> Result<Turn, ScenarioError> {
    let (knob, admitted) = admit(name, value)?;
    let value_set = canonical(&knob, &admitted, value)?;
    let of = |turn: fn(String, KnobValue) -> Turn| Ok(turn(knob.clone(), value_set.clone()));
    let set = |knob, value| Turn::Set { knob, value };
    let configure = |knob, value| Turn::Configure { knob, value };
    match (action, knob.split('.').next().unwrap_or_default()) {
        ("set", "sysctl") if sandbox == Sandbox::Host => Err(value
            .error_at_key("nothing is written where topology.sandbox = \"host\"")
            .hint("take the sandbox out, and the sysctl is set in a namespace of its own")),
        // In a guest, or with the host's leave, such a value would outlive the cell: nobody has written down what it was.
        ("set", "sysctl") if is_host_wide(knob.strip_prefix("sysctl.").unwrap_or_default()) => Err(value
            .error_at_key(format!("`{knob}` is host-wide: it cannot be changed while a cell runs"))
            .hint("vary it in [matrix]: each value then has a cell of its own")),
        ("set", "sysctl") => of(set),
        ("set", "ulimit") => of(set),
        (_, "target") if knob == "target.cpu" => Err(value
            .error_at_key("`target.cpu` cannot be changed while a cell runs")
            .hint("vary it in [matrix]: each value then has a cell of its own")),
        // Nobody can reach into a program: what it is configured with is read when it listens or starts.
        (_, "target") => of(configure),
        ("next-start", "ulimit") => of(configure),
        ("next-start", _) => Err(value
            .error_at_key(format!("`{knob}` is nothing that a program is started with"))
            .hint("`set` sets it while the target runs")),
        _ => Err(value
            .error_at_key(format!("`{knob}` cannot be changed while a cell runs"))
            .hint("sysctls of the namespace, ulimit.nofile and settings of the target can")),
    }
}

fn elsewhere(value: &Value<'_>) -> Result<Turn, ScenarioError> {
    let found = knobs(value)?;
    let [(name, limit)] = &found[..] else {
        return Err(value.error("one limit is set in another shell").hint("elsewhere = { ulimit.nofile = 20_000 }"));
    };
    let (knob, admitted) = admit(name, limit)?;
    if knob != "ulimit.nofile" {
        return Err(limit
            .error_at_key(format!("`{knob}` has nothing to do with a shell"))
            .hint("elsewhere = { ulimit.nofile = 20_000 }"));
    }
    let nofile = parse_nofile(&canonical(&knob, &admitted, limit)?).map_err(|what| limit.error(what))?;
    Ok(Turn::Elsewhere { nofile })
}

impl Value<'_> {
    /// A switch that says nothing when it is off.
    fn only_true(&self) -> Result<(), ScenarioError> {
        if self.switch()? { Ok(()) } else { Err(self.error("it can only be true").hint("take it out")) }
    }
}
