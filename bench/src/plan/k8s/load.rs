//! The load: one Indexed Job whose pods know their share from their index, and its headless Service.

use std::time::Duration;

use super::Stage;
use super::pod::{self, Part, option, time};
use super::target;
use super::yaml::{Node, list, map};

/// What a pod may take beyond its load: to be scheduled, to get its image, and to be tried again.
pub(super) const SLACK: Duration = Duration::from_secs(900);
/// How often one index is tried again, 10 s later at first and then twice as much each time: a target that does not listen yet has
/// given no consent either.
pub(super) const TRIES: u32 = 5;

pub(super) fn job(stage: &Stage<'_>) -> String {
    let load = &stage.cell.load;
    let port = stage.cell.target.plan.listen.port();
    let mut words = vec![Node::from("load"), target_address(stage, port)];
    words.extend(option("--connections", load.connections));
    // Not through `option`: this one is a variable, put in by the Job.
    words.extend([Node::from("--share"), format!("$(JOB_COMPLETION_INDEX)/{}", stage.pods).into()]);
    words.extend(option("--ramp", time(load.ramp)));
    words.extend(option("--hold", time(load.hold)));
    words.extend(option("--source", source(stage)));
    words.extend(option("--scenario", &stage.scenario.name));
    words.extend(option("--format", "json"));
    let each = load.connections.div_ceil(stage.pods.into());
    let container = pod::container(stage, Part::Load, words).with("resources", pod::resources(each, None));
    let spread = map()
        .with("maxSkew", 1_u32)
        .with("topologyKey", "kubernetes.io/hostname")
        .with("whenUnsatisfiable", "ScheduleAnyway")
        .with("labelSelector", map().with("matchLabels", Part::Load.labels()));
    let spec = pod::spec(stage, false)
        .with("subdomain", "load")
        .with("restartPolicy", "Never")
        .with("topologySpreadConstraints", list([spread]))
        .with("containers", list([container]));
    let deadline = (load.ramp + load.hold + SLACK).as_secs();
    map()
        .with("apiVersion", "batch/v1")
        .with("kind", "Job")
        .with("metadata", pod::metadata(stage, "load", Part::Load))
        .with(
            "spec",
            map()
                .note(format!(
                    "{} pod(s) open {} connections together. Each opens its own share as soon as it runs, and prints what became of \
                     it as JSON into its log; they agree on no common start, and nobody adds them up",
                    stage.pods, load.connections
                ))
                .with("completionMode", "Indexed")
                .with("completions", stage.pods)
                .with("parallelism", stage.pods)
                .with("backoffLimitPerIndex", TRIES)
                .with("activeDeadlineSeconds", deadline)
                .with("template", map().with("metadata", map().with("labels", Part::Load.labels())).with("spec", spec)),
        )
        .document(&stage.head("The load"))
}

pub(super) fn service(stage: &Stage<'_>) -> String {
    map()
        .with("apiVersion", "v1")
        .with("kind", "Service")
        .with("metadata", pod::metadata(stage, "load", Part::Load))
        .with(
            "spec",
            map()
                .with("clusterIP", "None")
                .with("publishNotReadyAddresses", true)
                .with("selector", Part::Load.labels()),
        )
        .document(&stage.head("Names for the pods of the load (load-0.load and so on); brimful itself looks none up"))
}

/// The server's address for a client.
pub(super) fn target_address(stage: &Stage<'_>, port: u16) -> Node {
    if stage.cell.target.plan.listen.is_ipv6() {
        format!("[$(TARGET_SERVICE_HOST)]:{port}").into()
    } else {
        pod::address(port)
    }
}

fn source(stage: &Stage<'_>) -> &'static str {
    match stage.cell.load.source {
        crate::plan::cell::SourceChoice::Auto => "auto",
        crate::plan::cell::SourceChoice::Kernel => "kernel",
    }
}

/// The ports of the target that clients use.
pub(super) fn ports(stage: &Stage<'_>) -> Node {
    list(target::ports(stage).into_iter().map(|(_, port)| map().with("protocol", "TCP").with("port", port)))
}
