//! How a load rises: whose turn it is to open, and, where it rises until the health check says enough (`[load] ramp-until`), when that is, whom it is told, and when the
//! cell is over then. It does not say what the number means.

use brimful_evidence::record::Role;
use brimful_loadgen_plan::probe::would_restart_at_ns;
use brimful_plan::cell::Cell;
use brimful_plan::topology::Layout;
use brimful_target::clock::monotonic_ns;

use super::{Stage, Turns};
use crate::message::Tell;
use crate::process::Key;

impl Stage<'_> {
    /// Tells those shards of the load to open whose turn has come.
    pub(super) fn open_in_turn(&mut self) {
        for shard in self.turns.as_mut().map(Turns::due).unwrap_or_default() {
            if let Some(worker) = self.workers.get_mut(&Key { role: Role::Load, shard }) {
                // One that has ended is heard of through its closed output.
                worker.tell(&Tell::Open).ok();
            }
        }
    }

    /// Tells every shard of the load to open no more, once, when the health check has failed as often in a row as its
    /// threshold allows.
    pub(super) fn rise_no_further(&mut self, cell: &Cell, layout: &Layout) {
        let told = cell.load.ramp_until.is_none() || self.gathered.enough_at_ns.is_some();
        if told || would_restart_at_ns(&self.gathered.samples, &layout.probe).is_none() {
            return;
        }
        self.gathered.enough_at_ns = Some(monotonic_ns().saturating_sub(self.t0_ns));
        self.tell_all(Role::Load, Tell::Enough);
    }

    /// When the cell is over: at the end of its hold, which counts from where the load stopped rising if that was
    /// earlier than planned. The health check knows only the plan, so it is told then.
    pub(super) fn end_ns(&mut self, cell: &Cell, now_ns: u64) -> u64 {
        let ns = |duration: std::time::Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 2);
        let planned = self.t0_ns.saturating_add(ns(cell.duration()));
        let Some(at_ns) = self.gathered.enough_at_ns else { return planned };
        let end = self.t0_ns.saturating_add(at_ns).saturating_add(ns(cell.load.hold)).min(planned);
        if now_ns >= end && end < planned {
            // Once is enough, and a probe that has ended does not hear it.
            self.tell_all(Role::Probe, Tell::Stop);
        }
        end
    }

    fn tell_all(&mut self, role: Role, what: Tell) {
        for worker in self.workers.values_mut().filter(|worker| worker.key().role == role) {
            // One that has ended is heard of through its closed output.
            worker.tell(&what).ok();
        }
    }
}
