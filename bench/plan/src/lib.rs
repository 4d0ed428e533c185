//! What will happen: scenario files, knobs, the matrix and what it costs. Pure: no clock, file, environment or socket.
//!
//! In the order in which data flows: a file's text becomes a [`scenario::Scenario`], its axes a list of
//! [`cell::Cell`]s ([`matrix`]) that follow each other in an [`order`], each cell concrete addresses ([`topology`]) and a price
//! ([`cost`]), and the limit that it should meet first ([`predict`]). Which cells a search for the largest healthy load
//! runs is decided in [`knee`].

pub mod arm;
pub mod cell;
pub mod change;
pub mod command;
pub mod consent;
pub mod expect;
pub mod fault;
pub mod gate;
pub mod host;
pub mod kubelet;
pub mod load_options;
pub mod need;
pub mod refusal;

pub mod knob;

pub mod axis;
pub mod scenario;

pub mod catalogue;

pub mod matrix;

mod arrivals;

pub mod topology;

pub mod order;

pub mod quick;

pub mod cost;

pub mod predict;

pub mod knee;

pub mod wording;
