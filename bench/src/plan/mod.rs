//! What will happen: scenario files, knobs, the matrix and what it costs. Pure: no clock, file, environment or socket.

pub mod cell;
pub mod expect;
