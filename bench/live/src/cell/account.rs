//! The end of a cell: everybody's account is taken, then everybody is ended.

use brimful_evidence::record::Role;
use brimful_target::clock::monotonic_ns;

use super::{BRIEF, CellError, PATIENCE, Stage, TIMELINE_MOST, garbled, since};
use crate::cell::Live;
use crate::interrupt::LOOK;
use crate::message::{Said, Tell};
use crate::process::{Heard, Key, role_name};
use crate::reap;

impl Stage<'_> {
    /// Takes everybody's account, then ends everybody.
    pub(super) fn finish(&mut self, show: &mut dyn FnMut(Live)) -> Result<(), CellError> {
        self.gathered.duration_ns = monotonic_ns().saturating_sub(self.t0_ns);
        self.leave_the_target();
        // The last observation comes before anything is let go.
        self.ask(&[Role::Sandbox]);
        self.accounts()?;
        // A command that is asked to end closes its connections, so the load tells first what it held.
        self.ask(&[Role::Load]);
        self.accounts()?;
        self.ask(&[Role::Target]);
        self.accounts()?;
        self.gathered.load.thin_timeline(TIMELINE_MOST);
        reap::all(&mut self.workers, |gone, of| show(Live::Gone { gone, of }));
        self.group = None;
        Ok(())
    }

    fn ask(&mut self, roles: &[Role]) {
        for (key, worker) in self.workers.iter_mut().filter(|(key, _)| roles.contains(&key.role)) {
            // One that has ended before has said all it had to say.
            if !self.silent.contains(key) {
                self.awaited.insert(*key);
            } else if key.role == Role::Load {
                self.gathered.missing_shards.push(key.shard);
            }
            // One that ends now is heard of through its closed output.
            worker.tell(&Tell::Stop).ok();
        }
    }

    /// Hears until everybody asked has given account or has ended without one.
    fn accounts(&mut self) -> Result<(), CellError> {
        let mut heard_ns = monotonic_ns();
        while let Some(waiting) = self.awaited.first().copied() {
            let Ok((key, heard)) = self.ear.recv_timeout(LOOK) else {
                let silent = since(heard_ns, monotonic_ns());
                if silent > PATIENCE {
                    return Err(CellError::Silent { role: role_name(waiting.role) });
                }
                // Whoever wants to stop waits for nobody who has nothing to say; only without an observation is there no record.
                if self.interrupt.seen().is_some() && silent > BRIEF && waiting.role != Role::Sandbox {
                    self.gathered.interrupted = true;
                    let silent = std::mem::take(&mut self.awaited).into_iter().filter(|key| key.role == Role::Load);
                    self.gathered.missing_shards.extend(silent.map(|key| key.shard));
                }
                continue;
            };
            heard_ns = monotonic_ns();
            match heard {
                Heard::Said(Said::Observed { evidence, cpu_fraction }) => {
                    self.gathered.evidence = *evidence;
                    self.gathered.observer_cpu_fraction = cpu_fraction;
                    self.awaited.remove(&key);
                }
                Heard::Said(Said::LoadDone(outcome)) => {
                    self.gathered.load.merge(&outcome);
                    self.awaited.remove(&key);
                }
                Heard::Said(Said::TargetDone(outcome)) => {
                    self.note_target(key.shard, outcome);
                    self.awaited.remove(&key);
                }
                Heard::Said(Said::CommandDone(account)) => {
                    self.note_command(key, *account);
                    self.awaited.remove(&key);
                }
                Heard::Said(Said::Sample(sample)) => {
                    if let Some(check) = self.upkeep.asked_by(key) {
                        self.note_sample(check, sample);
                    }
                }
                Heard::Closed => {
                    self.silent.insert(key);
                    let awaited = self.awaited.remove(&key);
                    self.ended(key, awaited)?;
                }
                Heard::Garbled(line) => return Err(garbled(key, &line)),
                Heard::Said(_) => {}
            }
        }
        Ok(())
    }
    /// A worker closed its output: without its account, where that was awaited.
    fn ended(&mut self, key: Key, awaited: bool) -> Result<(), CellError> {
        match key.role {
            // One that is not kept any more was on its way out when the cell ended.
            Role::Target if self.workers.contains_key(&key) => self.note_early_end(key, None),
            Role::Load if awaited => self.gathered.missing_shards.push(key.shard),
            Role::Sandbox | Role::Probe if awaited => return Err(self.broke(key)),
            Role::Target | Role::Load | Role::Sandbox | Role::Probe => {}
        }
        Ok(())
    }
}
