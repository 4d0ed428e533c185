//! What a tuning costs: how far it is from what is usual, who must act for it, and memory. Pure.

use std::collections::BTreeMap;

use brimful_plan::cell::KnobValue;
use brimful_plan::cost::KERNEL_BYTES_PER_CONNECTION;
use brimful_plan::knob::{Kubernetes, Scope, lookup, parse_nofile};
use brimful_plan::wording::bytes;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::knobs::Judged;
use crate::wording::{counted, listed};

/// A connection's kernel memory at the server's end, in bytes: half of what both ends take.
const BYTES_AT_THE_SERVER: u64 = KERNEL_BYTES_PER_CONNECTION / 2;

/// Who must act for a change. The further down, the more it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Takes {
    /// Whoever writes the pod's manifest: a safe sysctl, a resource.
    Pod,
    /// Whoever writes or starts the program.
    Program,
    /// Whoever runs the kubelet, as well: an unsafe sysctl must be allowed first.
    Kubelet,
    /// Whoever owns the node: it is no pod's to set.
    Node,
}

impl Takes {
    /// Who must act for a change of this knob.
    #[must_use]
    pub fn of(knob: &str) -> Self {
        // A sysctl that the table does not have is on no list of safe ones either.
        let Some(row) = lookup(knob) else { return Self::Kubelet };
        match (row.kubernetes, row.scope) {
            (Kubernetes::Safe, _) | (Kubernetes::NotApplicable, Scope::Process) => Self::Pod,
            (Kubernetes::Unsafe, _) => Self::Kubelet,
            (Kubernetes::NodeOnly, _) => Self::Node,
            (Kubernetes::NotApplicable, _) => Self::Program,
        }
    }

    /// What one change counts, 1 to 4.
    #[must_use]
    pub const fn weight(self) -> u64 {
        match self {
            Self::Pod => 1,
            Self::Program => 2,
            Self::Kubelet => 3,
            Self::Node => 4,
        }
    }

    /// In words, after a number of changes.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Pod => "in the pod spec",
            Self::Program => "in the program",
            Self::Kubelet => "that the kubelet must allow",
            Self::Node => "on the node",
        }
    }
}

/// What a tuning costs, counted from what is usual: each knob as it is where nobody has set it, if the run has that value,
/// or else at the first value that the scenario gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TuningCost {
    /// Knobs that are not at their usual value.
    pub changed: u64,
    /// How many of them take whom.
    pub takes: BTreeMap<Takes, u64>,
    /// The sum of their weights: 1 for the pod spec, 2 for the program, 3 for what the kubelet must allow, 4 for the node.
    pub weight: u64,
    /// Kernel memory that connections can take at the server's end, in bytes, when the descriptors and the accept queue of this cell are
    /// used to the last; `null` where the run varies neither. Limits themselves cost nothing.
    pub memory_bytes: Option<u64>,
}

impl TuningCost {
    /// In words: `1 change from what is usual, on the node; at most 78.6 MiB of kernel memory for connections`.
    #[must_use]
    pub fn words(&self) -> String {
        let whom = match self.takes.iter().collect::<Vec<_>>().as_slice() {
            [] => String::new(),
            [(takes, _)] => format!(", {}", takes.words()),
            several => {
                let parts: Vec<String> = several.iter().map(|(takes, n)| format!("{n} {}", takes.words())).collect();
                format!(": {}", listed(&parts))
            }
        };
        let changes = match self.changed {
            0 => "no change from what is usual".to_owned(),
            n => format!("{} from what is usual{whom}", counted(n, "change")),
        };
        match self.memory_bytes {
            Some(most) => format!("{changes}; at most {} of kernel memory for connections", bytes(most)),
            None => changes,
        }
    }
}

/// The usual value of every knob that can be tuned.
pub(super) struct Usual<'a>(IndexMap<&'a str, &'a KnobValue>);

impl<'a> Usual<'a> {
    pub(super) fn of(cells: &[Judged<'a>]) -> Self {
        let mut values: IndexMap<&'a str, Vec<&'a KnobValue>> = IndexMap::new();
        for &(knob, value) in cells.iter().flat_map(|cell| &cell.tuning) {
            values.entry(knob).or_default().push(value);
        }
        let usual = values.into_iter().filter_map(|(knob, values)| {
            let known = lookup(knob).and_then(|row| values.iter().find(|value| row.is_usual(value)));
            Some((knob, *known.or(values.first())?))
        });
        Self(usual.collect())
    }

    /// The knobs of a cell that are not at their usual value.
    fn changed<'b>(&self, cell: &Judged<'b>) -> impl Iterator<Item = &'b str> {
        cell.tuning.iter().filter(|(knob, value)| self.0.get(knob) != Some(value)).map(|(knob, _)| *knob)
    }

    pub(super) fn cost(&self, cell: &Judged<'_>) -> TuningCost {
        let mut takes = BTreeMap::new();
        for knob in self.changed(cell) {
            *takes.entry(Takes::of(knob)).or_insert(0) += 1;
        }
        TuningCost {
            changed: takes.values().sum(),
            weight: takes.iter().map(|(takes, n)| takes.weight() * n).sum(),
            takes,
            memory_bytes: memory(cell),
        }
    }
}

/// Connections that the limits let in, as memory. A queue is as long as the smaller of its two numbers.
fn memory(cell: &Judged<'_>) -> Option<u64> {
    let descriptors = cell.value("ulimit.nofile").and_then(|v| parse_nofile(v).ok()).map(|limits| limits.soft);
    let number = |knob: &str| match cell.value(knob) {
        Some(KnobValue::Number(n)) => Some(*n),
        _ => None,
    };
    let queue = [number("target.backlog"), number("sysctl.net.core.somaxconn")].into_iter().flatten().min();
    let connections = match (descriptors, queue) {
        (None, None) => return None,
        (a, b) => a.unwrap_or(0).saturating_add(b.unwrap_or(0)),
    };
    Some(connections.saturating_mul(BYTES_AT_THE_SERVER))
}
