//! What a fleet came to: the document that its gatherer writes, `fleet.json`. Pure.

use brimful_loadgen_plan::latency::Latency;
use brimful_loadgen_plan::outcome::LoadOutcome;
use serde::{Deserialize, Serialize};

use crate::FleetPlan;
use crate::account::{Account, Fate, Gathered};

/// The version of the document. A change of meaning is a new one.
pub const FLEET_VERSION: u32 = 1;

/// The document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetReport {
    /// Always [`FLEET_VERSION`].
    pub schema_version: u32,
    /// What wrote it.
    pub tool: Tool,
    /// When, by the gatherer's clock.
    pub written_at: jiff::Timestamp,
    /// What the fleet was to do.
    pub plan: FleetPlan,
    /// The signal that ended it early; `null` for none.
    pub stopped: Option<String>,
    /// How it started; `null` when it did not.
    pub start: Option<Start>,
    /// How much of the load there was.
    pub connections: Connections,
    /// Each member once, in order.
    pub members: Vec<Account>,
    /// The accounts of the whole members as one: counts added up, histograms merged, instants from each member's own start. Each histogram is
    /// the base64 of HdrHistogram's V2 encoding, in nanoseconds.
    pub load: LoadOutcome,
    /// Quantiles of `load.connect_latency`; `null` when there is none.
    pub connect_ns: Option<Quantiles>,
    /// Quantiles of `load.lag`; `null` when there is none.
    pub lag_ns: Option<Quantiles>,
}

/// What wrote a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// Always `brimful`.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// How a fleet started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// From the gatherer's beginning to the barrier, in nanoseconds.
    pub waited_ns: u64,
    /// Members that were there.
    pub members: u32,
    /// Members among them whose first attempt is known by the gatherer's clock: those that gave their account.
    pub known: u32,
    /// From the first of these to the last, in nanoseconds; `null` where fewer than one is known.
    pub skew_ns: Option<u64>,
    /// By how much the skew may be wrong, either way, in nanoseconds: what the clocks of those two are not known to.
    pub skew_error_ns: Option<u64>,
    /// The most that any member's clock may be mistaken for, in nanoseconds.
    pub clock_error_ns: Option<u64>,
}

/// How much of a load there was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connections {
    /// In the plan.
    pub planned: u64,
    /// The shares of those that gave their account.
    pub accounted: u64,
    /// The shares of the others.
    pub missing: u64,
}

/// Quantiles of a histogram, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantiles {
    /// Half are no larger.
    pub p50: u64,
    /// Nine of ten are no larger.
    pub p90: u64,
    /// 99 of a hundred are no larger.
    pub p99: u64,
    /// The largest.
    pub max: u64,
    /// How many there are.
    pub count: u64,
}

impl Quantiles {
    /// Those of a histogram; `None` for an empty one.
    #[must_use]
    pub fn of(latency: &Latency) -> Option<Self> {
        let at = |q| latency.quantile(q);
        let (count, max) = (latency.count(), latency.max());
        (count > 0).then(|| Self { p50: at(0.5), p90: at(0.9), p99: at(0.99), max, count })
    }
}

impl FleetReport {
    /// The document of what was gathered, written at this instant.
    #[must_use]
    pub fn of(plan: FleetPlan, gathered: Gathered, written_at: jiff::Timestamp) -> Self {
        let Gathered { accounts: members, waited_ns, stopped } = gathered;
        let mut load = LoadOutcome::default();
        for outcome in members.iter().filter_map(|member| member.outcome.as_ref()) {
            load.merge(outcome);
        }
        let whole = members.iter().filter(|member| member.fate == Fate::Whole);
        let accounted = whole.map(|member| member.share).sum();
        let missing = plan.connections.saturating_sub(accounted);
        Self {
            schema_version: FLEET_VERSION,
            tool: Tool { name: "brimful".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
            written_at,
            stopped,
            start: waited_ns.map(|waited_ns| start(waited_ns, &members)),
            connections: Connections { planned: plan.connections, accounted, missing },
            connect_ns: Quantiles::of(&load.connect_latency),
            lag_ns: Quantiles::of(&load.lag),
            plan,
            members,
            load,
        }
    }

    /// Members with this fate.
    pub fn with(&self, fate: Fate) -> impl Iterator<Item = &Account> {
        self.members.iter().filter(move |member| member.fate == fate)
    }
}

fn start(waited_ns: u64, members: &[Account]) -> Start {
    let began = |member: &Account| Some((member.began_ns?, member.clock?.error_ns));
    let known: Vec<(i64, u64)> = members.iter().filter_map(began).collect();
    let ends = known.iter().min().zip(known.iter().max());
    let there = |member: &&Account| matches!(member.fate, Fate::Whole | Fate::Lost | Fate::Silent);
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Start {
        waited_ns,
        members: count(members.iter().filter(there).count()),
        known: count(known.len()),
        skew_ns: ends.map(|(first, last)| last.0.abs_diff(first.0)),
        skew_error_ns: ends.map(|(first, last)| if known.len() > 1 { first.1.saturating_add(last.1) } else { 0 }),
        clock_error_ns: known.iter().map(|(_, error)| *error).max(),
    }
}

#[cfg(test)]
mod tests {
    use brimful_loadgen_plan::outcome::LoadPoint;
    use brimful_loadgen_plan::plan::{Behaviour, Comeback};
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Offset;

