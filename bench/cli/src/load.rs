//! `brimful load`: connections opened and held against a server on loopback, or one that consents.

#[cfg(feature = "fleet")]
mod fleet;

use std::net::SocketAddr;
use std::time::Duration;

use brimful_judge::report::{LoadReport, talk};
use brimful_live::interrupt::Interrupt;
use brimful_live::machine;
use brimful_live::standalone::{self, AtOnce};
use brimful_loadgen_plan::address::capacity;
use brimful_loadgen_plan::outcome::{LoadOutcome, LoadPoint};
use brimful_loadgen_plan::plan::{LoadPlan, Sources, open_at_once, shards_needed, share_of};
use brimful_plan::cell::SourceChoice;
use brimful_plan::consent::Intent;
use brimful_plan::topology;
use clap::Args;

use super::consent::{self, Leave};
use super::{put, say};
use crate::arguments::{Format, word};
use crate::error::{Error, ExitStatus};
use crate::load_options::{LoadBehaviourOptions, LoadSettings};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  brimful load 127.0.0.1:23380 --connections 12000 --ramp 3s --hold 1m
  brimful load 127.0.0.1:23380 --source kernel --ramp 0s
  brimful load 127.0.0.1:23380 --behaviour heartbeat --heartbeat-interval 5s --reconnect jittered
  brimful load 10.0.0.9:8080 --connections 100000 --fleet 0/8 --gatherer 10.0.0.1:23390 --out fleet.json
  brimful load 10.0.0.9:8080 --connections 100000 --fleet 3/8 --gatherer 10.0.0.1:23390

A fleet exits with 6 when a member is missing, late or lost: the load was not the one that was planned.")]
pub(super) struct LoadOptions {
    /// The server: on loopback, or one that consents (docs/consent.md)
    pub(super) address: SocketAddr,
    /// Connections to open
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=4_000_000))]
    pub(super) connections: u64,
    /// Over which time they are opened, evenly
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
    pub(super) ramp: Duration,
    /// How long they are held after that
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    pub(super) hold: Duration,
    /// Who names the source ports: auto, kernel
    #[arg(long, default_value = "auto", value_parser = word::<brimful_plan::cell::SourceChoice>)]
    pub(super) source: brimful_plan::cell::SourceChoice,
    #[command(flatten)]
    pub(super) conduct: LoadBehaviourOptions,
    /// Open only this generator's share of the connections, such as 0/4: the first of four generators
    #[arg(long, value_name = "INDEX/OF", value_parser = share)]
    pub(super) share: Option<(u32, u32)>,
    /// The scenario that this load is part of, for a server that consents to that one only
    #[arg(long, value_name = "NAME")]
    pub(super) scenario: Option<String>,
    /// The form of the summary
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
    #[cfg(feature = "fleet")]
    #[command(flatten)]
    pub(super) fleet: fleet::FleetOptions,
}

/// One generator among several: `0/4` to `3/4`.
fn share(text: &str) -> Result<(u32, u32), String> {
    let wrong = || format!("`{text}` is no share: write 0/4 for the first of four, 3/4 for the last");
    let (index, of) = text.split_once('/').ok_or_else(wrong)?;
    match (index.parse(), of.parse()) {
        (Ok(index), Ok(of)) if index < of => Ok((index, of)),
        _ => Err(wrong()),
    }
}

pub(super) fn load(options: &LoadOptions) -> Result<ExitStatus, Error> {
    #[cfg(feature = "fleet")]
    if let Some(member) = options.fleet.fleet {
        return fleet::load(options, member);
    }
    let connections = options.share.map_or(options.connections, |(index, of)| share_of(options.connections, index, of));
    let index = options.share.map_or(0, |(index, _)| index);
    let plan = prepare(options, connections, index, Duration::ZERO)?;
    let interrupt = Interrupt::install().map_err(|source| Error::Machine { doing: "listen for signals", source })?;
    say(&format!("{} connections to {} over {} process(es)", plan.connections, options.address, plan.shards));
    let mut said = 0;
    let show = |point: LoadPoint| {
        if point.at_ns / 1_000_000_000 > said {
            said = point.at_ns / 1_000_000_000;
            say(&line(point, plan.connections));
        }
    };
    let outcome = standalone::load(&plan, options.ramp + options.hold, &mut AtOnce { interrupt: &interrupt, show })?;
    match options.format {
        Format::Json => put(&format!("{}\n", serde_json::to_string_pretty(&outcome).unwrap_or_default())),
        Format::Text => put(&summary(&outcome)),
    }
    Ok(interrupt.seen().map_or(ExitStatus::Done, ExitStatus::from))
}

