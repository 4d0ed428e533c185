//! The statistics of comparisons. Pure, and blind to what its numbers are of: it knows no cell, no metric and no tolerance.
//!
//! The unit is the block. Raw probes never come here: within a block they are as alike as siblings, and a test that takes
//! them for strangers finds a difference in every second pair of equals (`simulation`, in the tests).

mod holm;
mod planning;
mod sign_flip;

pub use holm::adjusted;
pub use planning::{blocks_for, blocks_to_settle, smallest_effect};
pub use sign_flip::{Interval, Paired};

/// The error that is allowed to a whole family of comparisons: one false alarm in a hundred families of equals.
pub const ALPHA: f64 = 0.01;

/// Blocks below which nothing can be told at [`ALPHA`]: the smallest p of n blocks is 2/2^n, and 2/2^7 is above it.
pub const LEAST_BLOCKS: u32 = 8;

#[cfg(test)]
mod simulation;
