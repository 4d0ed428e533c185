//! The restart loop of a cell: how often the kubelet restarted the target, when first, and whether it came to rest. Pure.

use brimful_evidence::record::{Life, LifeEndWhy, Record};
use brimful_loadgen_plan::probe::Sample;
use brimful_plan::kubelet::{BACK_OFF, BACK_OFF_CAP, BackOff};
use serde::{Deserialize, Serialize};

use crate::wording::{counted, listed, short_time, time};

const SECOND: u64 = 1_000_000_000;
const HOUR: u64 = 3_600 * SECOND;
/// Places of the time line.
const PLACES: u64 = 60;
/// The most restarts that an hour is counted for: a target that dies at once is restarted twelve times in it at most, once the pauses are long.
const MOST: u64 = 100_000;

/// What the kubelet's restarts came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Restarts {
    /// How often the kubelet started the target again.
    pub restarts: u64,
    /// When it first decided to, in nanoseconds since the start of the cell; `null` when it never did.
    pub first_at_ns: Option<u64>,
    /// Restarts an hour, if it goes on as in this cell but with the kubelet's own back-off (10 s doubling to 300 s); `null` when it
    /// never restarted, or has come to rest.
    pub per_hour: Option<u64>,
    /// Whether it came to rest: `true` when the last life outlived every earlier one and its health check is well, `false` when it did not;
    /// `null` where it was not watched for long enough to tell.
    pub settles: Option<bool>,
    /// Why that is said.
    pub because: String,
    /// How long each life was in service before its end was decided, and the pause before it.
    pub lives: Vec<LifeReport>,
    /// A picture of it: `=` asked and well, `x` a probe failed, `-` nobody asks yet, `.` nothing listens.
    pub time_line: String,
}

/// One life of the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LifeReport {
    /// From the end of the one before to the start of this one, in nanoseconds; 0 for the first.
    pub paused_ns: u64,
    /// From its listening to the decision that ended it, or to the end of the cell, in nanoseconds.
    pub lived_ns: u64,
    /// What ended it; `null` for one that stood at the end.
    pub ended_by: Option<LifeEndWhy>,
    /// Whether it outlived its grace and was killed.
    pub killed: bool,
}

/// What came of it; `None` for a cell in which the kubelet does not act.
#[must_use]
pub(crate) fn of(record: &Record) -> Option<Restarts> {
    record.cell.restart.as_ref()?;
    let lives = &record.lives;
    let ended: Vec<&Life> = lives.iter().filter(|life| by_the_kubelet(life)).collect();
    let restarts = lives.windows(2).filter(|pair| pair.first().is_some_and(by_the_kubelet)).count() as u64;
    let (settles, because) = settles(record, &ended);
    let mean_ns =
        ended.iter().map(|life| lived_ns(life, record.duration_ns)).sum::<u64>() / (ended.len() as u64).max(1);
    Some(Restarts {
        restarts,
        first_at_ns: ended.first().and_then(|life| life.end.as_ref()).map(|end| end.decided_ns),
        per_hour: (!ended.is_empty() && settles != Some(true)).then(|| per_hour(mean_ns)),
        settles,
        because,
        lives: lives.iter().enumerate().map(|(at, life)| report(record, at, life)).collect(),
        time_line: time_line(record),
    })
}

/// Whether the kubelet had a part in its end.
fn by_the_kubelet(life: &Life) -> bool {
    life.end.as_ref().is_some_and(|end| end.why != LifeEndWhy::Change)
}

fn lived_ns(life: &Life, end_ns: u64) -> u64 {
    let to = life.end.as_ref().map_or(end_ns, |end| end.decided_ns);
    to.saturating_sub(life.listening_ns.unwrap_or(to))
}

fn report(record: &Record, at: usize, life: &Life) -> LifeReport {
    let before = at.checked_sub(1).and_then(|at| record.lives.get(at)).and_then(|life| life.end.as_ref()?.gone_ns);
    LifeReport {
        paused_ns: before.map_or(0, |gone_ns| life.started_ns.saturating_sub(gone_ns)),
        lived_ns: lived_ns(life, record.duration_ns),
        ended_by: life.end.as_ref().map(|end| end.why),
        killed: life.end.as_ref().is_some_and(|end| end.killed),
    }
}

