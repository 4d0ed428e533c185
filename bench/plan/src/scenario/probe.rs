//! `[probe]`: the kubelet's fields and defaults, in kebab-case.

use std::net::IpAddr;
use std::time::Duration;

use brimful_loadgen_plan::probe::{Action, Exec, Header, HttpGet, Scheme};

use super::error::ScenarioError;
use super::load::LONGEST;
use super::reader::{Keys, Section, Value};
use crate::cell::{Path, ProbeSetup};
use crate::knob::limits::NOFILE_MOST;
use crate::topology;
use crate::wording::time;

/// Kubernetes' own defaults (`pkg/apis/core/v1/defaults.go`, `SetDefaults_Probe`).
const PERIOD: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(1);
const FAILURES: u64 = 3;
const SUCCESSES: u64 = 1;

/// The shortest period and timeout: below it the prober measures itself.
const SHORTEST: Duration = Duration::from_millis(1);
/// The highest threshold.
const THRESHOLD_MOST: u64 = 1_000;
/// The longest path, in bytes; with the fixed part of a request it fits one segment.
const MAX_PATH: usize = 1_024;
/// The most headers, and the longest name and value of one, in bytes: together less than a server reads by default (8 KiB in nginx).
const HEADERS_MOST: usize = 16;
const MAX_HEADER: usize = 256;
/// The most words of a command, and the longest of them, in bytes.
const WORDS_MOST: usize = 64;
const MAX_WORD: usize = 4_096;

/// The ways of asking, one of which a probe has.
const WAYS: [&str; 4] = ["http-get", "tcp-socket", "grpc", "exec"];
/// What goes with some of them only.
const GO_WITH: &[(&str, &[&str])] = &[
    ("scheme", &["http-get"]),
    ("http-headers", &["http-get"]),
    ("host", &["http-get", "tcp-socket"]),
    ("port", &["http-get", "tcp-socket", "grpc"]),
    ("nofile", &["http-get", "tcp-socket", "grpc"]),
];

const PROBE: Keys = Keys {
    now: &[
        "http-get",
        "tcp-socket",
        "grpc",
        "exec",
        "scheme",
        "http-headers",
        "host",
        "port",
        "period",
        "timeout",
        "failure-threshold",
        "success-threshold",
        "initial-delay",
        "nofile",
    ],
    later: &["kind"],
    elsewhere: &[
        ("httpGet", "http-get"),
        ("tcpSocket", "tcp-socket"),
        ("httpHeaders", "http-headers"),
        ("headers", "http-headers"),
        ("service", "grpc"),
        ("command", "exec"),
        ("periodSeconds", "period"),
        ("timeoutSeconds", "timeout"),
        ("failureThreshold", "failure-threshold"),
        ("successThreshold", "success-threshold"),
        ("initialDelaySeconds", "initial-delay"),
    ],
};

const HEADER: Keys = Keys { now: &["name", "value"], later: &[], elsewhere: &[] };

/// Reads `[probe]`.
pub(super) fn read(root: &Section<'_>, path: Path) -> Result<ProbeSetup, ScenarioError> {
    setup(&root.child("probe", PROBE)?, path, None)
}

/// Reads another probe of the same container; where it does not say how it asks, it asks as this one does.
pub(super) fn beside(value: &Value<'_>, path: Path, liveness: &ProbeSetup) -> Result<ProbeSetup, ScenarioError> {
    let section = value.table(PROBE)?;
    let says = WAYS.iter().any(|way| section.value(way).is_some());
    if !says && let Some(value) = ["scheme", "http-headers"].iter().find_map(|key| section.value(key)) {
        return Err(value
            .error_at_key("this probe asks as [probe] does, unless it says how itself")
            .hint("write http-get = \"/healthz\" beside it, or take it out"));
    }
    let probe = setup(&section, path, Some(&liveness.action).filter(|_| !says))?;
    Ok(ProbeSetup { port: probe.port.or(liveness.port), host: probe.host.or(liveness.host), ..probe })
}

