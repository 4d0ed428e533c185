//! Which limit should bind first, and at how many connections: closed forms from the knobs, before anything runs. Pure.
//!
//! Each form speaks of one limit as if there were no other. What follows from a limit (a queue that fills because
//! nobody has descriptors to accept with) is not predicted: the first limit is the one to look for.

use std::fmt;
use std::time::Duration;

use brimful_loadgen_plan::plan::Behaviour;
use brimful_target_plan::{Accept, AcceptPause, OnEmfile};
use serde::{Deserialize, Serialize};

use super::cell::{Cell, Path, SourceChoice};
use super::cost::{self, CONNTRACK_MAX_DEFAULT, Machine};
use super::fault::Fault;
use crate::arrivals::{steady, within};
use crate::wording::grouped;

/// Descriptors that the built-in server has open before the first connection, counted on Linux 6.18: standard streams, epoll and
/// its duplicates, event and signal descriptors of the runtime, its order pipe, one listener.
pub const BASE_DESCRIPTORS: u64 = 11;
/// `net.core.somaxconn` of a fresh namespace (`include/linux/socket.h`, `SOMAXCONN`); 128 before Linux 5.4.
pub const SOMAXCONN_DEFAULT: u64 = 4_096;
/// How long a port in `TIME_WAIT` is kept from a new connection where it may be reused at all (`tcp_tw_reuse_delay`, and
/// the same second before that was a knob).
const REUSE_DELAY: Duration = Duration::from_secs(1);

/// What can run out. In the order in which equals are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LimitKind {
    /// The connection-tracking table.
    Conntrack,
    /// The server's descriptors.
    Descriptors,
    /// The server's own cap.
    AppConnectionCap,
    /// A listener's accept queue.
    AcceptQueue,
    /// The part of `tcp_max_syn_backlog` that is open to strangers while cookies are off.
    SynQueueThreeQuarterRule,
    /// A listener's SYN queue, while cookies are off.
    SynQueue,
    /// Source ports of the load.
    SourcePorts,
    /// Open files of the whole machine.
    FileMax,
    /// Memory.
    Memory,
}

impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Conntrack => "conntrack",
            Self::Descriptors => "descriptors",
            Self::AppConnectionCap => "application cap",
            Self::AcceptQueue => "accept queue",
            Self::SynQueueThreeQuarterRule => "three-quarter rule",
            Self::SynQueue => "SYN queue",
            Self::SourcePorts => "source ports",
            Self::FileMax => "open files",
            Self::Memory => "memory",
        })
    }
}

/// One limit of a cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// What runs out.
    pub kind: LimitKind,
    /// Connections that can be begun, at the cell's own pace, before it does; the next one meets it.
    pub at_connections: u64,
    /// How that number came about.
    pub formula: String,
}

/// Every limit of a cell that some number of connections would meet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prediction {
    /// The one that this cell's connections and its health check meet first; `None` where they fit below all.
    pub binding: Option<Limit>,
    /// All of them, the lowest first. One that no number of connections would meet at this pace is not there.
    pub all: Vec<Limit>,
}

/// In a few words: `descriptors at 1,011`, or `none`.
impl fmt::Display for Prediction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.binding {
            Some(limit) => f.pad(&format!("{} at {}", limit.kind, grouped(limit.at_connections))),
            None => f.pad("none"),
        }
    }
}

/// Predicts a cell on a machine.
#[must_use]
pub fn predict(cell: &Cell, machine: &Machine) -> Prediction {
    let forms = [
        conntrack(cell, machine),
        descriptors(cell, machine),
        app_cap(cell),
        accept_queue(cell),
        three_quarters(cell),
        syn_queue(cell),
        source_ports(cell, machine),
        file_max(cell, machine),
        memory(cell, machine),
    ];
    let mut all: Vec<Limit> = forms.into_iter().flatten().collect();
    all.sort_by_key(|limit| (limit.at_connections, limit.kind));
    let binding = all.iter().find(|limit| is_met(cell, limit)).cloned();
    Prediction { binding, all }
}

