//! The load: one Indexed Job whose pods are a fleet and know their share from their index, a headless Service for their names, and one with
//! an address for the pod that gathers.

use std::time::Duration;

use super::pod::{self, Part, option, time};
use super::yaml::{Node, list, map};
use super::{Stage, target};

/// What a pod may take beyond its load: to be scheduled, to get its image, and to be tried again.
pub(super) const SLACK: Duration = Duration::from_secs(900);
/// How often one index is tried again, 10 s later at first and then twice as much each time: a target that does not listen yet has
/// given no consent either.
pub(super) const TRIES: u32 = 5;
/// Where pod 0 hears the others.
pub(super) const GATHER_PORT: u16 = 23_390;
/// How long pods wait for each other: for the slowest to be scheduled and to get its image. Within [`SLACK`], with the tries.
pub(super) const REGISTER: Duration = Duration::from_secs(300);
/// The exit status of a load that was not the one planned; trying again cannot make it so.
const GENERATOR_BOUND: u32 = 6;
/// The label by which one pod of an Indexed Job is told from the others (Kubernetes 1.28).
const POD_INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// Where pod 0 leaves its report, besides its log.
const REPORT: &str = "/report";

pub(super) fn job(stage: &Stage<'_>) -> String {
    let load = &stage.cell.load;
    let port = stage.cell.target.plan.listen.port();
    let mut words = vec![Node::from("load"), target_address(stage, port)];
    words.extend(option("--connections", load.connections));
    // Not through `option`: these are variables, put in by the Job and for the Service.
    words.extend([Node::from("--fleet"), format!("$(JOB_COMPLETION_INDEX)/{}", stage.pods).into()]);
    words.extend([Node::from("--gatherer"), service_address(stage, "GATHERER", GATHER_PORT)]);
    words.extend(option("--register-within", time(REGISTER)));
    words.extend(option("--out", format!("{REPORT}/fleet.json")));
    words.extend(option("--ramp", time(load.ramp)));
    words.extend(option("--hold", time(load.hold)));
    words.extend(option("--source", source(stage)));
    words.extend(option("--scenario", &stage.scenario.name));
    words.extend(option("--format", "json"));
    let each = load.connections.div_ceil(stage.pods.into());
    let container = pod::container(stage, Part::Load, words)
        .with("ports", list([map().with("name", "gather").with("containerPort", GATHER_PORT)]))
        .with("resources", pod::resources(each, None))
        .note("pod 0 leaves its report here; put a volume that stays in its place to keep the file, which the log has too")
        .with("volumeMounts", list([map().with("name", "report").with("mountPath", REPORT)]));
    let spread = map()
        .with("maxSkew", 1_u32)
        .with("topologyKey", "kubernetes.io/hostname")
        .with("whenUnsatisfiable", "ScheduleAnyway")
        .with("labelSelector", map().with("matchLabels", Part::Load.labels()));
    let spec = pod::spec(stage, false)
        .with("subdomain", "load")
        .with("restartPolicy", "Never")
        .with("topologySpreadConstraints", list([spread]))
        .with("containers", list([container]))
        .with("volumes", list([map().with("name", "report").with("emptyDir", map())]));
    let final_status = map().with("action", "FailIndex").with(
        "onExitCodes",
        map().with("containerName", Part::Load.name()).with("operator", "In").with("values", list([GENERATOR_BOUND])),
    );
    let deadline = (load.ramp + load.hold + SLACK).as_secs();
    map()
        .with("apiVersion", "batch/v1")
        .with("kind", "Job")
        .with("metadata", pod::metadata(stage, "load", Part::Load))
        .with(
            "spec",
            map()
                .note(format!(
                    "{} pod(s) open {} connections together, from an instant that they agree on. Pod 0 gathers what became of each, and \
                     prints it as JSON into its log. It waits {} for the others, starts with those that are there, and names those that are not",
                    stage.pods,
                    load.connections,
                    time(REGISTER)
                ))
                .with("completionMode", "Indexed")
                .with("completions", stage.pods)
                .with("parallelism", stage.pods)
                .with("backoffLimitPerIndex", TRIES)
                .note(format!("status {GENERATOR_BOUND}: the load was not the one that was planned, or this pod came too late for it"))
                .with("podFailurePolicy", map().with("rules", list([final_status])))
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
        .document(
            &stage.head(
                "Names for the pods of the load (load-0.load and so on), for people; brimful itself looks none up",
            ),
        )
}

/// The address by which the others reach pod 0. Not its name: brimful looks up no names, and pod 0 has no address before it runs.
pub(super) fn gatherer(stage: &Stage<'_>) -> String {
    let port = map().with("name", "gather").with("port", GATHER_PORT).with("targetPort", GATHER_PORT);
    map()
        .with("apiVersion", "v1")
        .with("kind", "Service")
        .with("metadata", pod::metadata(stage, "gatherer", Part::Load))
        .with(
            "spec",
            map()
                .with("type", "ClusterIP")
                .with("ipFamilyPolicy", "SingleStack")
                .with("ipFamilies", list([target::family(stage)]))
                .with("publishNotReadyAddresses", true)
                .with("selector", Part::Load.labels().with(POD_INDEX, "0"))
                .with("ports", list([port])),
        )
        .document(&stage.head("The address of the pod that gathers, which the others find in GATHERER_SERVICE_HOST"))
}

/// The server's address for a client.
pub(super) fn target_address(stage: &Stage<'_>, port: u16) -> Node {
    service_address(stage, "TARGET", port)
}

/// The address of a Service as a container sees it: Kubernetes puts it into every pod of the namespace that is started after the Service.
fn service_address(stage: &Stage<'_>, name: &str, port: u16) -> Node {
    if stage.cell.target.plan.listen.is_ipv6() {
        format!("[$({name}_SERVICE_HOST)]:{port}").into()
    } else {
        format!("$({name}_SERVICE_HOST):{port}").into()
    }
}

fn source(stage: &Stage<'_>) -> &'static str {
    match stage.cell.load.source {
        brimful_plan::cell::SourceChoice::Auto => "auto",
        brimful_plan::cell::SourceChoice::Kernel => "kernel",
    }
}

/// The ports of the target that clients use.
pub(super) fn ports(stage: &Stage<'_>) -> Node {
    list(target::ports(stage).into_iter().map(|(_, port)| map().with("protocol", "TCP").with("port", port)))
}
