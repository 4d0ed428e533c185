//! From a scenario to its cells: the product of the axes, what is excluded, and one readable id each.

use brimful_target_plan::Nofile;
use globset::{Glob, GlobMatcher};
use indexmap::IndexMap;
use serde::de::DeserializeOwned;
use serde::de::value::{Error as WordError, StrDeserializer};

use super::arm::ARM;
use super::axis::{Condition, ids, product};
use super::cell::{Cell, KnobSetting, KnobValue, ProbeSetup};
use super::command::{self, ARG, ARGV};
use super::knob::{parse_nofile, parse_time, print_nofile};
use super::refusal::Refusal;
use super::scenario::{Scenario, together};
use super::{change, host};
use crate::load_options::Manners;
use crate::wording::{grouped, quoted};

/// Every cell of a scenario, on a machine whose hard descriptor limit is `nofile_hard`, in the file's order: the first axis turns slowest.
///
/// # Errors
/// One [`Refusal`] for each descriptor limit above the machine's, unless `[matrix] clamp` names the axis; then it is lowered.
pub fn expand(scenario: &Scenario, nofile_hard: u64) -> Result<Vec<Cell>, Vec<Refusal>> {
    let settings = settings(scenario, nofile_hard)?;
    let rows = product(&scenario.axes, &scenario.exclude);
    let ids =
        ids(&scenario.axes, &rows).map_err(|error| vec![Refusal::scenario(error.to_string(), "vary fewer knobs")])?;
    let cells = rows.iter().zip(ids).map(|(row, id)| {
        let mut cell = base(scenario, id);
        // Axes come in any order, so a behaviour is made of its settings when all of them are known.
        let mut manners = scenario.manners.clone();
        for ((axis, settings), &index) in scenario.axes.iter().zip(&settings).zip(row) {
            let Some(setting) = settings.get(index) else { continue };
            cell.knobs.insert(axis.knob.clone(), setting.clone());
            if axis.knob == ARM {
                continue;
            }
            apply((&mut cell, &mut manners), &axis.knob, &setting.set)
                .map_err(|what| not_applied(&axis.knob, &what))?;
        }
        put_on_arm((&mut cell, &mut manners), scenario, nofile_hard)?;
        cell.load.behaviour = manners.behaviour().map_err(|what| not_applied("load.behaviour", &what))?;
        cell.load.comeback = manners.comeback();
        let asked = |knob: &str| cell.knobs.get(knob).map(|setting| &setting.asked);
        let here = |when: &Condition| when.iter().all(|(knob, value)| asked(knob) == Some(value));
        cell.changes = scenario.changes.iter().filter(|(when, _)| here(when)).map(|(_, it)| it.clone()).collect();
        change::feasible(&cell, nofile_hard)?;
        if !scenario.arms.is_empty() {
            together(&cell)?;
        }
        host::fits(&cell)?;
        command::complete(&cell)?;
        Ok(cell)
    });
    cells.collect::<Result<_, Refusal>>().map_err(|refusal| vec![refusal])
}

/// The cell once its program is configured with another value, as the next start of it finds it.
///
/// # Errors
/// A [`Refusal`] for a knob that no program has, or a value that it does not take; neither comes out of a parsed scenario.
pub fn configured(cell: &Cell, knob: &str, value: &KnobValue) -> Result<Cell, Refusal> {
    let mut cell = cell.clone();
    apply((&mut cell, &mut Manners::default()), knob, value).map_err(|what| not_applied(knob, &what))?;
    Ok(cell)
}

/// What the cell's arm sets, after the matrix: the two never speak of one knob. The cell's knobs name the arm alone.
fn put_on_arm(
    (cell, manners): (&mut Cell, &mut Manners),
    scenario: &Scenario,
    nofile_hard: u64,
) -> Result<(), Refusal> {
    let Some(KnobValue::Word(name)) = cell.knobs.get(ARM).map(|setting| setting.asked.clone()) else { return Ok(()) };
    let Some(arm) = scenario.arms.iter().find(|arm| arm.name == name) else { return Ok(()) };
    for (knob, value) in &arm.set {
        // Only an axis can be clamped, so that no arm is another one than its name says.
        let set = setting(knob, value, false, nofile_hard)
            .map_err(|refusal| Refusal {
                hint: "raise the limit (LimitNOFILE=, ulimit -Hn), or ask for less".into(),
                ..refusal
            })?
            .set;
        apply((cell, manners), knob, &set).map_err(|what| not_applied(knob, &what))?;
    }
    Ok(())
}

