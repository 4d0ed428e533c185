//! The base, its overlays, and the component with the sysctls that a kubelet must allow.

use super::pod::{self, Part};
use super::yaml::{Map, list, map};
use super::{File, Stage};

const KUSTOMIZE: &str = "kustomize.config.k8s.io/v1beta1";
const COMPONENT: &str = "kustomize.config.k8s.io/v1alpha1";

pub(super) fn namespace(stage: &Stage<'_>) -> String {
    let metadata = map().with("name", stage.options.namespace.as_str()).with(
        "annotations",
        map().with("brimful/scenario", stage.scenario.name.as_str()).with("brimful/cell", stage.cell.id.as_str()),
    );
    map()
        .with("apiVersion", "v1")
        .with("kind", "Namespace")
        .with("metadata", metadata)
        .document(&stage.head("Where everything stands; deleting it deletes all of it"))
}

/// Adds what holds the files of the base together, and what stands on it.
pub(super) fn wrap(stage: &Stage<'_>, files: &mut Vec<File>) {
    let resources: Vec<&str> = files.iter().filter_map(|file| file.path.strip_prefix("base/")).collect();
    let base = kustomization().with("resources", list(resources));
    let base = base.document(&stage.head("Everything but what depends on the cluster"));
    let restricted = !stage.split.restricted.is_empty();
    if restricted {
        component(stage, files);
    }
    files.push(File { path: "base/kustomization.yaml", text: base });

    let on_base = || kustomization().with("resources", list(["../../base"]));
    let kind = if restricted { on_base().with("components", list([UNSAFE])) } else { on_base() };
    files.push(File {
        path: "overlays/kind/kustomization.yaml",
        text: kind
            .document(&stage.head(
                "For a cluster that scripts/kind/up made: its kubelet allows the sysctls that are called unsafe",
            )),
    });

    let mut cluster = on_base();
    if stage.loads() {
        cluster = cluster.with("patches", list([map().with("path", "keep-apart.yaml")]));
        files.push(File { path: "overlays/cluster/keep-apart.yaml", text: keep_apart(stage) });
    }
    if restricted {
        cluster = cluster
            .note(format!(
                "without {} the cell is not the one that the scenario speaks of. Where the kubelets of the nodes have them in \
                 allowedUnsafeSysctls, add them by taking the mark off the next two lines:",
                names(stage).join(" and ")
            ))
            .note("components:")
            .note(format!("- {UNSAFE}"));
    }
    files.push(File {
        path: "overlays/cluster/kustomization.yaml",
        text: cluster
            .document(&stage.head("For a cluster of several nodes: the load stays off the node of the server")),
    });
}

const UNSAFE: &str = "../../components/unsafe-sysctls";

fn names(stage: &Stage<'_>) -> Vec<String> {
    stage.split.restricted.iter().map(|(name, _)| name.clone()).collect()
}

fn kustomization() -> Map {
    map().with("apiVersion", KUSTOMIZE).with("kind", "Kustomization")
}

/// The sysctls of every pod anew, with those that need the kubelet's leave.
fn component(stage: &Stage<'_>, files: &mut Vec<File>) {
    let head = stage
        .head("The sysctls that need allowedUnsafeSysctls of the kubelet; without it the pods stay at SysctlForbidden");
    let mut patches = vec!["namespace.yaml", "target.yaml", "probe.yaml"];
    let patch = |api: &str, name: &str| {
        let kind = if name == "target" { "Deployment" } else { "Job" };
        let sysctls = map().maybe("sysctls", stage.split.all());
        let spec = map().with("template", map().with("spec", map().with("securityContext", sysctls)));
        // A patch names its object and nothing else of it.
        let metadata = map().with("name", name).with("namespace", stage.options.namespace.as_str());
        map().with("apiVersion", api).with("kind", kind).with("metadata", metadata).with("spec", spec).document(&head)
    };
    let labels = map()
        .note("the levels `baseline` and `restricted` of Pod Security refuse these sysctls")
        .with("pod-security.kubernetes.io/enforce", "privileged");
    let namespace = map()
        .with("apiVersion", "v1")
        .with("kind", "Namespace")
        .with("metadata", map().with("name", stage.options.namespace.as_str()).with("labels", labels));
    files.push(File { path: "components/unsafe-sysctls/namespace.yaml", text: namespace.document(&head) });
    files.push(File { path: "components/unsafe-sysctls/target.yaml", text: patch("apps/v1", "target") });
    files.push(File { path: "components/unsafe-sysctls/probe.yaml", text: patch("batch/v1", "probe") });
    if stage.loads() {
        patches.push("load.yaml");
        files.push(File { path: "components/unsafe-sysctls/load.yaml", text: patch("batch/v1", "load") });
    }
    let patches: Vec<Map> = patches.into_iter().map(|path| map().with("path", path)).collect();
    let component =
        map().with("apiVersion", COMPONENT).with("kind", "Component").with("patches", list(patches)).document(&head);
    files.push(File { path: "components/unsafe-sysctls/kustomization.yaml", text: component });
}

/// Not on the node of the target: there the load would take the processor that the target needs.
fn keep_apart(stage: &Stage<'_>) -> String {
    let term = map()
        .with("topologyKey", "kubernetes.io/hostname")
        .with("labelSelector", map().with("matchLabels", Part::Target.labels()));
    let required = map().with("requiredDuringSchedulingIgnoredDuringExecution", list([term]));
    let spec = map().with("affinity", map().with("podAntiAffinity", required));
    map()
        .with("apiVersion", "batch/v1")
        .with("kind", "Job")
        .with("metadata", pod::metadata(stage, "load", Part::Load))
        .with("spec", map().with("template", map().with("spec", spec)))
        .document(&stage.head("The load on other nodes than the server"))
}
