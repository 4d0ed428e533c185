//! A search for the largest healthy load, printed.

mod notes;
mod strip;

pub mod markdown;
pub mod svg;
pub mod text;

pub use notes::sentence;
