//! What all pods have in common.

use std::time::Duration;

use super::Stage;
use super::yaml::{Map, Node, list, map};

/// Nobody, by the number that images agree on.
const NOBODY: u32 = 65_534;
/// Memory of a process by itself, in MiB: a few of it are used.
const OWN_MIB: u64 = 64;
/// Memory set aside for a connection, in bytes: kernel and user memory of one end are about 4 KiB, and a page goes to rounding.
const EACH_BYTES: u64 = 8 * 1_024;

/// Whose pod it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Target,
    Load,
    Probe,
}

impl Part {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::Load => "load",
            Self::Probe => "probe",
        }
    }

    /// What selects its pods.
    pub(super) fn labels(self) -> Map {
        map().with("app.kubernetes.io/name", "brimful").with("app.kubernetes.io/component", self.name())
    }
}

/// `metadata` of an object.
pub(super) fn metadata(stage: &Stage<'_>, name: &str, part: Part) -> Map {
    map().with("name", name).with("namespace", stage.options.namespace.as_str()).with("labels", part.labels())
}

/// The parts of a pod that do not depend on what it does; the sysctls with the reasons of those that are not there.
pub(super) fn spec(stage: &Stage<'_>, remarks: bool) -> Map {
    let mut context = map()
        .with("runAsNonRoot", true)
        .with("runAsUser", NOBODY)
        .with("runAsGroup", NOBODY)
        .with("seccompProfile", map().with("type", "RuntimeDefault"));
    if remarks {
        context = context.notes(stage.split.remarks());
    }
    let context = context.maybe("sysctls", stage.split.plain());
    map().with("automountServiceAccountToken", false).with("enableServiceLinks", true).with("securityContext", context)
}

/// A container that runs brimful.
pub(super) fn container(stage: &Stage<'_>, part: Part, arguments: Vec<Node>) -> Map {
    map()
        .with("name", part.name())
        .with("image", stage.options.image.as_str())
        .with("imagePullPolicy", "IfNotPresent")
        .with("command", list(["brimful"]))
        .with("args", Node::List(arguments))
        .with(
            "securityContext",
            map()
                .with("allowPrivilegeEscalation", false)
                .with("readOnlyRootFilesystem", true)
                .with("capabilities", map().with("drop", list(["ALL"]))),
        )
}

/// `resources`: requests for so many connections, and processor time at most, in per cent of one. No limit of memory: it would be
/// one limit more than the scenario asks about.
pub(super) fn resources(connections: u64, cpu_percent: Option<u32>) -> Map {
    let mib = OWN_MIB + connections.saturating_mul(EACH_BYTES).div_ceil(1 << 20);
    let cpu = cpu_percent.map(|percent| format!("{}m", u64::from(percent) * 10));
    let requests =
        map().with("cpu", cpu.clone().unwrap_or_else(|| "100m".to_owned())).with("memory", format!("{mib}Mi"));
    map().with("requests", requests).maybe("limits", cpu.map(|cpu| map().with("cpu", cpu)))
}

/// An option and its value. `$(` would be taken for a variable of the container (`k8s.io/kubernetes/third_party/forked/golang/expansion`).
pub(super) fn option(name: &str, value: impl ToString) -> [Node; 2] {
    [name.into(), value.to_string().replace("$(", "$$(").into()]
}

/// A time as brimful's options take it.
pub(super) fn time(time: Duration) -> String {
    humantime::format_duration(time).to_string()
}
