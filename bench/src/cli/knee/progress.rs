//! How a search goes: a line for each try on standard error, and on a terminal what is happening now below them.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use brimful_loadgen::outcome::LoadPoint;
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::say;
use crate::judge::knee::CellKnee;
use crate::judge::verdict::Verdict;
use crate::live::cell::Live;
use crate::plan::cell::Cell;
use crate::plan::knee::Knee;

/// How many of the latest probes are shown.
const STRIP: usize = 20;

/// The progress of a search over its cells.
pub(super) struct Progress {
    now: Option<ProgressBar>,
    cells: usize,
    number: usize,
    id: String,
    tries: usize,
    what: String,
    step: &'static str,
    load: LoadPoint,
    probes: String,
    since: Instant,
}

impl Progress {
    /// For this many cells; `plain` asks for lines alone on a terminal too.
    pub(super) fn new(cells: usize, plain: bool) -> Self {
        let now = (!plain && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new_spinner();
            // A constant template; one that does not parse leaves indicatif's own.
            if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self {
            now,
            cells,
            number: 0,
            id: String::new(),
            tries: 0,
            what: String::new(),
            step: "",
            load: LoadPoint::default(),
            probes: String::new(),
            since: Instant::now(),
        }
    }

    /// The search of a cell begins.
    pub(super) fn begin(&mut self, cell: &Cell, highest: u64) {
        self.number += 1;
        self.tries = 0;
        self.id.clone_from(&cell.id);
        self.line(&format!("[{}/{}] {}: up to {highest} connections", self.number, self.cells, cell.id));
    }

    /// A cell is run with this many connections.
    pub(super) fn trying(&mut self, how: &str, connections: u64) {
        self.what = format!("{how} {connections}");
        self.load = LoadPoint::default();
        self.probes.clear();
        self.since = Instant::now();
    }

    /// Something happened in it.
    pub(super) fn live(&mut self, live: Live) {
        match live {
            Live::Step(step) => self.step = step,
            Live::Load(point) => self.load = point,
            Live::Probe(sample) => self.probes.push(if sample.outcome.passed() { '·' } else { '✗' }),
            Live::Table(_) => {}
        }
        if let Some(now) = &self.now {
            let skip = self.probes.chars().count().saturating_sub(STRIP);
            let probes: String = self.probes.chars().skip(skip).collect();
            now.set_message(format!(
                "{}: {}: {}  held {}  probe {probes}",
                self.id, self.what, self.step, self.load.held
            ));
        }
    }

    /// Something to say besides.
    pub(super) fn said(&self, what: &str) {
        self.line(&format!("  {what} ({:.1} s)", self.since.elapsed().as_secs_f64()));
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
        self.line(&format!("  {}. {load} connections: {became}{known} ({took:.1} s)", self.tries));
    }

    /// The search of a cell ended.
    pub(super) fn end(&self, known: &CellKnee) {
        self.line(&format!("[{}/{}] {}: {}", self.number, self.cells, known.id, known.in_short()));
    }

    /// Takes the display away.
    pub(super) fn finish(&self) {
        if let Some(now) = &self.now {
            now.finish_and_clear();
        }
    }

    fn line(&self, text: &str) {
        match &self.now {
            Some(now) => now.println(text),
            None => say(text),
        }
    }
}
