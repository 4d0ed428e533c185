//! A cell as plain YAML for Kubernetes: a kustomize base, the overlays `kind` and `cluster`, and a component for what a kubelet must
//! allow. Pure: a scenario and a cell come in, texts with their paths go out.
//!
//! The pods of the load are a fleet (`plan::fleet`): they start together, and pod 0 gathers what became of each.

mod kustomize;
mod load;
mod network;
mod pod;
mod probe;
mod sysctls;
mod target;
mod yaml;

pub mod restarts;

#[cfg(test)]
mod tests;

use brimful_loadgen_plan::address::capacity;
use brimful_loadgen_plan::plan::{Behaviour, LoadPlan};
use brimful_plan::cell::{Cell, RampUntil, Sandbox};
use brimful_plan::refusal::Refusal;
use brimful_plan::scenario::Scenario;
use brimful_plan::topology;
use brimful_plan::wording::grouped;

use self::sysctls::Split;

/// Connections that a pod of the load opens where it is not said how many pods there are: they leave some of the source ports of its
/// one address unused.
const EACH: u64 = 25_000;
/// The most pods of a load.
pub const PODS_MOST: u32 = 1_000;
/// The longest name of a namespace (RFC 1123, a label).
const NAME_MOST: usize = 63;

/// What the scenario does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The image of every pod; `brimful` is in its `PATH`.
    pub image: String,
    /// Pods of the load, 1 to [`PODS_MOST`]; `None` for as many as the connections need.
    pub pods: Option<u32>,
    /// The namespace of everything.
    pub namespace: String,
}

/// A file to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Below the folder of the cell, with `/`.
    pub path: &'static str,
    /// What stands in it.
    pub text: String,
}

/// Everything that the documents are made of.
struct Stage<'a> {
    scenario: &'a Scenario,
    cell: &'a Cell,
    options: &'a Options,
    split: Split,
    pods: u32,
}

/// The files of one cell.
///
/// # Errors
/// A [`Refusal`] for a cell that pods cannot be given (a behaviour that `brimful load` does not have, a fault of the path), and for
/// options that are none.
pub fn render(scenario: &Scenario, cell: &Cell, options: &Options) -> Result<Vec<File>, Refusal> {
    check_options(options)?;
    check_cell(cell).map_err(|refusal| refusal.in_cell(&cell.id))?;
    let pods = pods(cell, options).map_err(|refusal| refusal.in_cell(&cell.id))?;
    let stage = Stage { scenario, cell, options, split: Split::of(cell), pods };
    let mut files = vec![
        File { path: "base/namespace.yaml", text: kustomize::namespace(&stage) },
        File { path: "base/target.yaml", text: target::deployment(&stage) },
        File { path: "base/target-service.yaml", text: target::service(&stage) },
        File { path: "base/target-network.yaml", text: network::target(&stage) },
        File { path: "base/client-network.yaml", text: network::clients(&stage) },
        File { path: "base/probe.yaml", text: probe::job(&stage) },
    ];
    if stage.loads() {
        files.push(File { path: "base/load.yaml", text: load::job(&stage) });
        files.push(File { path: "base/load-service.yaml", text: load::service(&stage) });
        files.push(File { path: "base/gatherer-service.yaml", text: load::gatherer(&stage) });
        files.push(File { path: "base/fleet-network.yaml", text: network::fleet(&stage) });
    }
    kustomize::wrap(&stage, &mut files);
    Ok(files)
}

impl Stage<'_> {
    /// Whether there is a load at all.
    fn loads(&self) -> bool {
        self.cell.load.connections > 0
    }

    /// What stands at the head of each file.
    fn head(&self, what: &str) -> Vec<String> {
        vec![
            format!("{what}."),
            format!("Scenario `{}`, cell `{}`.", self.scenario.name, self.cell.id),
            "Written by `brimful k8s render`; change the scenario rather than this file.".to_owned(),
        ]
    }
}

