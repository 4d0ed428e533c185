//! What will happen: scenario files, knobs, the matrix and what it costs. Pure: no clock, file, environment or socket.
//!
//! In the order in which data flows: a file's text becomes a [`scenario::Scenario`], its axes a list of
//! [`cell::Cell`]s ([`matrix`]), each cell concrete addresses ([`topology`]) and a price ([`cost`]).

pub mod cell;
pub mod expect;
pub mod fault;
pub mod refusal;

pub mod knob;

pub mod axis;
pub mod scenario;

pub mod catalogue;

pub mod matrix;

pub mod topology;

pub mod cost;

mod words;
