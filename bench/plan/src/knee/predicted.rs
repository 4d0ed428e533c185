//! Where the knee should lie by the closed forms of [`crate::predict`]. Pure.

use serde::{Deserialize, Serialize};

use super::try_at;
use crate::cell::Cell;
use crate::cost::Machine;
use crate::knob::limits::CONNECTIONS_MOST;
use crate::predict::{Limit, predict};

/// A knee by closed form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Foretold {
    /// The most connections that meet no limit and leave the health check what it needs; `null` where a limit is met without any.
    pub healthy_to: Option<u64>,
    /// The limit that one connection more meets.
    pub limit: Limit,
}

/// The knee by closed form, at the cell's own pace; `None` where no number of connections that a scenario can ask for meets
/// a limit.
#[must_use]
pub fn foretold(cell: &Cell, machine: &Machine) -> Option<Foretold> {
    let met = |load: u64| predict(&try_at(cell, load), machine).binding;
    let mut limit = met(CONNECTIONS_MOST)?;
    if let Some(limit) = met(0) {
        return Some(Foretold { healthy_to: None, limit });
    }
    let (mut below, mut above) = (0, CONNECTIONS_MOST);
    while above - below > 1 {
        let middle = below + (above - below) / 2;
        match met(middle) {
            None => below = middle,
            Some(nearer) => (above, limit) = (middle, nearer),
        }
    }
    Some(Foretold { healthy_to: Some(below), limit })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::tests::{cells, machine};
    use crate::predict::LimitKind;

    fn of(more: &str) -> Option<(Option<u64>, LimitKind)> {
        let foretold = foretold(&cells(more, 2_000)[0], &machine())?;
        Some((foretold.healthy_to, foretold.limit.kind))
    }

    #[test]
    fn the_probe_needs_one_of_what_the_load_fills() {
        // 1,024 less 11 are 1,013 for the load and the probe.
        assert_eq!(of("matrix.ulimit.nofile = [1_024]"), Some((Some(1_012), LimitKind::Descriptors)));
        let dead = "target.accept = \"dead\"\nmatrix.target.backlog = [500]\nmatrix.ulimit.nofile = [1_024]";
        assert_eq!(of(dead), Some((Some(500), LimitKind::AcceptQueue)));
    }

    #[test]
    fn a_rate_is_foretold_too() {
        // 2,000 in 3 s are 666 a second. At 100 a second accepted, a queue of 129 fills when 3 s bring 300 and 129.
        let slow = "target.accept-rate = 100\nmatrix.target.backlog = [128]\nmatrix.ulimit.nofile = [4_096]";
        let (knee, kind) = of(slow).unwrap();
        assert_eq!(kind, LimitKind::AcceptQueue);
        assert!((425..=430).contains(&knee.unwrap()), "{knee:?}");
    }

    #[test]
    fn what_is_full_at_once_is_foretold_without_a_knee() {
        assert_eq!(of("[[fault]]\nkind = \"conntrack-full\""), Some((None, LimitKind::Conntrack)));
    }
}