fn check_options(options: &Options) -> Result<(), Refusal> {
    let namespace = &options.namespace;
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = |byte: Option<&u8>| byte.copied().is_some_and(letter);
    let bytes = namespace.as_bytes();
    if bytes.len() > NAME_MOST
        || !ends(bytes.first())
        || !ends(bytes.last())
        || !bytes.iter().all(|&byte| letter(byte) || byte == b'-')
    {
        return Err(Refusal::scenario(
            format!("`{namespace}` is no name of a namespace"),
            "use at most 63 small letters, digits and hyphens, with no hyphen at either end",
        ));
    }
    if options.image.is_empty() || !options.image.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Refusal::scenario(
            format!("`{}` is no reference of an image", options.image),
            "write for example --image registry.example/brimful:0.1.0",
        ));
    }
    Ok(())
}

/// What a pod can be, and `brimful serve`, `load` and `probe` can do by themselves.
fn check_cell(cell: &Cell) -> Result<(), Refusal> {
    let refuse = |what: &str| Err(Refusal::scenario(what, "run it in a sandbox instead: brimful run SCENARIO"));
    let plan = &cell.target.plan;
    if cell.sandbox == Sandbox::Vm {
        return Err(Refusal::scenario(
            "a knob of the whole node is turned in a guest only, never under pods of others",
            "run it in one: brimful vm run SCENARIO --kernel BZIMAGE --modules DIR",
        ));
    }
    if cell.target.command.is_some() {
        return refuse("a command is not in brimful's image, and a server of one's own has an image of its own");
    }
    if cell.load.behaviour == Behaviour::HalfOpen {
        return refuse("half-open load is made in a sandbox only, never on a network that others use");
    }
    if cell.load.behaviour != Behaviour::Idle || !cell.load.comeback.is_never() {
        return refuse("`brimful load` by itself holds idle connections only, and this load does more");
    }
    if let Some(RampUntil::Unhealthy) = cell.load.ramp_until {
        return refuse("`brimful load` by itself does not end its ramp when the probe fails");
    }
    if !cell.faults.is_empty() {
        return refuse("a fault of the path is made in a sandbox only");
    }
    if !cell.changes.is_empty() {
        return refuse("nobody turns a knob under a running pod");
    }
    if cell.restart.is_some() {
        return refuse("a pod is restarted by its own kubelet, by its own numbers");
    }
    if cell.target.shards > 1 {
        return refuse("a target of several processes has no place in one container");
    }
    if plan.accept_pause.is_some() || plan.block.is_some() {
        return refuse("`brimful serve` by itself has no pauses, because it has no start of a cell to count them from");
    }
    if cell.probe.nofile.is_some() {
        return refuse("the kubelet's own descriptor limit is not ours to set");
    }
    Ok(())
}

/// How many pods the load has.
fn pods(cell: &Cell, options: &Options) -> Result<u32, Refusal> {
    let connections = cell.load.connections;
    let needed = u32::try_from(connections.div_ceil(EACH)).unwrap_or(u32::MAX).max(1);
    let pods = options.pods.unwrap_or(needed);
    let most = capacity(&LoadPlan {
        connections,
        shards: 1,
        ramp: cell.load.ramp,
        behaviour: cell.load.behaviour,
        sources: topology::own_sources(topology::LOOPBACK_SERVER.into()),
        destinations: vec![cell.target.plan.listen],
        comeback: cell.load.comeback,
        path: String::new(),
        seed: 0,
    });
    if pods == 0 || pods > PODS_MOST {
        return Err(Refusal::scenario(
            format!(
                "a load of {} pods, between 1 and {} are possible",
                grouped(pods.into()),
                grouped(PODS_MOST.into())
            ),
            "choose another number with --pods",
        ));
    }
    if u64::from(pods) > connections.max(1) {
        return Err(Refusal::scenario(
            format!("{pods} pods would share {connections} connections, and some would have none"),
            format!("use --pods {}", connections.max(1)),
        ));
    }
    let each = connections.div_ceil(pods.into());
    if each > most {
        return Err(Refusal::scenario(
            format!(
                "a pod would open {} connections, and its one address has {} source ports",
                grouped(each),
                grouped(most)
            ),
            format!("use --pods {needed}, or more"),
        ));
    }
    Ok(pods)
}
