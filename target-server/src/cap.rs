//! How many connections the program itself allows, and who waits for one to go.

use std::cell::Cell;

use brimful_target_plan::{AtMax, TargetPlan};
use tokio::sync::Notify;

/// The program's own cap on connections, of both listeners together.
#[derive(Debug)]
pub(crate) struct Cap {
    /// Connections served at once at most; `u64::MAX`, which nobody reaches, for no cap.
    most: u64,
    at_max: AtMax,
    /// Connections kept beyond the cap and never read.
    ignored: Cell<u64>,
    room: Notify,
}

impl Cap {
    /// The cap of a plan, nobody there yet.
    pub(crate) fn new(plan: &TargetPlan) -> Self {
        let most = plan.max_connections.map_or(u64::MAX, u64::from);
        Self { most, at_max: plan.at_max, ignored: Cell::new(0), room: Notify::new() }
    }

    /// What is to become of one connection more, with `held` of them open; `None` when it is within the cap.
    pub(crate) fn beyond(&self, held: u64) -> Option<AtMax> {
        (held - self.ignored.get().min(held) >= self.most).then_some(self.at_max)
    }

    /// A connection beyond the cap is kept.
    pub(crate) fn ignores(&self) {
        self.ignored.set(self.ignored.get() + 1);
    }

    /// A connection that was kept beyond the cap is closed.
    pub(crate) fn ignored_left(&self) {
        self.ignored.set(self.ignored.get().saturating_sub(1));
    }

    /// A connection is closed: whoever rests at the cap looks again.
    pub(crate) fn left(&self) {
        if self.most != u64::MAX {
            self.room.notify_waiters();
        }
    }

    /// Waits until a connection is closed. There is one thread, so none is missed between a look at [`Cap::beyond`] and this.
    pub(crate) async fn room(&self) {
        self.room.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cap(max_connections: Option<u32>, at_max: AtMax) -> Cap {
        Cap::new(&TargetPlan { max_connections, at_max, ..TargetPlan::plain(([127, 0, 0, 1], 0).into()) })
    }

    #[test]
    fn without_a_cap_nobody_is_beyond_it() {
        assert_eq!(cap(None, AtMax::Close).beyond(u64::MAX - 1), None);
    }

    #[test]
    fn those_who_are_ignored_take_no_place() {
        let cap = cap(Some(2), AtMax::Ignore);
        assert_eq!(cap.beyond(1), None);
        assert_eq!(cap.beyond(2), Some(AtMax::Ignore));
        cap.ignores();
        assert_eq!(cap.beyond(3), Some(AtMax::Ignore));
        assert_eq!(cap.beyond(2), None);
        cap.ignored_left();
        assert_eq!(cap.beyond(2), Some(AtMax::Ignore));
    }

    #[test]
    fn a_cap_of_none_at_all_is_one() {
        assert_eq!(cap(Some(0), AtMax::Wait).beyond(0), Some(AtMax::Wait));
    }
}
