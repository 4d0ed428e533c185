//! What a scenario needs besides descriptors and memory, said by its author: whoever runs it lists it as *not here, because*.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A privilege, or a wish, without which a scenario cannot be run as it is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// Root in the initial user namespace, as for a cgroup of its own.
    Root,
    /// To be named alone: it is so large that nobody should meet it among others.
    Asking,
    /// A guest of `brimful vm run`: the scenario turns knobs of the whole host. Said by `topology.sandbox`.
    Vm,
}

/// Words of `needs`.
pub(super) const WORDS: &[&str] = &["root", "asking"];

impl Need {
    /// What to say after *not here, because*: lower case, no full stop.
    #[must_use]
    pub fn because(self) -> &'static str {
        match self {
            Self::Root => "it needs root, which brimful does not have here",
            Self::Asking => "it is large, and run only when it is named alone",
            Self::Vm => "it needs a VM",
        }
    }

    /// What to type instead.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::Root => "run brimful as root",
            Self::Asking => "name it alone: brimful run SCENARIO",
            Self::Vm => "brimful vm run SCENARIO --kernel BZIMAGE --modules DIR; scripts/vm/kernel gets both",
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Root => "root",
            Self::Asking => "asking",
            Self::Vm => "vm",
        })
    }
}