/// Whether the load meets a limit, or leaves the health check nothing of what it needs as well: where both draw on the
/// same, the health check is one connection more.
fn is_met(cell: &Cell, limit: &Limit) -> bool {
    let apart = match limit.kind {
        // A load that names its ports leaves the kernel's to the health check.
        LimitKind::SourcePorts => cell.load.source == SourceChoice::Auto,
        LimitKind::FileMax | LimitKind::Memory => true,
        LimitKind::Conntrack
        | LimitKind::Descriptors
        | LimitKind::AppConnectionCap
        | LimitKind::AcceptQueue
        | LimitKind::SynQueueThreeQuarterRule
        | LimitKind::SynQueue => false,
    };
    cell.load.connections.saturating_add(u64::from(!apart)) > limit.at_connections
}

fn limit(kind: LimitKind, at_connections: u64, formula: impl Into<String>) -> Option<Limit> {
    Some(Limit { kind, at_connections, formula: formula.into() })
}

/// A fresh namespace tracks nothing, so only a table that was filled on purpose is a limit.
fn conntrack(cell: &Cell, machine: &Machine) -> Option<Limit> {
    let full = cell.faults.contains(&Fault::ConntrackFull);
    let entries = grouped(machine.conntrack_max.unwrap_or(CONNTRACK_MAX_DEFAULT));
    full.then(|| limit(LimitKind::Conntrack, 0, format!("{entries} of {entries} entries are taken before the start")))?
}

/// Whether connections get as far as being accepted.
fn are_accepted(cell: &Cell) -> bool {
    completes_handshakes(cell) && !is_deferred(cell) && cell.target.plan.accept != Accept::Dead
}

/// Whether the clients' last ACK reaches the server.
fn completes_handshakes(cell: &Cell) -> bool {
    match cell.load.behaviour {
        Behaviour::HalfOpen => false,
        Behaviour::Idle
        | Behaviour::Churn { .. }
        | Behaviour::Heartbeat { .. }
        | Behaviour::SlowReader { .. }
        | Behaviour::Reconnect => true,
    }
}

/// Whether the server waits for data that does not come. A slow reader asks at once; a heartbeat comes within its interval or, from those that
/// do not beat, never.
fn is_deferred(cell: &Cell) -> bool {
    cell.target.plan.defer_accept.is_some() && !matches!(cell.load.behaviour, Behaviour::SlowReader { .. })
}

fn descriptors(cell: &Cell, machine: &Machine) -> Option<Limit> {
    let plan = &cell.target.plan;
    if cell.target.command.is_some() {
        return of_a_command(cell, machine);
    }
    let own = BASE_DESCRIPTORS
        + u64::from(plan.health_listen.is_some())
        + u64::from(plan.reuseport.saturating_sub(1))
        + u64::from(plan.on_emfile == OnEmfile::ReserveFd);
    let soft = cost::target_limit(cell, machine);
    let each = cost::target_files_each(cell);
    let mut formula = format!("{} - {own}", grouped(soft));
    if each > 1 {
        formula = format!("({formula}) / {each}");
    }
    let room = soft.saturating_sub(own) / each;
    held(cell, LimitKind::Descriptors, room, formula)
}

/// How many descriptors a command opens for itself, and over how many processes it spreads its connections, is not known before it
/// runs: the limit of one process, with nothing open, is the most that can be said.
fn of_a_command(cell: &Cell, machine: &Machine) -> Option<Limit> {
    let (soft, each) = (cost::target_limit(cell, machine), cost::target_files_each(cell));
    let divided = if each > 1 { format!(" / {each}") } else { String::new() };
    let formula = format!("{}{divided} for each of its processes, less what it opens for itself", grouped(soft));
    held(cell, LimitKind::Descriptors, soft / each, formula)
}

fn app_cap(cell: &Cell) -> Option<Limit> {
    let cap = u64::from(cell.target.plan.max_connections?);
    held(cell, LimitKind::AppConnectionCap, cap, grouped(cap))
}