/// Whether it came to rest, and why that is said.
fn settles(record: &Record, ended: &[&Life]) -> (Option<bool>, String) {
    let Some(last) = record.lives.last() else { return (None, "its lives were not recorded".into()) };
    let longest = ended.iter().map(|life| lived_ns(life, record.duration_ns)).max();
    let threshold = record.cell.probe.failure_threshold as usize;
    let since = last.listening_ns.unwrap_or(u64::MAX);
    let asked: Vec<&Sample> =
        record.probe.samples.iter().filter(|sample| !sample.discarded && sample.started_ns >= since).collect();
    let row = asked.iter().rev().take_while(|sample| sample.outcome.passed()).count();
    let age = lived_ns(last, record.duration_ns);
    let outlived = longest.is_none_or(|longest| age > longest);
    if last.end.is_none() && last.listening_ns.is_some() && row >= threshold && outlived {
        let because = match longest {
            None => "nothing ended it".to_owned(),
            Some(longest) => format!(
                "the last life is {} old, and no earlier one lasted longer than {}; its last {} passed",
                time(age),
                time(longest),
                counted(row as u64, "probe")
            ),
        };
        return (Some(true), because);
    }
    match ended.len() {
        0 => (None, "it was not restarted, and its health check was not well at the end".into()),
        1 => (None, "one restart, and the new life is younger than the first one became: hold longer".into()),
        n => (Some(false), format!("{} ended, and none outlived those before it", counted_lives(n))),
    }
}

fn counted_lives(n: usize) -> String {
    format!("{n} lives")
}

/// Restarts in the first hour of a container that lives for so long each time, with the kubelet's own back-off.
fn per_hour(lives_ns: u64) -> u64 {
    let mut back_off = BackOff::new(BACK_OFF, BACK_OFF_CAP);
    let (mut now_ns, mut restarts) = (0_u64, 0);
    while restarts < MOST {
        let ended_ns = now_ns.saturating_add(lives_ns);
        now_ns = back_off.may_start_ns(ended_ns);
        if now_ns >= HOUR {
            break;
        }
        back_off.started(ended_ns, now_ns);
        restarts += 1;
    }
    restarts
}

fn time_line(record: &Record) -> String {
    let end_ns = record.duration_ns.max(1);
    let place = |at: u64| {
        let (from, to) = (end_ns * at / PLACES, end_ns * (at + 1) / PLACES);
        let failed = |s: &Sample| !s.outcome.passed() && s.started_ns < to && s.ended_ns > from;
        let here = |life: &Life| {
            let gone = life.end.as_ref().map_or(u64::MAX, |end| end.gone_ns.unwrap_or(end.decided_ns));
            life.listening_ns.is_some_and(|listening| listening < to) && gone > from
        };
        let asked = |life: &Life| here(life) && life.up_ns.is_some_and(|up| up < to);
        if record.probe.samples.iter().any(failed) {
            'x'
        } else if !record.lives.iter().any(here) {
            '.'
        } else if record.lives.iter().any(asked) {
            '='
        } else {
            '-'
        }
    };
    (0..PLACES).map(place).collect()
}

