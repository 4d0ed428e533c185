//! Two or more versions of one thing, run side by side in one run: the way in which a change is judged.

use serde::{Deserialize, Serialize};

use super::cell::KnobValue;

/// The knob under which a cell says which arm it belongs to; its axis comes first, so ids begin with `arm=NAME`.
pub const ARM: &str = "arm";

/// One version: a name, and what it sets on top of every cell of the matrix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// Its name, fit for a cell id: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// Knobs by full dotted name, in the order of the file or of the command line; none for an arm that changes nothing.
    pub set: Vec<(String, KnobValue)>,
}
