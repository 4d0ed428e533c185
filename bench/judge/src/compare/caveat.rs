//! What makes two sides comparable only in part. Pure.

use brimful_evidence::record::{Host, KnobReading};
use brimful_plan::arm::ARM;
use serde::{Deserialize, Serialize};

use super::super::metric::is_void;
use super::super::report::{CellReport, Report};
use super::Side;
use crate::wording::{counted, listed, time};

/// Something that may have made a difference, besides what is in question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Caveat {
    /// Two runs, one after the other: what the machine did meanwhile looks like a difference of the sides.
    NotInterleaved,
    /// The runs differ as a whole.
    Run {
        /// In what: `scenario`, `tool.version`, `schema_version`, `host.kernel` and so on.
        what: String,
        /// The first side's.
        base: String,
        /// The second side's.
        head: String,
    },
    /// The scenarios hold their runs to different gates.
    Gate,
    /// A knob differs though the cells have one id.
    Knob {
        /// Its full name.
        knob: String,
        /// What the first side was given, or asked for where that is not known.
        base: String,
        /// And the second.
        head: String,
        /// The cells.
        cells: Vec<String>,
    },
    /// The probe's time-outs differ: latencies are not compared.
    Timeout {
        /// The first side's, in nanoseconds.
        base_ns: u64,
        /// The second side's.
        head_ns: u64,
        /// The cells.
        cells: Vec<String>,
    },
    /// A side was broken off by a signal.
    Interrupted {
        /// Its name.
        side: String,
    },
    /// Blocks that the experiment itself spoilt, or that were not run.
    Lost {
        /// The side's name.
        side: String,
        /// Blocks of all cells that are void.
        void: u32,
        /// Blocks of all cells that have no record.
        absent: u32,
    },
}

/// A cell's id and its two reports.
pub(crate) type Common<'a> = (&'a str, &'a CellReport, &'a CellReport);

