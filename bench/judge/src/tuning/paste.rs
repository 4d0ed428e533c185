//! A tuning as text to paste. Pure. The places and what to know of them are those of the cures.

use brimful_plan::cell::KnobValue;
use brimful_plan::expect::CauseName;
use brimful_plan::knob::lookup;
use serde::{Deserialize, Serialize};

use super::cost::Takes;
use crate::cure::{Note, Place, PlaceKind, backlog, nofile, pod_sysctls, program, sysctl_file};
use crate::knobs::KnobChange;

/// One text to paste.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Paste {
    /// What kind of place it belongs to.
    pub place: PlaceKind,
    /// The file or the part of it.
    pub title: String,
    /// The text.
    pub text: String,
    /// What to know before.
    pub note: Option<Note>,
}

const SYSCTL_FILE: &str = "/etc/sysctl.d/60-tuning.conf";
const DROP_IN: &str = "/etc/systemd/system/UNIT.service.d/limits.conf";
const POD: &str = "the pod's spec";
const CONTAINER: &str = "the container in the pod's spec";
const KUBELET: &str = "the kubelet's configuration (kind: KubeletConfiguration)";
const PROGRAM: &str = "in the program";

/// Everything to write down: first the program, then its unit and its pod, then the node.
pub(super) fn pastes(changes: &[KnobChange]) -> Vec<Paste> {
    let mut pastes = Vec::new();
    let mut sysctls = Vec::new();
    for change in changes {
        match change.knob.strip_prefix("sysctl.") {
            Some(name) => sysctls.push((name, &change.to)),
            None => pastes.extend(of_the_process(change)),
        }
    }
    pastes.sort_by_key(|paste| paste.place != PlaceKind::Code);
    pastes.extend(of_the_namespace(&sysctls));
    pastes
}

fn of_the_process(change: &KnobChange) -> Vec<Paste> {
    let at = |title: &str, place: Place| Paste {
        place: place.place,
        title: title.to_owned(),
        text: place.text,
        note: place.note,
    };
    match (change.knob.as_str(), &change.to) {
        ("ulimit.nofile", value) => vec![
            at(PROGRAM, nofile::own_start_up_to(value)),
            at(DROP_IN, nofile::unit(value)),
            at(CONTAINER, nofile::wrapped(value)),
        ],
        ("target.raise-nofile", KnobValue::Switch(true)) => vec![at(PROGRAM, nofile::own_start())],
        ("target.backlog", KnobValue::Number(backlog)) => vec![at(PROGRAM, backlog::in_many_languages(*backlog))],
        ("target.cpu", KnobValue::Number(percent)) => program::quota(*percent)
            .into_iter()
            .zip([CONTAINER, DROP_IN])
            .map(|(place, title)| at(title, place))
            .collect(),
        (knob, value) => {
            let set_in = lookup(knob).map_or(String::new(), |row| format!("   # {}", row.set_in));
            vec![at(PROGRAM, Place::new(PlaceKind::Code, format!("{knob} = {value}{set_in}"), None))]
        }
    }
}

/// Those a pod may set, those the kubelet must allow, and those of the node apart.
fn of_the_namespace(sysctls: &[(&str, &KnobValue)]) -> Vec<Paste> {
    let that = |takes: Takes| {
        let of = sysctls.iter().filter(move |(name, _)| Takes::of(&format!("sysctl.{name}")) == takes);
        of.copied().collect::<Vec<_>>()
    };
    let (safe, restricted, host) = (that(Takes::Pod), that(Takes::Kubelet), that(Takes::Node));
    let mut pastes = Vec::new();
    let mut push = |title: &str, place: Place| {
        pastes.push(Paste { place: place.place, title: title.to_owned(), text: place.text, note: place.note });
    };
    if !safe.is_empty() {
        push(POD, pod_sysctls(&safe, Note::Safe));
    }
    if !restricted.is_empty() {
        push(POD, pod_sysctls(&restricted, Note::Unsafe));
        let names: Vec<String> = restricted.iter().map(|(name, _)| format!("- {name}")).collect();
        let allowed = format!("allowedUnsafeSysctls:\n{}", names.join("\n"));
        push(KUBELET, Place::new(PlaceKind::Node, allowed, None));
    }
    let (client, server): (Vec<_>, Vec<_>) =
        safe.into_iter().chain(restricted).partition(|(name, _)| is_the_clients(name));
    for (of, note) in [(server, Note::NodeOnly), (client, Note::ProberNode), (host, Note::WholeNode)] {
        if !of.is_empty() {
            push(SYSCTL_FILE, sysctl_file(&of, note));
        }
    }
    pastes
}

/// Whether it is felt where connections begin.
fn is_the_clients(name: &str) -> bool {
    lookup(&format!("sysctl.{name}")).is_some_and(|row| row.answers.contains(&CauseName::LocalPorts))
}
