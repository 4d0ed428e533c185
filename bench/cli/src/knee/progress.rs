//! How a search goes: a line for each try on standard error, and a sign of life in long ones.

use std::time::{Duration, Instant};

use brimful_judge::knee::CellKnee;
use brimful_judge::verdict::Verdict;
use brimful_live::cell::Live;
use brimful_loadgen_plan::outcome::LoadPoint;
use brimful_plan::cell::Cell;
use brimful_plan::knee::Knee;

use crate::say;

/// How often a long try gives a sign of life.
const EVERY: Duration = Duration::from_secs(5);

/// The progress of a search over its cells.
pub(super) struct Progress {
    cells: usize,
    number: usize,
    tries: usize,
    what: String,
    load: LoadPoint,
    probes: (u64, u64),
    since: Instant,
    said: Instant,
}

impl Progress {
    /// For this many cells.
    pub(super) fn new(cells: usize) -> Self {
        Self {
            cells,
            number: 0,
            tries: 0,
            what: String::new(),
            load: LoadPoint::default(),
            probes: (0, 0),
            since: Instant::now(),
            said: Instant::now(),
        }
    }

    /// The search of a cell begins.
    pub(super) fn begin(&mut self, cell: &Cell, highest: u64) {
        self.number += 1;
        self.tries = 0;
        say(&format!("[{}/{}] {}: up to {highest} connections", self.number, self.cells, cell.id));
    }

    /// A cell is run with this many connections.
    pub(super) fn trying(&mut self, how: &str, connections: u64) {
        self.what = format!("{how} {connections}");
        self.load = LoadPoint::default();
        self.probes = (0, 0);
        self.since = Instant::now();
        self.said = self.since;
    }

    /// Something happened in it.
    pub(super) fn live(&mut self, live: Live) {
        match live {
            Live::Load(point) => self.load = point,
            Live::Probe(sample) => {
                self.probes.0 += u64::from(sample.outcome.passed());
                self.probes.1 += 1;
            }
            Live::Stopping => say("  stopping, because of a signal; once more ends it at once"),
            Live::Step(_) | Live::Table(_) | Live::Gone { .. } => {}
        }
        if self.said.elapsed() >= EVERY {
            self.said = Instant::now();
            let (passed, sent) = self.probes;
            say(&format!("  {}: held {}, probes passed {passed} of {sent}", self.what, self.load.held));
        }
    }

    /// Something to say besides.
    pub(super) fn said(&self, what: &str) {
        say(&format!("  {what} ({:.1} s)", self.since.elapsed().as_secs_f64()));
    }

    /// A try ended.
    pub(super) fn judged(&mut self, load: u64, verdict: &Verdict, knee: &Knee) {
        self.tries += 1;
        let became = match verdict.cause {
            Some(cause) => format!("{}, {cause}", verdict.outcome),
            None => verdict.outcome.to_string(),
        };
        let known = match (knee.healthy_to, knee.unhealthy_from.or(knee.void_from)) {
            (Some(low), Some(top)) => format!("; the knee is between {low} and {top}"),
            (Some(_) | None, _) => String::new(),
        };
        let took = self.since.elapsed().as_secs_f64();
        say(&format!("  {}. {load} connections: {became}{known} ({took:.1} s)", self.tries));
    }

    /// The search of a cell ended.
    pub(super) fn end(&self, known: &CellKnee) {
        say(&format!("[{}/{}] {}: {}", self.number, self.cells, known.id, brimful_report::knee::sentence(known)));
    }
}
