//! `brimful probe`: like ping, for a health check.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use brimful_loadgen::latency::Quantile;
use brimful_loadgen::probe::{self, Action, Exec, HttpGet, ProbePlan, Sample, Scheme, Summary};
use brimful_target::clock::monotonic_ns;

use super::arguments::{Format, Probe};
use super::consent::{self, Leave};
use super::{put, say};
use crate::error::{Error, ExitStatus};
use crate::live::interrupt::{Interrupt, LOOK};
use crate::plan::consent::Intent;

pub(super) fn probe(options: &Probe) -> Result<ExitStatus, Error> {
    let intent = Intent { scenario: options.scenario.as_deref(), connections: 1, lasts: None };
    // A command asks no address of anybody's, so nobody is asked for leave.
    let leave = options.address.map_or(Ok(Leave::Loopback), |address| consent::ask(address, intent))?;
    let plan = ProbePlan {
        action: action(options),
        address: options.address.unwrap_or(NOWHERE),
        period: options.period,
        timeout: options.timeout,
        initial_delay: Duration::ZERO,
        failure_threshold: options.failure_threshold,
        success_threshold: 1,
    };
    let interrupt = Interrupt::install().map_err(|source| Error::Machine { doing: "listen for signals", source })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::Machine { doing: "start a runtime", source })?;
    let count = options.count.unwrap_or(u64::MAX);
    let samples = std::cell::RefCell::new(Vec::new());
    let enough = async {
        while interrupt.seen().is_none() && (samples.borrow().len() as u64) < count {
            tokio::time::sleep(LOOK).await;
        }
    };
    // The last tick counted is the last one begun; a slow probe misses ticks, so the count decides, not the clock.
    let t0_ns = monotonic_ns();
    let until_ns = leave.ends_in_ns();
    let shown = |sample: &Sample| {
        if (samples.borrow().len() as u64) < count {
            put(&line(sample, &plan, options.format));
            samples.borrow_mut().push(sample.clone());
        }
    };
    let done = runtime.block_on(probe::run(&plan, t0_ns, until_ns, enough, shown));
    done.map_err(|error| Error::Machine { doing: "probe", source: std::io::Error::other(error) })?;
    let samples = samples.into_inner();
    if until_ns.is_some() && interrupt.seen().is_none() && (samples.len() as u64) < count {
        say("the server's consent has ended, and the probe with it");
    }
    if options.format == Format::Text {
        put(&summary(&Summary::of(&samples, &plan), &plan));
    }
    Ok(interrupt.seen().map_or(ExitStatus::Done, ExitStatus::from))
}

/// The address of a probe that asks none.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

fn action(options: &Probe) -> Action {
    if let Some(command) = &options.exec {
        return Action::Exec(Exec::of(command.clone()));
    }
    if let Some(service) = &options.grpc {
        return Action::Grpc { service: service.clone() };
    }
    if options.tcp_socket {
        return Action::TcpSocket;
    }
    let scheme = if options.https { Scheme::Https } else { Scheme::Http };
    let headers = options.host.iter().chain(&options.header).cloned().collect();
    Action::HttpGet(HttpGet { path: options.path.clone(), scheme, headers })
}

#[expect(clippy::cast_precision_loss, reason = "for people, in milliseconds")]
fn ms(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}

fn line(sample: &Sample, plan: &ProbePlan, format: Format) -> String {
    if format == Format::Json {
        return format!("{}\n", serde_json::to_string(sample).unwrap_or_default());
    }
    let mut line = format!("seq={} {} {:.3} ms", sample.seq, word(sample), ms(sample.latency_ns()));
    if let Some(connect) = sample.connect_ns {
        line.push_str(&format!("  connect {:.3} ms", ms(connect)));
    }
    if let Some(tls) = sample.tls_ns {
        line.push_str(&format!("  TLS {:.3} ms", ms(tls)));
    }
    if let Some(first) = sample.first_byte_ns {
        line.push_str(&format!("  first byte {:.3} ms", ms(first)));
    }
    if let Some(status) = sample.status {
        line.push_str(&format!("  status {status}"));
    }
    if !sample.message.is_empty() {
        line.push_str(&format!("  {}", sample.message));
    }
    if sample.missed_ticks > 0 {
        line.push_str(&format!(
            "  ({} ticks missed, period {})",
            sample.missed_ticks,
            humantime::format_duration(plan.period)
        ));
    }
    line.push('\n');
    line
}

fn asked(plan: &ProbePlan) -> String {
    match &plan.action {
        Action::Exec(exec) => exec.command.join(" "),
        Action::HttpGet(_) | Action::TcpSocket | Action::Grpc { .. } => plan.address.to_string(),
    }
}

fn word(sample: &Sample) -> String {
    serde_json::to_value(sample.outcome).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn summary(summary: &Summary, plan: &ProbePlan) -> String {
    let shown = |quantile: Option<Quantile>| match quantile {
        Some(Quantile::Exact(ns)) => format!("{:.3} ms", ms(ns)),
        Some(Quantile::AtLeast(ns)) => format!("≥ {:.0} ms", ms(ns)),
        None => "-".to_owned(),
    };
    let mut text = format!(
        "--- {} ---\n{} sent, {} ok, {} failed\np50 {}, p90 {}, p99 {}, max {}\n",
        asked(plan),
        summary.sent,
        summary.ok,
        summary.failed,
        shown(summary.p50()),
        shown(summary.p90()),
        shown(summary.p99()),
        shown(summary.max()),
    );
    match summary.would_restart_at_s {
        Some(at) => text.push_str(&format!(
            "liveness would have restarted the container {at:.1} s after the first probe (failure-threshold {})\n",
            plan.failure_threshold
        )),
        None => text.push_str("liveness would not have restarted the container\n"),
    }
    text
}