/// A limit on what each process of the target holds at once.
fn held(cell: &Cell, kind: LimitKind, each: u64, formula: String) -> Option<Limit> {
    if !are_accepted(cell) {
        return None;
    }
    let shards = u64::from(cell.target.shards.max(1));
    let room = each.saturating_mul(shards);
    let formula = if shards > 1 { format!("({formula}) × {shards} processes") } else { formula };
    let open = steady(&cell.load);
    match (cell.load.behaviour, u64::from(cell.target.plan.leak_one_in)) {
        // Connections that come and go meet it only where they are too many at once ...
        (Behaviour::Churn { .. }, 0) => (open > room).then(|| limit(kind, room, formula))?,
        // ... or where some of them stay.
        (Behaviour::Churn { .. }, one_in) => {
            let leaks = room.saturating_sub(open);
            let at = open.min(room).saturating_add(leaks.saturating_mul(one_in));
            limit(kind, at, format!("{formula} = {}; {} open and one in {one_in} leaked", grouped(room), grouped(open)))
        }
        _ => limit(kind, room, formula),
    }
}

/// What one listening socket holds: the kernel keeps min(backlog, somaxconn), and one more fits (`sk_acceptq_is_full`).
/// `None` for a command whose backlog nobody has stated.
fn queue(cell: &Cell) -> Option<(u64, String)> {
    let somaxconn = sysctl(cell, "net.core.somaxconn").unwrap_or(SOMAXCONN_DEFAULT);
    let kept = somaxconn.min(u64::from(cell.target.backlog()?));
    Some((kept.saturating_add(1), format!("{} + 1", grouped(kept))))
}

/// Listening sockets over which connections spread evenly.
fn listeners(cell: &Cell) -> u64 {
    u64::from(cell.target.shards.max(1)) * u64::from(cell.target.plan.reuseport.max(1))
}

fn times(formula: &str, listeners: u64) -> String {
    if listeners > 1 { format!("({formula}) × {listeners} listeners") } else { formula.to_owned() }
}

fn accept_queue(cell: &Cell) -> Option<Limit> {
    let plan = &cell.target.plan;
    if !completes_handshakes(cell) || is_deferred(cell) {
        return None;
    }
    let (room, formula) = queue(cell)?;
    let all = room.saturating_mul(listeners(cell));
    let never = plan.accept == Accept::Dead || plan.reuseport_stuck > 0;
    let stalls = [plan.accept_pause, plan.block];
    let forms = [
        never.then(|| (all, times(&formula, listeners(cell)))),
        throttled(cell, all),
        stalls.into_iter().flatten().filter_map(|pause| stalled(cell, pause, all)).min(),
    ];
    let (at, formula) = forms.into_iter().flatten().min()?;
    limit(LimitKind::AcceptQueue, at, formula)
}

/// A queue that fills with what arrives beyond the rate at which it is emptied: `room × arriving / (arriving - accepted)`.
fn throttled(cell: &Cell, room: u64) -> Option<(u64, String)> {
    let rate = u128::from(cell.target.plan.accept_rate?) * u128::from(cell.target.shards.max(1));
    // Connections per ramp on both sides, so that nothing is rounded before the end.
    let arriving = u128::from(cell.load.connections) * 1_000;
    let accepted = rate * cell.load.ramp.as_millis();
    let surplus = arriving.checked_sub(accepted).filter(|&surplus| surplus > 0)?;
    let at = u64::try_from(u128::from(room) * arriving / surplus).unwrap_or(u64::MAX);
    let arriving = grouped(within(&cell.load, Duration::from_secs(1)).saturating_sub(1));
    Some((at, format!("a queue of {}, {arriving} a second arriving and {rate} accepted", grouped(room))))
}

/// A queue that fills with what arrives while the first pause lasts.
fn stalled(cell: &Cell, pause: AcceptPause, room: u64) -> Option<(u64, String)> {
    if pause.first >= cell.load.ramp && !cell.load.ramp.is_zero() {
        return None;
    }
    let before = if pause.first.is_zero() { 0 } else { within(&cell.load, pause.first).saturating_sub(1) };
    let meanwhile = within(&cell.load, pause.first.saturating_add(pause.length)).saturating_sub(before);
    (meanwhile > room).then(|| {
        (
            before.saturating_add(room),
            format!("{} before the first pause, and a queue of {}", grouped(before), grouped(room)),
        )
    })
}