/// A choice of cells. The glob may use short names as ids do (`*nofile=1024`) or full ones (`*ulimit.nofile=1024*`); with full
/// names a cell is every axis of its matrix, varying or not.
#[derive(Clone, Debug)]
pub struct Choice(GlobMatcher);

impl Choice {
    /// The cells that a glob fits.
    ///
    /// # Errors
    /// A [`Refusal`] of class `Scenario` for a malformed glob.
    pub fn new(glob: &str) -> Result<Self, Refusal> {
        let malformed = |error: globset::Error| {
            Refusal::scenario(format!("`{glob}` is no glob: {}", error.kind()), "write for example 'somaxconn=128,*'")
        };
        Ok(Self(Glob::new(glob).map_err(malformed)?.compile_matcher()))
    }

    /// Whether it fits a cell, by its id or by every axis with the value asked.
    #[must_use]
    pub fn fits<'a>(&self, id: &str, asked: impl Iterator<Item = (&'a String, &'a KnobValue)>) -> bool {
        let full = || asked.map(|(knob, value)| format!("{knob}={value}")).collect::<Vec<_>>().join(",");
        self.0.is_match(id) || self.0.is_match(full())
    }

    /// That it fits none of the cells with these ids.
    #[must_use]
    pub fn fits_none(glob: &str, known: Vec<String>) -> Refusal {
        Refusal::scenario(format!("no cell fits `{glob}`"), format!("the cells are {}", quoted(known)))
    }
}

/// The cells that a [`Choice`] fits, in their order.
///
/// # Errors
/// A [`Refusal`] of class `Scenario` for a malformed glob and for one that no cell fits; that one lists the ids.
pub fn only(cells: Vec<Cell>, glob: &str) -> Result<Vec<Cell>, Refusal> {
    let choice = Choice::new(glob)?;
    let known: Vec<String> = cells.iter().map(|cell| cell.id.clone()).collect();
    let asked = |cell: &Cell| choice.fits(&cell.id, cell.knobs.iter().map(|(knob, setting)| (knob, &setting.asked)));
    let fitting: Vec<Cell> = cells.into_iter().filter(asked).collect();
    if fitting.is_empty() { Err(Choice::fits_none(glob, known)) } else { Ok(fitting) }
}

/// The scenario's cell before any axis has changed it.
fn base(scenario: &Scenario, id: String) -> Cell {
    Cell {
        id,
        knobs: IndexMap::new(),
        sandbox: scenario.sandbox,
        path: scenario.path,
        faults: scenario.faults.clone(),
        sysctls: IndexMap::new(),
        nofile: None,
        target: scenario.target.clone(),
        load: scenario.load.clone(),
        probe: scenario.probe.clone(),
        changes: Vec::new(),
        restart: scenario.restart.clone(),
    }
}

/// What each value of each axis is set to on this machine.
fn settings(scenario: &Scenario, nofile_hard: u64) -> Result<Vec<Vec<KnobSetting>>, Vec<Refusal>> {
    let mut refusals = Vec::new();
    let mut settings = Vec::with_capacity(scenario.axes.len());
    for axis in &scenario.axes {
        let clamp = scenario.clamp.contains(&axis.knob);
        let set = axis.values.iter().map(|asked| setting(&axis.knob, asked, clamp, nofile_hard));
        let (set, refused): (Vec<_>, Vec<_>) = set.partition(Result::is_ok);
        settings.push(set.into_iter().flatten().collect());
        refusals.extend(refused.into_iter().filter_map(Result::err));
    }
    if refusals.is_empty() { Ok(settings) } else { Err(refusals) }
}

