//! The server: a Deployment of one pod with the kubelet's own probes, and its Service.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use brimful_loadgen_plan::probe::{Action, Scheme};
use brimful_target_plan::TargetPlan;
use serde::Serialize;

use super::Stage;
use super::pod::{self, Part, option, time};
use super::yaml::{Map, Node, list, map};

/// How long the server's consent lasts from the start of its container.
const CONSENT: Duration = Duration::from_secs(24 * 3600);

/// Ports of the target by name: the main one, the health listener's, and one that only the probe speaks of.
pub(super) fn ports(stage: &Stage<'_>) -> Vec<(&'static str, u16)> {
    let plan = &stage.cell.target.plan;
    let mut ports = vec![("traffic", plan.listen.port())];
    ports.extend(plan.health_listen.map(|health| ("health", health.port())));
    let asked = probe_port(stage);
    if ports.iter().all(|(_, port)| *port != asked) {
        ports.push(("asked", asked));
    }
    ports
}

/// The port that the health check asks.
pub(super) fn probe_port(stage: &Stage<'_>) -> u16 {
    let plan = &stage.cell.target.plan;
    stage.cell.probe.port.unwrap_or_else(|| plan.health_listen.unwrap_or(plan.listen).port())
}

pub(super) fn deployment(stage: &Stage<'_>) -> String {
    let plan = &stage.cell.target.plan;
    let named = |(name, port): &(&str, u16)| map().with("name", *name).with("containerPort", *port);
    // A port that nobody listens on is none of the container.
    let listening: Vec<_> = ports(stage).iter().filter(|(name, _)| *name != "asked").map(named).collect();
    let (probe, remarks) = kubelet(stage);
    let container = pod::container(stage, Part::Target, arguments(stage, plan))
        .with("ports", list(listening))
        .notes(remarks)
        .with("livenessProbe", probe.clone().with("successThreshold", 1_u32))
        .with("readinessProbe", probe.with("successThreshold", stage.cell.probe.success_threshold))
        .with("resources", pod::resources(stage.cell.load.connections, stage.cell.target.cpu_percent));
    let spec = pod::spec(stage, true).with("containers", list([container]));
    map()
        .with("apiVersion", "apps/v1")
        .with("kind", "Deployment")
        .with("metadata", pod::metadata(stage, "target", Part::Target))
        .with(
            "spec",
            map()
                .with("replicas", 1_u32)
                .note("never two of them: a new one would take half of the load")
                .with("strategy", map().with("type", "Recreate"))
                .with("selector", map().with("matchLabels", Part::Target.labels()))
                .with(
                    "template",
                    map().with("metadata", map().with("labels", Part::Target.labels())).with("spec", spec),
                ),
        )
        .document(&stage.head("The server under load"))
}

pub(super) fn service(stage: &Stage<'_>) -> String {
    let ports = ports(stage);
    let ports =
        ports.iter().map(|(name, port)| map().with("name", *name).with("port", *port).with("targetPort", *port));
    map()
        .with("apiVersion", "v1")
        .with("kind", "Service")
        .with("metadata", pod::metadata(stage, "target", Part::Target))
        .with(
            "spec",
            map()
                .with("type", "ClusterIP")
                .note("one family, so that its address can be written before a port")
                .with("ipFamilyPolicy", "SingleStack")
                .with("ipFamilies", list([family(stage)]))
                .note(
                    "a target that fails its health check stays reachable: what becomes of its clients is the question",
                )
                .with("publishNotReadyAddresses", true)
                .with("selector", Part::Target.labels())
                .with("ports", list(ports)),
        )
        .document(&stage.head("The address of the server, which clients find in TARGET_SERVICE_HOST"))
}

