//! The observer: samples both ends' namespaces and every process of the cell, from outside, on the caller's schedule.
//!
//! It must not judge, must not wait for anything that may not come, and must not cost more than it tells: every source
//! has an account, and what grows with the connections held is read on a budget.

mod budget;
mod file;
mod host;
mod meter;
mod plain;
mod process;
mod side;
mod tree;

use std::path::{Path, PathBuf};

pub use budget::Budget;
pub use side::{Side, SideName};
pub(crate) use tree::{children, members};

use host::Host;
use process::{Round, Units, Watched};
use rustix::time::{ClockId, clock_gettime};
use tree::Tree;

use serde::{Deserialize, Serialize};

use brimful_evidence::record::{Evidence, Role};

/// Dumps of connections by state, on both sides together, may take a 500th of a core.
const STATES_SHARE: u64 = 500;
/// What is read of every process besides the target's descriptors, of all together, may take a thousandth of a core: six of them are read in every
/// round, a hundred each second or two.
const PROCESSES_SHARE: u64 = 1_000;
/// Asking descriptors what they are, of one process after the other, may take a 4,000th: 10,000 take 17 ms.
const KINDS_SHARE: u64 = 4_000;
/// A process with more descriptors than this is asked in the last round only: the budget pays afterwards, and one answer of 20,000 descriptors would use
/// up what three minutes give.
const KINDS_MOST: u64 = 4_096;

/// What one round saw, for the live view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Glance {
    /// When, in nanoseconds since the start of the cell.
    pub at_ns: u64,
    /// Connections waiting at the listener on the first of the target's ports, the fullest where there are several.
    pub recv_q: Option<u64>,
    /// Its limit; the queue holds one more.
    pub limit: Option<u64>,
    /// Its drops so far.
    pub drops: Option<u64>,
    /// Open descriptors of the target's first shard.
    pub target_descriptors: Option<u64>,
    /// Its soft `RLIMIT_NOFILE`.
    pub target_nofile_soft: Option<u64>,
}

/// Watches one cell.
#[derive(Debug)]
pub struct Observer {
    proc_root: PathBuf,
    server: Side,
    client: Option<Side>,
    host: Host,
    processes: Vec<Watched>,
    trees: Vec<Tree>,
    units: Units,
    states: Budget,
    /// What the last dump of states cost, and how many descriptors there were.
    dumped: (u64, u64),
    rest: Budget,
    kinds: Budget,
    /// Whose descriptors are asked next.
    next_kinds: usize,
    alarms: Option<u64>,
    buffer: Vec<u8>,
}

impl Observer {
    /// An observer of the namespaces where the target listens and, where it is another one, where the load is.
    /// `proc_root` is `/proc`; of the target's ports the first is the one that the live view shows.
    #[must_use]
    pub fn new(proc_root: PathBuf, mut server: Side, mut client: Option<Side>, target_ports: &[u16]) -> Self {
        server.aim(target_ports);
        if let Some(client) = &mut client {
            client.aim(target_ports);
        }
        Self {
            host: Host::open(&proc_root),
            proc_root,
            server,
            client,
            processes: Vec::new(),
            trees: Vec::new(),
            units: Units::of_this_machine(),
            states: Budget::one_in(STATES_SHARE),
            dumped: (0, 0),
            rest: Budget::one_in(PROCESSES_SHARE),
            kinds: Budget::one_in(KINDS_SHARE),
            next_kinds: 0,
            alarms: None,
            buffer: Vec::new(),
        }
    }

    /// Watches one more process from the next round on. One that is gone already is recorded without readings. One that takes
    /// the place of another, after a restart, continues its series: what is counted is counted on from there.
    pub fn watch(&mut self, role: Role, shard: u32, pid: u32) {
        let new = Watched::open(&self.proc_root, role, shard, pid, None);
        let same = |old: &&mut Watched| old.is(role, shard) && old.evidence.member.is_none();
        match self.processes.iter_mut().find(same) {
            Some(old) => {
                old.succeeded_by(new);
                self.look_again();
            }
            None => self.processes.push(new),
        }
    }

    /// Watches every process of a command, by the worker that keeps it, from the next round on: those there are, and those to come.
    /// After a restart those of the earlier life stay apart, each with a series of its own that ends with it.
    pub fn watch_tree(&mut self, role: Role, shard: u32, keeper: u32) {
        let Some(tree) = self.trees.iter_mut().find(|tree| (tree.role, tree.shard) == (role, shard)) else {
            self.trees.push(Tree::of(role, shard, keeper));
            return;
        };
        tree.is_kept_by(keeper);
        self.processes.iter_mut().filter(|old| old.is(role, shard)).for_each(Watched::has_left);
        self.look_again();
    }

    /// Reads everything of every process in the next round: something was changed, such as a limit.
    pub fn look_again(&mut self) {
        self.rest.forgive();
    }

    /// Watches the throttling of the control group whose processor time the target uses, by its folder, from the next round on.
    pub fn watch_cgroup(&mut self, folder: &Path) {
        self.host.watch_cgroup(folder);
    }

    /// One round, at nanoseconds since the start of the cell. Rounds come in time order.
    pub fn sample(&mut self, at_ns: u64) -> Glance {
        self.round(at_ns, KINDS_MOST)
    }