fn setting(knob: &str, asked: &KnobValue, clamp: bool, nofile_hard: u64) -> Result<KnobSetting, Refusal> {
    let as_asked = KnobSetting { asked: asked.clone(), set: asked.clone(), clamped_because: None };
    if knob != "ulimit.nofile" {
        return Ok(as_asked);
    }
    let limits = parse_nofile(asked).map_err(|what| not_applied(knob, &what))?;
    if limits.hard <= nofile_hard {
        return Ok(as_asked);
    }
    let machine = format!("the hard limit of this machine is {}", grouped(nofile_hard));
    if !clamp {
        return Err(Refusal::machine(
            format!("`ulimit.nofile` = {asked} asks for a hard limit of {}, and {machine}", grouped(limits.hard)),
            "raise the limit (LimitNOFILE=, ulimit -Hn), or add clamp = [\"ulimit.nofile\"] to [matrix] to run with what there is",
        )
        .about(knob));
    }
    let lowered = Nofile { soft: limits.soft.min(nofile_hard), hard: nofile_hard };
    Ok(KnobSetting { set: print_nofile(lowered), clamped_because: Some(machine), ..as_asked })
}

/// Puts one value where the run will look for it, or into what the load's behaviour will be made of.
fn apply((cell, manners): (&mut Cell, &mut Manners), knob: &str, value: &KnobValue) -> Result<(), String> {
    if let Some(sysctl) = knob.strip_prefix("sysctl.") {
        cell.sysctls.insert(sysctl.to_owned(), value.to_string());
        return Ok(());
    }
    if knob == STARTUP_FAILURES {
        let failures = number(value)?;
        return startup_failures(cell, failures);
    }
    if knob.starts_with(ARG) || knob == ARGV {
        return command::set(&mut cell.target, knob, value);
    }
    if let Some(command) = &mut cell.target.command {
        command::refuse_builtin(knob)?;
        if knob == "target.backlog" {
            command.backlog = Some(number(value)?);
            return Ok(());
        }
    }
    let plan = &mut cell.target.plan;
    match knob {
        "ulimit.nofile" => cell.nofile = Some(parse_nofile(value)?),
        "target.backlog" => plan.backlog = number(value)?,
        "target.on-emfile" => plan.on_emfile = word(value)?,
        "target.accept" => plan.accept = word(value)?,
        "target.raise-nofile" => plan.raise_nofile = switch(value)?,
        "target.extra-fds-per-connection" => plan.extra_fds_per_connection = number(value)?,
        "target.accept-rate" => plan.accept_rate = Some(number(value)?),
        "target.max-connections" => plan.max_connections = Some(number(value)?),
        "target.answer-delay" => plan.answer_delay = parse_time(value)?,
        "target.defer-accept" => plan.defer_accept = Some(parse_time(value)?).filter(|span| !span.is_zero()),
        "target.reuseport-stuck" => plan.reuseport_stuck = number(value)?,
        "target.leak-one-in" => plan.leak_one_in = number(value)?,
        "target.cpu" => cell.target.cpu_percent = Some(number(value)?),
        "load.behaviour" => manners.name = word(value)?,
        "load.heartbeat-interval" => manners.interval = parse_time(value)?,
        "load.heartbeat-share" => manners.share_percent = number(value)?,
        "load.read-rate" => manners.read_rate = Some(number(value)?),
        "load.reconnect" => manners.policy = Some(word(value)?),
        "load.reconnect-base" => manners.base = parse_time(value)?,
        "load.reconnect-cap" => manners.cap = parse_time(value)?,
        "load.storm-at" => manners.storm_at = Some(parse_time(value)?),
        "load.storm-share" => manners.storm_share = number(value)?,
        "load.connections" => cell.load.connections = number(value)?,
        "load.source" => cell.load.source = word(value)?,
        _ => return Err("no part of a cell answers to this name".to_owned()),
    }
    Ok(())
}

/// The knob of the startup probe.
const STARTUP_FAILURES: &str = "restart.startup-failures";

