//! The answer of a gate, printed.

pub mod markdown;
pub mod text;
