//! `[topology] sandbox = "host"`: a cell that is run right here, with what brimful was given. Pure.
//!
//! This is how the limits of a container reach a verdict: an engine sets sysctls and limits, brimful is started inside and runs
//! its cells there, where a namespace of its own would begin with the kernel's defaults again. Nothing is made and nothing is
//! written, so a sysctl of the matrix is only *asked*: what stands must be the same, or the axis is named in `[matrix] clamp`
//! and what stands is run, with both in the record. Traffic stays on loopback, as that of `brimful load` does.

use std::net::IpAddr;

use super::cell::{Cell, KnobValue, Path, Sandbox};
use super::refusal::Refusal;

/// What a reader of the report should know.
pub const NOTE: &str = "run in the namespaces that brimful was started in: nothing was made or set, and what the kernel counts \
                        there is also what others did in them";
/// Why `--jobs` is refused, and what to do.
pub const ONE_AT_A_TIME: (&str, &str) =
    ("cells with topology.sandbox = \"host\" share one network namespace and its ports", "leave out --jobs");

const TAKE_NETNS: &str = "write sandbox = \"netns\" in [topology]";

/// Whether a cell can be run right here at all. Cells with a sandbox of their own always pass.
///
/// # Errors
/// A [`Refusal`] of class `Scenario` for what would have to be made or written.
pub fn fits(cell: &Cell) -> Result<(), Refusal> {
    if cell.sandbox != Sandbox::Host {
        return Ok(());
    }
    let refuse =
        |what: &str| Err(Refusal::scenario(format!("sandbox = \"host\" makes nothing, and {what}"), TAKE_NETNS));
    if cell.path != Path::Loopback {
        return refuse("path = \"veth\" needs a link to be made");
    }
    if let Some(fault) = cell.faults.first() {
        return refuse(&format!("the fault `{}` needs a namespace of its own", fault.name()));
    }
    if cell.target.command.is_some() {
        return refuse("a command needs a namespace of process ids to be made, so that nothing of it is left");
    }
    if cell.target.cpu_percent.is_some() {
        return refuse("`target.cpu` needs a control group to be made");
    }
    let listens = [Some(cell.target.plan.listen), cell.target.plan.health_listen];
    if listens.iter().flatten().any(|at| matches!(at.ip(), IpAddr::V6(_))) {
        return refuse("a load over IPv6 needs addresses to be added to `lo`");
    }
    Ok(())
}

/// The cells with the sysctls that stand here. `standing` reads one by its dotted name, `None` where it is not there;
/// `clamp` names the axes for which another value than the one asked will do.
///
/// # Errors
/// One [`Refusal`] of class `Machine` for each sysctl that is not as asked and is not in `clamp`, or is not there.
pub fn settle(
    mut cells: Vec<Cell>,
    clamp: &[String],
    standing: impl Fn(&str) -> Option<String>,
) -> Result<Vec<Cell>, Vec<Refusal>> {
    let mut refusals: Vec<Refusal> = Vec::new();
    for cell in cells.iter_mut().filter(|cell| cell.sandbox == Sandbox::Host) {
        for (name, value) in &mut cell.sysctls {
            let knob = format!("sysctl.{name}");
            let found = standing(name);
            if found.as_ref().is_some_and(|found| found.split_whitespace().eq(value.split_whitespace())) {
                continue;
            }
            match (found, cell.knobs.get_mut(&knob)) {
                (Some(found), Some(setting)) if clamp.contains(&knob) => {
                    setting.set = found.parse().map_or_else(|_| KnobValue::Word(found.clone()), KnobValue::Number);
                    setting.clamped_because = Some(format!(
                        "sandbox = \"host\" sets no sysctl, and {found} is what stands in this namespace"
                    ));
                    *value = found;
                }
                (found, _) => {
                    let refusal = refusal(&knob, value, found.as_deref());
                    if !refusals.contains(&refusal) {
                        refusals.push(refusal);
                    }
                }
            }
        }
    }
    if refusals.is_empty() { Ok(cells) } else { Err(refusals) }
}

