//! How a cell was measured, in words. Pure.

use brimful_evidence::record::Record;
use brimful_judge::wording::{count, counted, nanos, time};
use brimful_loadgen_plan::plan::Behaviour;
use brimful_loadgen_plan::probe::{Action, Scheme};
use brimful_plan::cell::Path;

/// The experiment behind one cell, a sentence each, so that cells measured alike read alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setup {
    /// The health check.
    pub(super) probe: String,
    /// Its rhythm, in short.
    pub(super) rhythm: String,
    /// The load.
    pub(super) load: String,
    /// Where client and server stood.
    pub(super) place: String,
    /// Evidence that could not be read, and why.
    pub(super) unavailable: Vec<String>,
}

impl Setup {
    /// The experiment behind a record.
    pub(super) fn of(record: &Record) -> Self {
        let plan = &record.probe.plan;
        let action = match &plan.action {
            Action::HttpGet(get) => {
                let over = if get.scheme == Scheme::Https { "HTTPS" } else { "HTTP" };
                let headers = get.headers.len() as u64;
                let own = if headers > 0 { format!(" with {}", counted(headers, "header")) } else { String::new() };
                format!("an {over} GET of {}{own}", get.path)
            }
            Action::TcpSocket => "a TCP connect".to_owned(),
            Action::Grpc { service } if service.is_empty() => "a gRPC health check".to_owned(),
            Action::Grpc { service } => format!("a gRPC health check of the service {service}"),
            Action::Exec(exec) => format!("the command `{}`", exec.command.join(" ")),
        };
        let (place, anew) = match &plan.action {
            Action::Exec(_) => ("beside the server, with its limits,".to_owned(), "process"),
            Action::HttpGet(_) | Action::TcpSocket | Action::Grpc { .. } => {
                (format!("at {}", plan.address), "connection")
            }
        };
        let (period, timeout) = (time(nanos(plan.period)), time(nanos(plan.timeout)));
        let load = &record.cell.load;
        let over = if load.ramp.is_zero() {
            "as fast as it goes".to_owned()
        } else {
            format!("evenly over {}", time(nanos(load.ramp)))
        };
        let behaviour = match load.behaviour {
            Behaviour::Idle => "idle".to_owned(),
            Behaviour::HalfOpen => "half-open".to_owned(),
            Behaviour::Heartbeat { interval, share_percent } => {
                format!("{share_percent} % of them with a request every {}", time(nanos(interval)))
            }
            Behaviour::SlowReader { rate: 0 } => "each asking for an answer that it never reads".to_owned(),
            Behaviour::SlowReader { rate } => format!("each reading its answer at {} bytes a second", count(rate)),
            Behaviour::Reconnect => "each coming back when it is closed".to_owned(),
            Behaviour::Churn { lifetime } => format!("each closed after {}", time(nanos(lifetime))),
        };
        let unavailable = record.evidence.sources.iter().filter(|source| !source.is_extra()).filter_map(|source| {
            source.unavailable_because.as_ref().map(|why| format!("{}, because {why}", source.name))
        });
        Self {
            probe: format!(
                "{action} {place} every {period}, a new {anew} each time, with {timeout} to answer; liveness restarts after {} failures in a row",
                plan.failure_threshold
            ),
            rhythm: format!("every {period}, {timeout} to answer"),
            load: format!(
                "{} connections opened {over} and held for {}, {behaviour}",
                count(load.connections),
                time(nanos(load.hold))
            ),
            place: match record.cell.path {
                Path::Loopback => "client and server in one network namespace, over loopback".to_owned(),
                Path::Veth => "client and server in two network namespaces, joined by a veth pair".to_owned(),
            },
            unavailable: unavailable.collect(),
        }
    }
}
