//! What a cell costs, and whether a machine can pay. Estimates lean to the high side: a run that was let in should end.

mod feasible;
mod table;

use std::time::Duration;

use brimful_loadgen::address::capacity;
use brimful_loadgen::plan::Sources;

use super::cell::{Cell, KnobValue};
use super::refusal::Refusal;
use super::topology::{Layout, kernel_range, resolve};

pub use feasible::feasible;
pub use table::table;

/// Kernel memory of one connection with both ends on this machine, in bytes: measured 5.1 to 6.1 GB for a million.
pub const KERNEL_BYTES_PER_CONNECTION: u64 = 6 * 1024;
/// User memory of one connection, load and server together, in bytes: an entry in a table and one in a queue at each end.
pub const USER_BYTES_PER_CONNECTION: u64 = 300;
/// An open file besides the socket, in bytes: a `struct file` and its share of the descriptor table, rounded up.
pub const BYTES_PER_EXTRA_FD: u64 = 512;
/// A worker process without any connection, in bytes.
pub const BYTES_PER_PROCESS: u64 = 8 * 1024 * 1024;
/// Descriptors of a worker that are no connections: standard streams, epoll, eventfd, listeners, pipes.
pub const OWN_DESCRIPTORS: u64 = 16;
/// Processes of a cell besides target and load: the sandbox and the probe.
pub const OTHER_PROCESSES: u64 = 2;
/// Making namespaces and starting processes, for each cell.
const SETUP: Duration = Duration::from_millis(500);
/// Closing one connection at both ends: 12 to 16 s were measured for a million.
const TEARDOWN_EACH: Duration = Duration::from_micros(16);

/// What is known of a machine; read by whoever asks, so that this stays pure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The hard `RLIMIT_NOFILE` of brimful, in descriptors.
    pub nofile_hard: u64,
    /// The soft one, with which a target is born unless the scenario says otherwise.
    pub nofile_soft: u64,
    /// `MemAvailable`, in bytes.
    pub memory_available_bytes: u64,
    /// `fs.file-max`: open files on the whole machine.
    pub file_max: u64,
    /// The first number of `fs.file-nr`: open files now.
    pub file_nr: u64,
    /// Processors that brimful may run on.
    pub cpus: u32,
    /// `uname -r`.
    pub kernel: String,
}

/// What one cell costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Setting up, ramp, hold and tearing down.
    pub time: Duration,
    /// Processes of the target.
    pub target_processes: u64,
    /// Descriptors that the busiest target process would open if nothing stopped it.
    pub target_descriptors: u64,
    /// The soft limit under which it runs, after it raised it where it does.
    pub target_limit: u64,
    /// Processes of the load.
    pub load_processes: u64,
    /// Descriptors of the busiest load process.
    pub load_descriptors: u64,
    /// Descriptors of the probe.
    pub probe_descriptors: u64,
    /// Open files over all processes of the cell.
    pub files: u64,
    /// Kernel and user memory, in bytes.
    pub memory_bytes: u64,
    /// Source ports taken, one for each connection.
    pub ports_used: u64,
    /// Source ports that the plan's addresses have.
    pub ports_available: u64,
}

/// Prices a cell on a machine.
///
/// # Errors
/// What [`resolve`] says: mostly that no process of this machine could hold a connection.
pub fn cost(cell: &Cell, machine: &Machine) -> Result<Cost, Refusal> {
    let layout = resolve(cell, machine.nofile_hard)?;
    let connections = cell.load.connections;
    let extra = u64::from(cell.target.plan.extra_fds_per_connection);
    let target_processes = u64::from(cell.target.shards.max(1));
    let load_processes = u64::from(layout.load.shards);
    let processes = target_processes + load_processes + OTHER_PROCESSES;
    let teardown = TEARDOWN_EACH.saturating_mul(u32::try_from(connections).unwrap_or(u32::MAX));
    Ok(Cost {
        time: SETUP + cell.duration() + teardown,
        target_processes,
        target_descriptors: connections.div_ceil(target_processes) * (1 + extra) + OWN_DESCRIPTORS,
        target_limit: target_limit(cell, machine),
        load_processes,
        load_descriptors: connections.div_ceil(load_processes) + OWN_DESCRIPTORS,
        probe_descriptors: 1 + OWN_DESCRIPTORS,
        files: connections * files_each(cell) + processes * OWN_DESCRIPTORS,
        memory_bytes: connections * bytes_each(cell) + processes * BYTES_PER_PROCESS,
        ports_used: connections,
        ports_available: ports_available(cell, &layout),
    })
}

