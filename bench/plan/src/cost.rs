//! What a cell costs, and whether a machine can pay. Estimates lean to the high side: a run that was let in should end.

mod feasible;
mod table;
mod together;

use std::time::Duration;

use brimful_loadgen_plan::address::capacity;
use brimful_loadgen_plan::plan::{Behaviour, SLOW_ANSWER_BYTES, Sources};
use brimful_target_plan::{Accept, AtMax};

use super::cell::{Cell, KnobValue};
use super::fault::Fault;
use super::refusal::Refusal;
use super::topology::{Layout, kernel_range, resolve, sources_wanted};
use crate::arrivals::open_at_once;

pub use feasible::feasible;
pub(super) use feasible::{files_fit, memory_fits};
pub use table::table;
pub use together::together;

/// Kernel memory of one connection with both ends on this machine, in bytes: 7.9 GB were measured for a million on Linux 6.18 (`scripts/bench/spent`), of which
/// the `struct tcp_sock` of both ends are 4.7 and their inodes 1.7. MemAvailable falls by less, because it takes half of the inodes for free.
pub const KERNEL_BYTES_PER_CONNECTION: u64 = 8 * 1024;
/// User memory of one connection, load and server together, in bytes: an entry in a table and one in a queue at each end.
pub const USER_BYTES_PER_CONNECTION: u64 = 300;
/// An open file besides the socket, in bytes: a `struct file` and its share of the descriptor table, rounded up.
pub const BYTES_PER_EXTRA_FD: u64 = 512;
/// A worker process without any connection, in bytes.
pub const BYTES_PER_PROCESS: u64 = 8 * 1024 * 1024;
/// Kernel memory of one half-open connection, in bytes: the client's socket (`struct tcp_sock` and its file, about 3 KiB)
/// and the server's `struct tcp_request_sock` (320 bytes).
pub const KERNEL_BYTES_PER_HALF_OPEN: u64 = 3_500;
/// Kernel memory that an answer takes which a slow reader leaves where it is, in bytes: twice its length, because a buffer is counted with
/// what it lies in (`skb->truesize`).
pub const BYTES_PER_SLOW_READER: u64 = 2 * SLOW_ANSWER_BYTES;
/// Kernel memory of a connection in `TIME_WAIT`, in bytes: a `struct tcp_timewait_sock` and its share of a bind bucket.
pub const BYTES_PER_TIME_WAIT: u64 = 512;
/// Kernel memory of an entry in the connection-tracking table, in bytes: about 80 MiB were measured for 262,144.
pub const BYTES_PER_CONNTRACK_ENTRY: u64 = 320;
/// `net.netfilter.nf_conntrack_max` of a machine that was not asked, in entries: the default above 4 GiB of memory.
pub const CONNTRACK_MAX_DEFAULT: u64 = 262_144;
/// Descriptors of a worker that are no connections: standard streams, epoll, eventfd, listeners, pipes.
pub const OWN_DESCRIPTORS: u64 = 16;
/// Processes of a cell besides target and load: the sandbox and the probe.
pub const OTHER_PROCESSES: u64 = 2;
/// Making namespaces and starting processes, for each cell.
const SETUP: Duration = Duration::from_millis(500);
/// Filling a thousand entries of the connection-tracking table: 2.0 s were measured for 262,144.
const FILL_PER_THOUSAND: Duration = Duration::from_millis(10);
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
    /// `net.netfilter.nf_conntrack_max`, in entries; `None` where connection tracking is not loaded or could not be read.
    pub conntrack_max: Option<u64>,
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
    /// Connections that are there at the same time, each with its descriptors and its memory.
    pub open_at_once: u64,
    /// Descriptors of the probe.
    pub probe_descriptors: u64,
    /// Open files over all processes of the cell.
    pub files: u64,
    /// Kernel and user memory, in bytes.
    pub memory_bytes: u64,
    /// Source ports taken, one for each connection and for each time that one may come back.
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
    let open = open_at_once(&cell.load);
    let target_processes = u64::from(cell.target.shards.max(1));
    let load_processes = u64::from(layout.load.shards);
    let processes = target_processes + load_processes + OTHER_PROCESSES;
    let teardown = TEARDOWN_EACH.saturating_mul(u32::try_from(open).unwrap_or(u32::MAX));
    Ok(Cost {
        time: SETUP + fill_time(cell, machine) + cell.duration() + teardown,
        target_processes,
        target_descriptors: target_connections(cell).div_ceil(target_processes) * target_files_each(cell)
            + OWN_DESCRIPTORS,
        target_limit: target_limit(cell, machine),
        load_processes,
        load_descriptors: open.div_ceil(load_processes) + OWN_DESCRIPTORS,
        open_at_once: open,
        probe_descriptors: 1 + OWN_DESCRIPTORS,
        files: open * files_each(cell) + leaked(cell) * target_files_each(cell) + processes * OWN_DESCRIPTORS,
        memory_bytes: open * bytes_each(cell) + apart_bytes(cell, machine) + processes * BYTES_PER_PROCESS,
        ports_used: sources_wanted(cell),
        ports_available: ports_available(cell, &layout),
    })
}

