//! The search: from what was seen to the load to try next. Pure.
//!
//! A ramp says about where to look; it is a hint and no more, because the probe looks at it once in a period. Each number of the
//! answer was held in a sandbox of its own for as long as the probe needs to make up its mind. Bisection takes one try for
//! each halving. An answer that does not fit (healthy above an unhealthy load, or two tries of one load that differ) is
//! not smoothed away: it widens the interval.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The most tries of one cell. Without noise a range of four million to within one connection takes at most 31: 7 steps out
/// from the hint, 22 halvings, and the ends.
pub const MOST_TRIES: usize = 32;

/// Steps out from a hint begin at this part of the range or more, so that a hint that is far off costs few tries.
const STEP_ONE_IN: u64 = 64;

/// What a try said of its load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// No probe failed.
    Healthy,
    /// At least one did.
    Unhealthy,
    /// The generator did not keep its plan: the load says nothing of the target.
    Void,
}

/// How far the ends of the interval may lie apart, as a part of the upper one; at least one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(into = "String", try_from = "String")]
pub struct Within {
    /// In hundredths of a per cent, from 1 to 5,000.
    basis_points: u32,
}

impl Within {
    /// One per cent.
    pub const DEFAULT: Self = Self { basis_points: 100 };
    const LEAST: u32 = 1;
    const MOST: u32 = 5_000;

    /// The same in connections, at a load.
    fn of(self, load: u64) -> u64 {
        let part = u128::from(load) * u128::from(self.basis_points) / 10_000;
        u64::try_from(part).unwrap_or(u64::MAX).max(1)
    }
}

/// `1%`, `0.25%`.
impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.basis_points / 100, self.basis_points % 100);
        let text = format!("{whole}.{rest:02}");
        write!(f, "{}%", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl From<Within> for String {
    fn from(within: Within) -> Self {
        within.to_string()
    }
}

impl TryFrom<String> for Within {
    type Error = NoTolerance;

    fn try_from(text: String) -> Result<Self, NoTolerance> {
        text.parse()
    }
}

/// Why a text is no tolerance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a percentage between 0.01% and 50%, such as 1%")]
pub struct NoTolerance;

impl FromStr for Within {
    type Err = NoTolerance;

    fn from_str(text: &str) -> Result<Self, NoTolerance> {
        let digits = text.trim().strip_suffix('%').ok_or(NoTolerance)?.trim_end();
        let (whole, rest) = digits.split_once('.').unwrap_or((digits, ""));
        let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || rest.len() > 2 || !plain(whole) || !plain(rest) {
            return Err(NoTolerance);
        }
        let basis_points: u32 = format!("{whole}{rest:0<2}").parse().map_err(|_too_long| NoTolerance)?;
        let within = Self { basis_points };
        (Self::LEAST..=Self::MOST).contains(&basis_points).then_some(within).ok_or(NoTolerance)
    }
}

/// Between which loads a ramp broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Hint {
    /// The load when the last probe before the first failure was begun.
    pub passed_at: u64,
    /// The load when the first failing probe had ended.
    pub failed_at: u64,
}

/// A load between the ends of the interval whose tries do not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Unsteady {
    /// Connections.
    pub load: u64,
    /// Tries of it in which no probe failed.
    pub healthy: u32,
    /// Tries of it in which one did.
    pub unhealthy: u32,
}

/// What is known of a knee, in connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Knee {
    /// The largest load that was healthy, with every smaller one that was tried; `null` where none was.
    pub healthy_to: Option<u64>,
    /// The smallest load that was unhealthy, with every larger one that was tried; `null` where none was.
    pub unhealthy_from: Option<u64>,
    /// The smallest load that the generator could not give, with no good answer above it; `null` where it gave all.
    pub void_from: Option<u64>,
    /// What lies between and does not fit, in order. Empty for a steady knee.
    pub unsteady: Vec<Unsteady>,
    /// Whether the interval is as narrow as was asked, or is bounded by the range or the generator. `false` where tries
    /// were used up, or the search was broken off.
    pub settled: bool,
}

/// How often a load was what.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    healthy: u32,
    unhealthy: u32,
    void: u32,
}

/// What the tries of one load say together. Those that were void say nothing beside others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Healthy,
    Unhealthy,
    Mixed,
    Void,
}

impl Tally {
    fn kind(self) -> Kind {
        match (self.healthy, self.unhealthy) {
            (0, 0) => Kind::Void,
            (_, 0) => Kind::Healthy,
            (0, _) => Kind::Unhealthy,
            (_, _) => Kind::Mixed,
        }
    }

    fn tries(self) -> u32 {
        self.healthy + self.unhealthy + self.void
    }
}

/// A search for the knee of one cell, over the loads from none at all to `highest`.
#[derive(Clone, Debug)]
pub struct Search {
    highest: u64,
    within: Within,
    hint: Option<Hint>,
    seen: BTreeMap<u64, Tally>,
    tries: usize,
}

impl Search {
    /// Nothing was tried yet.
    #[must_use]
    pub fn new(highest: u64, within: Within) -> Self {
        Self { highest, within, hint: None, seen: BTreeMap::new(), tries: 0 }
    }

    /// A ramp broke there. Without a hint the highest load is tried first.
    pub fn hint(&mut self, hint: Hint) {
        let passed_at = hint.passed_at.min(self.highest);
        self.hint = Some(Hint { passed_at, failed_at: hint.failed_at.clamp(passed_at, self.highest) });
    }