    /// One round, in which descriptors are asked what they are where a process has at most so many.
    fn round(&mut self, at_ns: u64, most: u64) -> Glance {
        for side in std::iter::once(&mut self.server).chain(&mut self.client) {
            side.sample(at_ns, &mut self.buffer);
        }
        for tree in &mut self.trees {
            for (pid, member) in tree.look(at_ns, &self.proc_root) {
                self.processes.push(Watched::open(&self.proc_root, tree.role, tree.shard, pid, Some(member)));
            }
        }
        let whole = self.rest.allows(at_ns, false);
        let begun = cpu_ns(ClockId::ThreadCPUTime);
        let targets = self.processes.iter().filter(|process| process.evidence.role == Role::Target).count() as u64;
        let others = self.processes.len() as u64 - targets;
        let round = Round { at_ns, whole, targets, others, units: self.units };
        for process in &mut self.processes {
            process.sample(&round, &mut self.buffer);
        }
        if whole {
            // Processor time, not time on the clock: on a starved machine, where a process's waiting is the evidence, a round takes long and costs little.
            self.rest.spend(at_ns, cpu_ns(ClockId::ThreadCPUTime).saturating_sub(begun));
        }
        self.sample_kinds(at_ns, most);
        self.host.sample(at_ns, &mut self.buffer);
        self.sample_states(at_ns);
        self.glance(at_ns)
    }

    /// The last round, before anything is let go: it reads everything whatever it costs, so that every series ends with
    /// what there was at the end.
    pub fn sample_last(&mut self, at_ns: u64) -> Glance {
        self.states.forgive();
        self.rest.forgive();
        self.kinds.forgive();
        self.host.forgive();
        for side in std::iter::once(&mut self.server).chain(&mut self.client) {
            side.forgive();
        }
        self.round(at_ns, u64::MAX)
    }

    /// All that was seen, and the account of every source.
    #[must_use]
    pub fn finish(self) -> Evidence {
        let both = self.client.is_some();
        let mut sources = Vec::new();
        let server = self.server.finish(both, &mut sources);
        let client = self.client.map(|side| side.finish(both, &mut sources));
        let processes = self.processes.into_iter().map(|process| process.finish(&mut sources)).collect();
        self.trees.into_iter().for_each(|tree| tree.finish(&mut sources));
        let host = self.host.finish(&mut sources);
        Evidence { server, client, processes, host, sources }
    }

    /// Asks one process after the other what its descriptors are, each at most once, for as long as the budget allows. One that has more than `most`
    /// is passed over.
    fn sample_kinds(&mut self, at_ns: u64, most: u64) {
        for _ in 0..self.processes.len() {
            if !self.kinds.allows(at_ns, false) {
                return;
            }
            self.next_kinds = (self.next_kinds + 1) % self.processes.len();
            if let Some(cost_ns) =
                self.processes.get_mut(self.next_kinds).and_then(|process| process.sample_kinds(at_ns, most))
            {
                self.kinds.spend(at_ns, cost_ns);
            }
        }
    }

    /// Dumps connections by state when the budget allows, and sooner when connections were turned away since the last one.
    fn sample_states(&mut self, at_ns: u64) {
        let sides = std::iter::once(&self.server).chain(&self.client);
        let alarms = sides.map(Side::alarms).fold(0, u64::wrapping_add);
        let urgent = self.alarms.is_some_and(|before| before != alarms);
        // A dump takes as long as there are many sockets, and a ramp has twice as many before long.
        let descriptors = self.processes.iter().map(|process| process.evidence.descriptors.last).sum();
        let (before_ns, before) = self.dumped;
        let expected_ns = u128::from(before_ns) * u128::from(descriptors) / u128::from(before.max(1));
        if !self.states.allows_costing(at_ns, u64::try_from(expected_ns).unwrap_or(u64::MAX), urgent) {
            return;
        }
        let sides = std::iter::once(&mut self.server).chain(&mut self.client);
        let cost_ns = sides.map(|side| side.sample_states(at_ns)).fold(0, u64::saturating_add);
        self.states.spend(at_ns, cost_ns);
        self.dumped = (cost_ns, descriptors);
        self.alarms = Some(alarms);
    }

    fn glance(&self, at_ns: u64) -> Glance {
        let listener = self.server.main_listener();
        let first_target = |process: &&Watched| process.evidence.role == Role::Target && process.evidence.shard == 0;
        // Of a command's processes, the one with the most.
        let target = self.processes.iter().filter(first_target).filter(|process| process.is_alive());
        let target = target.max_by_key(|process| process.evidence.descriptors.last);
        let last = |series: &brimful_evidence::series::Series| (series.reads > 0).then_some(series.last);
        Glance {
            at_ns,
            recv_q: listener.map(|l| l.recv_q),
            limit: listener.map(|l| l.limit),
            drops: listener.and_then(|l| l.drops),
            target_descriptors: target.and_then(|t| last(&t.evidence.descriptors)),
            target_nofile_soft: target.and_then(|t| last(&t.evidence.nofile_soft)),
        }
    }
}

/// What a clock of processor time shows, in nanoseconds.
pub(crate) fn cpu_ns(clock: ClockId) -> u64 {
    let t = clock_gettime(clock);
    t.tv_sec.unsigned_abs() * 1_000_000_000 + t.tv_nsec.unsigned_abs()
}

#[cfg(test)]
mod tests;