/// The lines of a report: what came of it, and the picture.
pub fn lines(restarts: &Restarts) -> Vec<String> {
    let Restarts { restarts: number, first_at_ns, per_hour, settles, because, lives, time_line } = restarts;
    let first = first_at_ns.map(|ns| format!(", the first after {}", time(ns))).unwrap_or_default();
    let hour = match (per_hour, settles) {
        (Some(n), Some(false)) => format!("; with the kubelet's own back-off that is {n} an hour"),
        _ => String::new(),
    };
    let rest = match settles {
        Some(true) => "it settles",
        Some(false) => "it does not settle",
        None => "whether it settles is not told",
    };
    let mut lines = vec![format!("{}{first}; {rest}: {because}{hour}", counted(*number, "restart"))];
    lines.push(time_line.clone());
    if lives.len() > 1 {
        let lived: Vec<String> = lives.iter().map(|life| short_time(life.lived_ns)).collect();
        let paused: Vec<String> = lives.iter().skip(1).map(|life| short_time(life.paused_ns)).collect();
        lines.push(format!("lived {}; paused {}", listed(&lived), listed(&paused)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use brimful_evidence::record::LifeEnd;
    use brimful_loadgen_plan::probe::Outcome;
    use brimful_plan::kubelet::Restart;
    use brimful_testing::healthy;
    use proptest::prelude::*;

    use super::*;

    /// Lives in seconds: when each listened, and when and why it ended. The check is well but for the last second of each that was killed.
    fn record(lives: &[(u64, Option<u64>)], end: u64) -> Record {
        let mut record = healthy();
        let (back_off, back_off_cap, grace) = (Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(1));
        record.cell.restart = Some(Restart { back_off, back_off_cap, grace, startup: None, readiness: None });
        record.duration_ns = end * SECOND;
        let like = record.probe.samples[0].clone();
        let dying = |s: u64| lives.iter().any(|(_, end)| end.is_some_and(|end| s + 1 == end));
        let sample = |s: u64| Sample {
            seq: s,
            intended_ns: s * SECOND,
            started_ns: s * SECOND,
            ended_ns: s * SECOND + SECOND / 2,
            outcome: if dying(s) { Outcome::ResponseTimeout } else { Outcome::Ok },
            ..like.clone()
        };
        record.probe.samples = (0..end).map(sample).collect();
        let life = |&(from, to): &(u64, Option<u64>)| Life {
            started_ns: from * SECOND,
            listening_ns: Some(from * SECOND),
            up_ns: Some(from * SECOND),
            ready: Vec::new(),
            end: to.map(|to| LifeEnd {
                why: LifeEndWhy::Liveness,
                decided_ns: to * SECOND,
                gone_ns: Some(to * SECOND),
                killed: false,
                how: "exit status 0".into(),
            }),
        };
        record.lives = lives.iter().map(life).collect();
        record
    }

    #[test]
    fn a_loop_is_one_and_a_rest_is_one() {
        let table = [
            (vec![(0, None)], 20, 0, Some(true)),
            (vec![(0, Some(5)), (5, None)], 20, 1, Some(true)),
            (vec![(0, Some(5)), (5, None)], 9, 1, None),
            (vec![(0, Some(5)), (5, Some(10)), (11, None)], 14, 2, Some(false)),
            (vec![(0, Some(5)), (5, Some(10)), (11, None)], 20, 2, Some(true)),
            (vec![(0, Some(5)), (5, Some(10))], 20, 1, Some(false)),
        ];
        for (lives, end, restarts, settles) in table {
            let told = of(&record(&lives, end)).unwrap();
            assert_eq!((told.restarts, told.settles), (restarts, settles), "{lives:?} to {end}: {}", told.because);
            assert_eq!(told.first_at_ns.is_some(), lives[0].1.is_some());
        }
        assert!(of(&healthy()).is_none(), "nobody restarts a target whose scenario does not say so");
    }

    #[test]
    fn the_picture_shows_who_asks_who_fails_and_who_is_not_there() {
        let mut record = record(&[(0, Some(5)), (7, None)], 10);
        record.lives[1].up_ns = Some(8 * SECOND);
        record.probe.samples.retain(|s| s.started_ns < 5 * SECOND || s.started_ns >= 8 * SECOND);
        let picture: String = of(&record).unwrap().time_line.chars().step_by(6).collect();
        assert_eq!(picture, "====x..-==");
    }

    #[test]
    fn the_kubelets_back_off_bounds_an_hour() {
        // 0, 10, 20, 40, 80, 160 and then 300 s of pauses.
        assert_eq!(per_hour(20 * SECOND), 15);
        assert_eq!(per_hour(0), 16);
        assert_eq!(per_hour(HOUR), 0);
        assert_eq!(per_hour(601 * SECOND), 5, "whoever lives long enough is restarted at once");
    }

    proptest! {
        #[test]
        fn a_longer_life_is_restarted_no_more_often_while_the_back_off_stands(life in 0_u64..590, more in 0_u64..10) {
            prop_assert!(per_hour((life + more) * SECOND) <= per_hour(life * SECOND));
        }
    }
}
