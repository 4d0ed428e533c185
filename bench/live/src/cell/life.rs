//! The target's lives within one cell: who asks after it, when it is told to stop, and when it is started again. What is
//! decided is decided in [`brimful_plan::kubelet`]; here it is done. The namespaces outlive the target, as a pod's do.

use std::collections::BTreeSet;
use std::time::Duration;

use brimful_evidence::record::{Life, LifeEnd, LifeEndWhy, Role};
use brimful_loadgen_plan::probe::Sample;
use brimful_plan::cell::{Cell, ProbeSetup};
use brimful_plan::kubelet::{BackOff, Check, Checks, Decision, GRACE, Thresholds};
use brimful_plan::topology::Layout;
use brimful_target::clock::monotonic_ns;
use brimful_target_plan::{Ready, TargetOutcome};

use super::{CellError, PATIENCE, SANDBOX, Stage, since};
use crate::message::{CommandAccount, Order, Tell};
use crate::process::{Key, LET_GO, in_words};

/// The probes in the order of their workers' numbers.
pub(super) const CHECKS: [Check; 3] = [Check::Liveness, Check::Startup, Check::Readiness];

/// [`LET_GO`] in nanoseconds.
const LET_GO_NS: u64 = LET_GO.as_secs() * 1_000_000_000;

/// How long after its grace a command is let go: its init counts that grace too, and tells then what was written.
const TO_TELL: Duration = Duration::from_millis(500);

/// What the target is doing.
#[derive(Debug)]
enum Phase {
    /// It runs, or has ended by itself with nobody to start it again.
    Runs,
    /// It was told to stop, or is killed, and some of its processes are still there.
    Stops { why: LifeEndWhy, decided_ns: u64, kill_at_ns: u64, killed: bool, closed: BTreeSet<Key>, how: String },
    /// It is gone, and is started again at this instant.
    Rests { ended_ns: u64, until_ns: u64, counts: bool },
    /// It was started, and does not listen yet.
    Starts { since_ns: u64, awaited: BTreeSet<Key> },
}

/// The target's lives, and who asks after it. Instants are of `CLOCK_MONOTONIC`.
#[derive(Debug)]
pub(super) struct Upkeep {
    /// The orders of the target's processes, by shard: what they are started with again.
    pub(super) orders: Vec<Order>,
    /// Whether the kubelet acts, and whether anything at all can restart the target.
    kubelet: bool,
    recorded: bool,
    /// Whether it is a command, whose worker only keeps it.
    command: bool,
    /// How a command said that it had ended; the status of its worker tells nothing.
    said_how: Option<String>,
    checks: Checks,
    back_off: BackOff,
    grace: Duration,
    phase: Phase,
    /// Which probes were told to ask, and which have come to the end of the cell.
    asked: [bool; 3],
    done: [bool; 3],
}

impl Upkeep {
    pub(super) fn new(cell: &Cell, layout: &Layout) -> Self {
        let of = |setup: &ProbeSetup| Thresholds { failure: setup.failure_threshold, success: setup.success_threshold };
        let restart = cell.restart.as_ref();
        let startup = restart.and_then(|restart| restart.startup.as_ref());
        let readiness = restart.and_then(|restart| restart.readiness.as_ref());
        let mut checks = Checks::new(of(&cell.probe), startup.map(of), readiness.map(of));
        checks.begin();
        let (base, cap) = restart.map_or((Duration::ZERO, Duration::ZERO), |r| (r.back_off, r.back_off_cap));
        Self {
            orders: Vec::with_capacity(layout.targets.len()),
            kubelet: restart.is_some(),
            recorded: restart.is_some() || cell.changes.iter().any(|change| change.what.ends_it()),
            command: cell.target.command.is_some(),
            said_how: None,
            asked: CHECKS.map(|check| checks.asks(check)),
            checks,
            back_off: BackOff::new(base, cap),
            grace: restart.map_or(GRACE, |restart| restart.grace),
            phase: Phase::Runs,
            done: [false; 3],
        }
    }

    /// Whether a probe asks at present.
    pub(super) fn is_asked(&self, check: Check) -> bool {
        self.asked.get(check as usize).copied().unwrap_or(false)
    }

    /// Whether liveness has come to the end of the cell, or will not be asked again before it.
    pub(super) fn liveness_is_over(&self) -> bool {
        !self.is_asked(Check::Liveness) || self.done[Check::Liveness as usize]
    }

    /// Which probe a worker is, if it was told to ask. What comes from another was on its way when it was told to hold.
    pub(super) fn asked_by(&self, key: Key) -> Option<Check> {
        let check = CHECKS.get(key.shard as usize).copied().filter(|_| key.role == Role::Probe)?;
        self.is_asked(check).then_some(check)
    }

