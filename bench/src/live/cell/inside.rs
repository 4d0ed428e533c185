//! Where a probe stands: on the node, or in the container.

use brimful_loadgen::probe::{Action, ProbePlan};

use super::Places;
use crate::live::cgroup::Group;
use crate::live::message::{Container, Order};
use crate::plan::cell::Cell;

/// What the probe of a cell is told. A command is run in the container: in the target's namespace and control group, with its limits. Every
/// other probe comes from the node, where the clients are.
pub(super) fn probe(cell: &Cell, plan: &ProbePlan, (server, client): Places, group: Option<&Group>) -> Order {
    let (place, container) = match &plan.action {
        Action::Exec { .. } => {
            let cgroup = group.map(|group| group.folder().to_owned());
            (server, Some(Container { cgroup, nofile: cell.nofile }))
        }
        Action::HttpGet(_) | Action::TcpSocket | Action::Grpc { .. } => (client, None),
    };
    Order::Probe { place, nofile: cell.probe.nofile, container, plan: plan.clone(), until: Some(cell.duration()) }
}
