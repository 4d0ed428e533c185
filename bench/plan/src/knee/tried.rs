//! The cells that a search runs: the scenario's own with another number of connections, and one that ramps. Pure.

use std::time::Duration;

use brimful_loadgen_plan::plan::Behaviour;

use crate::cell::{Cell, ProbeSetup, RampUntil};
use crate::cost::{Machine, feasible};
use crate::knee::foretold;

/// How many periods of the probe a ramp takes at least: it then says to about five per cent of the range where it broke.
const RAMP_PERIODS: u32 = 20;
/// How many times as many connections as the scenario asks for are tried at most, where a knee is foretold beyond them.
const BEYOND: u64 = 4;

/// The knob that a search turns itself.
const CONNECTIONS: &str = "load.connections";

/// The cell with `load` connections, held until as many probes as make a verdict have begun after the last was opened and
/// the last of them has ended. A load that churns has no hold to speak of, so there it is the ramp that is long enough,
/// and the rate is what `load` connections in that time make.
#[must_use]
pub fn try_at(cell: &Cell, load: u64) -> Cell {
    let mut tried = cell.clone();
    tried.load.connections = load;
    tried.load.ramp_until = None;
    // What is sought is the load that the server holds as it was started.
    tried.changes.clear();
    tried.restart = None;
    // Asked is what the search asks; the scenario's own number has no part in it.
    tried.knobs.shift_remove(CONNECTIONS);
    let long_enough = long_enough(&cell.probe);
    match cell.load.behaviour {
        Behaviour::Churn { .. } => tried.load.ramp = tried.load.ramp.max(long_enough),
        Behaviour::Idle
        | Behaviour::HalfOpen
        | Behaviour::Heartbeat { .. }
        | Behaviour::SlowReader { .. }
        | Behaviour::Reconnect => tried.load.hold = tried.load.hold.max(long_enough),
    }
    tried
}

/// The cell whose load rises evenly to `highest`, slowly against the period of the probe, until the probe says enough. `None` for a load
/// that churns: its rate does not rise.
#[must_use]
pub fn ramp(cell: &Cell, highest: u64) -> Option<Cell> {
    if matches!(cell.load.behaviour, Behaviour::Churn { .. }) {
        return None;
    }
    let mut ramp = try_at(cell, highest);
    ramp.load.ramp = cell.load.ramp.max(cell.probe.period * RAMP_PERIODS + cell.probe.initial_delay);
    ramp.load.ramp_until = Some(RampUntil::Unhealthy);
    Some(ramp)
}

/// The highest load to try where nobody said: what the scenario asks for, or a quarter beyond a foretold knee that lies
/// farther, but no more than four times what it asks for, and no more than this machine can do.
#[must_use]
pub fn highest(cell: &Cell, machine: &Machine) -> u64 {
    let asked = cell.load.connections;
    let foretold = foretold(cell, machine).and_then(|foretold| foretold.healthy_to).unwrap_or(0);
    let wanted = (foretold + foretold / 4 + 1).min(asked.saturating_mul(BEYOND)).max(asked);
    let (mut can, mut cannot) = (asked, wanted.saturating_add(1));
    while cannot - can > 1 {
        let middle = can + (cannot - can) / 2;
        if feasible(&[try_at(cell, middle)], machine).is_empty() { can = middle } else { cannot = middle }
    }
    can
}

/// Until the last of `failure-threshold` probes has ended, whenever within a period the first of them begins.
fn long_enough(probe: &ProbeSetup) -> Duration {
    probe.period * probe.failure_threshold + probe.timeout
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::tests::{cells, machine};

    #[test]
    fn a_try_differs_in_its_connections_and_lasts_long_enough() {
        let cell = &cells("probe.period = \"4s\"\nmatrix.load.connections = [7, 8]", 1)[0];
        let tried = try_at(cell, 500);
        assert_eq!((tried.id.as_str(), tried.load.connections, tried.knobs.len()), (cell.id.as_str(), 500, 0));
        assert_eq!((tried.load.ramp, tried.load.hold), (Duration::from_secs(3), Duration::from_secs(13)));
        let short = &cells("probe.period = \"1s\"", 1)[0];
        assert_eq!(try_at(short, 500).load.hold, short.load.hold, "8s are enough");
    }

    #[test]
    fn a_rate_is_held_for_long_enough_by_its_ramp() {
        let churn = "probe.period = \"4s\"\nmatrix.load.behaviour = [\"churn\"]\nload.lifetime = \"200ms\"";
        let cell = &cells(churn, 3_000)[0];
        assert_eq!(try_at(cell, 9).load.ramp, Duration::from_secs(13));
        assert_eq!(ramp(cell, 9), None);
    }

    #[test]
    fn a_ramp_is_slow_against_the_probe_and_ends_when_it_fails() {
        let cell = &cells("probe.period = \"2s\"", 10)[0];
        let ramp = ramp(cell, 900).unwrap();
        assert_eq!((ramp.load.connections, ramp.load.ramp), (900, Duration::from_secs(40)));
        assert_eq!(ramp.load.ramp_until, Some(RampUntil::Unhealthy));
        assert_eq!(try_at(&ramp, 5).load.ramp_until, None);
    }

    #[test]
    fn as_far_as_foretold_and_as_the_machine_goes() {
        let at = |nofile: &str, connections| {
            highest(&cells(&format!("matrix.ulimit.nofile = [{nofile}]"), connections)[0], &machine())
        };
        assert_eq!(at("1_024", 2_000), 2_000, "the scenario asks for more than the knee");
        assert_eq!(at("4_096", 2_000), 5_106, "4,084 and a quarter");
        assert_eq!(at("20_000", 2_000), 8_000, "four times as many at most");
        let poor = Machine { memory_available_bytes: 64 << 20, ..machine() };
        let cell = &cells("matrix.ulimit.nofile = [20_000]", 2_000)[0];
        let most = highest(cell, &poor);
        assert!((2_000..8_000).contains(&most), "{most}");
        assert!(
            feasible(&[try_at(cell, most)], &poor).is_empty() && !feasible(&[try_at(cell, most + 1)], &poor).is_empty()
        );
    }
}
