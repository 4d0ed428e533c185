//! `[arms]`: versions that are run side by side, each with what it sets on top of every cell.

use super::Scenario;
use super::error::ScenarioError;
use super::matrix::{admit, canonical, leaves};
use super::reader::{Section, Value};
use crate::arm::{self, Arm};
use crate::axis::Axis;
use crate::command::{ARG, ARGV};
use crate::matrix;
use crate::refusal::Refusal;
use crate::wording::nearest;

/// What begins the name of a knob.
const TABLES: &[&str] = &["sysctl", "ulimit", "target", "load", "restart"];
const EXAMPLE: &str = "write base = { target.backlog = 4_096 }, and {} for an arm that changes nothing";

/// Reads `[arms]`, in the file's order.
pub(super) fn read(root: &Section<'_>) -> Result<Vec<Arm>, ScenarioError> {
    let Some(value) = root.value("arms") else { return Ok(Vec::new()) };
    let section = value.any_table().map_err(|error| error.hint(EXAMPLE))?;
    let arms: Vec<Arm> = section.values().map(|(name, value)| one(name, &value)).collect::<Result<_, _>>()?;
    if arms.len() < 2 {
        return Err(section
            .error("`arms` needs at least two: one alone has nothing to be compared with")
            .hint("add the version to compare with, or take `[arms]` out"));
    }
    Ok(arms)
}

fn one(name: &str, value: &Value<'_>) -> Result<Arm, ScenarioError> {
    arm::check_name(name).map_err(|what| value.error_at_key(what))?;
    let mut arm = Arm { name: name.to_owned(), set: Vec::new() };
    for (knob, value) in settings(value)? {
        let (knob, admitted) = admit(&knob, &value)?;
        if value.is_list() {
            return Err(value
                .error(format!("an arm sets one value, and `{knob}` has a list of them"))
                .hint("a list belongs into `[matrix]`: every arm then runs every value of it"));
        }
        let canonical = canonical(&knob, &admitted, &value)?;
        arm.add(knob, canonical).map_err(|what| value.error_at_key(what))?;
    }
    Ok(arm)
}

/// The knobs of an arm as they are written, each with its value.
fn settings<'s>(arm: &Value<'s>) -> Result<Vec<(String, Value<'s>)>, ScenarioError> {
    let mut found = Vec::new();
    for (key, inner) in arm.any_table().map_err(|error| error.hint(EXAMPLE))?.values() {
        if !TABLES.contains(&key) {
            let error = inner.error_at_key(format!("`{key}` begins no knob's name")).valid(key, TABLES);
            let like = nearest(key, TABLES.iter().copied()).is_some();
            return Err(if like { error } else { error.hint(EXAMPLE) });
        }
        leaves(&inner, key, &mut |name, value| found.push((name, value)))?;
    }
    Ok(found)
}

/// Refuses arms that set what the matrix varies.
pub(super) fn check_axes(root: &Section<'_>, arms: &[Arm], axes: &[Axis]) -> Result<(), ScenarioError> {
    arm::check_together(arms, axes).map_err(|refusal| at_its_place(root, refusal))
}

/// Refuses what only shows once matrix and arms are put on top of the file, a command whose texts ask for what nobody gives among it, at
/// the place that is to blame.
pub(super) fn check(root: &Section<'_>, scenario: &Scenario) -> Result<(), ScenarioError> {
    let own = |axis: &Axis| axis.knob == ARGV || axis.knob.starts_with(ARG);
    if scenario.arms.is_empty() && scenario.target.command.is_none() && !scenario.axes.iter().any(own) {
        return Ok(());
    }
    // No machine refuses anything here: how many descriptors it gives is asked when the scenario is to be run.
    let Err(refusals) = matrix::expand(scenario, u64::MAX) else { return Ok(()) };
    refusals.into_iter().next().map_or(Ok(()), |refusal| Err(at_its_place(root, refusal)))
}

