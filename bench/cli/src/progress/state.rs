//! Where a run stands: the cells that run, what is known of each, and how much is to come. Pure: time comes in as numbers.

use std::collections::VecDeque;
use std::time::Duration;

use brimful_live::cell::Live;
use brimful_live::observe::Glance;
use brimful_loadgen_plan::outcome::LoadPoint;
use brimful_loadgen_plan::probe::{Outcome, Sample};

use super::history::History;

/// How many of the latest probes are kept.
const STRIP: usize = 60;

/// Where a run stands. Every `now` counts from the beginning of the run.
#[derive(Clone, Debug)]
pub(super) struct Course {
    /// Cells of one block, and how long they take together, as planned.
    cells: u64,
    planned: Duration,
    /// The block that runs, from 0, and how many there are.
    block: (u32, u32),
    begun: u64,
    done: u64,
    done_planned: Duration,
    done_took: Duration,
    /// The most cells that ever ran at once.
    together: u32,
    running: Vec<Running>,
}

/// A cell that runs.
#[derive(Clone, Debug)]
pub(super) struct Running {
    /// Its id.
    pub(super) id: String,
    /// Which of the run's cells it is, from 1.
    pub(super) number: u64,
    /// Its block, from 0.
    pub(super) block: u32,
    /// Connections asked for.
    pub(super) requested: u64,
    /// How long it runs from its start instant, as planned.
    pub(super) planned: Duration,
    /// When it began, set-up included.
    since: Duration,
    /// What is being done.
    step: &'static str,
    /// How many of its processes are gone, and of how many, once it ends.
    gone: Option<(usize, usize)>,
    /// The load.
    pub(super) load: LoadPoint,
    /// The listener's queue and the target's descriptors.
    pub(super) table: Glance,
    /// The health check.
    pub(super) probes: Probes,
    /// How many connections were held.
    pub(super) held: History,
    /// How many waited in the accept queue.
    pub(super) queue: History,
    /// How many descriptors the target had open.
    pub(super) descriptors: History,
    /// The latest instant heard of, since the start of the cell.
    clock_ns: u64,
    /// The time of the last line that was said of it.
    said: Duration,
}

/// The probes of a cell.
#[derive(Clone, Debug, Default)]
pub(super) struct Probes {
    /// How many ended.
    pub(super) sent: u64,
    /// How many of them passed.
    pub(super) passed: u64,
    /// The latest ones, the last at the end.
    pub(super) strip: VecDeque<Outcome>,
    /// How often each way to fail was seen, the first seen first.
    pub(super) failures: Vec<(Outcome, u64)>,
    /// The last one: how it ended, and after how many nanoseconds.
    pub(super) last: Option<(Outcome, u64)>,
}

/// How far the run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overall {
    /// Cells that ended.
    pub(super) done: u64,
    /// Cells of all blocks.
    pub(super) cells: u64,
    /// Blocks.
    pub(super) blocks: u32,
    /// Time spent.
    pub(super) gone: Duration,
    /// Time still to come, estimated from the plan and from what the cells that are done took beyond theirs.
    pub(super) left: Duration,
}

impl Course {
    /// The course of a run over this many cells, planned to take this long together; one block until told otherwise.
    pub(super) fn new(cells: u64, planned: Duration) -> Self {
        Self {
            cells,
            planned,
            block: (0, 1),
            begun: 0,
            done: 0,
            done_planned: Duration::ZERO,
            done_took: Duration::ZERO,
            together: 1,
            running: Vec::new(),
        }
    }

    /// Block `index`, from 0, of `blocks` is what begins from now on.
    pub(super) fn block(&mut self, index: u32, blocks: u32) {
        self.block = (index, blocks.max(1));
    }

