//! What the kernel gave for each knob that was asked. Pure.

use brimful_plan::cell::{Cell, KnobSetting, KnobValue};
use indexmap::IndexMap;

use super::record::{Evidence, KnobReading, Role};

/// Reads every knob of a cell back from what was observed. `sysctls` are dotted names without prefix and the values read back.
#[must_use]
pub fn readings(cell: &Cell, sysctls: &[(String, String)], evidence: &Evidence) -> IndexMap<String, KnobReading> {
    cell.knobs.iter().map(|(name, setting)| (name.clone(), reading(name, setting, cell, sysctls, evidence))).collect()
}

fn reading(
    name: &str,
    setting: &KnobSetting,
    cell: &Cell,
    sysctls: &[(String, String)],
    evidence: &Evidence,
) -> KnobReading {
    let (given, reason) = if let Some(sysctl) = name.strip_prefix("sysctl.") {
        let read = sysctls.iter().find(|(known, _)| known == sysctl).map(|(_, value)| as_value(value));
        (read, None)
    } else {
        match name {
            "ulimit.nofile" => nofile(evidence, cell),
            "target.backlog" => backlog(evidence, cell),
            // What only the program itself knows is given as asked: it was told so, and there is nothing to read back.
            _ => (Some(setting.set.clone()), None),
        }
    };
    let unread = given.is_none().then(|| "it could not be read back".to_owned());
    KnobReading { asked: setting.asked.clone(), given, reason: setting.clamped_because.clone().or(reason).or(unread) }
}

fn as_value(text: &str) -> KnobValue {
    text.parse().map_or_else(|_| KnobValue::Word(text.to_owned()), KnobValue::Number)
}

fn nofile(evidence: &Evidence, cell: &Cell) -> (Option<KnobValue>, Option<String>) {
    let Some(target) = evidence.processes.iter().find(|process| process.role == Role::Target) else {
        return (None, None);
    };
    if target.nofile_soft.reads == 0 {
        return (None, None);
    }
    let (soft, hard) = (target.nofile_soft.first, target.nofile_hard.first);
    let given = if soft == hard { KnobValue::Number(soft) } else { KnobValue::Word(format!("{soft}:{hard}")) };
    let raised = cell.target.plan.raise_nofile && cell.nofile.is_some_and(|asked| asked.soft < soft);
    (Some(given), raised.then(|| "the server raised its soft limit to the hard one by itself".to_owned()))
}

fn backlog(evidence: &Evidence, cell: &Cell) -> (Option<KnobValue>, Option<String>) {
    let port = cell.target.plan.listen.port().to_string();
    let listener = evidence.server.listeners.iter().find(|(address, _)| address.rsplit(':').next() == Some(&port));
    let Some((_, listener)) = listener.filter(|(_, listener)| listener.limit.reads > 0) else {
        return (None, None);
    };
    let limit = listener.limit.first;
    let clamped = cell.target.backlog().is_some_and(|asked| limit < u64::from(asked));
    (Some(KnobValue::Number(limit)), clamped.then(|| "net.core.somaxconn cut it down at listen()".to_owned()))
}