/// Asks the server for its consent to so many connections, for a load that begins within `waits`, and plans them, as generator `index` of several.
fn prepare(options: &LoadOptions, connections: u64, index: u32, waits: Duration) -> Result<LoadPlan, Error> {
    let LoadSettings { behaviour, comeback, path } = options.conduct.read()?;
    let lasts = waits.saturating_add(options.ramp).saturating_add(options.hold);
    let intent = Intent { scenario: options.scenario.as_deref(), connections, lasts: Some(lasts) };
    let leave = consent::ask(options.address, intent)?;
    let machine = machine::read().map_err(|source| Error::Machine { doing: "read this machine's limits", source })?;
    let wanted = connections.saturating_mul(1 + comeback.more_sources());
    let plan = LoadPlan {
        connections,
        shards: shards_needed(open_at_once(connections, options.ramp, behaviour), machine.nofile_hard),
        ramp: options.ramp,
        behaviour,
        sources: match options.source {
            SourceChoice::Auto => match leave {
                Leave::Loopback => topology::host_sources(options.address, wanted, index),
                Leave::Given { local, .. } => topology::own_sources(local),
            },
            SourceChoice::Kernel => Sources::Kernel,
        },
        destinations: vec![options.address],
        comeback,
        path,
        seed: options.conduct.seed,
    };
    refuse_beyond(&plan)?;
    Ok(plan)
}

/// Refuses more connections than there are source ports for.
fn refuse_beyond(plan: &LoadPlan) -> Result<(), Error> {
    let most = capacity(plan);
    if plan.connections <= most {
        return Ok(());
    }
    Err(Error::Usage {
        what: format!("{} connections need more source ports than the {most} of one address", plan.connections),
        hint: "load from several machines with --share 0/2, --share 1/2, or let the kernel choose with --source kernel"
            .to_owned(),
    })
}

fn line(point: LoadPoint, requested: u64) -> String {
    let seconds = point.at_ns / 1_000_000_000;
    let LoadPoint { attempted, established, held, failed, at_ns: _, pending: _ } = point;
    format!("{seconds:4} s: attempted {attempted}/{requested}, established {established}, held {held}, failed {failed}")
}

#[expect(clippy::cast_precision_loss, reason = "for people, in milliseconds")]
fn summary(outcome: &LoadOutcome) -> String {
    let ms = |ns: u64| ns as f64 / 1e6;
    let mut text = format!(
        "requested {}, attempted {}, established {}, held {}, pending {}\n",
        outcome.requested, outcome.attempted, outcome.established, outcome.held, outcome.pending
    );
    if let Some(rate) = outcome.rate_per_s() {
        text.push_str(&format!("opened at {rate:.0} connections/s\n"));
    }
    let connect = &outcome.connect_latency;
    if connect.count() > 0 {
        let (p50, p99, max) = (ms(connect.quantile(0.5)), ms(connect.quantile(0.99)), ms(connect.max()));
        text.push_str(&format!("connect: p50 {p50:.3} ms, p99 {p99:.3} ms, max {max:.3} ms\n"));
    }
    if outcome.lag.count() > 0 {
        let (p99, max) = (ms(outcome.lag.quantile(0.99)), ms(outcome.lag.max()));
        text.push_str(&format!("lateness: p99 {p99:.3} ms, max {max:.3} ms\n"));
    }
    if let Some(words) = talk::words(&LoadReport::of(outcome)) {
        text.push_str(&format!("{words}\n"));
    }
    for failure in &outcome.failures {
        let phase = serde_json::to_value(failure.phase).unwrap_or_default();
        text.push_str(&format!("failed: {} at {} ({})\n", failure.count, phase.as_str().unwrap_or("?"), failure.errno));
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_share_is_one_of_several() {
        assert_eq!(["0/1", "3/4"].map(super::share), [Ok((0, 1)), Ok((3, 4))]);
        assert!(
            ["4/4", "0/0", "1", "-1/4", "1/4/8", "$(JOB_COMPLETION_INDEX)/4"]
                .into_iter()
                .all(|text| super::share(text).is_err())
        );
    }
}