/// Gives the container a startup probe with so many failures allowed, or none for 0; one that the scenario does not describe
/// asks as liveness does.
fn startup_failures(cell: &mut Cell, failures: u32) -> Result<(), String> {
    let liveness = &cell.probe;
    let restart = cell.restart.as_mut().ok_or("it goes with [restart]")?;
    let like = restart.startup.take().unwrap_or_else(|| liveness.clone());
    restart.startup =
        (failures > 0).then_some(ProbeSetup { failure_threshold: failures, success_threshold: 1, ..like });
    Ok(())
}

fn number<T: TryFrom<u64>>(value: &KnobValue) -> Result<T, String> {
    let number = if let KnobValue::Number(number) = value { T::try_from(*number).ok() } else { None };
    number.ok_or_else(|| format!("`{value}` is no number in range"))
}

fn switch(value: &KnobValue) -> Result<bool, String> {
    if let KnobValue::Switch(on) = value { Ok(*on) } else { Err(format!("`{value}` is no switch")) }
}

fn word<T: DeserializeOwned>(value: &KnobValue) -> Result<T, String> {
    let KnobValue::Word(word) = value else { return Err(format!("`{value}` is no word")) };
    T::deserialize(StrDeserializer::<WordError>::new(word)).map_err(|error| error.to_string())
}