    /// A probe has come to the end of the cell.
    pub(super) fn is_done(&mut self, key: Key) {
        if let Some(done) = self.done.get_mut(key.shard as usize) {
            *done = true;
        }
    }

    pub(super) fn probe_has_ended(&self, key: Key) -> bool {
        self.done.get(key.shard as usize).copied().unwrap_or(false)
    }

    /// Whether this process of the target is being started again.
    pub(super) fn starts(&self, key: Key) -> bool {
        matches!(&self.phase, Phase::Starts { awaited, .. } if awaited.contains(&key))
    }

    /// Whether a process of the target is on its way out.
    pub(super) fn is_ending(&self, key: Key) -> bool {
        key.role == Role::Target && matches!(&self.phase, Phase::Stops { .. })
    }

    /// Whether the target can be told to restart.
    pub(super) fn runs(&self) -> bool {
        matches!(self.phase, Phase::Runs)
    }

    /// When there is something to do; `u64::MAX` when that depends on others.
    pub(super) fn next_ns(&self) -> u64 {
        match &self.phase {
            Phase::Runs | Phase::Starts { .. } => u64::MAX,
            // The end of a process is asked for, not told.
            Phase::Stops { closed, .. } if !closed.is_empty() => 0,
            Phase::Stops { kill_at_ns, killed: false, .. } => *kill_at_ns,
            Phase::Stops { kill_at_ns, .. } => kill_at_ns.saturating_add(LET_GO_NS),
            Phase::Rests { until_ns, .. } => *until_ns,
        }
    }
}

