//! What connections do once they are open, as flags of `brimful load`: the words of `[load]`, with the same defaults.

use std::time::Duration;

use brimful_loadgen_plan::plan::{Behaviour, Comeback, Policy};
use brimful_plan::load_options::{Manners, comes_back};
use clap::Args;

use super::arguments::{above_zero, word};
use crate::error::Error;

/// What is not typed is as in a scenario that does not say it.
#[derive(Debug, Args)]
#[command(next_help_heading = "What the connections do")]
pub(super) struct LoadBehaviourOptions {
    /// What they do: idle, heartbeat, churn, slow-reader, reconnect
    #[arg(long, value_name = "WORD", default_value = "idle", value_parser = ["idle", "heartbeat", "churn", "slow-reader", "reconnect"])]
    behaviour: String,
    /// From one request of a connection to its next (heartbeat)
    #[arg(long, default_value = "10s", value_parser = above_zero)]
    heartbeat_interval: Duration,
    /// How many of a hundred connections send requests (heartbeat)
    #[arg(long, value_name = "PERCENT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=100))]
    heartbeat_share: u32,
    /// What a request asks for (heartbeat)
    #[arg(long, default_value = "/healthz")]
    path: String,
    /// How long a connection lives (churn)
    #[arg(long, value_parser = above_zero)]
    lifetime: Option<Duration>,
    /// Bytes a second that a connection reads, 0 for none (slow-reader; it asks for /bytes/N, which `brimful serve` has)
    #[arg(long, value_name = "BYTES")]
    read_rate: Option<u64>,
    /// How the pause grows before a connection that is gone comes back: none, linear, exponential, jittered
    #[arg(long, value_name = "WORD", value_parser = word::<Policy>)]
    reconnect: Option<Policy>,
    /// The first such pause
    #[arg(long, default_value = "1s", value_parser = above_zero)]
    reconnect_base: Duration,
    /// The longest such pause
    #[arg(long, default_value = "30s", value_parser = above_zero)]
    reconnect_cap: Duration,
    /// When clients close their connections and open them anew at once
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    storm_at: Option<Duration>,
    /// How many of a hundred connections take part
    #[arg(long, value_name = "PERCENT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100))]
    storm_share: u32,
    /// Where chance begins: phases of heartbeats, jitter, who takes part in a storm
    #[arg(long, default_value_t = 0)]
    pub(super) seed: u64,
}

/// What a load is given to go by.
pub(super) struct LoadSettings {
    pub(super) behaviour: Behaviour,
    pub(super) comeback: Comeback,
    pub(super) path: String,
}

impl LoadBehaviourOptions {
    /// The behaviour, and whether connections come back.
    ///
    /// # Errors
    /// When something is missing for the behaviour, or does not go with it.
    pub(super) fn read(&self) -> Result<LoadSettings, Error> {
        let manners = Manners {
            name: self.behaviour.clone(),
            lifetime: self.lifetime,
            interval: self.heartbeat_interval,
            share_percent: self.heartbeat_share,
            read_rate: self.read_rate,
            policy: self.reconnect,
            base: self.reconnect_base,
            cap: self.reconnect_cap,
            storm_at: self.storm_at,
            storm_share: self.storm_share,
        };
        let usage = |what: String, hint: &str| Error::Usage { what, hint: hint.to_owned() };
        let behaviour = manners.behaviour().map_err(|what| {
            let hint = match self.behaviour.as_str() {
                "churn" => "add --lifetime 200ms",
                "slow-reader" => "add --read-rate 1000",
                _ => "add --reconnect jittered, or --storm-at 5s",
            };
            usage(what.replace("`load.", "`--"), hint)
        })?;
        if !comes_back(&self.behaviour) && (self.reconnect.is_some() || self.storm_at.is_some()) {
            let what = format!("connections that are {} do not come back", self.behaviour);
            return Err(usage(what, "add --behaviour reconnect or --behaviour heartbeat"));
        }
        if self.reconnect_cap < self.reconnect_base {
            return Err(usage("`--reconnect-cap` is below `--reconnect-base`".to_owned(), "raise --reconnect-cap"));
        }
        let path = match behaviour {
            Behaviour::Heartbeat { .. } => self.path.clone(),
            _ => "/".to_owned(),
        };
        Ok(LoadSettings { behaviour, comeback: manners.comeback(), path })
    }
}