/// Connections that the target would hold at most if nothing stopped it: none of a half-open load, and none where it
/// never accepts; those it leaks come on top, and its own cap ends both.
fn target_connections(cell: &Cell) -> u64 {
    let plan = &cell.target.plan;
    if cell.load.behaviour == Behaviour::HalfOpen || plan.accept == Accept::Dead {
        return 0;
    }
    let all = open_at_once(&cell.load).saturating_add(leaked(cell)).min(cell.load.connections);
    match (plan.max_connections, plan.at_max) {
        (Some(cap), AtMax::Wait | AtMax::Close) => all.min(u64::from(cap) * u64::from(cell.target.shards)),
        (Some(_), AtMax::Ignore) | (None, _) => all,
    }
}

/// Connections that the target never closes although their peers have.
fn leaked(cell: &Cell) -> u64 {
    match (cell.load.behaviour, u64::from(cell.target.plan.leak_one_in)) {
        (Behaviour::Churn { .. }, one_in @ 1..) => cell.load.connections / one_in,
        _ => 0,
    }
}

/// Descriptors that one connection costs the target.
pub(super) fn target_files_each(cell: &Cell) -> u64 {
    1 + u64::from(cell.target.plan.extra_fds_per_connection)
}

/// Open files of one connection: both ends, and what the server opens besides. A half-open one has a client's end only.
fn files_each(cell: &Cell) -> u64 {
    match cell.load.behaviour {
        Behaviour::HalfOpen => 1,
        Behaviour::Idle
        | Behaviour::Churn { .. }
        | Behaviour::Heartbeat { .. }
        | Behaviour::SlowReader { .. }
        | Behaviour::Reconnect => 1 + target_files_each(cell),
    }
}

/// Memory of one open connection, in bytes.
fn bytes_each(cell: &Cell) -> u64 {
    let kernel = match cell.load.behaviour {
        Behaviour::HalfOpen => KERNEL_BYTES_PER_HALF_OPEN,
        Behaviour::SlowReader { .. } => KERNEL_BYTES_PER_CONNECTION + BYTES_PER_SLOW_READER,
        Behaviour::Idle | Behaviour::Churn { .. } | Behaviour::Heartbeat { .. } | Behaviour::Reconnect => {
            KERNEL_BYTES_PER_CONNECTION
        }
    };
    kernel + USER_BYTES_PER_CONNECTION + u64::from(cell.target.plan.extra_fds_per_connection) * BYTES_PER_EXTRA_FD
}

/// Memory that does not grow with the connections open at once, in bytes: what churn leaves behind for a minute, and a full table.
fn apart_bytes(cell: &Cell, machine: &Machine) -> u64 {
    let left_behind = match cell.load.behaviour {
        Behaviour::Churn { .. } => cell.load.connections * BYTES_PER_TIME_WAIT + leaked(cell) * bytes_each(cell),
        Behaviour::Idle
        | Behaviour::HalfOpen
        | Behaviour::Heartbeat { .. }
        | Behaviour::SlowReader { .. }
        | Behaviour::Reconnect => storm(cell) * BYTES_PER_TIME_WAIT,
    };
    left_behind + conntrack_entries(cell, machine) * BYTES_PER_CONNTRACK_ENTRY
}

/// Connections that a storm closes; each leaves a `TIME_WAIT`.
fn storm(cell: &Cell) -> u64 {
    let share = cell.load.comeback.storm.map_or(0, |storm| u64::from(storm.share_percent));
    cell.load.connections / 100 * share
}

/// Entries that are put into the connection-tracking table.
fn conntrack_entries(cell: &Cell, machine: &Machine) -> u64 {
    if cell.faults.contains(&Fault::ConntrackFull) { machine.conntrack_max.unwrap_or(CONNTRACK_MAX_DEFAULT) } else { 0 }
}

