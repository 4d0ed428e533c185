//! Two or more versions of one thing, run side by side in one run: the way in which a change is judged.

use serde::{Deserialize, Serialize};

use super::axis::{Axis, BASE};
use super::cell::KnobValue;
use super::knob;
use super::refusal::Refusal;

/// The knob under which a cell says which arm it belongs to; its axis comes first, so ids begin with `arm=NAME`.
pub const ARM: &str = "arm";

/// The id of a cell of some arm without its `arm=NAME`: what the cells of all arms that differ in nothing else have in common.
#[must_use]
pub fn id_without_arm(id: &str) -> &str {
    id.split_once(',').map_or(BASE, |(_, rest)| rest)
}

/// The longest name, in bytes: it stands in every id.
const MAX_NAME: usize = 40;

/// What to type for two arms.
const EXAMPLE: &str = "write for example --arm base:target.backlog=4096 --arm head:target.backlog=128";

/// One version: a name, and what it sets on top of every cell of the matrix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// Its name, fit for a cell id: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// Knobs by full dotted name, in the order of the file or of the command line; none for an arm that changes nothing.
    pub set: Vec<(String, KnobValue)>,
}

impl Arm {
    /// Reads an arm as the command line has it: `base:target.backlog=4096,ulimit.nofile=1024:20000`, `base:` for one that sets nothing.
    ///
    /// # Errors
    /// A [`Refusal`] for a name or a value that will not do, or a knob that nobody may vary.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let Some((name, settings)) = text.split_once(':') else {
            return Err(Refusal::scenario(format!("`{text}` is no arm: there is no colon after its name"), EXAMPLE));
        };
        check_name(name).map_err(|what| Refusal::scenario(what, EXAMPLE))?;
        let mut arm = Self { name: name.to_owned(), set: Vec::new() };
        for setting in settings.split(',').filter(|setting| !setting.trim().is_empty()) {
            let Some((knob, value)) = setting.split_once('=') else {
                return Err(Refusal::scenario(
                    format!("arm `{name}`: `{setting}` gives a knob no value"),
                    format!("{EXAMPLE}; several knobs of one arm are separated by commas"),
                ));
            };
            let (knob, admitted) = knob::settle(knob.trim())?;
            let value = admitted.values().canonical(&typed(value.trim()));
            let value = value.map_err(|what| {
                Refusal::scenario(format!("arm `{name}`: `{knob}`: {what}"), "choose a value that the knob takes")
                    .about(&*knob)
            })?;
            arm.add(knob, value).map_err(|what| Refusal::scenario(what, "keep the value that is meant"))?;
        }
        Ok(arm)
    }

    /// Takes in one more knob.
    ///
    /// # Errors
    /// When the arm sets it already.
    pub(super) fn add(&mut self, knob: String, value: KnobValue) -> Result<(), String> {
        if self.set.iter().any(|(known, _)| *known == knob) {
            return Err(format!("arm `{}` sets `{knob}` twice", self.name));
        }
        self.set.push((knob, value));
        Ok(())
    }
}

/// Whether a name can stand in a cell id.
///
/// # Errors
/// Says what is wrong with it.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(fits) {
        return Err(format!(
            "`{name}` is no name for an arm: it takes 1 to {MAX_NAME} letters, digits, `-`, `_` and `.`"
        ));
    }
    Ok(())
}

