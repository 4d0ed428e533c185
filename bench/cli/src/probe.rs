//! `brimful probe`: like ping, for a health check.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use brimful_live::interrupt::{Interrupt, LOOK};
use brimful_live::sys::ask_for_short_slices;
use brimful_loadgen::probe;
use brimful_loadgen_plan::latency::Quantile;
use brimful_loadgen_plan::probe::{Action, Exec, Header, HttpGet, ProbePlan, Sample, Scheme, Summary};
use brimful_plan::consent::Intent;
use brimful_target::clock::monotonic_ns;
use clap::Args;

use super::arguments::{Format, above_zero};
use super::consent::{self, Leave};
use super::{put, say};
use crate::error::{Error, ExitStatus};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  brimful probe 127.0.0.1:8080 --path /livez
  brimful probe 127.0.0.1:5432 --tcp-socket --period 1s --count 5
  brimful probe 127.0.0.1:8443 --https --header 'X-Probe: 1' --host example.com
  brimful probe 127.0.0.1:50051 --grpc
  brimful probe --count 3 --exec cat /tmp/healthy")]
pub(super) struct ProbeOptions {
    /// The server: on loopback, or one that consents (docs/consent.md)
    #[arg(required_unless_present = "exec", conflicts_with = "exec")]
    address: Option<SocketAddr>,
    /// The path of an httpGet probe
    #[arg(long, default_value = "/healthz", conflicts_with_all = ["tcp_socket", "grpc", "exec"])]
    path: String,
    /// httpGet over TLS, whatever the certificate: scheme HTTPS
    #[arg(long, conflicts_with_all = ["tcp_socket", "grpc", "exec"])]
    https: bool,
    /// One of httpHeaders; may be said again
    #[arg(long, value_name = "NAME: VALUE", value_parser = header, conflicts_with_all = ["tcp_socket", "grpc", "exec"])]
    header: Vec<Header>,
    /// The name of the server in the Host header (the connection goes to ADDRESS: no name is looked up, and none sent in TLS)
    #[arg(long, value_name = "NAME", value_parser = host, conflicts_with_all = ["tcp_socket", "grpc", "exec"])]
    host: Option<Header>,
    /// A tcpSocket probe instead
    #[arg(long, conflicts_with_all = ["grpc", "exec"])]
    tcp_socket: bool,
    /// A grpc probe instead: the health of the server, or with --grpc=SERVICE that of a service
    #[arg(long, value_name = "SERVICE", num_args = 0..=1, require_equals = true, default_missing_value = "", conflicts_with = "exec")]
    grpc: Option<String>,
    /// An exec probe instead: a program and its arguments, after all other options
    #[arg(long, value_name = "COMMAND", num_args = 1.., allow_hyphen_values = true, conflicts_with = "scenario")]
    exec: Option<Vec<String>>,
    /// periodSeconds (the kubelet's default is 10s)
    #[arg(long, default_value = "1s", value_parser = above_zero)]
    period: Duration,
    /// timeoutSeconds
    #[arg(long, default_value = "1s", value_parser = above_zero)]
    timeout: Duration,
    /// failureThreshold
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    failure_threshold: u32,
    /// Probes to send; without it, until Ctrl-C
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// The scenario that this probe is part of, for a server that consents to that one only
    #[arg(long, value_name = "NAME")]
    scenario: Option<String>,
    /// One JSON object for each probe instead of lines
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn probe(options: &ProbeOptions) -> Result<ExitStatus, Error> {
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
    ask_for_short_slices();
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

fn action(options: &ProbeOptions) -> Action {
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

/// One of `httpHeaders` as curl takes it.
fn header(text: &str) -> Result<Header, String> {
    let (name, value) = text.split_once(':').ok_or_else(|| format!("`{text}` is no header: write 'X-Probe: 1'"))?;
    let header = Header { name: name.trim().to_owned(), value: value.trim().to_owned() };
    header.check().map(|()| header.clone()).map_err(|what| format!("`{}` {what}", header.name))
}

fn host(name: &str) -> Result<Header, String> {
    header(&format!("Host: {name}"))
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