fn fill_time(cell: &Cell, machine: &Machine) -> Duration {
    let thousands = conntrack_entries(cell, machine).div_ceil(1_000);
    FILL_PER_THOUSAND.saturating_mul(u32::try_from(thousands).unwrap_or(u32::MAX))
}

/// The soft descriptor limit of the target: the cell's, or brimful's own, raised where the server raises it.
pub(super) fn target_limit(cell: &Cell, machine: &Machine) -> u64 {
    let (soft, hard) = match cell.nofile {
        Some(limits) => (limits.soft, limits.hard),
        None => (machine.nofile_soft, machine.nofile_hard),
    };
    // Whether a command raises its soft limit is its own affair, and then it has more than it needs.
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
pub(crate) mod tests {
    use super::*;
    use crate::matrix::expand;
    use crate::scenario::Scenario;

    /// The machine that the limits of the first scenario were measured on.
    pub(crate) fn machine() -> Machine {
        Machine {
            nofile_hard: 20_000,
            nofile_soft: 1_024,
            memory_available_bytes: 24 << 30,
            file_max: 2_000_000,
            file_nr: 1_000,
            cpus: 2,
            conntrack_max: Some(262_144),
            kernel: "6.18.44".to_owned(),
        }
    }

    pub(crate) fn cells(more: &str, connections: u64) -> Vec<Cell> {
        let text = format!(
            "question = \"?\"\nload.connections = {connections}\nload.ramp = \"3s\"\nload.hold = \"8s\"\n{more}\n"
        );
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
        assert_eq!(cost.memory_bytes, 12_000 * 8_492 + 4 * BYTES_PER_PROCESS);
        assert_eq!((cost.ports_used, cost.ports_available), (12_000, 31_743));
    }

    #[test]
    fn half_open_connections_cost_the_server_no_descriptor() {
        let cell = &cells("topology.path = \"veth\"\nmatrix.load.behaviour = [\"half-open\"]", 1_000)[0];
        let cost = cost(cell, &machine()).unwrap();
        assert_eq!((cost.target_descriptors, cost.load_descriptors), (16, 1_016));
        assert_eq!((cost.files, cost.memory_bytes), (1_000 + 4 * 16, 1_000 * 3_800 + 4 * BYTES_PER_PROCESS));
    }

    #[test]
    fn churn_costs_what_is_open_and_what_is_left_behind() {
        let more = "matrix.load.behaviour = [\"churn\"]\nmatrix.target.leak-one-in = [4]\nload.lifetime = \"200ms\"";
        let cost = cost(&cells(more, 3_000)[0], &machine()).unwrap();
        assert_eq!((cost.open_at_once, cost.load_descriptors), (1_201, 1_217));
        assert_eq!(cost.target_descriptors, 1_201 + 750 + 16);
        assert_eq!((cost.ports_used, cost.files), (3_000, 2 * 1_201 + 750 + 4 * 16));
        assert_eq!(cost.memory_bytes, (1_201 + 750) * 8_492 + 3_000 * 512 + 4 * BYTES_PER_PROCESS);
    }

    #[test]
    fn slow_readers_and_storms_have_their_price() {
        let one = |more: &str| cost(&cells(more, 1_000)[0], &machine()).unwrap();
        let idle = one("");
        let slow = one("matrix.load.behaviour = [\"slow-reader\"]\nload.read-rate = 0");
        assert_eq!(slow.memory_bytes - idle.memory_bytes, 1_000 * 512 * 1_024);
        let storm = one("load.behaviour = \"reconnect\"\nload.storm-at = \"5s\"\nload.storm-share = 50");
        assert_eq!((idle.ports_used, storm.ports_used), (1_000, 3_000));
        assert_eq!(storm.memory_bytes - idle.memory_bytes, 500 * 512);
    }

    #[test]
    fn a_full_connection_tracking_table_costs_time_and_memory() {
        let full = &cells("[[fault]]\nkind = \"conntrack-full\"", 100)[0];
        let plain = cost(&cells("", 100)[0], &machine()).unwrap();
        let small = Machine { conntrack_max: Some(1_000), ..machine() };
        let unknown = Machine { conntrack_max: None, ..machine() };
        let said = |machine: &Machine| {
            let cost = cost(full, machine).unwrap();
            ((cost.time - plain.time).as_millis(), (cost.memory_bytes - plain.memory_bytes) >> 20)
        };
        assert_eq!((said(&machine()), said(&unknown), said(&small)), ((2_630, 80), (2_630, 80), (10, 0)));
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