fn at_its_place(root: &Section<'_>, refusal: Refusal) -> ScenarioError {
    let about = refusal.knob.as_deref().and_then(|knob| place(root, knob).or_else(|| elsewhere(root, knob)));
    let about = about.or_else(|| refusal.knob.is_none().then(|| root.value("target")).flatten());
    let error = about.map_or_else(|| root.error(refusal.what.clone()), |value| value.error(refusal.what.clone()));
    error.hint(refusal.hint).class(refusal.class)
}

/// Where the matrix or the target's own table has a knob that is no arm's.
fn elsewhere<'s>(root: &Section<'s>, knob: &str) -> Option<Value<'s>> {
    let below = |mut at: Value<'s>, path: &mut dyn Iterator<Item = &str>| {
        for key in path {
            at = at.any_table().ok()?.value(key)?;
        }
        Some(at)
    };
    let whole = || knob.split('.');
    let matrix = root.value("matrix").and_then(|matrix| below(matrix, &mut whole()));
    matrix.or_else(|| below(root.value(whole().next()?)?, &mut whole().skip(1)))
}

/// Where the last arm that sets a knob does so.
fn place<'s>(root: &Section<'s>, knob: &str) -> Option<Value<'s>> {
    let arms = root.value("arms")?.any_table().ok()?;
    let all = arms.values().filter_map(|(_, arm)| settings(&arm).ok()).flatten();
    all.filter(|(name, value)| admit(name, value).is_ok_and(|(name, _)| name == knob)).last().map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use crate::axis::Axis;
    use crate::cell::KnobValue;
    use crate::matrix::expand;
    use crate::scenario::Scenario;

    const LOAD: &str =
        "question = \"?\"\n[load]\nconnections = 10\nramp = \"1s\"\nhold = \"9s\"\n[probe]\nperiod = \"1s\"\n";

    fn parse(more: &str) -> Result<Scenario, String> {
        let error = |error: super::ScenarioError| format!("{error}\nhint: {}", error.hint.clone().unwrap_or_default());
        Scenario::parse("t.toml", &format!("{LOAD}{more}")).map_err(error)
    }

    #[test]
    fn arms_are_the_first_axis_and_what_they_set_reaches_the_cell() {
        let scenario = parse(
            "[matrix.ulimit]\nnofile = [64, 128]\n[arms]\nbase = {}\n\
             head = { target.backlog = 128, sysctl.\"net/core/somaxconn\" = 64 }\n[expect]\ncells = [\n\
             { when = { arm = \"head\", ulimit.nofile = 64 }, outcome = \"failing\" }, { when = { arm = \"base\" }, outcome = \"healthy\" } ]",
        )
        .unwrap_or_else(|error| panic!("{error}"));
        let names = ["base", "head"].map(|name| KnobValue::Word(name.into()));
        assert_eq!(scenario.axes[0], Axis { knob: "arm".into(), values: names.to_vec() });
        let cells = expand(&scenario, 1_024).unwrap();
        let ids: Vec<&str> = cells.iter().map(|cell| cell.id.as_str()).collect();
        assert_eq!(ids, ["arm=base,nofile=64", "arm=base,nofile=128", "arm=head,nofile=64", "arm=head,nofile=128"]);
        assert_eq!(cells.iter().map(|cell| cell.target.plan.backlog).collect::<Vec<_>>(), [4_096, 4_096, 128, 128]);
        assert_eq!((cells[1].sysctls.len(), cells[2].sysctls["net.core.somaxconn"].as_str()), (0, "64"));
        assert_eq!(cells[2].knobs.keys().collect::<Vec<_>>(), ["arm", "ulimit.nofile"]);
        let speaks = |line: usize, cell: usize| {
            scenario.expect[line].speaks_of(|knob| cells[cell].knobs.get(knob).map(|setting| &setting.asked))
        };
        assert_eq!([speaks(0, 2), speaks(0, 3), speaks(1, 0), speaks(1, 2)], [true, false, true, false]);
    }

    /// What is wrong, the tables, and parts of what is said, joined by `|`.
    const BAD: &[(&str, &str, &str)] = &[
        ("one alone", "[arms]\nbase = {}", "needs at least two"),
        ("none", "[arms]", "needs at least two"),
        ("no table", "[arms]\nbase = 5\nhead = {}", "`arms.base` must be a table|base = { target.backlog"),
        ("a name with a space", "[arms]\n\"a b\" = {}\nc = {}", "`a b` is no name for an arm"),
        (
            "a misspelt table",
            "[arms]\na = {}\nb = { tarjet.backlog = 5 }",
            "`tarjet` begins no knob's name|did you mean `target`?",
        ),
        (
            "a misspelt knob",
            "[arms]\na = {}\nb = { target.backlock = 5 }",
            "`target.backlock` is no knob|did you mean `target.backlog`?",
        ),
        ("a value out of range", "[arms]\na = {}\nb = { target.backlog = -5 }", "cannot be negative"),
        ("a word that is none", "[arms]\na = {}\nb = { target.accept = \"drian\" }", "did you mean `drain`?"),
        ("a list", "[arms]\na = {}\nb = { target.backlog = [1, 2] }", "an arm sets one value|`[matrix]`"),
        ("a host-wide sysctl", "[arms]\na = {}\nb = { sysctl.\"fs.file-max\" = 5 }", "host-wide"),
        (
            "a knob twice in two spellings",
            "[arms]\na = {}\nb = { sysctl.\"net.core.somaxconn\" = 5, sysctl.\"net/core/somaxconn\" = 6 }",
            "arm `b` sets `sysctl.net.core.somaxconn` twice",
        ),
        (
            "a knob that the matrix varies",
            "[matrix.target]\nbacklog = [5]\n[arms]\na = {}\nb = { target.backlog = 5 }",
            "arm `b` sets `target.backlog`, which the matrix varies|t.toml:12:24",
        ),
        (
            "half-open load over loopback",
            "[arms]\na = {}\nb = { load.behaviour = \"half-open\" }",
            "loopback has no neighbours|t.toml:10:24|path = \"veth\"",
        ),
        (
            "churn without end",
            "[arms]\na = {}\nb = { load.behaviour = \"churn\" }",
            "needs `load.lifetime`|t.toml:10:24",
        ),
        (
            "a socket stuck that is alone",
            "[arms]\na = {}\nb = { target.reuseport-stuck = 1 }",
            "1 of 1 sockets cannot be stuck",
        ),
        ("an arm as an axis", "[matrix]\narm = [\"a\", \"b\"]", "unknown key `matrix.arm`|[arms]"),
        (
            "an expectation of an arm that is not there",
            "[arms]\na = {}\nb = {}\n[expect]\ncells = [{ when = { arm = \"c\" }, outcome = \"healthy\" }]",
            "`arm` never is `c`|`a`, `b`",
        ),
        (
            "an expectation of an arm where there is none",
            "[expect]\ncells = [{ when = { arm = \"c\" }, outcome = \"healthy\" }]",
            "`arm` is no axis of this matrix",
        ),
    ];

    #[test]
    fn every_bad_arm_is_told_what_is_wrong() {
        for (what, more, said) in BAD {
            let told = parse(more).expect_err(what);
            for part in said.split('|') {
                assert!(told.contains(part), "{what}: `{part}` is not said in\n{told}");
            }
        }
    }

    #[test]
    fn a_lifetime_may_be_there_for_one_arm_alone() {
        let text = LOAD.replace("[probe]", "lifetime = \"200ms\"\n[probe]");
        let arms = "[arms]\na = {}\nb = { load.behaviour = \"churn\" }";
        assert!(Scenario::parse("t.toml", &format!("{text}{arms}")).is_ok());
        assert!(Scenario::parse("t.toml", &text).is_err());
    }
}
