//! The knobs of a command: its own settings, its command line, and what of the built-in server's it has not.

use brimful_loadgen_plan::probe::Action;

use super::{ARG, ARGV, Facts, split};
use crate::cell::{Cell, KnobValue, TargetSetup};
use crate::refusal::Refusal;

/// Knobs of the target that mean the same for every server: whoever starts it sees to them, or states them.
const OF_EVERY_SERVER: &[&str] = &["target.backlog", "target.cpu"];

/// Sets one of a command's own knobs.
///
/// # Errors
/// Says why the target has no such knob.
pub(crate) fn set(target: &mut TargetSetup, knob: &str, value: &KnobValue) -> Result<(), String> {
    let Some(command) = &mut target.command else {
        return Err("it goes with kind = \"command\", and the target is brimful's own server".to_owned());
    };
    if knob == ARGV {
        command.argv = split(&value.to_string());
        return if command.argv.is_empty() { Err("a command line begins with the program".to_owned()) } else { Ok(()) };
    }
    let name = knob.strip_prefix(ARG).unwrap_or(knob);
    super::check_name(name)?;
    command.args.insert(name.to_owned(), value.clone());
    Ok(())
}

/// Refuses a setting of the built-in server where the target is a command.
///
/// # Errors
/// Says that it is one.
pub(crate) fn refuse_builtin(knob: &str) -> Result<(), String> {
    if !knob.starts_with("target.") || OF_EVERY_SERVER.contains(&knob) {
        return Ok(());
    }
    Err(format!("it is a setting of brimful's own server; a command's own are called `{ARG}NAME`"))
}

/// Whether a cell's command can be started as it stands: every placeholder has a value, and everything that the cell
/// sets reaches a place. A cell with a built-in target always passes.
///
/// # Errors
/// A [`Refusal`] of class `Scenario`.
pub(crate) fn complete(cell: &Cell) -> Result<(), Refusal> {
    let Some(command) = &cell.target.command else { return Ok(()) };
    let facts = Facts {
        folder: "/",
        listen: cell.target.plan.listen,
        health_path: &cell.target.plan.health_path,
        nofile: cell.nofile,
    };
    let beside = match &cell.probe.action {
        Action::Exec(exec) => command.render_beside(&exec.command, &facts).err(),
        Action::HttpGet(_) | Action::TcpSocket | Action::Grpc { .. } => None,
    };
    if let Some(what) = command.render(&facts).err().or(beside) {
        let hint = format!("give it a value in [target] arg = {{ ... }}, or an axis `{ARG}NAME`");
        return Err(Refusal::scenario(what, hint));
    }
    if cell.sysctls.contains_key("fs.file-max") && command.user.is_none() {
        let what = "a command that runs as root is let by where `fs.file-max` is met";
        return Err(
            Refusal::scenario(what, "let it run as another: user = \"nobody\" in [target]").about("sysctl.fs.file-max")
        );
    }
    let hint = |name: &str| format!("write {{{{{name}}}}} into `target.argv` or one of `target.files`, or take it out");
    if let Some(name) = command.unused().next() {
        let what = format!("`{ARG}{name}` reaches nothing: no text of the command asks for it");
        return Err(Refusal::scenario(what, hint(name)).about(format!("{ARG}{name}")));
    }
    if cell.knobs.contains_key("target.backlog") && command.place_of("backlog").is_none() {
        let what = "`target.backlog` reaches nothing: no text of the command asks for it";
        return Err(Refusal::scenario(what, hint("backlog")).about("target.backlog"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use brimful_loadgen_plan::probe::Exec;

    use super::*;
    use crate::cell::KnobValue;
    use crate::cost::tests::{cells, machine};
    use crate::cost::{cost, feasible};
    use crate::predict::{LimitKind, predict};

    const NGINX: &str = "[target]\nkind = \"command\"\nargv = [\"nginx\", \"-c\", \"{{dir}}/c\"]\nfiles = { c = \"{{conns}} {{backlog}}\" }\n\
                         [matrix.target]\nbacklog = [16, 511]\narg.conns = [512, \"1k\"]\n[matrix.ulimit]\nnofile = [256]";

    #[test]
    fn a_commands_settings_are_knobs_like_any_other() {
        let cells = cells(NGINX, 600);
        let ids: Vec<&str> = cells.iter().map(|cell| cell.id.as_str()).collect();
        assert_eq!(
            ids,
            ["backlog=16,conns=512", "backlog=16,conns=1k", "backlog=511,conns=512", "backlog=511,conns=1k"]
        );
        let command = cells[1].target.command.as_ref().unwrap();
        assert_eq!((command.args["conns"].clone(), command.backlog), (KnobValue::Word("1k".into()), Some(16)));
        assert_eq!(cells[1].target.backlog(), Some(16));
    }

    #[test]
    fn a_check_beside_a_command_takes_its_placeholders_and_no_others() {
        let asked = |word: &str| {
            let mut cell = cells(NGINX, 600).remove(0);
            cell.probe.action = Action::Exec(Exec::of(vec!["ping".to_owned(), word.to_owned()]));
            complete(&cell)
        };
        assert_eq!(asked("{{port}}/{{conns}}"), Ok(()));
        let refused = asked("{{prot}}").unwrap_err().to_string();
        assert!(refused.contains("`{{prot}}` in `probe.exec` has no value"), "{refused}");
    }

    #[test]
    fn what_a_command_opens_for_itself_is_not_known_and_the_price_is_told_all_the_same() {
        let cell = &cells(NGINX, 600)[0];
        let prediction = predict(cell, &machine());
        let binding = prediction.binding.unwrap();
        assert_eq!((binding.kind, binding.at_connections), (LimitKind::Descriptors, 256));
        assert_eq!(binding.formula, "256 for each of its processes, less what it opens for itself");
        assert!(cost(cell, &machine()).is_ok());
        assert_eq!(feasible(std::slice::from_ref(cell), &machine()), []);
    }

    #[test]
    fn a_command_line_can_be_what_two_arms_differ_in() {
        let text = "[target]\nkind = \"command\"\nargv = [\"old\"]\n[arms]\nbase = {}\nhead = { target.argv = \"new --fast\" }\n\
                    [matrix.ulimit]\nnofile = [1_024]";
        let cells = cells(text, 10);
        let argv = |cell: usize| cells[cell].target.command.as_ref().unwrap().argv.clone();
        assert_eq!((argv(0), argv(1)), (vec!["old".to_owned()], vec!["new".to_owned(), "--fast".to_owned()]));
    }
}
