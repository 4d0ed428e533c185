//! What was seen: the record in the middle, which measuring writes and judging reads. Neither knows the other. Pure.

pub mod record;
pub mod series;