/// Open files of one connection: both ends, and what the server opens besides.
fn files_each(cell: &Cell) -> u64 {
    2 + u64::from(cell.target.plan.extra_fds_per_connection)
}

/// Memory of one connection, in bytes.
fn bytes_each(cell: &Cell) -> u64 {
    KERNEL_BYTES_PER_CONNECTION
        + USER_BYTES_PER_CONNECTION
        + u64::from(cell.target.plan.extra_fds_per_connection) * BYTES_PER_EXTRA_FD
}

/// The soft descriptor limit of the target: the cell's, or brimful's own, raised where the server raises it.
fn target_limit(cell: &Cell, machine: &Machine) -> u64 {
    let (soft, hard) = match cell.nofile {
        Some(limits) => (limits.soft, limits.hard),
        None => (machine.nofile_soft, machine.nofile_hard),
    };
    if cell.target.plan.raise_nofile { hard } else { soft }
}

fn ports_available(cell: &Cell, layout: &Layout) -> u64 {
    match &layout.load.sources {
        Sources::Named { .. } => capacity(&layout.load),
        // The kernel counts ports for each destination apart.
        Sources::Kernel => {
            let (first, last) = kernel_range(cell);
            (u64::from(last - first) + 1) * layout.load.destinations.len() as u64
        }
    }
}

/// A knob as the table and messages show it: what was asked, and what is set where the two differ.
fn asked_and_set(asked: &KnobValue, set: &KnobValue) -> String {
    if asked == set { asked.to_string() } else { format!("{asked} → {set}") }
}

#[cfg(test)]
pub(in crate::plan) mod tests {
    use super::*;
    use crate::plan::matrix::expand;
    use crate::plan::scenario::Scenario;

    /// The machine that the limits of the first scenario were measured on.
    pub(in crate::plan) fn machine() -> Machine {
        Machine {
            nofile_hard: 20_000,
            nofile_soft: 1_024,
            memory_available_bytes: 24 << 30,
            file_max: 2_000_000,
            file_nr: 1_000,
            cpus: 2,
            kernel: "6.18.44".to_owned(),
        }
    }

    pub(in crate::plan) fn cells(more: &str, connections: u64) -> Vec<Cell> {
        let text =
            format!("question = \"?\"\n{more}\n[load]\nconnections = {connections}\nramp = \"3s\"\nhold = \"8s\"\n");
        let scenario = Scenario::parse("t.toml", &text).unwrap_or_else(|error| panic!("{error}"));
        expand(&scenario, machine().nofile_hard).unwrap()
    }

    #[test]
    fn the_first_scenario_costs_what_arithmetic_says() {
        let cost = cost(&cells("matrix.ulimit.nofile = [1_024]", 12_000)[0], &machine()).unwrap();
        assert_eq!(cost.time, Duration::from_millis(500 + 11_000 + 192));
        assert_eq!((cost.target_processes, cost.target_descriptors, cost.target_limit), (1, 12_016, 1_024));
        assert_eq!((cost.load_processes, cost.load_descriptors, cost.probe_descriptors), (1, 12_016, 17));
        assert_eq!(cost.files, 24_064);
        assert_eq!(cost.memory_bytes, 12_000 * 6_444 + 4 * BYTES_PER_PROCESS);
        assert_eq!((cost.ports_used, cost.ports_available), (12_000, 31_743));
    }

    #[test]
    fn shards_share_and_extra_descriptors_multiply() {
        let cell =
            &cells("target.shards = 4\ntarget.extra-fds-per-connection = 2\ntarget.raise-nofile = true", 40_000)[0];
        let cost = cost(cell, &machine()).unwrap();
        assert_eq!((cost.target_processes, cost.target_descriptors, cost.target_limit), (4, 30_016, 20_000));
        assert_eq!((cost.load_processes, cost.load_descriptors), (3, 13_334 + 16));
        assert_eq!(cost.files, 160_000 + 9 * 16);
    }

    #[test]
    fn the_kernels_ports_are_counted_for_each_destination() {
        let more = "target.shards = 2\nload.source = \"kernel\"";
        let more = more.replace("load.source = \"kernel\"", "matrix.load.source = [\"kernel\"]");
        assert_eq!(cost(&cells(&more, 10)[0], &machine()).unwrap().ports_available, 2 * 28_232);
        let narrow = format!("{more}\nmatrix.sysctl.\"net.ipv4.ip_local_port_range\" = [\"40000 40009\"]");
        assert_eq!(cost(&cells(&narrow, 10)[0], &machine()).unwrap().ports_available, 20);
    }
}
