//! A scenario file: text in, a value or an error with its place out.
//!
//! Everything that can be known without a machine is checked here, so that whoever holds a [`Scenario`] can expand it:
//! values are in range and canonical, axes have no duplicates, conditions name knobs and values that exist.

mod agree;
mod arms;
mod change;
mod command;
mod error;
mod expectations;
mod fault;
mod gate;
mod load;
mod matrix;
mod probe;
mod reader;
mod restart;
mod target;

use toml::de::DeTable;

use self::error::Source;
use self::reader::{Keys, Section};
use super::arm::{self, ARM, Arm};
use super::axis::{self, Axis, Condition};
use super::cell::{LoadSetup, Path, ProbeSetup, Sandbox, TargetSetup};
use super::change::Change;
use super::expect::Expectation;
use super::fault::Fault;
use super::gate::Gate;
use super::kubelet::Restart;
use super::need::Need;
use super::refusal::Refusal;
use crate::load_options::Manners;
use crate::wording::grouped;

pub(super) use agree::together;
pub use error::{Place, ScenarioError};

/// The largest file taken, in bytes; the longest of the catalogue has a hundredth of it.
const MAX_FILE: usize = 256 * 1024;
/// The longest question, in characters: it is a heading.
const MAX_QUESTION: usize = 300;
/// The most cells of one scenario, before `exclude` takes some out.
pub const MAX_CELLS: u64 = 4_096;

/// One question, and everything needed to ask it.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// The file's name without folder and `.toml`.
    pub name: String,
    /// What it asks, in one line.
    pub question: String,
    /// The story, in markdown; shown in the report.
    pub about: Option<String>,
    /// Privileges without which it cannot be run as it is meant; empty for most.
    pub needs: Vec<Need>,
    /// Where it is run.
    pub sandbox: Sandbox,
    /// Where client and server stand.
    pub path: Path,
    /// What is wrong with the path, in every cell.
    pub faults: Vec<Fault>,
    /// The server, before any axis has changed it.
    pub target: TargetSetup,
    /// The load, before any axis has changed it.
    pub load: LoadSetup,
    /// What the behaviours of the load go by, whichever a cell has.
    pub manners: Manners,
    /// The health check.
    pub probe: ProbeSetup,
    /// Versions that are run side by side; the first axis is their names. Empty for most scenarios.
    pub arms: Vec<Arm>,
    /// What varies, in the file's order; the first turns slowest. An axis of one value fixes a knob.
    pub axes: Vec<Axis>,
    /// Axes whose values are lowered to what the machine can give instead of refused, by full dotted name.
    pub clamp: Vec<String>,
    /// Combinations taken out.
    pub exclude: Vec<Condition>,
    /// What is turned while a cell runs, and in which cells; in the order of time.
    pub changes: Vec<(Condition, Change)>,
    /// That the target is restarted as the kubelet would.
    pub restart: Option<Restart>,
    /// Ground truth, for `run --verify`; every line fits at least one cell.
    pub expect: Vec<Expectation>,
    /// What a gate holds a run to; `None` where the file does not say.
    pub gate: Option<Gate>,
}

/// What is said to sysctls of the whole host, in a scenario that is not run in a guest of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostWide {
    /// Not in a sandbox.
    #[default]
    Refused,
    /// They may be changed on the machine itself, and put back: `--allow-host-changes`.
    Admitted,
}

const ROOT: Keys = Keys {
    now: &[
        "question", "about", "needs", "topology", "fault", "target", "load", "probe", "matrix", "arms", "change",
        "restart", "expect", "gate",
    ],
    later: &[],
    elsewhere: &[
        ("description", "about"),
        ("name", "question"),
        ("title", "question"),
        ("faults", "fault"),
        ("changes", "change"),
        ("arm", "arms"),
    ],
};

const TOPOLOGY: Keys = Keys { now: &["path", "sandbox"], later: &[], elsewhere: &[] };

impl Scenario {
    /// Reads a scenario. `file` is how messages call it; its last part without `.toml` is the scenario's name.
    ///
    /// # Errors
    /// [`ScenarioError`] with place, message, valid keys and hint for the first thing that is wrong.
    pub fn parse(file: &str, text: &str) -> Result<Self, ScenarioError> {
        Self::parse_with(file, text, HostWide::Refused)
    }