    /// A cell begins. Returns what is known of it.
    pub(super) fn begin(&mut self, id: &str, requested: u64, planned: Duration, now: Duration) -> &Running {
        self.begun += 1;
        self.running.push(Running {
            id: id.to_owned(),
            number: self.begun,
            block: self.block.0,
            requested,
            planned,
            since: now,
            step: "",
            gone: None,
            load: LoadPoint::default(),
            table: Glance::default(),
            probes: Probes::default(),
            held: History::over(planned),
            queue: History::over(planned),
            descriptors: History::over(planned),
            clock_ns: 0,
            said: now,
        });
        self.together = self.together.max(u32::try_from(self.running.len()).unwrap_or(u32::MAX));
        // It was pushed one line above.
        &self.running[self.running.len() - 1]
    }

    /// Something happened in a cell; in the one that began last, where none is named. Of one that does not run, nothing is kept.
    pub(super) fn live(&mut self, id: Option<&str>, live: Live) {
        let named = |cell: &&mut Running| id.is_none_or(|id| cell.id == id);
        if let Some(cell) = self.running.iter_mut().rev().find(named) {
            cell.live(live);
        }
    }

    /// A cell ended. Returns what was known of it and how long it took, or nothing when it had not begun.
    pub(super) fn end(&mut self, id: &str, now: Duration) -> Option<(Running, Duration)> {
        let at = self.running.iter().position(|cell| cell.id == id)?;
        let cell = self.running.remove(at);
        let took = now.saturating_sub(cell.since);
        self.done += 1;
        self.done_planned += cell.planned;
        self.done_took += took;
        Some((cell, took))
    }

    /// Nothing runs any more.
    pub(super) fn stop(&mut self) {
        self.running.clear();
    }

    /// The cells that run, in the order in which they began.
    pub(super) fn running(&self) -> &[Running] {
        &self.running
    }

    /// The cell of which a line should be said, if the last one was said at least `every` ago.
    pub(super) fn due(&mut self, id: Option<&str>, every: Duration, now: Duration) -> Option<&Running> {
        let named = |cell: &&mut Running| id.is_none_or(|id| cell.id == id);
        let cell = self.running.iter_mut().rev().find(named)?;
        (now.saturating_sub(cell.said) >= every).then(|| {
            cell.said = now;
            &*cell
        })
    }

    /// How far it is.
    pub(super) fn overall(&self, now: Duration) -> Overall {
        let blocks = self.block.1;
        // A cell that is run again makes one more.
        let cells = self.cells.saturating_mul(u64::from(blocks)).max(self.begun);
        let half_done: Duration = self.running.iter().map(|cell| cell.clock().min(cell.planned)).sum();
        let planned = self.planned.saturating_mul(blocks).saturating_sub(self.done_planned).saturating_sub(half_done);
        // Set-up and teardown, which no plan has; the cells that run have been through half of theirs.
        let beyond = self.done_took.saturating_sub(self.done_planned).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a run has at most some thousands of cells")]
        let each = if self.done > 0 { beyond / self.done as f64 } else { 0.0 };
        #[expect(clippy::cast_precision_loss, reason = "a run has at most some thousands of cells")]
        let others = Duration::from_secs_f64(each * cells.saturating_sub(self.done) as f64);
        let left = (planned + others) / self.together.max(1);
        Overall { done: self.done, cells, blocks, gone: now, left }
    }
}

/// What a cell does that a signal has ended.
pub(super) const STOPPING: &str = "stopping, because of a signal";

impl Running {
    /// Time since the start instant, as far as it was heard of; zero during set-up.
    pub(super) fn clock(&self) -> Duration {
        Duration::from_nanos(self.clock_ns)
    }

    /// What is being done, in words.
    pub(super) fn doing(&self) -> String {
        match self.gone {
            Some((gone, of)) => format!("{}, {gone} of {of} processes gone", self.step),
            None => self.step.to_owned(),
        }
    }