/// Does not come out of a parsed scenario: its values were checked against the knob table.
fn not_applied(knob: &str, what: &str) -> Refusal {
    Refusal::scenario(format!("`{knob}`: {what}"), "choose a value that the knob takes").about(knob)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use brimful_loadgen_plan::plan::Behaviour;
    use brimful_target_plan::{Accept, OnEmfile};
    use proptest::prelude::*;

    use super::*;
    use crate::axis::size;
    use crate::axis::tests::axes;
    use crate::cell::SourceChoice;
    use crate::fault::Fault;
    use crate::knob::{Scope, all};
    use crate::refusal::Class;

    fn scenario(matrix: &str) -> Scenario {
        let text = format!("question = \"?\"\n[load]\nconnections = 10\nramp = \"1s\"\nhold = \"1s\"\n{matrix}");
        Scenario::parse("t.toml", &text).unwrap_or_else(|error| panic!("{error}"))
    }

    fn ids_of(cells: &[Cell]) -> Vec<&str> {
        cells.iter().map(|cell| cell.id.as_str()).collect()
    }

    const TWO: &str = "[matrix.sysctl]\n\"net.core.somaxconn\" = [128, 4096]\n\
                       [matrix.ulimit]\nnofile = [1024, \"1024:20000\"]\n";

    #[test]
    fn every_axis_reaches_its_place() {
        let matrix = "[matrix.target]\nbacklog = [511]\non-emfile = [\"exit\"]\naccept = [\"dead\"]\nraise-nofile = [true]\n\
                      extra-fds-per-connection = [2]\n[matrix.load]\nconnections = [77]\nsource = [\"kernel\"]\n\
                      [matrix.sysctl]\n\"net/core/somaxconn\" = [\"128\"]\n[matrix.ulimit]\nnofile = [\"64:128\"]\n";
        let cells = expand(&scenario(matrix), 1_024).unwrap();
        let [cell] = &cells[..] else { panic!() };
        assert_eq!(cell.id, "base");
        let plan = &cell.target.plan;
        assert_eq!((plan.backlog, plan.on_emfile, plan.accept), (511, OnEmfile::Exit, Accept::Dead));
        assert!(plan.raise_nofile);
        assert_eq!(plan.extra_fds_per_connection, 2);
        assert_eq!((cell.load.connections, cell.load.source), (77, SourceChoice::Kernel));
        assert_eq!(cell.sysctls["net.core.somaxconn"], "128");
        assert_eq!(cell.nofile, Some(Nofile { soft: 64, hard: 128 }));
        assert_eq!(cell.knobs.len(), 9);
    }

    #[test]
    fn every_fault_reaches_its_place() {
        let matrix = "lifetime = \"100ms\"\n[target]\nreuseport = 2\n[matrix.target]\naccept = [\"one-per-wakeup\"]\n\
                      accept-rate = [50]\nmax-connections = [1_000]\nanswer-delay = [\"1s 200ms\"]\ndefer-accept = [\"0s\", \"5s\"]\n\
                      reuseport-stuck = [1]\nleak-one-in = [4]\ncpu = [5]\n[matrix.load]\nbehaviour = [\"idle\", \"churn\"]\n\
                      [[fault]]\nkind = \"syn-drop\"\npercent = 60\n[[fault]]\nkind = \"conntrack-full\"\n";
        let cells = expand(&scenario(matrix), 1_024).unwrap();
        let ids = ["defer-accept=0s,behaviour=idle", "defer-accept=0s,behaviour=churn"];
        assert_eq!(ids_of(&cells)[..2], ids);
        let lifetime = Duration::from_millis(100);
        assert_eq!(
            (cells[0].load.behaviour, cells[1].load.behaviour),
            (Behaviour::Idle, Behaviour::Churn { lifetime })
        );
        assert_eq!(cells[0].target.plan.defer_accept, None);
        let cell = &cells[2];
        let plan = &cell.target.plan;
        assert_eq!(
            (plan.accept, plan.accept_rate, plan.max_connections),
            (Accept::OnePerWakeup, Some(50), Some(1_000))
        );
        assert_eq!(plan.answer_delay, Duration::from_millis(1_200));
        assert_eq!(cell.knobs["target.answer-delay"].asked, KnobValue::Word("1200ms".into()));
        assert_eq!(plan.defer_accept, Some(Duration::from_secs(5)));
        assert_eq!((plan.reuseport, plan.reuseport_stuck, plan.leak_one_in), (2, 1, 4));
        assert_eq!(cell.target.cpu_percent, Some(5));
        assert_eq!(cell.faults, [Fault::SynDrop { percent: 60 }, Fault::ConntrackFull]);
    }

    #[test]
    fn a_behaviour_is_made_of_what_other_axes_say() {
        use brimful_loadgen_plan::plan::{Policy, Storm};
        let matrix = "hold = \"9s\"\nread-rate = 7\nreconnect = \"linear\"\nstorm-at = \"1s\"\n[matrix.load]\n\
                      behaviour = [\"idle\", \"heartbeat\", \"slow-reader\"]\nheartbeat-interval = [\"2s\"]\nheartbeat-share = [5]\n\
                      storm-share = [50]\nreconnect-base = [\"10ms\"]\nreconnect-cap = [\"1s\"]\n";
        let text = format!("question = \"?\"\n[load]\nconnections = 10\nramp = \"1s\"\n{matrix}");
        let scenario = Scenario::parse("t.toml", &text).unwrap_or_else(|error| panic!("{error}"));
        let cells = expand(&scenario, 1_024).unwrap();
        let (idle, beats, slow) = (&cells[0].load, &cells[1].load, &cells[2].load);
        assert_eq!((idle.behaviour, idle.comeback.is_never()), (Behaviour::Idle, true));
        let interval = Duration::from_secs(2);
        assert_eq!(beats.behaviour, Behaviour::Heartbeat { interval, share_percent: 5 });
        assert_eq!((beats.comeback.policy, beats.comeback.base), (Policy::Linear, Duration::from_millis(10)));
        assert_eq!(beats.comeback.storm, Some(Storm { at: Duration::from_secs(1), share_percent: 50 }));
        assert_eq!((slow.behaviour, slow.comeback.is_never()), (Behaviour::SlowReader { rate: 7 }, true));
    }

    #[test]
    fn every_knob_of_the_table_that_is_no_sysctl_can_be_applied() {
        for knob in all().filter(|knob| !matches!(knob.scope, Scope::NetworkNamespace | Scope::HostWide)) {
            let mut cell = base(&scenario(""), String::new());
            let mut manners = Manners::default();
            let applied = apply((&mut cell, &mut manners), knob.name, &KnobValue::Word("\0".into()));
            assert_ne!(applied, Err("no part of a cell answers to this name".to_owned()), "{}", knob.name);
        }
    }

    #[test]
    fn cells_stand_in_the_order_of_the_file() {
        let cells = expand(&scenario(TWO), 20_000).unwrap();
        assert_eq!(
            ids_of(&cells),
            [
                "somaxconn=128,nofile=1024",
                "somaxconn=128,nofile=1024-20000",
                "somaxconn=4096,nofile=1024",
                "somaxconn=4096,nofile=1024-20000"
            ]
        );
    }

    #[test]
    fn a_limit_above_the_machine_is_refused_or_clamped() {
        let refusals = expand(&scenario(TWO), 4_096).unwrap_err();
        assert_eq!(refusals.len(), 1, "once for the value, not for each cell");
        assert_eq!(refusals[0].class, Class::Machine);
        assert_eq!(refusals[0].knob.as_deref(), Some("ulimit.nofile"));
        let clamped = scenario(&format!("[matrix]\nclamp = [\"ulimit.nofile\"]\n{TWO}"));
        let cells = expand(&clamped, 4_096).unwrap();
        let setting = &cells[1].knobs["ulimit.nofile"];
        assert_eq!(setting.asked, KnobValue::Word("1024:20000".into()));
        assert_eq!(setting.set, KnobValue::Word("1024:4096".into()));
        assert_eq!(setting.clamped_because.as_deref(), Some("the hard limit of this machine is 4,096"));
        assert_eq!(cells[1].nofile, Some(Nofile { soft: 1_024, hard: 4_096 }));
        assert_eq!(cells[0].knobs["ulimit.nofile"].clamped_because, None);
        // Both come to the same when even the lower one is lowered; they stay two cells.
        let alike = expand(&clamped, 512).unwrap();
        assert_eq!(alike.len(), 4);
        assert_eq!(alike[0].nofile, alike[1].nofile);
    }

    #[test]
    fn excluded_combinations_are_gone() {
        let excluded = scenario(&format!(
            "{TWO}[[matrix.exclude]]\nwhen = {{ sysctl.\"net.core.somaxconn\" = 128, ulimit.nofile = 1_024 }}\n"
        ));
        let cells = expand(&excluded, 20_000).unwrap();
        assert_eq!(ids_of(&cells)[0], "somaxconn=128,nofile=1024-20000");
        assert_eq!(cells.len(), 3);
    }

    #[test]
    fn a_glob_chooses_cells_by_short_or_full_names() {
        let cells = expand(&scenario(TWO), 20_000).unwrap();
        for (glob, count) in [
            ("*", 4),
            ("somaxconn=128,*", 2),
            ("*nofile=1024", 2),
            ("*{nofile=1024,nofile=1024-20000}", 4),
            ("somaxconn=128,nofile=1024", 1),
            ("sysctl.net.core.somaxconn=128,*", 2),
            ("*ulimit.nofile=1024:20000", 2),
        ] {
            assert_eq!(only(cells.clone(), glob).unwrap().len(), count, "{glob}");
        }
        let error = only(cells.clone(), "nofile=9").unwrap_err();
        assert!(error.hint.contains("`somaxconn=4096,nofile=1024-20000`"), "{}", error.hint);
        assert!(only(cells, "a[").unwrap_err().what.contains("is no glob"));
    }

    proptest! {
        #[test]
        fn every_cell_is_found_by_its_own_id(axes in axes(), pick in any::<prop::sample::Index>()) {
            let axes: Vec<_> = axes.into_iter().filter(|axis| axis.knob.starts_with("sysctl.")).collect();
            let scenario = Scenario { axes, ..scenario("") };
            let cells = expand(&scenario, 1_024).unwrap();
            prop_assert_eq!(cells.len() as u64, size(&scenario.axes).unwrap());
            let wanted = cells[pick.index(cells.len())].clone();
            let found = only(cells, &wanted.id).unwrap();
            prop_assert_eq!(found, vec![wanted]);
        }
    }
}