/// The family of addresses that everything here speaks.
pub(super) fn family(stage: &Stage<'_>) -> &'static str {
    if stage.cell.target.plan.listen.is_ipv6() { "IPv6" } else { "IPv4" }
}

/// The words of `brimful serve`, every setting of the scenario said aloud.
fn arguments(stage: &Stage<'_>, plan: &TargetPlan) -> Vec<Node> {
    let mut words = vec![Node::from("serve")];
    let mut say = |name: &str, value: String| words.extend(option(name, value));
    say("--listen", everywhere(plan.listen));
    say("--backlog", plan.backlog.to_string());
    say("--health", plan.health_path.clone());
    if let Some(health) = plan.health_listen {
        say("--health-listen", everywhere(health));
    }
    say("--on-emfile", word(&plan.on_emfile));
    say("--accept", word(&plan.accept));
    for (name, value) in [("--accept-rate", plan.accept_rate), ("--max-connections", plan.max_connections)] {
        if let Some(value) = value {
            say(name, value.to_string());
        }
    }
    if plan.max_connections.is_some() {
        say("--at-max", word(&plan.at_max));
    }
    for (name, value, unsaid) in [
        ("--leak-one-in", plan.leak_one_in, 0),
        ("--reuseport", plan.reuseport, 1),
        ("--reuseport-stuck", plan.reuseport_stuck, 0),
        ("--extra-fds-per-connection", plan.extra_fds_per_connection, 0),
    ] {
        if value != unsaid {
            say(name, value.to_string());
        }
    }
    if !plan.extra_fd_kind.is_file() {
        say("--extra-fd-kind", word(&plan.extra_fd_kind));
    }
    if !plan.answer_delay.is_zero() {
        say("--answer-delay", time(plan.answer_delay));
    }
    if let Some(defer) = plan.defer_accept {
        say("--defer-accept", time(defer));
    }
    if let Some(nofile) = stage.cell.nofile {
        say("--nofile", format!("{}:{}", nofile.soft, nofile.hard));
    }
    say("--consent-scenario", stage.scenario.name.clone());
    say("--consent-for", time(CONSENT));
    say("--consent-connections", stage.cell.load.connections.div_ceil(stage.pods.into()).max(1).to_string());
    if let Some(service) = &plan.grpc_service {
        words.push(grpc(service));
    }
    if plan.tls {
        words.push("--tls".into());
    }
    if plan.raise_nofile {
        words.push("--raise-nofile".into());
    }
    words.push("--consent".into());
    words
}

/// `--grpc` and its service, joined: an empty one is the server as a whole. `$(` would be taken for a variable of the container.
pub(super) fn grpc(service: &str) -> Node {
    format!("--grpc={service}").replace("$(", "$$(").into()
}

/// A pod has addresses that nobody knows before it runs.
fn everywhere(listen: SocketAddr) -> String {
    match listen {
        SocketAddr::V4(address) => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()),
        SocketAddr::V6(address) => SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), address.port()),
    }
    .to_string()
}

/// A word of a closed set as scenarios write it.
fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The kubelet's probe but for its success threshold, and in what it differs from the scenario's.
fn kubelet(stage: &Stage<'_>) -> (Map, Vec<String>) {
    let probe = &stage.cell.probe;
    let mut remarks = Vec::new();
    let mut seconds = |field: &str, asked: Duration, least: u64| {
        let whole = asked.as_secs() + u64::from(asked.subsec_nanos() > 0);
        let given = whole.max(least);
        if Duration::from_secs(given) != asked {
            remarks.push(format!(
                "the scenario asks for {field} = {}; the kubelet counts in whole seconds{}",
                time(asked),
                if least > 0 { ", from 1 on" } else { "" }
            ));
        }
        given
    };
    let fields = map()
        .with("initialDelaySeconds", seconds("initial-delay", probe.initial_delay, 0))
        .with("periodSeconds", seconds("period", probe.period, 1))
        .with("timeoutSeconds", seconds("timeout", probe.timeout, 1))
        .with("failureThreshold", probe.failure_threshold);
    let port = probe_port(stage);
    let asking = match &probe.action {
        Action::HttpGet(get) => {
            let headers = get.headers.iter();
            let headers: Vec<_> =
                headers.map(|it| map().with("name", it.name.as_str()).with("value", it.value.as_str())).collect();
            let action = map()
                .maybe("host", probe.host.map(|host| host.to_string()))
                .with("path", get.path.as_str())
                .with("port", port)
                .maybe("scheme", (get.scheme == Scheme::Https).then_some("HTTPS"))
                .maybe("httpHeaders", (!headers.is_empty()).then(|| list(headers)));
            fields.with("httpGet", action)
        }
        Action::TcpSocket => {
            fields.with("tcpSocket", map().maybe("host", probe.host.map(|host| host.to_string())).with("port", port))
        }
        Action::Grpc { service } => {
            let service = Some(service.as_str()).filter(|service| !service.is_empty());
            fields.with("grpc", map().with("port", port).maybe("service", service))
        }
        Action::Exec(exec) => {
            // `$(` would be taken for a variable of the container.
            let words = exec.command.iter().map(|word| Node::from(word.replace("$(", "$$(")));
            fields.with("exec", map().with("command", list(words)))
        }
    };
    (asking, remarks)
}