/// Whether connections stay in the SYN queue, and a full one drops.
fn fills_syn_queue(cell: &Cell) -> bool {
    let stays = cell.load.behaviour == Behaviour::HalfOpen || is_deferred(cell);
    stays && sysctl(cell, "net.ipv4.tcp_syncookies") == Some(0)
}

fn syn_queue(cell: &Cell) -> Option<Limit> {
    let (room, formula) = queue(cell)?;
    let listeners = listeners(cell);
    let at = room.saturating_mul(listeners);
    fills_syn_queue(cell).then(|| limit(LimitKind::SynQueue, at, times(&formula, listeners)))?
}

/// `max - qlen < max >> 2` drops strangers (`net/ipv4/tcp_input.c`, `tcp_conn_request`). The default follows the machine's
/// memory, so only a value that the cell sets is known.
fn three_quarters(cell: &Cell) -> Option<Limit> {
    let max = sysctl(cell, "net.ipv4.tcp_max_syn_backlog").filter(|_| fills_syn_queue(cell))?;
    let listeners = listeners(cell);
    let at = (max - (max >> 2)).saturating_add(1).saturating_mul(listeners);
    limit(
        LimitKind::SynQueueThreeQuarterRule,
        at,
        times(&format!("{} - {} + 1", grouped(max), grouped(max >> 2)), listeners),
    )
}

/// Ports that were named are enough by construction; those of the kernel's choice are counted for each destination.
fn source_ports(cell: &Cell, machine: &Machine) -> Option<Limit> {
    let available = cost::cost(cell, machine).ok()?.ports_available;
    let formula = match cell.load.source {
        SourceChoice::Auto => "addresses × ports of the plan",
        SourceChoice::Kernel => "net.ipv4.ip_local_port_range for each destination",
    };
    if let (Behaviour::Churn { lifetime }, true) = (cell.load.behaviour, reuses_time_wait(cell)) {
        let taken = within(&cell.load, lifetime.saturating_add(REUSE_DELAY));
        if cell.load.source == SourceChoice::Kernel && taken <= available {
            return None;
        }
    }
    let each = match cell.load.source {
        SourceChoice::Auto => 1 + cell.load.comeback.more_sources(),
        // What the server closes leaves its `TIME_WAIT` there; only a storm leaves them here.
        SourceChoice::Kernel => 1 + u64::from(cell.load.comeback.storm.is_some()),
    };
    let again = if each > 1 { format!(" / {each}, because connections come back") } else { String::new() };
    limit(LimitKind::SourcePorts, available / each, format!("{formula}{again}"))
}

/// `tcp_tw_reuse` is 2 where nothing is said: on loopback only (`tcp_twsk_unique`).
fn reuses_time_wait(cell: &Cell) -> bool {
    match sysctl(cell, "net.ipv4.tcp_tw_reuse").unwrap_or(2) {
        0 => false,
        1 => true,
        _ => cell.path == Path::Loopback,
    }
}

fn file_max(cell: &Cell, machine: &Machine) -> Option<Limit> {
    all_at_once(cell)?;
    limit(LimitKind::FileMax, cost::files_fit(cell, machine)?, "fs.file-max less what is open")
}

fn memory(cell: &Cell, machine: &Machine) -> Option<Limit> {
    all_at_once(cell)?;
    limit(LimitKind::Memory, cost::memory_fits(cell, machine)?, "available memory by what a connection costs")
}

/// For churn both are so far away that nobody asks.
fn all_at_once(cell: &Cell) -> Option<()> {
    (!matches!(cell.load.behaviour, Behaviour::Churn { .. })).then_some(())
}

/// A sysctl that the cell sets, as a number.
fn sysctl(cell: &Cell, name: &str) -> Option<u64> {
    cell.sysctls.get(name)?.parse().ok()
}

#[cfg(test)]
mod tests;
