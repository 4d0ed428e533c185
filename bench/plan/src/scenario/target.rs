//! `[target]`: the server under test.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use brimful_loadgen_plan::probe::{Action, Scheme};
use brimful_target_plan::{AcceptPause, TargetPlan};
use serde::Deserialize;

use super::command;
use super::error::ScenarioError;
use super::load::LONGEST;
use super::reader::{Keys, Section, Value};
use crate::cell::{Path, TargetSetup};
use crate::knob::limits::{
    ACCEPT, ACCEPT_RATE_MOST, AT_MAX, BACKLOG_MOST, CONNECTIONS_MOST, CPU_MOST, DEFER_MOST, DELAY_MOST, EXTRA_FD_KIND,
    EXTRA_FDS_MOST, LEAK_MOST, ON_EMFILE, REUSEPORT_MOST,
};
use crate::topology;

/// The port of the story that brimful began with: a kubelet's listener.
const DEFAULT_PORT: u16 = 23_380;
/// What Linux itself allows since 5.4 (`net.core.somaxconn`), so that an unsaid backlog is no limit of its own.
const DEFAULT_BACKLOG: u64 = 4_096;
/// The most target processes; each has a port, a process and a share of the load.
const SHARDS_MOST: u64 = 64;
/// The path of a server whose probe names none.
const DEFAULT_HEALTH_PATH: &str = "/healthz";

const TARGET: Keys = Keys {
    now: &[
        "kind",
        "listen",
        "backlog",
        "health-listen",
        "accept",
        "accept-pause",
        "accept-rate",
        "block",
        "max-connections",
        "at-max",
        "leak-one-in",
        "answer-delay",
        "defer-accept",
        "reuseport",
        "reuseport-stuck",
        "cpu",
        "on-emfile",
        "raise-nofile",
        "extra-fds-per-connection",
        "extra-fd-kind",
        "shards",
    ],
    later: &[],
    elsewhere: &[
        ("argv", "kind = \"command\" and argv"),
        ("ready", "kind = \"command\" and ready"),
        ("env", "kind = \"command\" and env"),
        ("files", "kind = \"command\" and files"),
        ("arg", "kind = \"command\" and arg"),
        ("somaxconn", "matrix.sysctl.\"net.core.somaxconn\""),
        ("nofile", "matrix.ulimit.nofile"),
        ("reuse-port", "reuseport"),
        ("connection-cap", "max-connections"),
        ("leak", "leak-one-in"),
        ("work", "answer-delay"),
    ],
};

const COMMAND: Keys = Keys {
    now: &[
        "kind",
        "listen",
        "backlog",
        "cpu",
        "shards",
        "extra-fds-per-connection",
        "argv",
        "env",
        "files",
        "arg",
        "directory",
        "user",
        "ready",
        "start-timeout",
        "stop-signal",
    ],
    later: &[],
    elsewhere: &[
        ("somaxconn", "matrix.sysctl.\"net.core.somaxconn\""),
        ("nofile", "matrix.ulimit.nofile"),
        ("args", "arg"),
        ("command", "argv"),
        ("cwd", "directory"),
        ("dir", "directory"),
        ("file", "files"),
        ("environment", "env"),
    ],
};

const PAUSE: Keys = Keys { now: &["first", "every", "length"], later: &[], elsewhere: &[] };

/// What kind of server it is; read before anything else of the table.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    #[default]
    Builtin,
    Command,
}

/// Reads `[target]`; its health path, and what it speaks besides HTTP, follow from the probe.
pub(super) fn read(root: &Section<'_>, path: Path, action: &Action) -> Result<TargetSetup, ScenarioError> {
    let kind = root.value("target").map(|value| value.any_table()).transpose()?;
    match kind.map_or(Ok(Kind::Builtin), |table| table.word("kind", &["builtin", "command"], &[]))? {
        Kind::Builtin => builtin(&root.child("target", TARGET)?, path, action),
        Kind::Command => any_server(&root.child("target", COMMAND)?, path, action),
    }
}

/// Of a command's plan only what others have to know of it is meant.
fn any_server(section: &Section<'_>, path: Path, action: &Action) -> Result<TargetSetup, ScenarioError> {
    let shards = narrow(section.count("shards", 1..=SHARDS_MOST, 1)?);
    let listen = listen(section, path, shards)?;
    let plan = TargetPlan {
        health_path: health_path(action),
        extra_fds_per_connection: narrow(section.count("extra-fds-per-connection", 0..=EXTRA_FDS_MOST, 0)?),
        ..TargetPlan::plain(listen)
    };
    let command = Some(command::read(section, listen)?);
    Ok(TargetSetup { plan, shards, cpu_percent: maybe(section, "cpu", 1..=CPU_MOST)?, command })
}

