//! A diagnosis, printed.

pub mod text;
