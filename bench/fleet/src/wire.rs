//! What a member and the gatherer say to each other: one JSON object a line over TCP, each line of bounded length. Pure.
//!
//! A member speaks first, and its first line names the version of all that follows.

use brimful_loadgen_plan::outcome::{LoadOutcome, LoadPoint};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::FleetPlan;
use super::clock::Offset;

/// The version of the protocol.
pub const VERSION: u64 = 1;
/// The longest first line, its end included, in bytes: whoever has not said who it is gets no more room.
pub const FIRST_MOST: usize = 4 * 1_024;
/// The longest line after that. An account has two histograms of some thousand counters and a timeline of 600 points, about 150 KiB.
pub const LINE_MOST: usize = 512 * 1_024;

/// A line from a member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FromMember {
    /// The first line: it registers.
    Hello(Hello),
    /// What time is it with you?
    Ping {
        /// The member's clock; comes back in the answer.
        at_ns: u64,
    },
    /// It could begin.
    Ready {
        /// What it knows of the gatherer's clock.
        clock: Offset,
    },
    /// How its share stands, once a second.
    Point {
        /// Counted from its own start.
        point: LoadPoint,
    },
    /// Its account.
    Done(Box<Told>),
    /// It cannot do its part.
    Failed {
        /// Why, in words.
        what: String,
    },
}

/// Who a member is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// Always [`VERSION`].
    pub version: u64,
    /// Which member, from 1.
    pub index: u32,
    /// What it was told that the fleet does.
    pub plan: FleetPlan,
}

/// A member's account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// What its share came to; instants count from its own start.
    pub outcome: LoadOutcome,
    /// What it knew of the gatherer's clock when it read the start on its own.
    pub used: Offset,
    /// What it knows by now of how that clock stood at the start.
    pub clock: Offset,
}

/// A line from the gatherer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FromGatherer {
    /// It is registered.
    Welcome {
        /// How long the others are waited for at most from now, in nanoseconds.
        waits_ns: u64,
    },
    /// It is not taken, and goes.
    Refused {
        /// Whether because the others have started.
        late: bool,
        /// Why, in words.
        why: String,
    },
    /// The answer to a ping.
    Pong {
        /// As asked.
        at_ns: u64,
        /// The gatherer's clock.
        gatherer_ns: u64,
    },
    /// Start at this instant of the gatherer's clock.
    Start {
        /// The instant.
        t0_ns: u64,
    },
    /// Stop now, and give your account.
    Stop,
    /// The account has come.
    Thanks,
}

/// Why a line is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Another version.
    #[error("it speaks version {theirs} of the fleet's protocol, and this brimful version {VERSION}")]
    Version {
        /// The one that it speaks.
        theirs: u64,
    },
    /// No line of the protocol.
    #[error("it does not speak the fleet's protocol: {0}")]
    Garbled(String),
}

/// A message as a line.
#[must_use]
pub fn line<T: Serialize>(message: &T) -> Vec<u8> {
    // Plain fields under names of text, and histograms that were read from the same form.
    let mut bytes = serde_json::to_vec(message).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// Reads a line.
///
/// # Errors
/// A [`WireError`]; of another version it says so, whatever else stands in the line.
pub fn read<T: DeserializeOwned>(line: &[u8]) -> Result<T, WireError> {
    serde_json::from_slice(line).map_err(|error| {
        let value: serde_json::Value = serde_json::from_slice(line).unwrap_or_default();
        match value["hello"]["version"].as_u64() {
            Some(theirs) if theirs != VERSION => WireError::Version { theirs },
            _ => WireError::Garbled(printable(&error.to_string())),
        }
    })
}

/// The first part of what somebody else wrote, fit for a terminal.
#[must_use]
pub fn printable(text: &str) -> String {
    const MOST: usize = 200;
    text.chars().take(MOST).map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use brimful_loadgen_plan::latency::Latency;
    use brimful_loadgen_plan::plan::{Behaviour, Comeback};
    use proptest::prelude::*;

    use super::*;

    fn plan() -> FleetPlan {
        FleetPlan {
            members: 8,
            address: "10.0.0.1:80".parse().unwrap(),
            connections: 100,
            ramp_ns: 1,
            hold_ns: 2,
            behaviour: Behaviour::Idle,
            comeback: Comeback::default(),
            scenario: Some("origin".repeat(100)),
        }
    }

    #[test]
    fn what_is_said_is_what_is_read() {
        let clock = Offset { offset_ns: i64::MIN, error_ns: u64::MAX };
        for message in [
            FromMember::Hello(Hello { version: VERSION, index: 7, plan: plan() }),
            FromMember::Ping { at_ns: u64::MAX },
            FromMember::Ready { clock },
            FromMember::Point { point: LoadPoint { at_ns: 5, held: 3, ..LoadPoint::default() } },
            FromMember::Done(Box::new(Told { outcome: LoadOutcome::default(), used: clock, clock })),
            FromMember::Failed { what: "line\nbreak".to_owned() },
        ] {
            let line = line(&message);
            assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1);
            assert!(line.len() < FIRST_MOST);
            assert_eq!(read::<FromMember>(&line), Ok(message));
        }
        let late = FromGatherer::Refused { late: true, why: "too late".to_owned() };
        assert_eq!(read(&line(&late)), Ok(late));
    }

    #[test]
    fn the_largest_account_fits_into_a_line() {
        let mut latency = Latency::new();
        // Every counter from a microsecond to a minute has something in it, far more of them than a share ever fills.
        let mut value = 1_000.0_f64;
        while value < 6e10 {
            (0..100).for_each(|_| latency.record(value as u64));
            value *= 1.001;
        }
        let timeline = vec![
            LoadPoint {
                at_ns: 600_000_000_000,
                attempted: 4_000_000,
                established: 4_000_000,
                held: 4_000_000,
                failed: 0,
                pending: 0
            };
            601
        ];
        let outcome =
            LoadOutcome { connect_latency: latency.clone(), lag: latency, timeline, ..LoadOutcome::default() };
        let told = Told { outcome, used: Offset::default(), clock: Offset::default() };
        let line = line(&FromMember::Done(Box::new(told)));
        assert!(line.len() < LINE_MOST / 2, "{}", line.len());
    }

    #[test]
    fn another_version_is_told_apart_from_nonsense() {
        let theirs = r#"{"hello":{"version":2,"index":1,"name":"x"}}"#;
        assert_eq!(read::<FromMember>(theirs.as_bytes()), Err(WireError::Version { theirs: 2 }));
        for text in
            ["", "GET / HTTP/1.1\r", "{}", "[]", r#"{"hello":{"version":1}}"#, r#"{"ping":{"at_ns":1,"more":2}}"#]
        {
            assert!(matches!(read::<FromMember>(text.as_bytes()), Err(WireError::Garbled(_))), "{text}");
        }
    }

    proptest! {
        #[test]
        fn strangers_can_write_what_they_like(bytes: Vec<u8>) {
            prop_assert!(read::<FromMember>(&bytes).is_err());
        }
    }
}
