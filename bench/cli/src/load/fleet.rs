//! `brimful load --fleet`: one generator of several that start together. Index 0 gathers, and has the report.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use brimful_fleet::member::End;
use brimful_fleet::report::FleetReport;
use brimful_fleet::shell::share::Fleet;
use brimful_fleet::summary::{is_whole, text};
use brimful_fleet::{FleetPlan, LEAD_NS, MEMBERS_MOST, Windows, ns};
use brimful_live::interrupt::Interrupt;
use brimful_live::message::Failed;
use brimful_loadgen_plan::outcome::{LoadOutcome, LoadPoint};
use brimful_runner::store;
use clap::Args;

use super::{LoadOptions, line, prepare, share, summary};
use crate::arguments::{Format, above_zero};
use crate::error::{Error, ExitStatus};
use crate::load_options::LoadSettings;
use crate::{put, say};

/// One load over several machines.
#[derive(Debug, Args)]
#[command(next_help_heading = "Several generators that start together (docs/fleet.md)")]
pub(crate) struct FleetOptions {
    /// Which member this is, and how many there are: 0/8 gathers, 1/8 to 7/8 join it. 8 alone takes the index from JOB_COMPLETION_INDEX
    #[arg(long, value_name = "INDEX/MEMBERS", value_parser = member, conflicts_with = "share")]
    pub(super) fleet: Option<(Option<u32>, u32)>,
    /// Where member 0 is reached, the same for every member
    #[arg(long, value_name = "ADDRESS", requires = "fleet")]
    pub(super) gatherer: Option<SocketAddr>,
    /// Where member 0 listens for the others; without it, everywhere, at the gatherer's port
    #[arg(long, value_name = "ADDRESS", requires = "fleet")]
    pub(super) fleet_listen: Option<SocketAddr>,
    /// How long the members are waited for before those that are ready start
    #[arg(long, value_name = "TIME", requires = "fleet", default_value = "5m", value_parser = above_zero)]
    pub(super) register_within: Duration,
    /// How long their accounts are waited for after the end of the load
    #[arg(long, value_name = "TIME", requires = "fleet", default_value = "15s", value_parser = above_zero)]
    pub(super) gather_within: Duration,
    /// Where member 0 writes the fleet's report (JSON), besides standard output
    #[arg(long, value_name = "FILE", requires = "fleet")]
    pub(super) out: Option<PathBuf>,
}

/// A member of a fleet: `3/8`, or `8` for one that is told its index by Kubernetes.
fn member(text: &str) -> Result<(Option<u32>, u32), String> {
    let wrong = || format!("`{text}` is no member: write 0/8 for the first of eight, or 8 in a pod of an Indexed Job");
    if text.contains('/') {
        return share(text).map(|(index, of)| (Some(index), of)).map_err(|_| wrong());
    }
    text.parse().ok().filter(|members| *members > 0).map(|members| (None, members)).ok_or_else(wrong)
}

/// Where Kubernetes tells a pod of an Indexed Job which one it is.
const INDEX: &str = "JOB_COMPLETION_INDEX";

pub(super) fn load(options: &LoadOptions, (index, members): (Option<u32>, u32)) -> Result<ExitStatus, Error> {
    let fleet = &options.fleet;
    let index = match index {
        Some(index) => index,
        None => index_of_pod(members)?,
    };
    let LoadSettings { behaviour, comeback, path: _ } = options.conduct.read()?;
    let plan = FleetPlan {
        members,
        address: options.address,
        connections: options.connections,
        ramp_ns: ns(options.ramp),
        hold_ns: ns(options.hold),
        behaviour,
        comeback,
        scenario: options.scenario.clone(),
    };
    let windows = Windows { register: fleet.register_within, gather: fleet.gather_within };
    check(&plan)?;
    let Some(gatherer) = fleet.gatherer else {
        return Err(Error::Usage {
            what: "a fleet needs to know who gathers".to_owned(),
            hint: "give the address of member 0 with --gatherer ADDRESS:PORT, the same to every member".to_owned(),
        });
    };
    let interrupt = Interrupt::install().map_err(|source| Error::Machine { doing: "listen for signals", source })?;
    if index == 0 {
        // A thousand members are a thousand descriptors.
        brimful_target::limits::raise_nofile()
            .map_err(|source| Error::Machine { doing: "raise the descriptor limit", source })?;
        let listen = fleet.fleet_listen.unwrap_or_else(|| everywhere(gatherer));
        let begun = Fleet::gather(listen, (plan.clone(), windows), interrupt.clone(), say)?;
        let (_, gathered) = take_part(options, &plan, begun, 0)?;
        let report = FleetReport::of(plan, gathered, jiff::Timestamp::now());
        give(&report, options, fleet)?;
        let status = if is_whole(&report) { ExitStatus::Done } else { ExitStatus::GeneratorBound };
        return Ok(interrupt.seen().map_or(status, ExitStatus::from));
    }
    let begun = Fleet::join(gatherer, index, (plan.clone(), windows), interrupt.clone())?;
    let (outcome, end) = take_part(options, &plan, begun, index)?;
    if let Some(outcome) = &outcome {
        match options.format {
            Format::Json => put(&format!("{}\n", serde_json::to_string_pretty(outcome).unwrap_or_default())),
            Format::Text => put(&summary(outcome)),
        }
    }
    let status = status_of(&end, gatherer)?;
    Ok(interrupt.seen().map_or(status, ExitStatus::from))
}

