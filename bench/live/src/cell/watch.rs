//! A running cell: what everybody says is heard, and what is due is done.

use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use brimful_evidence::record::Role;
use brimful_plan::cell::Cell;
use brimful_plan::kubelet::Check;
use brimful_plan::topology::Layout;
use brimful_target::clock::monotonic_ns;

use super::{CellError, Live, PATIENCE, PROBE_ATTEMPTS, Stage, garbled, out_of_turn, since, worker_failed};
use crate::interrupt::LOOK;
use crate::message::Said;
use crate::process::Heard;
use crate::turns::sum;

/// The shortest wait: something that is due and cannot be done yet is not asked after more often.
const BREATH: Duration = Duration::from_millis(1);

impl Stage<'_> {
    /// Listens until the hold and the health check are over, or a signal comes.
    pub(super) fn watch(&mut self, cell: &Cell, layout: &Layout, show: &mut dyn FnMut(Live)) -> Result<(), CellError> {
        let after = |duration: Duration| self.t0_ns + u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 2);
        let deadline = after(cell.duration() + cell.probe.timeout * PROBE_ATTEMPTS + cell.probe.period + PATIENCE);
        self.begin_first_life();
        loop {
            if self.interrupt.seen().is_some() {
                self.gathered.interrupted = true;
                show(Live::Stopping);
                return Ok(());
            }
            let now = monotonic_ns();
            let held = self.end_ns(cell, now);
            let over = self.upkeep.liveness_is_over();
            if over && now >= held {
                return Ok(());
            }
            if now > deadline {
                return Err(CellError::Silent { role: "probe" });
            }
            self.turn_what_is_due(layout, now)?;
            self.tend(now)?;
            let due = [self.changing.next_ns(self.t0_ns), self.upkeep.next_ns(), if over { held } else { u64::MAX }];
            let next = due.into_iter().min().unwrap_or(u64::MAX);
            let wait = LOOK.min(since(now, next)).max(BREATH);
            let (key, heard) = match self.ear.recv_timeout(wait) {
                Ok(heard) => heard,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return Err(CellError::Silent { role: "probe" }),
            };
            match heard {
                Heard::Said(Said::ProbeDone) => self.upkeep.is_done(key),
                Heard::Said(Said::Sample(sample)) => {
                    let Some(check) = self.upkeep.asked_by(key) else { continue };
                    if check == Check::Liveness {
                        show(Live::Probe(sample.clone()));
                    }
                    self.probed(check, sample);
                    self.rise_no_further(cell, layout);
                }
                Heard::Said(Said::Point(point)) => {
                    self.points.insert(key.shard, point);
                    if let Some(turns) = &mut self.turns {
                        turns.attempted(key.shard, point.attempted);
                    }
                    self.open_in_turn();
                    show(Live::Load(sum(self.points.values())));
                }
                Heard::Said(Said::Glance(glance)) => show(Live::Table(glance)),
                Heard::Said(Said::Turned { number, at_ns, given }) => self.was_turned(number, at_ns, given),
                Heard::Said(Said::TargetReady(ready)) if self.upkeep.starts(key) => self.listens(key, Some(ready))?,
                Heard::Said(Said::CommandReady { after_ns }) if self.upkeep.starts(key) => {
                    self.note_ready(key.shard, after_ns);
                    self.listens(key, None)?;
                }
                Heard::Said(Said::TargetDone(outcome)) => self.gave_account(key, outcome),
                Heard::Said(Said::CommandDone(account)) => self.gave_words(key, *account),
                // It was told to stop before it had come up, and came up all the same.
                Heard::Said(Said::TargetReady(_) | Said::CommandReady { .. }) if self.upkeep.is_ending(key) => {}
                Heard::Said(Said::Failed(failed)) if key.role == Role::Target => self.fell(key, Some(failed.what)),
                Heard::Closed if key.role == Role::Target => {
                    self.silent.insert(key);
                    self.fell(key, None);
                }
                Heard::Closed if key.role == Role::Probe && self.upkeep.probe_has_ended(key) => {}
                Heard::Closed => return Err(self.broke(key)),
                Heard::Said(Said::Failed(failed)) => return Err(worker_failed(key, failed)),
                Heard::Said(other) => return Err(out_of_turn(key, &other)),
                Heard::Garbled(line) => return Err(garbled(key, &line)),
            }
        }
    }
}
