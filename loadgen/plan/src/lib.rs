//! What the load and the probe are asked to do, and what came of it: the pure half of the load generator.
//!
//! Scenarios, records and verdicts name these types without a socket or a runtime. No clock, file, environment, process or
//! socket is reached from here.

pub mod plan;

pub mod address;
pub mod pace;
pub mod probe;
pub mod seeded;

pub mod latency;
pub mod outcome;
