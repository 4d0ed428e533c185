//! What is happening now: bars on a terminal, lines elsewhere, always on standard error.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use brimful_loadgen::outcome::LoadPoint;
use brimful_loadgen::probe::Outcome;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::say;
use crate::live::cell::Live;
use crate::live::observe::Glance;
use crate::plan::cell::Cell;

/// How many of the latest probes are shown.
const STRIP: usize = 20;

/// The progress of a run over its cells.
pub(super) struct Progress {
    shown: Shown,
    cells: usize,
    done: usize,
    /// How long all cells take together, as planned, and those that are done.
    all_planned: Duration,
    done_planned: Duration,
    cell: Now,
}

enum Shown {
    Bars { all: ProgressBar, now: ProgressBar },
    Lines,
}

/// What is known of the running cell.
#[derive(Default)]
struct Now {
    id: String,
    requested: u64,
    planned: Duration,
    step: &'static str,
    load: LoadPoint,
    probes: Vec<Outcome>,
    table: Option<Glance>,
    gone: Option<(usize, usize)>,
    since: Option<Instant>,
}

impl Progress {
    /// For a run of these cells; `plain` asks for lines on a terminal too.
    pub(super) fn new(cells: &[Cell], plain: bool) -> Self {
        let shown = if !plain && std::io::stderr().is_terminal() { Shown::bars(cells) } else { Shown::Lines };
        Self {
            shown,
            cells: cells.len(),
            done: 0,
            all_planned: cells.iter().map(Cell::duration).sum(),
            done_planned: Duration::ZERO,
            cell: Now::default(),
        }
    }

    /// A cell begins.
    pub(super) fn begin(&mut self, cell: &Cell) {
        self.cell = Now {
            id: cell.id.clone(),
            requested: cell.load.connections,
            planned: cell.duration(),
            since: Some(Instant::now()),
            ..Now::default()
        };
        if let Shown::Lines = self.shown {
            let number = self.done + 1;
            say(&format!("[{number}/{}] {} ({} s)", self.cells, cell.id, cell.duration().as_secs()));
        }
    }

    /// Something happened in it.
    pub(super) fn live(&mut self, live: Live) {
        match live {
            Live::Step(step) => self.cell.step = step,
            Live::Load(point) => self.cell.load = point,
            Live::Probe(sample) => self.cell.probes.push(sample.outcome),
            Live::Table(glance) => self.cell.table = Some(glance),
            Live::Stopping => {
                self.cell.step = "stopping, because of a signal";
                if let Shown::Lines = self.shown {
                    say(&format!("{}: {}; once more ends it at once", self.cell.id, self.cell.step));
                }
            }
            Live::Gone { gone, of } => {
                self.cell.gone = Some((gone, of));
                if let Shown::Lines = self.shown {
                    say(&format!("{}: {gone} of {of} processes gone", self.cell.id));
                }
            }
        }
        if let Shown::Bars { all, now } = &self.shown {
            now.set_message(self.cell.line());
            let in_cell = self.cell.since.map_or(Duration::ZERO, |since| since.elapsed()).min(self.cell.planned);
            let gone = self.done_planned + in_cell;
            all.set_position(milliseconds(gone));
            let left = self.all_planned.saturating_sub(gone).as_secs();
            all.set_message(format!("{}/{} cells, about {left} s left", self.done, self.cells));
        }
    }

    /// It ended; `became` says in a few words what it was.
    pub(super) fn end(&mut self, cell: &Cell, became: &str) {
        self.done += 1;
        self.done_planned += cell.duration();
        match &self.shown {
            Shown::Bars { all, .. } => {
                all.println(format!("[{}/{}] {}: {became}", self.done, self.cells, cell.id));
            }
            Shown::Lines => {
                let took = self.cell.since.map_or(Duration::ZERO, |since| since.elapsed());
                say(&format!("[{}/{}] {}: {became} ({:.1} s)", self.done, self.cells, cell.id, took.as_secs_f64()));
            }
        }
    }

    /// Takes the bars away.
    pub(super) fn finish(&mut self) {
        if let Shown::Bars { all, now } = &self.shown {
            now.finish_and_clear();
            all.finish_and_clear();
        }
    }
}

impl Shown {
    fn bars(cells: &[Cell]) -> Self {
        let bars = MultiProgress::new();
        let total = cells.iter().map(|cell| milliseconds(cell.duration())).sum();
        let all = bars.add(ProgressBar::new(total));
        let now = bars.add(ProgressBar::new_spinner());
        // Both templates are constants; a template that does not parse leaves indicatif's own.
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {msg}") {
            all.set_style(style);
        }
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            now.set_style(style);
        }
        all.set_message(format!("0/{} cells", cells.len()));
        all.enable_steady_tick(Duration::from_millis(200));
        Self::Bars { all, now }
    }
}

impl Now {
    fn line(&self) -> String {
        let strip: String =
            self.probes.iter().rev().take(STRIP).rev().map(|o| if o.passed() { '·' } else { '✗' }).collect();
        let mut line = format!("{}: {}", self.id, self.step);
        if let Some((gone, of)) = self.gone {
            line.push_str(&format!(", {gone} of {of} processes gone"));
        }
        if self.load.attempted > 0 {
            line.push_str(&format!("  held {}/{}", self.load.held, self.requested));
            if self.load.pending > 0 {
                line.push_str(&format!(", {} in handshake", self.load.pending));
            }
        }
        if let Some(table) = self.table {
            let pair = |name: &str, value: Option<u64>, limit: Option<u64>| match (value, limit) {
                (Some(value), Some(limit)) => format!("  {name} {value}/{limit}"),
                _ => String::new(),
            };
            line.push_str(&pair("queue", table.recv_q, table.limit));
            line.push_str(&pair("descriptors", table.target_descriptors, table.target_nofile_soft));
        }
        if !strip.is_empty() {
            line.push_str(&format!("  probe {strip}"));
        }
        line
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
