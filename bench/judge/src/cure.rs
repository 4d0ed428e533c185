//! What to change, to which value, when it takes effect, and the text to paste. Pure.

use brimful_plan::cell::KnobValue;
use brimful_plan::expect::Why;
use brimful_plan::knob::TakesEffect;
use serde::{Deserialize, Serialize};

use super::view::View;

pub(crate) mod acceptor;
pub(crate) mod backlog;
pub(crate) mod generator;
pub(crate) mod listener;
pub(crate) mod node;
pub(crate) mod nofile;
pub(crate) mod program;
pub(crate) mod syn;

/// When a change is felt, in words.
#[must_use]
pub fn felt(takes_effect: TakesEffect) -> &'static str {
    match takes_effect {
        TakesEffect::Live => "takes effect at once",
        TakesEffect::NextListen => {
            "takes effect at the next listen(2): restart the program, or let it call listen again"
        }
        TakesEffect::NextConnection => "takes effect for connections made from then on",
        TakesEffect::ProcessStart => "takes effect when the process starts again",
    }
}

/// Where a change is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PlaceKind {
    /// A running process, from a shell.
    Live,
    /// A file in `/etc/sysctl.d`.
    SysctlD,
    /// A drop-in of a systemd unit.
    Systemd,
    /// The pod's manifest.
    PodSpec,
    /// The node, outside any pod.
    Node,
    /// The program itself.
    Code,
    /// The scenario file, where the experiment and not the target is at fault.
    Scenario,
}

impl PlaceKind {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Live => "on the running process",
            Self::SysctlD => "sysctl.d",
            Self::Systemd => "systemd",
            Self::PodSpec => "pod spec",
            Self::Node => "on the node",
            Self::Code => "in the program",
            Self::Scenario => "in the scenario",
        }
    }
}

/// What to know before doing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Note {
    /// Kubernetes lists the sysctl as safe.
    Safe,
    /// Kubernetes lists it as unsafe: the kubelet must allow it.
    Unsafe,
    /// It reaches the node's own network namespace, and no pod's.
    NodeOnly,
    /// One value for the whole node and every pod on it.
    WholeNode,
    /// The kubelet probes from the node's own namespace, so it holds there.
    ProberNode,
    /// It belongs to the unit of the prober, which is the kubelet's.
    ProberUnit,
    /// It reaches every container the runtime starts from then on.
    AllContainers,
    /// It lasts until the process ends.
    UntilRestart,
    /// A pod spec has no field for it, so the command is wrapped; it cannot go above the hard limit.
    Wrapped,
}

impl Note {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Safe => "a safe sysctl: any pod may set it",
            Self::Unsafe => "an unsafe sysctl: the kubelet needs --allowed-unsafe-sysctls for it",
            Self::NodeOnly => {
                "for servers on the host's own network; a pod's namespace starts with the kernel's defaults"
            }
            Self::WholeNode => "one value for the node and every pod on it; no pod can set it",
            Self::ProberNode => "on the node, where the kubelet probes from",
            Self::ProberUnit => "in the unit of the prober: kubelet.service",
            Self::AllContainers => "in the container runtime's unit: for every container started after it",
            Self::UntilRestart => "lasts until the process ends",
            Self::Wrapped => "a pod spec has no field for it; this reaches the hard limit at most",
        }
    }
}

/// One place in which a cure can be written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// What kind of place.
    pub place: PlaceKind,
    /// The text to paste.
    pub text: String,
    /// What to know before.
    pub note: Option<Note>,
}

impl Place {
    pub(crate) fn new(place: PlaceKind, text: impl Into<String>, note: Option<Note>) -> Self {
        Self { place, text: text.into(), note }
    }
}

/// A knob and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// The knob's full dotted name.
    pub knob: String,
    /// What to set it to.
    pub value: KnobValue,
}

/// What cures a cause, computed from what was seen; it is a proposal until a cell with it was run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Cure {
    /// The knob's full dotted name, as in scenario files; for a defect of the program, the target setting that stands for it.
    pub knob: String,
    /// What to set it to; `None` where no value cures.
    pub value: Option<KnobValue>,
    /// When it is felt.
    pub takes_effect: TakesEffect,
    /// What must change with it, or it has no effect.
    pub also: Vec<Setting>,
    /// Where to write it down.
    #[serde(rename = "where")]
    pub places: Vec<Place>,
    /// Why this, and where the number comes from.
    pub because: String,
}

impl Cure {
    /// What to set: `target.backlog = 4096, and sysctl.net.core.somaxconn = 4096`.
    #[must_use]
    pub fn settings(&self) -> String {
        let mut what = self.knob.clone();
        if let Some(value) = &self.value {
            what += &format!(" = {value}");
        }
        for also in &self.also {
            what += &format!(", and {} = {}", also.knob, also.value);
        }
        what
    }
}

/// No cure, for what is no fault.
pub(crate) fn none(_view: &View<'_>, _why: Option<Why>) -> Option<Cure> {
    None
}

/// The two places for a sysctl of a network namespace.
pub(crate) fn sysctl_places(name: &str, value: u64, note: Note) -> Vec<Place> {
    let value = KnobValue::Number(value);
    vec![pod_sysctls(&[(name, &value)], note), sysctl_file(&[(name, &value)], Note::NodeOnly)]
}

/// Sysctls in a pod's manifest.
pub(crate) fn pod_sysctls(sysctls: &[(&str, &KnobValue)], note: Note) -> Place {
    let mut text = "securityContext:\n  sysctls:".to_owned();
    for (name, value) in sysctls {
        text += &format!("\n  - name: {name}\n    value: \"{value}\"");
    }
    Place::new(PlaceKind::PodSpec, text, Some(note))
}

/// Sysctls in a file of `/etc/sysctl.d`.
pub(crate) fn sysctl_file(sysctls: &[(&str, &KnobValue)], note: Note) -> Place {
    let lines: Vec<String> = sysctls.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    Place::new(PlaceKind::SysctlD, lines.join("\n"), Some(note))
}