    fn plan(members: u32, connections: u64) -> FleetPlan {
        let address = "10.0.0.1:80".parse().unwrap();
        FleetPlan {
            members,
            address,
            connections,
            ramp_ns: 1_000_000_000,
            hold_ns: 1_000_000_000,
            behaviour: Behaviour::Idle,
            comeback: Comeback::default(),
            scenario: None,
        }
    }

    fn outcome(samples: &[u64]) -> LoadOutcome {
        let mut connect_latency = Latency::new();
        samples.iter().for_each(|&sample| connect_latency.record(sample));
        let held = samples.len() as u64;
        let timeline = vec![LoadPoint { at_ns: 1_000_000_000, held, ..LoadPoint::default() }];
        let first_attempt_ns = Some(0);
        LoadOutcome {
            requested: held,
            attempted: held,
            established: held,
            held,
            connect_latency,
            first_attempt_ns,
            timeline,
            ..LoadOutcome::default()
        }
    }

    proptest! {
        #[test]
        fn the_merged_histogram_is_the_histogram_of_all_samples(
            shares in proptest::collection::vec(proptest::collection::vec(1_u64..100_000_000_000, 1..60), 1..12),
        ) {
            let all: Vec<u64> = shares.concat();
            let plan = plan(u32::try_from(shares.len()).unwrap(), all.len() as u64);
            let mut accounts = Vec::new();
            for (index, samples) in shares.iter().enumerate() {
                let mut account = Account::new(u32::try_from(index).unwrap(), samples.len() as u64);
                // By way of the wire, as a member's account comes.
                let text = serde_json::to_string(&outcome(samples)).unwrap();
                account.give(serde_json::from_str(&text).unwrap(), Offset::default(), Offset::default());
                accounts.push(account);
            }
            let gathered = Gathered { accounts, waited_ns: Some(1), stopped: None };
            let report = FleetReport::of(plan, gathered, jiff::Timestamp::UNIX_EPOCH);
            prop_assert_eq!(&report.load.connect_latency, &outcome(&all).connect_latency);
            prop_assert_eq!(report.load.timeline.len(), 1);
            prop_assert_eq!(report.load.held, all.len() as u64);
            prop_assert_eq!(report.connections.missing, 0);
            // And out of the document again.
            let text = serde_json::to_string(&report).unwrap();
            let read: FleetReport = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(read.load, report.load);
            prop_assert_eq!(read.connect_ns, report.connect_ns);
        }
    }

    #[test]
    fn the_skew_is_from_the_first_to_the_last_by_one_clock() {
        let clock = |offset_ns, error_ns| Offset { offset_ns, error_ns };
        let mut accounts: Vec<Account> = (0..4).map(|index| Account::new(index, 1)).collect();
        accounts[0].give(outcome(&[1]), Offset::default(), Offset::default());
        // It took the start to be 300 ns earlier than it was, and began 1,000 ns after that.
        let late = LoadOutcome { first_attempt_ns: Some(1_000), ..outcome(&[1]) };
        accounts[1].give(late, clock(5_300, 400), clock(5_000, 100));
        accounts[2].fate = Fate::Lost;
        let gathered = Gathered { accounts, waited_ns: Some(7), stopped: None };
        let report = FleetReport::of(plan(4, 4), gathered, jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(report.members[1].began_ns, Some(700));
        let start = report.start.unwrap();
        assert_eq!((start.members, start.known), (3, 2));
        assert_eq!((start.skew_ns, start.skew_error_ns, start.clock_error_ns), (Some(700), Some(100), Some(100)));
        assert_eq!(report.connections, Connections { planned: 4, accounted: 2, missing: 2 });
    }

    #[test]
    fn nothing_gathered_is_nothing_known() {
        let accounts = vec![Account::new(0, 5)];
        let gathered = Gathered { accounts, waited_ns: None, stopped: Some("SIGTERM".to_owned()) };
        let report = FleetReport::of(plan(1, 5), gathered, jiff::Timestamp::UNIX_EPOCH);
        assert_eq!((report.start, report.connect_ns), (None, None));
        assert_eq!(report.connections.missing, 5);
    }
}