    /// A try came to this.
    pub fn saw(&mut self, load: u64, answer: Answer) {
        let tally = self.seen.entry(load).or_default();
        match answer {
            Answer::Healthy => tally.healthy += 1,
            Answer::Unhealthy => tally.unhealthy += 1,
            Answer::Void => tally.void += 1,
        }
        self.tries += 1;
    }

    /// The load to try next; `None` when the search is over.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        if self.tries >= MOST_TRIES { None } else { self.wanted() }
    }

    /// What is known so far.
    #[must_use]
    pub fn knee(&self) -> Knee {
        let mut knee = self.interval();
        knee.settled = self.wanted().is_none();
        knee
    }

    /// The next load to try, if tries were free.
    fn wanted(&self) -> Option<u64> {
        let knee = self.interval();
        let top = least(knee.unhealthy_from, knee.void_from);
        match (knee.healthy_to, top) {
            (None, None) => Some(self.hint.map_or(self.highest, |hint| hint.passed_at)).filter(|&l| self.untried(l)),
            (Some(low), None) => self.upwards(low.max(knee.unsteady.last().map_or(0, |odd| odd.load))),
            (None, Some(top)) => self.downwards(knee.unsteady.first().map_or(top, |odd| odd.load)).or(self.again(top)),
            (Some(low), Some(top)) => self.between(low, top, &knee.unsteady).or(self.again(top)),
        }
    }

    /// Both ends are known: halve the gap between the lower one and the first load that does not fit, then that between
    /// the last of these and the upper one. What lies between those is not looked into: it would be no narrower.
    fn between(&self, low: u64, top: u64, unsteady: &[Unsteady]) -> Option<u64> {
        let first = unsteady.first().map_or(top, |odd| odd.load);
        let last = unsteady.last().map_or(low, |odd| odd.load);
        [(low, first), (last, top)].into_iter().find_map(|(from, to)| self.halved(from, to))
    }

    fn halved(&self, from: u64, to: u64) -> Option<u64> {
        (to - from > self.within.of(to)).then(|| from + (to - from) / 2)
    }

    /// Nothing above is known to be bad: to where the ramp broke, then in growing steps to the highest load.
    fn upwards(&self, from: u64) -> Option<u64> {
        if from >= self.highest {
            return None;
        }
        let broke = self.hint.map(|hint| hint.failed_at).filter(|&at| at > from);
        Some(broke.unwrap_or_else(|| from.saturating_add(self.step())).min(self.highest))
    }

    /// Nothing below is known to be good: from where the ramp broke in growing steps, else by half, to no load at all.
    fn downwards(&self, from: u64) -> Option<u64> {
        match (from, self.hint) {
            (0, _) => None,
            (_, Some(_)) => Some(from.saturating_sub(self.step())),
            (_, None) => Some(from / 2),
        }
    }

    /// The upper end, once more: a busy machine makes probes fail, and never makes one pass. So what one try alone says
    /// against a load is asked again, and what it says for a load is not.
    fn again(&self, top: u64) -> Option<u64> {
        self.seen.get(&top).filter(|tally| tally.tries() == 1).map(|_| top)
    }

    /// Twice as long for each load that was tried.
    fn step(&self) -> u64 {
        let broke = self.hint.map_or(0, |hint| hint.failed_at - hint.passed_at);
        let first = broke.max(self.highest / STEP_ONE_IN).max(self.within.of(self.highest));
        first.saturating_mul(1 << self.seen.len().saturating_sub(1).min(32))
    }

    fn untried(&self, load: u64) -> bool {
        !self.seen.contains_key(&load)
    }

    fn interval(&self) -> Knee {
        let kinds = || self.seen.iter().map(|(&load, tally)| (load, tally.kind()));
        let against = |kind: Kind| matches!(kind, Kind::Unhealthy | Kind::Mixed);
        let in_favour = |kind: Kind| matches!(kind, Kind::Healthy | Kind::Mixed);
        let first_bad = kinds().find(|&(_, kind)| against(kind)).map(|(load, _)| load);
        let healthy_to = kinds().rfind(|&(load, kind)| kind == Kind::Healthy && first_bad.is_none_or(|bad| load < bad));
        let last_good = kinds().rfind(|&(_, kind)| in_favour(kind)).map(|(load, _)| load);
        let above = |wanted: Kind| {
            kinds()
                .find(|&(load, kind)| kind == wanted && last_good.is_none_or(|good| load > good))
                .map(|(load, _)| load)
        };
        let (healthy_to, unhealthy_from) = (healthy_to.map(|(load, _)| load), above(Kind::Unhealthy));
        // Above an unhealthy load nobody asks what the generator can do.
        let void_from = above(Kind::Void).filter(|&void| unhealthy_from.is_none_or(|bad| void < bad));
        let fits =
            |load: u64| healthy_to.is_some_and(|low| load <= low) || unhealthy_from.is_some_and(|top| load >= top);
        let odd = self.seen.iter().filter(|&(&load, tally)| tally.kind() != Kind::Void && !fits(load));
        let unsteady =
            odd.map(|(&load, tally)| Unsteady { load, healthy: tally.healthy, unhealthy: tally.unhealthy }).collect();
        Knee { healthy_to, unhealthy_from, void_from, unsteady, settled: false }
    }
}

fn least(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests;
