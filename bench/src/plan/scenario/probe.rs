//! `[probe]`: the kubelet's fields and defaults, in kebab-case.

use std::time::Duration;

use brimful_loadgen::probe::Action;

use super::error::ScenarioError;
use super::load::LONGEST;
use super::reader::{Keys, Section, Value};
use crate::plan::cell::ProbeSetup;
use crate::plan::knob::limits::NOFILE_MOST;
use crate::plan::words::time;

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

const PROBE: Keys = Keys {
    now: &[
        "http-get",
        "tcp-socket",
        "port",
        "period",
        "timeout",
        "failure-threshold",
        "success-threshold",
        "initial-delay",
        "nofile",
    ],
    later: &["grpc", "exec", "kind", "scheme", "headers"],
    elsewhere: &[
        ("httpGet", "http-get"),
        ("tcpSocket", "tcp-socket"),
        ("periodSeconds", "period"),
        ("timeoutSeconds", "timeout"),
        ("failureThreshold", "failure-threshold"),
        ("successThreshold", "success-threshold"),
        ("initialDelaySeconds", "initial-delay"),
    ],
};

/// Reads `[probe]`.
pub(super) fn read(root: &Section<'_>) -> Result<ProbeSetup, ScenarioError> {
    setup(&root.child("probe", PROBE)?, None)
}

/// Reads another probe of the same container; where it does not say how it asks, it asks as this one does.
pub(super) fn beside(value: &Value<'_>, liveness: &ProbeSetup) -> Result<ProbeSetup, ScenarioError> {
    setup(&value.table(PROBE)?, Some(&liveness.action))
}

fn setup(section: &Section<'_>, otherwise: Option<&Action>) -> Result<ProbeSetup, ScenarioError> {
    let says = section.value("http-get").or_else(|| section.value("tcp-socket")).is_some();
    Ok(ProbeSetup {
        action: match otherwise {
            Some(action) if !says => action.clone(),
            _ => action(section)?,
        },
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

fn action(section: &Section<'_>) -> Result<Action, ScenarioError> {
    match (section.value("http-get"), section.value("tcp-socket")) {
        (Some(_), Some(second)) => Err(second
            .error_at_key("a probe has one way of asking: `http-get` or `tcp-socket`")
            .hint("take one of them out")),
        (None, Some(value)) if value.switch()? => Ok(Action::TcpSocket),
        (None, Some(value)) => Err(value
            .error("`probe.tcp-socket` can only be true")
            .hint("take it out for the default, http-get = \"/healthz\"")),
        (Some(value), None) => http_get(&value),
        (None, None) => Ok(Action::HttpGet { path: "/healthz".to_owned() }),
    }
}

fn http_get(value: &Value<'_>) -> Result<Action, ScenarioError> {
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
    Ok(Action::HttpGet { path: path.to_owned() })
}