/// Everything of the kind between two sides; `cells` are those that they have in common.
pub(crate) fn caveats(base: &Side<'_>, head: &Side<'_>, cells: &[Common<'_>]) -> Vec<Caveat> {
    let mut found = Vec::new();
    if !base.interleaved_with(head) {
        found.push(Caveat::NotInterleaved);
        found.extend(of_runs(base.report, head.report));
    }
    for &(id, a, b) in cells {
        let by_design = |knob: &str| knob == ARM || base.own_knobs().chain(head.own_knobs()).any(|own| own == knob);
        for (knob, of_base) in a.knobs.iter().filter(|(knob, _)| !by_design(knob)) {
            let of_head = b.knobs.get(knob).map_or_else(|| "not set".to_owned(), given);
            add_knob(&mut found, knob, given(of_base), of_head, id);
        }
        for (knob, of_head) in b.knobs.iter().filter(|(knob, _)| !by_design(knob) && !a.knobs.contains_key(*knob)) {
            add_knob(&mut found, knob, "not set".to_owned(), given(of_head), id);
        }
        add_timeout(&mut found, a.probe.timeout_ns, b.probe.timeout_ns, id);
    }
    found.extend(of_side(base, cells.iter().map(|cell| cell.1)));
    found.extend(of_side(head, cells.iter().map(|cell| cell.2)));
    found
}

fn of_runs(a: &Report, b: &Report) -> Vec<Caveat> {
    let mut pairs = vec![
        ("scenario", a.scenario.name.clone(), b.scenario.name.clone()),
        ("tool.version", a.tool.version.clone(), b.tool.version.clone()),
        ("schema_version", a.schema_version.to_string(), b.schema_version.to_string()),
    ];
    pairs.extend(of_host(&a.host).into_iter().zip(of_host(&b.host)).map(|((what, a), (_, b))| (what, a, b)));
    let differing = pairs.into_iter().filter(|(_, a, b)| a != b);
    let mut found: Vec<Caveat> =
        differing.map(|(what, base, head)| Caveat::Run { what: what.to_owned(), base, head }).collect();
    found.extend((a.gate != b.gate).then_some(Caveat::Gate));
    found
}

fn of_host(host: &Host) -> [(&'static str, String); 7] {
    [
        ("host.kernel", host.kernel.clone()),
        ("host.arch", host.arch.clone()),
        ("host.cpus", host.cpus.to_string()),
        // Two machines of one size differ by what their kernels keep for themselves.
        ("host.memory_bytes", format!("{:.1} GB", host.memory_bytes as f64 / 1e9)),
        ("host.nofile_hard", host.nofile_hard.to_string()),
        ("host.user_namespace", host.user_namespace.to_string()),
        ("host.virtual", host.virtual_machine.clone().unwrap_or_else(|| "none".to_owned())),
    ]
}

fn given(knob: &KnobReading) -> String {
    knob.given.as_ref().unwrap_or(&knob.asked).to_string()
}

fn add_knob(found: &mut Vec<Caveat>, name: &str, of_base: String, of_head: String, id: &str) {
    if of_base == of_head {
        return;
    }
    for caveat in found.iter_mut() {
        if let Caveat::Knob { knob, base, head, cells } = caveat
            && (knob.as_str(), &*base, &*head) == (name, &of_base, &of_head)
        {
            cells.push(id.to_owned());
            return;
        }
    }
    found.push(Caveat::Knob { knob: name.to_owned(), base: of_base, head: of_head, cells: vec![id.to_owned()] });
}

fn add_timeout(found: &mut Vec<Caveat>, of_base: u64, of_head: u64, id: &str) {
    if of_base == of_head {
        return;
    }
    for caveat in found.iter_mut() {
        if let Caveat::Timeout { base_ns, head_ns, cells } = caveat
            && (*base_ns, *head_ns) == (of_base, of_head)
        {
            cells.push(id.to_owned());
            return;
        }
    }
    found.push(Caveat::Timeout { base_ns: of_base, head_ns: of_head, cells: vec![id.to_owned()] });
}

fn of_side<'a>(side: &Side<'_>, cells: impl Iterator<Item = &'a CellReport>) -> Vec<Caveat> {
    let (mut void, mut absent) = (0, 0);
    for cell in cells {
        void += cell.blocks.iter().filter(|block| is_void(block)).count() as u32;
        let missing = side.report.missing.iter().find(|missing| missing.id == cell.id);
        absent += missing.map_or(0, |missing| missing.blocks.len() as u32);
    }
    let mut found = Vec::new();
    if side.report.interrupted {
        found.push(Caveat::Interrupted { side: side.name.to_owned() });
    }
    if void + absent > 0 {
        found.push(Caveat::Lost { side: side.name.to_owned(), void, absent });
    }
    found
}

impl Caveat {
    /// In a sentence without its full stop.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::NotInterleaved => {
                "weaker evidence: two runs, not one in which both sides took turns; what the machine did meanwhile looks like a difference"
                    .to_owned()
            }
            Self::Gate => "the two were run with different [gate] tables; that of the second is used, if it has one".to_owned(),
            Self::Run { what, base, head } => format!("{what} differs: {base}, then {head}"),
            Self::Knob { knob, base, head, cells } => format!("{knob} differs: {base}, then {head} ({})", some(cells)),
            Self::Timeout { base_ns, head_ns, cells } => format!(
                "the probe's time-out differs: {}, then {}; latencies are not compared ({})",
                time(*base_ns),
                time(*head_ns),
                some(cells)
            ),
            Self::Interrupted { side } => format!("{side} was broken off by a signal"),
            Self::Lost { side, void, absent } => {
                let mut parts = Vec::new();
                parts.extend((*void > 0).then(|| format!("{} void", counted((*void).into(), "block"))));
                parts.extend((*absent > 0).then(|| format!("{} without a record", counted((*absent).into(), "block"))));
                format!("{side}: {}; they count for nothing", listed(&parts))
            }
        }
    }
}

fn some(cells: &[String]) -> String {
    match cells {
        [one] => one.clone(),
        many => counted(many.len() as u64, "cell"),
    }
}
