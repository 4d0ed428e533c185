//! The two values of a process's descriptor limit, as data. What reads and sets them is the target's `limits`.

use serde::{Deserialize, Serialize};

/// The two values of `RLIMIT_NOFILE`: the kernel refuses a descriptor *number* at or above `soft`, and `soft` may be raised up to `hard`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nofile {
    /// The limit in force, in descriptors.
    pub soft: u64,
    /// The ceiling up to which the process may raise `soft` without `CAP_SYS_RESOURCE`.
    pub hard: u64,
}
