//! `[[fault]]`: what is wrong with the path, and `needs`: what the author says it takes.

use super::error::ScenarioError;
use super::reader::{Keys, Section, Value};
use crate::cell::Path;
use crate::fault::Fault;
use crate::need::{self, Need};

/// Read before anything else of the table: which other keys there are depends on it.
const KIND: Keys = Keys {
    now: &["kind", "percent", "ports"],
    later: &[],
    elsewhere: &[("type", "kind"), ("share", "percent"), ("port", "ports")],
};
const KINDS: &[&str] = &["conntrack-full", "syn-drop", "synack-loss", "ports-taken", "no-route-back", "ack-hold"];

/// Reads every `[[fault]]`, in the file's order.
pub(super) fn read(root: &Section<'_>, path: Path) -> Result<Vec<Fault>, ScenarioError> {
    let Some(value) = root.value("fault") else { return Ok(Vec::new()) };
    if !value.is_list() {
        return Err(value.error("`fault` must be a list of tables").hint("write [[fault]] and kind = \"syn-drop\""));
    }
    let mut faults: Vec<Fault> = Vec::new();
    for item in value.list()? {
        let (fault, kind) = one(&item)?;
        if faults.iter().any(|other| other.name() == fault.name()) {
            return Err(kind.error(format!("the path has the fault `{}` twice", fault.name())));
        }
        if fault.needs_veth() && path != Path::Veth {
            return Err(kind
                .error(format!("`{}` needs client and server in two namespaces", fault.name()))
                .hint("write path = \"veth\" in [topology]"));
        }
        faults.push(fault);
    }
    Ok(faults)
}

fn one<'s>(item: &Value<'s>) -> Result<(Fault, Value<'s>), ScenarioError> {
    let section = item.table(KIND)?;
    let kind = section.required("kind")?;
    let name: String = kind.word(KINDS, &[])?;
    let percent = percent(&section)?;
    let all = percent.unwrap_or(100);
    let taken = ports(&section, &name)?;
    let fault = match name.as_str() {
        "syn-drop" => return Ok((Fault::SynDrop { percent: all }, kind)),
        "synack-loss" => return Ok((Fault::SynAckLoss { percent: all }, kind)),
        "ports-taken" => Fault::PortsTaken { first: taken.0, last: taken.1 },
        "conntrack-full" => Fault::ConntrackFull,
        "no-route-back" => Fault::NoRouteBack,
        _ => Fault::AckHold,
    };
    match section.value("percent") {
        Some(value) => Err(value
            .error_at_key(format!("`percent` does not go with `{name}`: it is there or it is not"))
            .hint("it goes with syn-drop and synack-loss")),
        None => Ok((fault, kind)),
    }
}

fn percent(section: &Section<'_>) -> Result<Option<u8>, ScenarioError> {
    let percent = section.value("percent").map(|value| value.count(1..=100)).transpose()?;
    Ok(percent.and_then(|percent| u8::try_from(percent).ok()))
}

/// `ports = "30000-32767"`, which goes with `ports-taken`; what nobody reads for the others.
fn ports(section: &Section<'_>, kind: &str) -> Result<(u16, u16), ScenarioError> {
    if kind != "ports-taken" {
        return match section.value("ports") {
            Some(value) => {
                Err(value.error_at_key(format!("`ports` does not go with `{kind}`")).hint("it goes with ports-taken"))
            }
            None => Ok((0, 0)),
        };
    }
    let value = section.required("ports")?;
    let text = value.text()?;
    let range = text.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    range
        .filter(|(first, last): &(u16, u16)| *first > 0 && first <= last)
        .ok_or_else(|| value.error(format!("`{text}` is no range of ports")).hint("write ports = \"30000-32767\""))
}

/// Reads `needs`.
pub(super) fn needs(root: &Section<'_>) -> Result<Vec<Need>, ScenarioError> {
    let Some(value) = root.value("needs") else { return Ok(Vec::new()) };
    value.list()?.iter().map(|item| item.word(need::WORDS, &[])).collect()
}