/// Asks for consent, opens the share when the fleet says so, and waits for the fleet's end.
fn take_part<T: Send + 'static>(
    options: &LoadOptions,
    plan: &FleetPlan,
    mut fleet: Fleet<T>,
    index: u32,
) -> Result<(Option<LoadOutcome>, T), Error> {
    let share = plan.share(index);
    let waits = options.fleet.register_within.saturating_add(std::time::Duration::from_nanos(LEAD_NS));
    let mut prepared = match prepare(options, share, index, waits) {
        Ok(prepared) => prepared,
        Err(error) => {
            // The gatherer is told, so that the report has a reason and not only a gap.
            fleet.fail(brimful_live::message::chain(&error));
            fleet.end().map(drop).ok();
            return Err(error);
        }
    };
    // Members whose chance began alike would beat and come back together.
    prepared.seed = prepared.seed.wrapping_add(index.into());
    say(&format!(
        "member {index} of {}: {share} connections to {} over {} process(es)",
        plan.members, options.address, prepared.shards
    ));
    let mut said = 0;
    let show = |point: LoadPoint| {
        if point.at_ns / 1_000_000_000 > said {
            said = point.at_ns / 1_000_000_000;
            say(&line(point, share));
        }
    };
    let loaded = fleet.load(&prepared, options.ramp + options.hold, show);
    let end = fleet.end()?;
    Ok((loaded?, end))
}

/// The report, on standard output and where else it was asked for.
fn give(report: &FleetReport, options: &LoadOptions, fleet: &FleetOptions) -> Result<(), Error> {
    let json = format!("{}\n", serde_json::to_string_pretty(report).unwrap_or_default());
    match options.format {
        Format::Json => {
            // Before the data, which may be the last that anybody reads of a log.
            text(report).lines().for_each(say);
            put(&json);
        }
        Format::Text => put(&text(report)),
    }
    match &fleet.out {
        Some(path) => Ok(store::write(path, json.as_bytes())?),
        None => Ok(()),
    }
}

/// What a member's end means to whoever started it.
fn status_of(end: &End, gatherer: SocketAddr) -> Result<ExitStatus, Error> {
    let refused =
        |what: String, hint: &str| Err(Error::Worker(Failed { what, hint: Some(hint.to_owned()), machine: true }));
    match end {
        End::Gathered | End::Stopped | End::Failed => Ok(ExitStatus::Done),
        End::Refused { late: true, why } => {
            say(&format!("too late for the fleet: {why}; nothing was opened"));
            Ok(ExitStatus::GeneratorBound)
        }
        End::Refused { late: false, why } => refused(
            format!("the gatherer at {gatherer} refuses: {why}"),
            "give every member the same words, but for its index",
        ),
        End::NotReached { why } => refused(
            format!("the gatherer was not reached: {why}"),
            "start member 0 too, give its address with --gatherer, or wait longer with --register-within",
        ),
        End::Orphaned { why } => {
            say(&format!("the gatherer went, and the share was stopped: {why}"));
            Ok(ExitStatus::GeneratorBound)
        }
        End::Untold { why } => {
            say(&format!("the gatherer may not have the account above: {why}"));
            Ok(ExitStatus::GeneratorBound)
        }
    }
}

fn check(plan: &FleetPlan) -> Result<(), Error> {
    if plan.members > MEMBERS_MOST {
        return Err(Error::Usage {
            what: format!("a fleet of {}, and {MEMBERS_MOST} are the most", plan.members),
            hint: "give each member more connections".to_owned(),
        });
    }
    if u64::from(plan.members) > plan.connections {
        return Err(Error::Usage {
            what: format!(
                "{} members would share {} connections, and some would have none",
                plan.members, plan.connections
            ),
            hint: format!("use --fleet INDEX/{}", plan.connections),
        });
    }
    Ok(())
}

fn index_of_pod(members: u32) -> Result<u32, Error> {
    let said = std::env::var(INDEX).unwrap_or_default();
    said.parse().ok().filter(|index| *index < members).ok_or_else(|| Error::Usage {
        what: format!("which member this is is not said: {INDEX} is `{said}`, and 0 to {} are possible", members - 1),
        hint: format!("write --fleet 0/{members} for the first of them"),
    })
}

/// Every address of this machine, at the port of the gatherer: the address by which others reach it may be a Service's.
fn everywhere(gatherer: SocketAddr) -> SocketAddr {
    let ip = match gatherer.ip() {
        ip if ip.is_loopback() => ip,
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    SocketAddr::new(ip, gatherer.port())
}