/// Reads a probe that asks as it says, or as `otherwise`.
fn setup(section: &Section<'_>, path: Path, otherwise: Option<&Action>) -> Result<ProbeSetup, ScenarioError> {
    go_together(section, otherwise)?;
    Ok(ProbeSetup {
        action: otherwise.map_or_else(|| action(section), |action| Ok(action.clone()))?,
        host: section.value("host").map(|value| host(&value, path)).transpose()?,
        period: section.duration("period", SHORTEST..=LONGEST, PERIOD)?,
        timeout: section.duration("timeout", SHORTEST..=LONGEST, TIMEOUT)?,
        initial_delay: section.duration("initial-delay", Duration::ZERO..=LONGEST, Duration::ZERO)?,
        failure_threshold: threshold(section, "failure-threshold", FAILURES)?,
        success_threshold: threshold(section, "success-threshold", SUCCESSES)?,
        nofile: section.value("nofile").map(|value| value.count(1..=NOFILE_MOST)).transpose()?,
        port: port(section)?,
    })
}

/// Refuses a probe that would never be sent.
pub(super) fn check_time(root: &Section<'_>, probe: &ProbeSetup, cell: Duration) -> Result<(), ScenarioError> {
    if probe.initial_delay < cell {
        return Ok(());
    }
    let section = root.child("probe", PROBE)?;
    let message = format!("no probe would be sent: a cell ends after {} (ramp and hold)", time(cell));
    Err(match section.value("initial-delay") {
        Some(value) => value.error(message),
        None => section.error(message),
    })
}

/// The earliest instant at which liveness can be lost: the last of the failures begins then.
pub(super) fn earliest_failure(probe: &ProbeSetup) -> Duration {
    probe.initial_delay + probe.period * (probe.failure_threshold - 1)
}

fn threshold(section: &Section<'_>, key: &str, absent: u64) -> Result<u32, ScenarioError> {
    section.count(key, 1..=THRESHOLD_MOST, absent).map(|count| u32::try_from(count).unwrap_or(u32::MAX))
}

/// The port a pod's probe names by itself, which need not be one that anybody listens on.
fn port(section: &Section<'_>) -> Result<Option<u16>, ScenarioError> {
    let port = section.value("port").map(|value| value.count(1..=u64::from(u16::MAX))).transpose()?;
    Ok(port.and_then(|port| u16::try_from(port).ok()))
}

/// Refuses a second way of asking, and what does not go with the one there is.
fn go_together(section: &Section<'_>, otherwise: Option<&Action>) -> Result<(), ScenarioError> {
    let mut ways = WAYS.into_iter().filter_map(|way| section.value(way).map(|value| (way, value)));
    let unsaid = match otherwise {
        None | Some(Action::HttpGet(_)) => WAYS[0],
        Some(Action::TcpSocket) => "tcp-socket",
        Some(Action::Grpc { .. }) => "grpc",
        Some(Action::Exec(_)) => "exec",
    };
    let way = ways.next().map_or(unsaid, |(way, _)| way);
    if let Some((_, second)) = ways.next() {
        let ways = WAYS.map(|way| format!("`{way}`")).join(", ");
        return Err(second
            .error_at_key(format!("a probe has one way of asking, of {ways}"))
            .hint("take one of them out"));
    }
    for (key, with) in GO_WITH {
        if let Some(value) = section.value(key).filter(|_| !with.contains(&way)) {
            let with: Vec<String> = with.iter().map(|way| format!("`{way}`")).collect();
            let error = value.error_at_key(format!("`probe.{key}` goes with {}", with.join(" or ")));
            return Err(match (*key, way) {
                ("nofile", _) => error.hint("a command runs in the container, with the target's own limit"),
                (_, "exec") => error.hint("a command asks no address by itself: give it what it needs as arguments"),
                _ => error.hint("take it out"),
            });
        }
    }
    Ok(())
}

fn action(section: &Section<'_>) -> Result<Action, ScenarioError> {
    if let Some(value) = section.value("tcp-socket") {
        return Ok(if value.switch()? { Action::TcpSocket } else { return Err(only_true(&value)) });
    }
    if let Some(value) = section.value("grpc") {
        return grpc(&value);
    }
    if let Some(value) = section.value("exec") {
        return exec(&value);
    }
    let path = section.value("http-get").map_or_else(|| Ok("/healthz".to_owned()), |value| http_get(&value))?;
    let scheme = section.word::<Scheme>("scheme", &["http", "https"], &[])?;
    let headers = section.value("http-headers").map_or_else(|| Ok(Vec::new()), |value| headers(&value))?;
    Ok(Action::HttpGet(HttpGet { path, scheme, headers }))
}

