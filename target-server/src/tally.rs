//! The counters of a running server, and the handle through which they are read.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use brimful_target_plan::TargetOutcome;
use rustix::io::Errno;

use crate::errno;

/// Counts kept while the server runs. One thread owns them: a count costs no atomic, and errnos get their names only when read.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    accepted: Cell<u64>,
    shed: Cell<u64>,
    capped: Cell<u64>,
    waits_at_max: Cell<u64>,
    leaked: Cell<u64>,
    held: Cell<u64>,
    held_max: Cell<u64>,
    health_answers: Cell<u64>,
    other_answers: Cell<u64>,
    accept_errors: RefCell<BTreeMap<i32, u64>>,
    extra_fd_errors: RefCell<BTreeMap<i32, u64>>,
    stopped_accepting: Cell<bool>,
    exited_on_emfile: Cell<bool>,
}

fn add_one(count: &Cell<u64>) {
    count.set(count.get() + 1);
}

impl Tally {
    /// A connection was taken from an accept queue and kept.
    pub(crate) fn kept(&self) {
        add_one(&self.accepted);
        add_one(&self.held);
        self.held_max.set(self.held_max.get().max(self.held.get()));
    }

    /// A connection that was kept is closed.
    pub(crate) fn left(&self) {
        self.held.set(self.held.get().saturating_sub(1));
    }

    /// A connection was taken with the reserved descriptor and closed.
    pub(crate) fn shed(&self) {
        add_one(&self.shed);
    }

    /// Connections open now.
    pub(crate) fn held(&self) -> u64 {
        self.held.get()
    }

    /// A connection was beyond the cap, and closed or ignored.
    pub(crate) fn capped(&self) {
        add_one(&self.capped);
    }

    /// An accept loop rests at the cap.
    pub(crate) fn waits_at_max(&self) {
        add_one(&self.waits_at_max);
    }

    /// A connection that the peer ended stays open here.
    pub(crate) fn leaked(&self) {
        add_one(&self.leaked);
    }

    /// A request was answered in full; `health` when the answer was 200.
    pub(crate) fn answered(&self, health: bool) {
        add_one(if health { &self.health_answers } else { &self.other_answers });
    }

    /// `accept4` failed, or a connection just accepted could not be watched.
    pub(crate) fn accept_error(&self, errno: Errno) {
        *self.accept_errors.borrow_mut().entry(errno.raw_os_error()).or_default() += 1;
    }

    /// An extra descriptor of a connection could not be opened.
    pub(crate) fn extra_fd_error(&self, errno: Errno) {
        *self.extra_fd_errors.borrow_mut().entry(errno.raw_os_error()).or_default() += 1;
    }

    /// An accept loop was left for good.
    pub(crate) fn stopped_accepting(&self) {
        self.stopped_accepting.set(true);
    }

    /// The server ends itself at a failing accept.
    pub(crate) fn exited_on_emfile(&self) {
        self.exited_on_emfile.set(true);
    }

    fn outcome(&self) -> TargetOutcome {
        TargetOutcome {
            accepted: self.accepted.get(),
            shed: self.shed.get(),
            capped: self.capped.get(),
            waits_at_max: self.waits_at_max.get(),
            leaked: self.leaked.get(),
            held: self.held.get(),
            held_max: self.held_max.get(),
            health_answers: self.health_answers.get(),
            other_answers: self.other_answers.get(),
            accept_errors: named(&self.accept_errors),
            extra_fd_errors: named(&self.extra_fd_errors),
            stopped_accepting: self.stopped_accepting.get(),
            exited_on_emfile: self.exited_on_emfile.get(),
        }
    }
}

fn named(counts: &RefCell<BTreeMap<i32, u64>>) -> BTreeMap<String, u64> {
    counts.borrow().iter().map(|(&errno, &count)| (errno::name(errno), count)).collect()
}

/// A handle on the counters of one server, to be read on the server's thread while it runs or after.
#[derive(Clone, Debug, Default)]
pub struct Counters(pub(crate) Rc<Tally>);

impl Counters {
    /// What was counted up to now. Costs about a microsecond, whatever is held.
    #[must_use]
    pub fn snapshot(&self) -> TargetOutcome {
        self.0.outcome()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_number_held_outlives_the_connections() {
        let counters = Counters::default();
        for _ in 0..3 {
            counters.0.kept();
        }
        counters.0.left();
        counters.0.left();
        counters.0.kept();
        let seen = counters.snapshot();
        assert_eq!((seen.accepted, seen.held, seen.held_max), (4, 2, 3));
    }

    #[test]
    fn errors_are_named_when_they_are_read() {
        let counters = Counters::default();
        counters.0.accept_error(Errno::MFILE);
        counters.0.accept_error(Errno::MFILE);
        counters.0.extra_fd_error(Errno::NFILE);
        let seen = counters.snapshot();
        assert_eq!(seen.accept_errors, BTreeMap::from([("EMFILE".to_owned(), 2)]));
        assert_eq!(seen.extra_fd_errors, BTreeMap::from([("ENFILE".to_owned(), 1)]));
    }
}