impl Stage<'_> {
    fn since_start(&self, at_ns: u64) -> u64 {
        at_ns.saturating_sub(self.t0_ns)
    }

    /// The life that the cell begins with.
    pub(super) fn begin_first_life(&mut self) {
        if self.upkeep.recorded {
            let up_ns = self.upkeep.checks.asks(Check::Liveness).then_some(0);
            let first = Life { started_ns: 0, listening_ns: Some(0), up_ns, ready: Vec::new(), end: None };
            self.gathered.lives.push(first);
        }
    }

    /// Keeps the result of a probe.
    pub(super) fn note_sample(&mut self, check: Check, mut sample: Sample) {
        let all = match check {
            Check::Liveness => &mut self.gathered.samples,
            Check::Startup => &mut self.gathered.startup,
            Check::Readiness => &mut self.gathered.readiness,
        };
        // A prober that rested counts anew.
        sample.seq = all.len() as u64;
        all.push(sample);
    }

    /// A probe came to a result.
    pub(super) fn probed(&mut self, check: Check, sample: Sample) {
        let (passed, counts, ended_ns) = (sample.outcome.passed(), !sample.discarded, sample.ended_ns);
        self.note_sample(check, sample);
        if !self.upkeep.kubelet || !counts {
            return;
        }
        match self.upkeep.checks.result(check, passed) {
            Decision::Nothing => {}
            Decision::Up => {
                if let Some(life) = self.gathered.lives.last_mut() {
                    life.up_ns = Some(ended_ns);
                }
            }
            Decision::Ready(now) => {
                if let Some(life) = self.gathered.lives.last_mut() {
                    life.ready.push((ended_ns, now));
                }
            }
            Decision::Kill(check) => {
                let why = if check == Check::Startup { LifeEndWhy::Startup } else { LifeEndWhy::Liveness };
                self.stop(why, BTreeSet::new());
            }
        }
        self.ask_whom_it_concerns();
    }

    /// Tells the target to stop. `closed` are processes of it that have ended already.
    pub(super) fn stop(&mut self, why: LifeEndWhy, closed: BTreeSet<Key>) {
        let grace = self.upkeep.grace;
        for worker in self.workers.values_mut().filter(|worker| worker.key().role == Role::Target) {
            // One that has ended is heard of through its closed output.
            worker.tell(&Tell::Leave { grace }).ok();
        }
        let more = if self.upkeep.command { TO_TELL } else { Duration::ZERO };
        self.end_life(why, closed, grace.saturating_add(more));
    }

    /// Kills the target: `SIGKILL` to all that there is of it.
    pub(super) fn kill_the_target(&mut self) {
        self.end_life(LifeEndWhy::Killed, BTreeSet::new(), Duration::ZERO);
    }

    fn end_life(&mut self, why: LifeEndWhy, closed: BTreeSet<Key>, within: Duration) {
        self.upkeep.checks.end();
        self.ask_whom_it_concerns();
        let decided_ns = monotonic_ns();
        let kill_at_ns = decided_ns.saturating_add(u64::try_from(within.as_nanos()).unwrap_or(u64::MAX / 2));
        let how = String::new();
        self.upkeep.phase = Phase::Stops { why, decided_ns, kill_at_ns, killed: false, closed, how };
    }

    /// A process of the target gave its account.
    pub(super) fn gave_account(&mut self, key: Key, outcome: TargetOutcome) {
        self.note_target(key.shard, outcome);
        if let (Phase::Stops { .. }, Some(worker)) = (&self.upkeep.phase, self.workers.get_mut(&key)) {
            // It holds its sockets until it is let go.
            worker.close_input();
        }
    }

    /// A command's init told how it ended, or that it has not within its grace.
    pub(super) fn gave_words(&mut self, key: Key, account: CommandAccount) {
        let outlived = account.how.is_none();
        self.upkeep.said_how = account.how.clone().or(self.upkeep.said_how.take());
        self.note_command(key, account);
        if let Phase::Stops { killed, .. } = &mut self.upkeep.phase {
            *killed |= outlived;
            if let Some(worker) = self.workers.get_mut(&key) {
                // What is left of it ends with its init, and that with its input.
                worker.close_input();
            }
        }
    }

    /// A process of the target said that it failed, or closed its output.
    pub(super) fn fell(&mut self, key: Key, said: Option<String>) {
        let closes = said.is_none();
        match &mut self.upkeep.phase {
            Phase::Stops { closed, .. } => {
                if closes {
                    closed.insert(key);
                }
            }
            Phase::Runs | Phase::Starts { .. } => {
                self.note_early_end(key, said);
                // The failure comes before the end of its output.
                if self.upkeep.recorded && closes {
                    self.stop(LifeEndWhy::ByItself, BTreeSet::from([key]));
                }
            }
            Phase::Rests { .. } => {}
        }
    }

    /// Does what is due for the target: kills what outlives its grace, waits for what is gone, starts what has rested.
    pub(super) fn tend(&mut self, now_ns: u64) -> Result<(), CellError> {
        match &mut self.upkeep.phase {
            Phase::Runs => Ok(()),
            Phase::Starts { since_ns, .. } if since(*since_ns, now_ns) > PATIENCE => {
                Err(CellError::Silent { role: "target" })
            }
            Phase::Starts { .. } => Ok(()),
            Phase::Rests { until_ns, .. } if now_ns < *until_ns => Ok(()),
            Phase::Rests { .. } => self.start_again(now_ns),
            Phase::Stops { kill_at_ns, killed, .. } => {
                let first = !*killed && now_ns >= *kill_at_ns;
                if first || now_ns >= kill_at_ns.saturating_add(LET_GO_NS) {
                    *killed = true;
                    for worker in self.workers.values_mut().filter(|worker| worker.key().role == Role::Target) {
                        // What keeps a command ends when nothing is left of that, and before only where it hangs.
                        if !(first && worker.let_go()) {
                            worker.kill();
                        }
                    }
                }
                self.see_who_is_gone();
                Ok(())
            }
        }
    }

    /// Lets go of the processes that have ended; when none is left, the life is over.
    fn see_who_is_gone(&mut self) {
        let Phase::Stops { why, decided_ns, killed, closed, how, .. } = &mut self.upkeep.phase else { return };
        for key in closed.clone() {
            // Its output is closed, which is before its sockets are: only a process that was waited for has none.
            match self.workers.get_mut(&key).map(|worker| worker.ended()) {
                Some(Ok(None)) => {}
                ended => {
                    *how = ended.and_then(Result::ok).flatten().map_or_else(|| "an unknown status".into(), in_words);
                    self.workers.remove(&key);
                    closed.remove(&key);
                }
            }
        }
        if self.workers.keys().any(|key| key.role == Role::Target) {
            return;
        }
        if let Some(said) = self.upkeep.said_how.take() {
            *how = said;
        }
        let (ended_ns, why) = (monotonic_ns(), *why);
        let gone_ns = Some(ended_ns.saturating_sub(self.t0_ns));
        let decided = decided_ns.saturating_sub(self.t0_ns);
        let end = LifeEnd { why, decided_ns: decided, gone_ns, killed: *killed, how: std::mem::take(how) };
        let counts = self.upkeep.kubelet && why != LifeEndWhy::Change;
        if let Some(life) = self.gathered.lives.last_mut() {
            life.end = Some(end);
        }
        let until_ns = if counts { self.upkeep.back_off.may_start_ns(ended_ns) } else { ended_ns };
        // What ended by itself, or was killed, is started again by the kubelet, and otherwise when a change says so.
        let until_ns = if self.upkeep.kubelet || why == LifeEndWhy::Change { until_ns } else { u64::MAX };
        self.upkeep.phase = Phase::Rests { ended_ns, until_ns, counts };
        self.has_been_killed(ended_ns);
    }

    /// Whether the target is gone and nobody starts it again by himself; if so, it is started now.
    pub(super) fn starts_what_is_left_dead(&mut self, now_ns: u64) -> bool {
        match &mut self.upkeep.phase {
            Phase::Rests { until_ns, .. } if *until_ns == u64::MAX => {
                *until_ns = now_ns;
                true
            }
            Phase::Rests { .. } | Phase::Runs | Phase::Stops { .. } | Phase::Starts { .. } => false,
        }
    }

    fn start_again(&mut self, now_ns: u64) -> Result<(), CellError> {
        if let Phase::Rests { ended_ns, counts: true, .. } = self.upkeep.phase {
            self.upkeep.back_off.started(ended_ns, now_ns);
        }
        let started_ns = self.since_start(now_ns);
        self.gathered.lives.push(Life { started_ns, listening_ns: None, up_ns: None, ready: Vec::new(), end: None });
        let mut awaited = BTreeSet::new();
        for (shard, order) in (0..).zip(self.upkeep.orders.clone()) {
            self.add(Role::Target, shard, &order)?;
            awaited.insert(Key { role: Role::Target, shard });
        }
        self.upkeep.phase = Phase::Starts { since_ns: now_ns, awaited };
        Ok(())
    }

    /// A process of the target listens again. When all do, it is up, or its startup probe begins.
    pub(super) fn listens(&mut self, key: Key, ready: Option<Ready>) -> Result<(), CellError> {
        let Some(pid) = self.workers.get(&key).map(|worker| worker.pid()) else { return Ok(()) };
        let (role, shard, tree) = (key.role, key.shard, self.upkeep.command);
        if let Some(sandbox) = self.workers.get_mut(&SANDBOX) {
            sandbox.tell(&Tell::Watch { role, shard, pid, tree })?;
        }
        if let (Some(slot), Some(ready)) = (self.gathered.ready.get_mut(shard as usize), ready) {
            *slot = ready;
        }
        let now_ns = monotonic_ns();
        // The pauses of brimful's own count from its own start; what a command writes is told by the time of the cell.
        let t0_ns = if tree { self.t0_ns } else { now_ns };
        if let Some(worker) = self.workers.get_mut(&key) {
            worker.tell(&Tell::Start { t0_ns }).ok();
        }
        let Phase::Starts { awaited, .. } = &mut self.upkeep.phase else { return Ok(()) };
        awaited.remove(&key);
        if !awaited.is_empty() {
            return Ok(());
        }
        self.upkeep.phase = Phase::Runs;
        self.upkeep.checks.begin();
        let at_ns = self.since_start(now_ns);
        let up = self.upkeep.checks.asks(Check::Liveness);
        if let Some(life) = self.gathered.lives.last_mut() {
            life.listening_ns = Some(at_ns);
            life.up_ns = up.then_some(at_ns);
        }
        self.has_restarted(at_ns);
        self.ask_whom_it_concerns();
        Ok(())
    }

    /// Tells each probe whether to ask.
    fn ask_whom_it_concerns(&mut self) {
        let born_ns = self.gathered.lives.last().and_then(|life| life.listening_ns).unwrap_or(0);
        for (shard, check) in (0..).zip(CHECKS) {
            let wanted = self.upkeep.checks.asks(check);
            let Some(asked) = self.upkeep.asked.get_mut(check as usize).filter(|asked| **asked != wanted) else {
                continue;
            };
            *asked = wanted;
            if let Some(worker) = self.workers.get_mut(&Key { role: Role::Probe, shard }) {
                let what = if wanted { Tell::Begin { born_ns } } else { Tell::Hold };
                // One that has come to the end of the cell does not hear it.
                worker.tell(&what).ok();
            }
        }
    }

    /// The cell is over: a target that is on its way out, or on its way back, is not waited for.
    pub(super) fn leave_the_target(&mut self) {
        if let Phase::Stops { why, decided_ns, killed, .. } = &self.upkeep.phase {
            let decided_ns = self.since_start(*decided_ns);
            let end = LifeEnd { why: *why, decided_ns, gone_ns: None, killed: *killed, how: String::new() };
            if let Some(life) = self.gathered.lives.last_mut() {
                life.end = Some(end);
            }
        }
        if !self.upkeep.runs() {
            self.workers.retain(|key, _| key.role != Role::Target);
        }
    }
}