    /// The same where somebody has said whether the machine itself may be changed.
    ///
    /// # Errors
    /// As [`Scenario::parse`].
    pub fn parse_with(file: &str, text: &str, host_wide: HostWide) -> Result<Self, ScenarioError> {
        let source = Source { file, text, own_host: false };
        if text.len() > MAX_FILE {
            return Err(
                source.error(0..0, format!("a scenario of {} bytes is too large, at most {MAX_FILE}", text.len()))
            );
        }
        let table = DeTable::parse(text).map_err(|error| {
            source.error(error.span().unwrap_or(0..0), format!("this is not TOML: {}", error.message().to_lowercase()))
        })?;
        let here = Section::root(source, table.get_ref(), ROOT)?;
        // First of all: which knobs there are depends on it.
        let (path, sandbox) = topology(&here)?;
        let allowed = host_wide == HostWide::Admitted && sandbox == Sandbox::Netns;
        let source = Source { own_host: allowed || sandbox == Sandbox::Vm, ..source };
        let root = Section::root(source, table.get_ref(), ROOT)?;
        let question = question(&root)?;
        let about = root.value("about").map(|value| value.text().map(str::to_owned)).transpose()?;
        let mut needs = fault::needs(&root)?;
        needs.extend((sandbox == Sandbox::Vm).then_some(Need::Vm));
        let faults = fault::read(&root, path)?;
        let probe = probe::read(&root, path)?;
        let target = target::read(&root, path, &probe.action)?;
        let (load, manners) = load::read(&root)?;
        probe::check_time(&root, &probe, load.ramp + load.hold)?;
        let arms = arms::read(&root)?;
        let matrix = matrix::read(&root, &arms, sandbox)?;
        agree::check(&root, path, &target, (&load, &manners), &matrix, &arms)?;
        let changes = change::read(&root, &matrix, sandbox, load.ramp + load.hold)?;
        let restart = restart::read(&root, path, &probe, &matrix)?;
        let with = expectations::With { changes: &changes, restart: restart.is_some() };
        let expect = expectations::read(&root, &matrix, &probe, load.ramp + load.hold, &with)?;
        let gate = gate::read(&root, &matrix)?;
        let matrix::Matrix { axes, clamp, exclude, .. } = matrix;
        let name = stem(file);
        let scenario = Self {
            name,
            question,
            about,
            needs,
            sandbox,
            path,
            faults,
            target,
            load,
            manners,
            probe,
            arms,
            axes,
            clamp,
            exclude,
            changes,
            restart,
            expect,
            gate,
        };
        arms::check(&root, &scenario)?;
        Ok(scenario)
    }

    /// The same with other arms than the file's, as from a command line. What the file says of arms by name (in
    /// `[expect]` and `[[matrix.exclude]]`) holds for those of the same name.
    ///
    /// # Errors
    /// A [`Refusal`] for arms that do not go together, or not with this scenario.
    pub fn with_arms(mut self, arms: Vec<Arm>) -> Result<Self, Refusal> {
        self.axes.retain(|axis| axis.knob != ARM);
        arm::check_together(&arms, &self.axes)?;
        self.axes.splice(0..0, arm::axis(&arms));
        self.arms = arms;
        let too_large = || {
            Refusal::scenario(
                format!("with {} arms the matrix has more than {} cells", self.arms.len(), grouped(MAX_CELLS)),
                "give fewer arms",
            )
        };
        axis::size(&self.axes).filter(|&size| size <= MAX_CELLS).ok_or_else(too_large)?;
        // A limit that this machine cannot give is refused when the cells are expanded for it.
        super::matrix::expand(&self, u64::MAX).map_err(first)?;
        Ok(self)
    }
}

fn first(refusals: Vec<Refusal>) -> Refusal {
    refusals.into_iter().next().unwrap_or_else(|| Refusal::scenario("the arms cannot be run", "give other arms"))
}

fn question(root: &Section<'_>) -> Result<String, ScenarioError> {
    let missing = |error: ScenarioError| error.hint("say in one line what the run is to find out: question = \"...?\"");
    let value = root.required("question").map_err(missing)?;
    let text = value.text()?.trim();
    if text.is_empty() {
        return Err(missing(value.error("`question` is empty")));
    }
    if text.chars().count() > MAX_QUESTION || text.contains('\n') {
        return Err(value
            .error(format!("`question` must be one line of at most {MAX_QUESTION} characters"))
            .hint("the rest of the story goes into `about`"));
    }
    Ok(text.to_owned())
}

fn topology(root: &Section<'_>) -> Result<(Path, Sandbox), ScenarioError> {
    let section = root.child("topology", TOPOLOGY)?;
    let sandbox = section.word("sandbox", &["netns", "vm", "host"], &[])?;
    Ok((section.word("path", &["loopback", "veth"], &[])?, sandbox))
}

/// `scenarios/origin.toml` is called `origin`.
fn stem(file: &str) -> String {
    let last = file.rsplit(['/', '\\']).next().unwrap_or(file);
    last.strip_suffix(".toml").unwrap_or(last).to_owned()
}

#[cfg(test)]
mod tests;
