//! How many connections of a load are there at the same time. Pure arithmetic over its plan.

use std::time::Duration;

use brimful_loadgen_plan::plan::Behaviour;

use super::cell::LoadSetup;

/// The most connections that are open at the same time, over all shards, as the generator itself counts them.
pub(super) fn open_at_once(load: &LoadSetup) -> u64 {
    brimful_loadgen_plan::plan::open_at_once(load.connections, load.ramp, load.behaviour)
}

/// How many are open on average while the load churns undisturbed; all of them for any other load.
pub(super) fn steady(load: &LoadSetup) -> u64 {
    match load.behaviour {
        Behaviour::Churn { lifetime } => within(load, lifetime),
        Behaviour::Idle
        | Behaviour::HalfOpen
        | Behaviour::Heartbeat { .. }
        | Behaviour::SlowReader { .. }
        | Behaviour::Reconnect => load.connections,
    }
}

/// How many are begun within a span of the ramp, rounded up and with both ends; all of them where the ramp is no longer.
pub(super) fn within(load: &LoadSetup, span: Duration) -> u64 {
    let (span, ramp) = (span.as_nanos(), load.ramp.as_nanos());
    if span >= ramp {
        return load.connections;
    }
    let begun = u128::from(load.connections).saturating_mul(span).div_ceil(ramp);
    u64::try_from(begun.saturating_add(1)).unwrap_or(u64::MAX).min(load.connections)
}

#[cfg(test)]
mod tests {
    use brimful_loadgen_plan::plan::Comeback;
    use proptest::prelude::*;

    use super::*;
    use crate::cell::SourceChoice;

    fn load(connections: u64, ramp_ms: u64, behaviour: Behaviour) -> LoadSetup {
        let ramp = Duration::from_millis(ramp_ms);
        let (comeback, source) = (Comeback::default(), SourceChoice::Auto);
        LoadSetup { connections, ramp, hold: Duration::ZERO, behaviour, comeback, source, ramp_until: None }
    }

    fn churn(ms: u64) -> Behaviour {
        Behaviour::Churn { lifetime: Duration::from_millis(ms) }
    }

    #[test]
    fn a_churn_is_as_large_as_rate_times_lifetime() {
        assert_eq!(steady(&load(3_200, 8_000, churn(200))), 81);
        assert_eq!(open_at_once(&load(3_200, 8_000, churn(200))), 481);
        assert_eq!(open_at_once(&load(3_200, 0, churn(200))), 3_200);
        assert_eq!(open_at_once(&load(3_200, 8_000, Behaviour::HalfOpen)), 3_200);
    }

    proptest! {
        #[test]
        fn never_more_than_there_are(n in any::<u64>(), ramp in any::<u64>(), life in any::<u64>()) {
            let load = load(n, ramp, churn(life));
            prop_assert!(steady(&load) <= open_at_once(&load));
            prop_assert!(open_at_once(&load) <= n);
        }
    }
}
