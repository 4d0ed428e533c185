//! A comparison of two runs or two arms, printed.

pub mod markdown;
pub mod text;
pub mod wording;
