//! What the behaviours of a load are given to go by: kept apart from the behaviour itself, because an axis may choose another one. Pure.

use std::time::Duration;

use brimful_loadgen_plan::plan::{Behaviour, Comeback, Policy, Storm};

/// Settings of every behaviour, whether the load has it or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manners {
    /// The word of `load.behaviour`.
    pub name: String,
    /// `load.lifetime`: how long a churned connection lives.
    pub lifetime: Option<Duration>,
    /// `load.heartbeat-interval`.
    pub interval: Duration,
    /// `load.heartbeat-share`, in per cent.
    pub share_percent: u32,
    /// `load.read-rate`, in bytes a second.
    pub read_rate: Option<u64>,
    /// `load.reconnect`; where it is not said, connections come back with jitter if that is their behaviour, and not at all otherwise.
    pub policy: Option<Policy>,
    /// `load.reconnect-base`.
    pub base: Duration,
    /// `load.reconnect-cap`.
    pub cap: Duration,
    /// `load.storm-at`, from the start of the cell.
    pub storm_at: Option<Duration>,
    /// `load.storm-share`, in per cent.
    pub storm_share: u32,
}

/// What a load has that says nothing of it.
impl Default for Manners {
    fn default() -> Self {
        Self {
            name: "idle".to_owned(),
            lifetime: None,
            interval: Duration::from_secs(10),
            share_percent: 100,
            read_rate: None,
            policy: None,
            base: Duration::from_secs(1),
            cap: Duration::from_secs(30),
            storm_at: None,
            storm_share: 100,
        }
    }
}

/// Whether connections of this behaviour may come back.
#[must_use]
pub fn comes_back(name: &str) -> bool {
    matches!(name, "heartbeat" | "reconnect")
}

impl Manners {
    /// The behaviour of this name with its settings.
    ///
    /// # Errors
    /// Says what is missing for it, or does not go with it.
    pub fn behaviour(&self) -> Result<Behaviour, String> {
        match (self.name.as_str(), self.lifetime, self.read_rate) {
            ("idle", ..) => Ok(Behaviour::Idle),
            ("half-open", ..) => Ok(Behaviour::HalfOpen),
            ("churn", Some(lifetime), _) => Ok(Behaviour::Churn { lifetime }),
            ("churn", None, _) => Err("a load that churns needs `load.lifetime`, from handshake to close".to_owned()),
            ("heartbeat", ..) => {
                Ok(Behaviour::Heartbeat { interval: self.interval, share_percent: self.share_percent })
            }
            ("slow-reader", _, Some(rate)) => Ok(Behaviour::SlowReader { rate }),
            ("slow-reader", _, None) => {
                Err("a slow reader needs `load.read-rate`, in bytes a second, 0 for one that never reads".to_owned())
            }
            ("reconnect", ..) if self.policy == Some(Policy::None) && self.storm_at.is_none() => {
                Err("with reconnect = \"none\" and no storm nothing comes back, so that would be an idle load"
                    .to_owned())
            }
            ("reconnect", ..) => Ok(Behaviour::Reconnect),
            (name, ..) => Err(format!("`{name}` is no behaviour of a load")),
        }
    }

    /// Whether and how its connections come back.
    #[must_use]
    pub fn comeback(&self) -> Comeback {
        if !comes_back(&self.name) {
            return Comeback::default();
        }
        let unsaid = if self.name == "reconnect" { Policy::Jittered } else { Policy::None };
        let policy = self.policy.unwrap_or(unsaid);
        let (base, cap) = if policy == Policy::None { Default::default() } else { (self.base, self.cap) };
        let storm = self.storm_at.map(|at| Storm { at, share_percent: self.storm_share });
        Comeback { policy, base, cap, storm }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Manners {
        Manners { name: name.to_owned(), ..Manners::default() }
    }

    #[test]
    fn only_those_who_may_come_back() {
        for (manners, policy) in [
            (named("idle"), Policy::None),
            (named("heartbeat"), Policy::None),
            (named("reconnect"), Policy::Jittered),
            (Manners { policy: Some(Policy::Linear), ..named("heartbeat") }, Policy::Linear),
            (Manners { policy: Some(Policy::Linear), ..named("idle") }, Policy::None),
        ] {
            assert_eq!(manners.comeback().policy, policy, "{manners:?}");
        }
        let storm = Manners { storm_at: Some(Duration::from_secs(5)), ..named("heartbeat") };
        assert_eq!(storm.comeback().storm, Some(Storm { at: Duration::from_secs(5), share_percent: 100 }));
        assert!(named("churn").comeback().is_never());
    }
}
