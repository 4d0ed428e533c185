//! Where a probe stands: on the node, or in the container.

use brimful_loadgen_plan::probe::{Action, Exec, ProbePlan};
use brimful_plan::cell::Cell;
use brimful_plan::command::Facts;

use super::command::did_not_start;
use super::{CellError, Places, Stage};
use crate::message::{Container, Order};

impl Stage<'_> {
    /// What the probe of a cell is told. A command is run in the container: in the target's namespace and control group, with its limits, and
    /// beside a server that is a command itself with that one's variables, folder and user. Every other probe comes from the node,
    /// where the clients are.
    ///
    /// Of its own it has a descriptor limit, and whether it waits to be told to begin.
    pub(super) fn probe(
        &self,
        cell: &Cell,
        plan: &ProbePlan,
        (nofile, held): (Option<u64>, bool),
        (server, client): Places,
    ) -> Result<Order, CellError> {
        let until = Some(cell.duration());
        let Action::Exec(exec) = &plan.action else {
            return Ok(Order::Probe { place: client, nofile, container: None, plan: plan.clone(), until, held });
        };
        let action = Action::Exec(self.contained(cell, exec)?);
        let container = Container {
            cgroup: self.group.as_ref().map(|group| group.folder().to_owned()),
            user: cell.target.command.as_ref().and_then(|command| command.user.clone()),
        };
        let plan = ProbePlan { action, ..plan.clone() };
        Ok(Order::Probe { place: server, nofile, container: Some(container), plan, until, held })
    }

    /// The command as it is run beside the first shard of the target.
    fn contained(&self, cell: &Cell, exec: &Exec) -> Result<Exec, CellError> {
        let born = Exec { nofile: cell.nofile, ..exec.clone() };
        let (Some(command), Some(scratch)) = (&cell.target.command, self.scratches.first()) else { return Ok(born) };
        let target = &cell.target.plan;
        let folder = scratch.path().to_string_lossy();
        let facts =
            Facts { folder: &folder, listen: target.listen, health_path: &target.health_path, nofile: cell.nofile };
        let failed = |what: String| did_not_start(what, false);
        Ok(Exec {
            command: command.render_beside(&exec.command, &facts).map_err(failed)?,
            env: command.render(&facts).map_err(failed)?.env,
            directory: Some(command.directory.clone().unwrap_or_else(|| scratch.path().to_owned())),
            ..born
        })
    }
}
