//! What two snapshots of a live host mean: causes with proof, what is ruled out, what is undecided, and which limit binds first. Pure.
//!
//! A confident accusation takes evidence of *now*: a counter that moves, a queue that is full, descriptors at the limit. What only might
//! become a cause is advice, and stands apart. Names, words and order of the causes are those of the table in [`super::cause`].

mod advice;
mod beyond;
mod bounds;
mod case;
mod cures;
mod descriptors;
pub mod diagnosis;
mod path;
mod queue;
mod rows;
mod syn;
pub mod tables;
mod traps;

pub use diagnosis::{
    Advice, Bound, Diagnosis, Found, Host, ListenerRow, NamespaceRow, PortsRow, ProcessRow, SCHEMA_VERSION, Subject,
    SubjectKind, Tool, Waiting,
};

use super::cause;
use super::verdict::{RuledOut, Undecided};
use crate::wording::{counted, time};
use brimful_evidence::pasted::Ticket;
use brimful_evidence::snapshot::{Snapshot, Symptoms};
use case::Case;
use rows::{Answer, ROWS};

/// Whom a diagnosis is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// The version of brimful, as it is written into the answer.
    pub tool_version: String,
    /// In words: `this host`, `process 812`.
    pub words: String,
    /// These processes only; empty for all.
    pub pids: Vec<u32>,
    /// Listeners on this port only.
    pub port: Option<u16>,
}

/// Judges two snapshots, a moment apart.
#[must_use]
pub fn diagnose(before: &Snapshot, after: &Snapshot, scope: &Scope) -> Diagnosis {
    judged(&Case::new(Some(before), after, &Symptoms::default(), scope, true))
}

/// Judges a ticket.
#[must_use]
pub fn replay(ticket: &Ticket, scope: &Scope) -> Diagnosis {
    judged(&Case::new(ticket.before.as_ref(), &ticket.after, &ticket.symptoms, scope, false))
}

fn judged(case: &Case<'_>) -> Diagnosis {
    let (mut causes, mut ruled_out, mut undecided) = (Vec::new(), Vec::new(), Vec::new());
    for row in &ROWS {
        match (row.look)(case) {
            Answer::Shown(found) => causes.extend(found),
            Answer::Excluded(line) => ruled_out.push(RuledOut { cause: row.name, line }),
            Answer::Open { why, collect } => undecided.push(Undecided { cause: row.name, why, collect }),
        }
    }
    // What no row explains comes last among the causes, and first among what is open.
    if causes.is_empty() {
        causes.extend(beyond::before_the_socket(case));
    }
    Diagnosis {
        schema_version: SCHEMA_VERSION,
        tool: Tool { version: case.scope.tool_version.clone() },
        host: Host { kernel: case.after.kernel.clone(), numbers: case.after.host.clone() },
        scope: case.scope.words.clone(),
        window_ms: case.window_ns().map(|ns| ns / 1_000_000),
        headline: headline(case, &causes),
        causes,
        ruled_out,
        undecided,
        binds_first: bounds::bounds(case),
        advice: advice::advice(case),
        listeners: tables::listeners(case),
        processes: tables::processes(case),
        namespaces: tables::namespaces(case),
        traps: traps::traps(case),
        not_seen: case.not_seen(),
    }
}

fn headline(case: &Case<'_>, causes: &[Found]) -> String {
    match causes {
        [] if case.live => {
            let over =
                case.window_ns().map_or_else(String::new, |ns| format!(" in the {} that were watched", time(ns)));
            format!("{}: no limit is met now{over}.", case.scope.words)
        }
        [] => format!("{}: what is shown does not prove any cause.", case.scope.words),
        [first, rest @ ..] => {
            let others = match rest.len() {
                0 => String::new(),
                n => format!(", and {} below", counted(n as u64, "further cause")),
            };
            format!("{}: {} ({}){others}.", first.subject.name, first.words, first.name())
        }
    }
}

/// What a cause is, to be read after "because".
fn words_of(name: brimful_plan::expect::CauseName) -> String {
    cause::words(name)
        .replace("the target", "the process")
        .replace("the probe's", "a health check's")
        .replace("the probe", "a health check")
}
