//! What a record means: outcome, cause, cure, report. Pure: no clock, file, environment or socket, and no knowledge
//! of how a record is made, so that any verdict can be recomputed from a saved record on any machine.
//!
//! Data flows downwards: a record is seen through a `view`, each row of the table in `cause` looks at it, `verdict`
//! weighs the findings, `knobs` compares the cells of a run, `report` gathers and `expect` checks; `gather` makes
//! one run of several, `compare` sets two reports side by side by the tests of `stats`, and `gate` says whether that is good enough.
//! `knee` says what the tries of a search came to, and `doctor` what two looks at a live host do.

pub mod descriptors;
pub mod queue;
pub mod spans;
mod syn_sent;
pub mod view;
pub mod wording;

pub mod cause;
pub mod cure;

mod beyond;
pub mod breakers;
pub mod changes;
pub mod notes;
pub mod predicted;
pub mod restarts;
mod server_log;
pub mod verdict;

mod numbers;

pub mod confusion;
pub mod expect;
pub mod knee;
pub mod knobs;
pub mod report;
pub mod tuning;

pub mod gather;
pub mod stats;

pub mod metric;

pub mod compare;

pub mod gate;

pub mod doctor;

#[cfg(test)]
mod tests;

pub use verdict::{Verdict, judge, worth_repeating};
