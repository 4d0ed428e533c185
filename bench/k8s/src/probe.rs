//! Our own probe beside the kubelet's: it keeps every sample, where the kubelet keeps a count.

use std::time::Duration;

use brimful_loadgen_plan::probe::{Action, Scheme};

use super::Stage;
use super::load::{REGISTER, SLACK, TRIES, target_address};
use super::pod::{self, Part, option, time};
use super::target::{grpc, probe_port};
use super::yaml::{Node, list, map};

pub(super) fn job(stage: &Stage<'_>) -> String {
    let probe = &stage.cell.probe;
    // It knows nothing of the fleet's start: it covers the longest wait for that, and may be ended with the load.
    let waits = if stage.loads() { REGISTER } else { Duration::ZERO };
    let lasts = waits + stage.cell.duration();
    let count = lasts.as_nanos().div_ceil(probe.period.as_nanos().max(1)).max(1);
    let mut words = vec![Node::from("probe"), target_address(stage, probe_port(stage))];
    match &probe.action {
        Action::HttpGet(get) => {
            words.extend(option("--path", &get.path));
            if get.scheme == Scheme::Https {
                words.push("--https".into());
            }
            for header in &get.headers {
                words.extend(option("--header", format!("{}: {}", header.name, header.value)));
            }
        }
        Action::TcpSocket => words.push("--tcp-socket".into()),
        Action::Grpc { service } => words.push(grpc(service)),
        // The kubelet runs it in the target's container, where no other pod can. What is asked instead shows what it does not see.
        Action::Exec(_) => words.extend(option("--path", &stage.cell.target.plan.health_path)),
    }
    words.extend(option("--period", time(probe.period)));
    words.extend(option("--timeout", time(probe.timeout)));
    words.extend(option("--failure-threshold", probe.failure_threshold));
    words.extend(option("--count", count));
    words.extend(option("--scenario", &stage.scenario.name));
    words.extend(option("--format", "json"));
    let container = pod::container(stage, Part::Probe, words).with("resources", pod::resources(1, None));
    let spec = pod::spec(stage, false).with("restartPolicy", "Never").with("containers", list([container]));
    map()
        .with("apiVersion", "batch/v1")
        .with("kind", "Job")
        .with("metadata", pod::metadata(stage, "probe", Part::Probe))
        .with(
            "spec",
            map().with("backoffLimit", TRIES).with("activeDeadlineSeconds", (lasts * 2 + SLACK).as_secs()).with(
                "template",
                map().with("metadata", map().with("labels", Part::Probe.labels())).with("spec", spec),
            ),
        )
        .document(&stage.head(match probe.action {
            Action::Exec(_) => "A GET beside the command that the kubelet runs, one JSON line in its log for each",
            _ => "A probe by the scenario's own fields, one JSON line in its log for each",
        }))
}