fn refusal(knob: &str, asked: &str, found: Option<&str>) -> Refusal {
    let (what, hint) = match found {
        Some(found) => (
            format!("`{knob}` = {asked} is asked, sandbox = \"host\" sets no sysctl, and {found} is what stands here"),
            format!(
                "let whoever makes this namespace set it (a container's sysctls), ask for {found}, or add \
                 clamp = [\"{knob}\"] to [matrix] to run with what there is"
            ),
        ),
        None => (
            format!("`{knob}` = {asked} is asked, and it cannot be read in this namespace"),
            "leave it out of the matrix: before Linux 6.3 net.core sysctls are hidden from user namespaces".to_owned(),
        ),
    };
    Refusal::machine(what, hint).about(knob)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::expand;
    use crate::refusal::Class;
    use crate::scenario::Scenario;

    const KNOB: &str = "sysctl.net.core.somaxconn";

    fn cells(more: &str) -> Result<(Vec<Cell>, Vec<String>), Vec<Refusal>> {
        let text = format!(
            "question = \"?\"\ntopology.sandbox = \"host\"\nload.connections = 10\nload.ramp = \"1s\"\nload.hold = \"9s\"\n{more}\n"
        );
        let scenario = Scenario::parse("t.toml", &text).unwrap_or_else(|error| panic!("{error}"));
        Ok((expand(&scenario, 20_000)?, scenario.clamp))
    }

    fn settled(more: &str, stands: Option<&str>) -> Result<Vec<Cell>, Vec<Refusal>> {
        let (cells, clamp) = cells(more).unwrap();
        settle(cells, &clamp, |_| stands.map(str::to_owned))
    }

    #[test]
    fn what_stands_as_asked_is_left_as_it_is() {
        let cells =
            settled("[matrix.sysctl]\n\"net.ipv4.ip_local_port_range\" = [\"1024 60999\"]", Some("1024\t60999"));
        let cells = cells.unwrap();
        assert_eq!(cells[0].knobs.values().next().unwrap().clamped_because, None);
    }

    #[test]
    fn what_stands_otherwise_is_refused_unless_it_is_to_be_taken() {
        const ASKED: &str = "[matrix.sysctl]\n\"net.core.somaxconn\" = [32_768]";
        let refusals = settled(ASKED, Some("128")).unwrap_err();
        assert_eq!((refusals.len(), refusals[0].class), (1, Class::Machine));
        assert!(refusals[0].what.contains("128 is what stands here"), "{}", refusals[0]);
        let taken = settled(&format!("[matrix]\nclamp = [\"{KNOB}\"]\n{ASKED}"), Some("128")).unwrap();
        let setting = &taken[0].knobs[KNOB];
        assert_eq!((&setting.asked, &setting.set), (&KnobValue::Number(32_768), &KnobValue::Number(128)));
        assert_eq!(taken[0].sysctls["net.core.somaxconn"], "128");
        assert!(setting.clamped_because.as_ref().unwrap().contains("128"));
        // One that is not there cannot be taken either.
        assert!(settled(&format!("[matrix]\nclamp = [\"{KNOB}\"]\n{ASKED}"), None).is_err());
    }

    #[test]
    fn what_would_have_to_be_made_is_refused() {
        for (more, why) in [
            ("topology.path = \"veth\"", "a link"),
            ("[[fault]]\nkind = \"conntrack-full\"", "the fault `conntrack-full`"),
            ("[matrix.target]\ncpu = [5]", "a control group"),
            ("target.listen = \"[::1]:8080\"", "IPv6"),
        ] {
            let refusals = cells(more).unwrap_err();
            assert_eq!(refusals[0].class, Class::Scenario, "{more}");
            assert!(refusals[0].what.contains(why), "{}", refusals[0]);
        }
    }

    #[test]
    fn a_sandbox_of_its_own_is_left_alone() {
        let text = "question = \"?\"\nload.connections = 10\nload.ramp = \"1s\"\nload.hold = \"9s\"\n\
                    [matrix.sysctl]\n\"net.core.somaxconn\" = [7]";
        let cells = expand(&Scenario::parse("t.toml", text).unwrap(), 20_000).unwrap();
        assert_eq!(settle(cells.clone(), &[], |_| None).unwrap(), cells);
    }
}