    fn live(&mut self, live: Live) {
        match live {
            Live::Step(step) => self.step = step,
            Live::Stopping => self.step = STOPPING,
            Live::Gone { gone, of } => self.gone = Some((gone, of)),
            Live::Load(point) => {
                self.clock_ns = self.clock_ns.max(point.at_ns);
                self.held.add(point.at_ns, point.held);
                self.load = point;
            }
            Live::Probe(sample) => {
                self.clock_ns = self.clock_ns.max(sample.ended_ns);
                self.probes.add(&sample);
            }
            Live::Table(glance) => {
                self.clock_ns = self.clock_ns.max(glance.at_ns);
                let histories = [(&mut self.queue, glance.recv_q), (&mut self.descriptors, glance.target_descriptors)];
                for (history, value) in histories {
                    if let Some(value) = value {
                        history.add(glance.at_ns, value);
                    }
                }
                self.table = glance;
            }
        }
    }
}

impl Probes {
    fn add(&mut self, sample: &Sample) {
        self.sent += 1;
        self.last = Some((sample.outcome, sample.latency_ns()));
        if self.strip.len() == STRIP {
            self.strip.pop_front();
        }
        self.strip.push_back(sample.outcome);
        if sample.outcome.passed() {
            self.passed += 1;
        } else if let Some(row) = self.failures.iter_mut().find(|row| row.0 == sample.outcome) {
            row.1 += 1;
        } else {
            self.failures.push((sample.outcome, 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_is_left_learns_from_what_is_done() {
        let mut course = Course::new(4, s(40));
        course.begin("a", 1, s(10), s(0));
        assert_eq!(course.overall(s(0)).left, s(40));
        assert!(course.end("a", s(12)).is_some());
        // Three cells of 10 s, and 2 s more for each of them.
        assert_eq!(course.overall(s(12)).left, s(36));
        course.begin("b", 1, s(10), s(12));
        course.live(None, Live::Table(Glance { at_ns: 4_000_000_000, ..Glance::default() }));
        assert_eq!(course.overall(s(17)).left, s(32));
        course.block(0, 2);
        assert_eq!(course.overall(s(17)), Overall { done: 1, cells: 8, blocks: 2, gone: s(17), left: s(80) });
    }

    #[test]
    fn cells_that_run_together_are_told_apart() {
        let mut course = Course::new(2, s(20));
        course.begin("a", 1, s(10), s(0));
        course.begin("b", 1, s(10), s(0));
        assert_eq!(course.overall(s(0)).left, s(10), "two at once take half the time");
        course.live(Some("a"), Live::Load(LoadPoint { held: 7, ..LoadPoint::default() }));
        course.live(None, Live::Load(LoadPoint { held: 9, ..LoadPoint::default() }));
        course.live(Some("nobody"), Live::Load(LoadPoint { held: 1, ..LoadPoint::default() }));
        assert_eq!(course.running().iter().map(|cell| cell.load.held).collect::<Vec<_>>(), [7, 9]);
        assert_eq!(course.end("a", s(11)).map(|(cell, took)| (cell.number, took)), Some((1, s(11))));
        assert!(course.end("a", s(11)).is_none());
        assert_eq!(course.running().len(), 1);
    }

    #[test]
    fn a_cell_that_is_run_again_makes_one_more() {
        let mut course = Course::new(1, s(1));
        for _ in 0..2 {
            course.begin("a", 1, s(1), s(0));
            course.end("a", s(1));
        }
        let overall = course.overall(s(2));
        assert_eq!((overall.done, overall.cells), (2, 2));
    }

    #[test]
    fn a_line_is_due_at_intervals() {
        let mut course = Course::new(1, s(20));
        course.begin("a", 1, s(20), s(1));
        assert!(course.due(None, s(5), s(5)).is_none());
        assert!(course.due(None, s(5), s(6)).is_some());
        assert!(course.due(None, s(5), s(7)).is_none());
        assert!(course.due(Some("a"), s(5), s(11)).is_some());
    }
}