fn builtin(section: &Section<'_>, path: Path, action: &Action) -> Result<TargetSetup, ScenarioError> {
    let shards = narrow(section.count("shards", 1..=SHARDS_MOST, 1)?);
    let listen = listen(section, path, shards)?;
    let plan = TargetPlan {
        listen,
        backlog: narrow(section.count("backlog", 0..=BACKLOG_MOST, DEFAULT_BACKLOG)?),
        health_path: health_path(action),
        health_listen: health_listen(section, path, listen, shards)?,
        tls: matches!(action, Action::HttpGet(get) if get.scheme == Scheme::Https),
        grpc_service: match action {
            Action::Grpc { service } => Some(service.clone()),
            Action::HttpGet(_) | Action::TcpSocket | Action::Exec(_) => None,
        },
        accept: section.word("accept", ACCEPT, &[])?,
        accept_pause: section.value("accept-pause").map(|value| pause(&value)).transpose()?,
        accept_rate: maybe(section, "accept-rate", 1..=ACCEPT_RATE_MOST)?,
        block: section.value("block").map(|value| pause(&value)).transpose()?,
        max_connections: maybe(section, "max-connections", 1..=CONNECTIONS_MOST)?,
        at_max: section.word("at-max", AT_MAX, &[])?,
        leak_one_in: narrow(section.count("leak-one-in", 0..=LEAK_MOST, 0)?),
        answer_delay: section.duration("answer-delay", Duration::ZERO..=DELAY_MOST, Duration::ZERO)?,
        defer_accept: defer_accept(section)?,
        reuseport: narrow(section.count("reuseport", 1..=REUSEPORT_MOST, 1)?),
        reuseport_stuck: narrow(section.count("reuseport-stuck", 0..=REUSEPORT_MOST - 1, 0)?),
        on_emfile: section.word("on-emfile", ON_EMFILE, &[])?,
        raise_nofile: section.value("raise-nofile").map_or(Ok(false), |value| value.switch())?,
        extra_fds_per_connection: narrow(section.count("extra-fds-per-connection", 0..=EXTRA_FDS_MOST, 0)?),
        extra_fd_kind: section.word("extra-fd-kind", EXTRA_FD_KIND, &[])?,
    };
    Ok(TargetSetup { plan, shards, cpu_percent: maybe(section, "cpu", 1..=CPU_MOST)?, command: None })
}

/// A count that may be left out.
fn maybe(section: &Section<'_>, key: &str, range: RangeInclusive<u64>) -> Result<Option<u32>, ScenarioError> {
    section.value(key).map(|value| value.count(range).map(narrow)).transpose()
}

/// `TCP_DEFER_ACCEPT` counts in seconds; zero leaves it off, so that an axis has a value to compare with.
fn defer_accept(section: &Section<'_>) -> Result<Option<Duration>, ScenarioError> {
    let Some(value) = section.value("defer-accept") else { return Ok(None) };
    let span = value.duration(Duration::ZERO..=DEFER_MOST)?;
    if span.subsec_nanos() != 0 {
        return Err(value.error("`target.defer-accept` must be whole seconds").hint("write \"5s\""));
    }
    Ok(Some(span).filter(|span| !span.is_zero()))
}

/// Counts read here are bounded far below `u32::MAX`.
fn narrow(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn listen(section: &Section<'_>, path: Path, shards: u32) -> Result<SocketAddr, ScenarioError> {
    let Some(value) = section.value("listen") else {
        let address = match path {
            Path::Loopback => topology::LOOPBACK_SERVER,
            Path::Veth => topology::VETH_SERVER,
        };
        return Ok(SocketAddr::new(IpAddr::V4(address), DEFAULT_PORT));
    };
    let address = address(&value, path)?;
    if u32::from(address.port()) + shards - 1 > u32::from(u16::MAX) {
        return Err(value
            .error(format!("{shards} shards need the ports from {} on, beyond 65535", address.port()))
            .hint("each shard listens on a port of its own, one above the other: choose a lower port"));
    }
    Ok(address)
}

fn health_listen(
    section: &Section<'_>,
    path: Path,
    listen: SocketAddr,
    shards: u32,
) -> Result<Option<SocketAddr>, ScenarioError> {
    let Some(value) = section.value("health-listen") else { return Ok(None) };
    let address = address(&value, path)?;
    let above = u32::from(address.port()).checked_sub(u32::from(listen.port()));
    if above.is_some_and(|above| above < shards) {
        return Err(value
            .error(format!("port {} is one that `target.listen` takes", address.port()))
            .hint("give the health listener a port of its own"));
    }
    Ok(Some(address))
}

fn address(value: &Value<'_>, path: Path) -> Result<SocketAddr, ScenarioError> {
    let text = value.text()?;
    let address: SocketAddr = text.parse().map_err(|error| {
        value
            .error(format!("`{}` is no address with a port: {error}", value.name))
            .hint("write \"127.0.0.1:23380\" or \"[::1]:23380\"; names are not looked up")
    })?;
    if address.port() == 0 {
        return Err(value
            .error(format!("`{}` needs a port", value.name))
            .hint("every source port is planned around it, so it cannot be left to the kernel"));
    }
    topology::destination(path, address).map_err(|what| value.error(what))?;
    Ok(address)
}

fn pause(value: &Value<'_>) -> Result<AcceptPause, ScenarioError> {
    let section = value.table(PAUSE)?;
    let positive = Duration::from_millis(1)..=LONGEST;
    let length = section.required("length")?;
    let pause = AcceptPause {
        first: section.duration("first", Duration::ZERO..=LONGEST, Duration::ZERO)?,
        every: section.value("every").map(|every| every.duration(positive.clone())).transpose()?,
        length: length.duration(positive)?,
    };
    if pause.every.is_some_and(|every| pause.length >= every) {
        return Err(length
            .error(format!("`{}` must be shorter than `every`", length.name))
            .hint("for a server that never accepts write accept = \"dead\""));
    }
    Ok(pause)
}

/// The probe's path without its query, so that the built-in server answers what it is asked.
fn health_path(action: &Action) -> String {
    match action {
        Action::HttpGet(get) => get.path.split('?').next().unwrap_or(&get.path).to_owned(),
        Action::TcpSocket | Action::Grpc { .. } | Action::Exec(_) => DEFAULT_HEALTH_PATH.to_owned(),
    }
}
