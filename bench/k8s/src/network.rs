//! Who may speak to whom: clients to the target and to nobody else, the target to nobody. A kubelet's probe comes from the node, which
//! no policy keeps out.

use super::Stage;
use super::load::{GATHER_PORT, ports};
use super::pod::{self, Part};
use super::yaml::{Map, Node, list, map};

pub(super) fn target(stage: &Stage<'_>) -> String {
    let from = [Part::Load, Part::Probe].map(pods_of);
    let spec = map()
        .with("podSelector", map().with("matchLabels", Part::Target.labels()))
        .with("policyTypes", list(["Ingress", "Egress"]))
        .with("ingress", list([map().with("from", list(from)).with("ports", ports(stage))]))
        .with("egress", Node::List(Vec::new()));
    policy(stage, "target", Part::Target, spec).document(&stage.head("Who may reach the server"))
}

pub(super) fn clients(stage: &Stage<'_>) -> String {
    let client = map()
        .with("key", "app.kubernetes.io/component")
        .with("operator", "In")
        .with("values", list([Part::Load.name(), Part::Probe.name()]));
    let ours = map().with("app.kubernetes.io/name", "brimful");
    let spec = map()
        .with("podSelector", map().with("matchLabels", ours).with("matchExpressions", list([client])))
        .with("policyTypes", list(["Ingress", "Egress"]))
        .with("ingress", Node::List(Vec::new()))
        .with("egress", list([map().with("to", list([pods_of(Part::Target)])).with("ports", ports(stage))]));
    policy(stage, "clients", Part::Load, spec)
        .document(&stage.head("Whom the load and the probe may reach: the server, and nobody else but the fleet below"))
}

/// Rules add up: what this one allows is allowed besides.
pub(super) fn fleet(stage: &Stage<'_>) -> String {
    let gathering = || list([map().with("protocol", "TCP").with("port", GATHER_PORT)]);
    let spec = map()
        .with("podSelector", map().with("matchLabels", Part::Load.labels()))
        .with("policyTypes", list(["Ingress", "Egress"]))
        .with("ingress", list([map().with("from", list([pods_of(Part::Load)])).with("ports", gathering())]))
        .with("egress", list([map().with("to", list([pods_of(Part::Load)])).with("ports", gathering())]));
    policy(stage, "fleet", Part::Load, spec)
        .document(&stage.head("The pods of the load reach each other, to agree on a start and to be gathered"))
}

fn policy(stage: &Stage<'_>, name: &str, part: Part, spec: Map) -> Map {
    map()
        .with("apiVersion", "networking.k8s.io/v1")
        .with("kind", "NetworkPolicy")
        .with("metadata", pod::metadata(stage, name, part))
        .with("spec", spec)
}

fn pods_of(part: Part) -> Map {
    map().with("podSelector", map().with("matchLabels", part.labels()))
}
