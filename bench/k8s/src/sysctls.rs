//! Which settings of a cell a pod may have, which need the kubelet's leave, and which no pod can be given.

use brimful_plan::cell::Cell;
use brimful_plan::knob::{self, Kubernetes};

use super::yaml::{Node, list, map};

/// The knobs of a cell by what Kubernetes says to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Split {
    /// Sysctls that every pod may set.
    pub(super) safe: Vec<(String, String)>,
    /// Sysctls that a pod may set where the kubelet allows it.
    pub(super) restricted: Vec<(String, String)>,
    /// What no pod can set, in words.
    pub(super) elsewhere: Vec<String>,
}

impl Split {
    /// What becomes of the settings of a cell.
    pub(super) fn of(cell: &Cell) -> Self {
        let mut split = Self::default();
        for (name, value) in &cell.sysctls {
            let pair = || (name.clone(), value.clone());
            match knob::lookup(&format!("sysctl.{name}")) {
                Some(knob) => match knob.kubernetes {
                    Kubernetes::Safe => split.safe.push(pair()),
                    Kubernetes::Unsafe => split.restricted.push(pair()),
                    Kubernetes::NodeOnly | Kubernetes::NotApplicable => split
                        .elsewhere
                        .push(format!("{name} = {value}: no pod can set it; it belongs to the node ({})", knob.set_in)),
                },
                // Below `net.`, or it would not be in a cell; a kubelet allows none of those by itself.
                None => split.restricted.push(pair()),
            }
        }
        if let Some(nofile) = cell.nofile {
            split.elsewhere.push(format!(
                "ulimit.nofile = {}:{}: a pod has no field for it. `brimful serve --nofile` sets it for itself and says what it got; \
                 it cannot rise above the hard limit that the container runtime gives (LimitNOFILE= of its unit)",
                nofile.soft, nofile.hard
            ));
        }
        split
    }

    /// `securityContext.sysctls` of every pod; `None` for none.
    pub(super) fn plain(&self) -> Option<Node> {
        pairs(self.safe.iter())
    }

    /// The same where the kubelet has been told to allow the others: a patch puts the whole list in place of the first.
    pub(super) fn all(&self) -> Option<Node> {
        pairs(self.safe.iter().chain(&self.restricted))
    }

    /// What stands before the list of a pod without the restricted ones.
    pub(super) fn remarks(&self) -> Vec<String> {
        let restricted = self.restricted.iter().map(|(name, value)| {
            format!(
                "{name} = {value}: unsafe in Kubernetes' words, so not here; the component `unsafe-sysctls` adds it where the \
                 kubelet has it in allowedUnsafeSysctls"
            )
        });
        restricted.chain(self.elsewhere.iter().cloned()).collect()
    }
}

fn pairs<'a>(sysctls: impl Iterator<Item = &'a (String, String)>) -> Option<Node> {
    let items: Vec<_> =
        sysctls.map(|(name, value)| map().with("name", name.as_str()).with("value", value.as_str())).collect();
    (!items.is_empty()).then(|| list(items))
}