fn only_true(value: &Value<'_>) -> ScenarioError {
    value
        .error(format!("`{}` can only be true", value.name))
        .hint("take it out for the default, http-get = \"/healthz\"")
}

/// The name of a service, or true for the server as a whole.
fn grpc(value: &Value<'_>) -> Result<Action, ScenarioError> {
    let service = match value.text() {
        Ok(service) => service.to_owned(),
        Err(_) if value.switch()? => String::new(),
        Err(_) => return Err(only_true(value)),
    };
    if service.len() > MAX_HEADER || service.chars().any(char::is_control) {
        return Err(
            value.error(format!("`{}` must be the name of a service, of at most {MAX_HEADER} bytes", value.name))
        );
    }
    Ok(Action::Grpc { service })
}

/// A program and its arguments.
fn exec(value: &Value<'_>) -> Result<Action, ScenarioError> {
    let hint = "write exec = [\"cat\", \"/tmp/healthy\"]; there is no shell, so each word stands by itself";
    let items = value.list().map_err(|error| error.hint(hint))?;
    let command = items.iter().map(|word| word.text().map(str::to_owned)).collect::<Result<Vec<_>, _>>()?;
    if command.first().is_none_or(String::is_empty) {
        return Err(value.error(format!("`{}` names no program", value.name)).hint(hint));
    }
    if command.len() > WORDS_MOST || command.iter().any(|word| word.len() > MAX_WORD || word.contains('\0')) {
        return Err(value.error(format!(
            "`{}` has at most {WORDS_MOST} words of at most {MAX_WORD} bytes, none with a zero byte",
            value.name
        )));
    }
    Ok(Action::Exec(Exec::of(command)))
}

fn headers(value: &Value<'_>) -> Result<Vec<Header>, ScenarioError> {
    let hint = "write http-headers = [{ name = \"X-Probe\", value = \"1\" }]";
    let items = value.list().map_err(|error| error.hint(hint))?;
    if items.len() > HEADERS_MOST {
        return Err(value.error(format!("`{}` has at most {HEADERS_MOST} headers", value.name)));
    }
    items.iter().map(header).collect()
}

fn header(value: &Value<'_>) -> Result<Header, ScenarioError> {
    let section = value.table(HEADER)?;
    let (name, said) = (section.required("name")?, section.required("value")?);
    let header = Header { name: name.text()?.to_owned(), value: said.text()?.to_owned() };
    if header.name.len() > MAX_HEADER || header.value.len() > MAX_HEADER {
        return Err(value.error(format!("a name and a value of `{}` have at most {MAX_HEADER} bytes", value.name)));
    }
    header.check().map_err(|what| name.error(format!("`{}` {what}", header.name)))?;
    Ok(header)
}

/// Whom the probe asks instead of the target: an address, as no name is looked up, and one within the sandbox.
fn host(value: &Value<'_>, path: Path) -> Result<IpAddr, ScenarioError> {
    let text = value.text()?;
    let host: IpAddr = text.parse().map_err(|_no_address| {
        value.error(format!("`{}` must be an address: names are not looked up", value.name)).hint(
            "write host = \"127.0.0.1\"; for a server that looks at names, \
             http-headers = [{ name = \"Host\", value = \"example.com\" }]",
        )
    })?;
    let within = host.is_loopback() || (path == Path::Veth && host == IpAddr::V4(topology::VETH_SERVER));
    if within {
        Ok(host)
    } else {
        Err(value.error(format!("{host} lies outside of the sandbox, which has no way out")))
    }
}

fn http_get(value: &Value<'_>) -> Result<String, ScenarioError> {
    let path = value.text()?;
    if !path.starts_with('/') {
        return Err(value
            .error("`probe.http-get` must be a path that starts with a slash")
            .hint("write \"/healthz\"; the address follows from `target.listen` or `target.health-listen`"));
    }
    if path.len() > MAX_PATH || !path.bytes().all(|byte| byte.is_ascii_graphic()) || path.contains('#') {
        return Err(value.error(format!(
            "`probe.http-get` must be a plain ASCII path of at most {MAX_PATH} bytes, without spaces or `#`"
        )));
    }
    Ok(path.to_owned())
}
