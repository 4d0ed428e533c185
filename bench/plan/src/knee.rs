//! The knee of a cell: the largest load at which its health check stays healthy. Which loads to try, with which cells, and
//! where closed forms say that it lies. Pure: what a try came to is told from outside.
//!
//! One number is varied, the connections of the load. For connections that stay it is how many are held; for a load that
//! churns, divided by the ramp, it is the rate at which they arrive.

pub mod predicted;
mod search;
mod tried;

pub use predicted::{Foretold, foretold};
pub use search::{Answer, Hint, Knee, MOST_TRIES, Search, Unsteady, Within};
pub use tried::{highest, ramp, try_at};
