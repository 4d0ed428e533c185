//! A scenario file: text in, a value or an error with its place out.
//!
//! Everything that can be known without a machine is checked here, so that whoever holds a [`Scenario`] can expand it:
//! values are in range and canonical, axes have no duplicates, conditions name knobs and values that exist.

mod agree;
mod error;
mod expectations;
mod fault;
mod load;
mod matrix;
mod probe;
mod reader;
mod target;

use toml::de::DeTable;

use self::error::Source;
use self::reader::{Keys, Section};
use super::axis::{Axis, Condition};
use super::cell::{LoadSetup, Path, ProbeSetup, TargetSetup};
use super::expect::Expectation;
use super::fault::Fault;
use super::manners::Manners;
use super::need::Need;

pub use error::{Place, ScenarioError};

/// The largest file taken, in bytes; the longest of the catalogue has a hundredth of it.
const MAX_FILE: usize = 256 * 1024;
/// The longest question, in characters: it is a heading.
const MAX_QUESTION: usize = 300;
/// The most cells of one scenario, before `exclude` takes some out.
pub const MAX_CELLS: u64 = 4_096;

/// One question, and everything needed to ask it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// The file's name without folder and `.toml`.
    pub name: String,
    /// What it asks, in one line.
    pub question: String,
    /// The story, in markdown; shown in the report.
    pub about: Option<String>,
    /// Privileges without which it cannot be run as it is meant; empty for most.
    pub needs: Vec<Need>,
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
    /// What varies, in the file's order; the first turns slowest. An axis of one value fixes a knob.
    pub axes: Vec<Axis>,
    /// Axes whose values are lowered to what the machine can give instead of refused, by full dotted name.
    pub clamp: Vec<String>,
    /// Combinations taken out.
    pub exclude: Vec<Condition>,
    /// Ground truth, for `run --verify`; every line fits at least one cell.
    pub expect: Vec<Expectation>,
}

const ROOT: Keys = Keys {
    now: &["question", "about", "needs", "topology", "fault", "target", "load", "probe", "matrix", "expect"],
    later: &["change", "restart", "gate", "arms"],
    elsewhere: &[("description", "about"), ("name", "question"), ("title", "question"), ("faults", "fault")],
};

const TOPOLOGY: Keys = Keys { now: &["path", "sandbox"], later: &[], elsewhere: &[] };

/// Where a scenario is run. One word so far, and the type keeps a second from being forgotten.
#[derive(Clone, Copy, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Sandbox {
    #[default]
    Netns,
}

impl Scenario {
    /// Reads a scenario. `file` is how messages call it; its last part without `.toml` is the scenario's name.
    ///
    /// # Errors
    /// [`ScenarioError`] with place, message, valid keys and hint for the first thing that is wrong.
    pub fn parse(file: &str, text: &str) -> Result<Self, ScenarioError> {
        let source = Source { file, text };
        if text.len() > MAX_FILE {
            return Err(
                source.error(0..0, format!("a scenario of {} bytes is too large, at most {MAX_FILE}", text.len()))
            );
        }
        let table = DeTable::parse(text).map_err(|error| {
            source.error(error.span().unwrap_or(0..0), format!("this is not TOML: {}", error.message().to_lowercase()))
        })?;
        let root = Section::root(source, table.get_ref(), ROOT)?;
        let question = question(&root)?;
        let about = root.value("about").map(|value| value.text().map(str::to_owned)).transpose()?;
        let needs = fault::needs(&root)?;
        let path = topology(&root)?;
        let faults = fault::read(&root, path)?;
        let probe = probe::read(&root)?;
        let target = target::read(&root, path, &probe.action)?;
        let (load, manners) = load::read(&root)?;
        probe::check_time(&root, &probe, load.ramp + load.hold)?;
        let matrix = matrix::read(&root)?;
        agree::check(&root, path, &target, (&load, &manners), &matrix)?;
        let expect = expectations::read(&root, &matrix, &probe, load.ramp + load.hold)?;
        let matrix::Matrix { axes, clamp, exclude, .. } = matrix;
        let name = stem(file);
        Ok(Self {
            name,
            question,
            about,
            needs,
            path,
            faults,
            target,
            load,
            manners,
            probe,
            axes,
            clamp,
            exclude,
            expect,
        })
    }
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

fn topology(root: &Section<'_>) -> Result<Path, ScenarioError> {
    let section = root.child("topology", TOPOLOGY)?;
    let Sandbox::Netns = section.word("sandbox", &["netns"], &["vm", "host"])?;
    section.word("path", &["loopback", "veth"], &[])
}

/// `scenarios/origin.toml` is called `origin`.
fn stem(file: &str) -> String {
    let last = file.rsplit(['/', '\\']).next().unwrap_or(file);
    last.strip_suffix(".toml").unwrap_or(last).to_owned()
}

#[cfg(test)]
mod tests;
