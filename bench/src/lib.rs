//! brimful: replaces a guess about a full table by an experiment.
//!
//! The folders are the architecture, in the order in which data flows: `plan` says what will happen, `live` makes it
//! happen, `evidence` is what was seen, `judge` says what it means.

pub mod plan;

pub mod live;

pub mod evidence;

pub mod judge;

pub mod cli;
pub mod error;
pub mod store;