/// Whether arms can be run side by side over the axes of a matrix.
///
/// # Errors
/// Says that there are too few, that two have one name, or that one sets what the matrix varies.
pub(super) fn check_together(arms: &[Arm], axes: &[Axis]) -> Result<(), Refusal> {
    if let [alone] = arms {
        return Err(Refusal::scenario(
            format!("`{}` is the only arm, and there is nothing to compare it with", alone.name),
            EXAMPLE,
        ));
    }
    for (index, arm) in arms.iter().enumerate() {
        if arms.iter().take(index).any(|other| other.name == arm.name) {
            return Err(Refusal::scenario(
                format!("two arms are called `{}`", arm.name),
                "give each a name of its own",
            ));
        }
        if let Some((knob, _)) = arm.set.iter().find(|(knob, _)| axes.iter().any(|axis| axis.knob == *knob)) {
            return Err(Refusal::scenario(
                format!("arm `{}` sets `{knob}`, which the matrix varies", arm.name),
                "take the axis out of the matrix, or let the arm set something else",
            )
            .about(&**knob));
        }
    }
    Ok(())
}

/// The axis that arms are; `None` where there are none.
#[must_use]
pub(super) fn axis(arms: &[Arm]) -> Option<Axis> {
    let values: Vec<KnobValue> = arms.iter().map(|arm| KnobValue::Word(arm.name.clone())).collect();
    (!values.is_empty()).then(|| Axis { knob: ARM.to_owned(), values })
}

/// A value as it was typed: a number or a switch where it looks like one.
fn typed(text: &str) -> KnobValue {
    match (text, text.replace('_', "").parse()) {
        ("true", _) => KnobValue::Switch(true),
        ("false", _) => KnobValue::Switch(false),
        (_, Ok(number)) => KnobValue::Number(number),
        (_, Err(_)) => KnobValue::Word(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arm_of_the_command_line_is_read_as_one_of_a_file_would_be() {
        let arm = Arm::parse("head-2:target.backlog=4_096,ulimit.nofile=1024:20000,target.raise-nofile=true").unwrap();
        assert_eq!(arm.name, "head-2");
        assert_eq!(
            arm.set,
            [
                ("target.backlog".to_owned(), KnobValue::Number(4_096)),
                ("ulimit.nofile".to_owned(), KnobValue::Word("1024:20000".into())),
                ("target.raise-nofile".to_owned(), KnobValue::Switch(true)),
            ]
        );
        assert_eq!(Arm::parse("base:").unwrap().set, []);
        let sysctl = Arm::parse("a:sysctl.net/core/somaxconn=128").unwrap();
        assert_eq!(sysctl.set[0].0, "sysctl.net.core.somaxconn");
    }

    #[test]
    fn what_is_no_arm_is_said_with_what_would_be() {
        for (text, says) in [
            ("base", "no colon"),
            (":target.backlog=1", "no name for an arm"),
            ("a b:", "no name for an arm"),
            ("a:target.backlog", "gives a knob no value"),
            ("a:target.backlock=1", "is no knob"),
            ("a:target.backlog=many", "will not do"),
            ("a:target.backlog=1,target.backlog=2", "twice"),
            ("a:sysctl.fs.file-max=1", "host-wide"),
        ] {
            let refusal = Arm::parse(text).expect_err(text);
            assert!(refusal.what.contains(says), "{text}: {refusal}");
            assert!(!refusal.hint.is_empty(), "{text}");
        }
        assert!(Arm::parse("a:target.backlock=1").unwrap_err().hint.contains("did you mean `target.backlog`?"));
    }

    #[test]
    fn arms_go_together_when_there_are_two_and_they_leave_the_matrix_alone() {
        let arm = |text| Arm::parse(text).unwrap();
        let axes = [Axis { knob: "target.backlog".into(), values: vec![KnobValue::Number(1)] }];
        assert_eq!(check_together(&[], &axes), Ok(()));
        assert_eq!(check_together(&[arm("a:"), arm("b:ulimit.nofile=64")], &axes), Ok(()));
        for (arms, says) in [
            (vec![arm("a:")], "only arm"),
            (vec![arm("a:"), arm("a:ulimit.nofile=64")], "two arms are called `a`"),
            (vec![arm("a:"), arm("b:target.backlog=2")], "which the matrix varies"),
        ] {
            assert!(check_together(&arms, &axes).unwrap_err().what.contains(says), "{says}");
        }
    }
}
