//! What is happening now, always on standard error: a picture of the running cell on a terminal, lines elsewhere.
//!
//! It must not hold up what it shows: events are taken in and nothing is written by whoever brings them, except for lines.
//! `course`, `frame`, `line`, `plain` and `paint` are pure; `hand` has the terminal.

mod frame;
mod hand;
mod history;
mod line;
mod paint;
mod plain;
mod state;

use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use brimful_live::cell::Live;
use brimful_plan::cell::Cell;

use self::hand::Hand;
use self::state::Course;
use super::say;

/// The progress of a run over its cells. It can be shared by threads that run cells side by side.
pub(super) struct Progress {
    shown: Shown,
    began: Instant,
}

enum Shown {
    Picture(Hand),
    Lines(Mutex<Course>),
}

impl Progress {
    /// For a run of these cells; `plain` asks for lines on a terminal too.
    pub(super) fn new(cells: &[Cell], plain: bool) -> Self {
        let course = Course::new(
            u64::try_from(cells.len()).unwrap_or(u64::MAX),
            cells.iter().map(Cell::duration).fold(Duration::ZERO, Duration::saturating_add),
        );
        let began = Instant::now();
        let hand = (!plain && can_draw()).then(|| Hand::start(course.clone(), began, super::colour_wanted())).flatten();
        let this = Self { shown: hand.map_or_else(|| Shown::Lines(Mutex::new(course)), Shown::Picture), began };
        this.block(0, 1);
        this
    }

    /// What begins from now on is block `index`, from 0, of `blocks`. Until it is said, there is one.
    pub(super) fn block(&self, index: u32, blocks: u32) {
        self.change(|course| course.block(index, blocks));
    }

    /// A cell begins.
    pub(super) fn begin(&self, cell: &Cell) {
        let now = self.began.elapsed();
        let line = self.change(|course| {
            let overall = course.overall(now);
            plain::begins(course.begin(&cell.id, cell.load.connections, cell.duration(), now), &overall)
        });
        match &self.shown {
            Shown::Picture(hand) => hand.draw([]),
            Shown::Lines(_) => say(&line),
        }
    }

    /// Something happened in a cell that began.
    pub(super) fn live(&self, cell: &Cell, live: Live) {
        let id = Some(cell.id.as_str());
        let now = self.began.elapsed();
        match &self.shown {
            Shown::Picture(hand) => hand.change(|course| course.live(id, live)),
            Shown::Lines(course) => {
                if let Live::Stopping = live {
                    say(&plain::stopping(&cell.id));
                }
                let mut course = course.lock().unwrap_or_else(PoisonError::into_inner);
                course.live(id, live);
                let overall = course.overall(now);
                let line = course.due(id, plain::EVERY, now).map(|cell| plain::stands(cell, &overall));
                drop(course);
                line.iter().for_each(|line| say(line));
            }
        }
    }

    /// It ended; `became` says in a few words what it was. When it was the only one, whoever writes to standard error before the
    /// next one begins has the terminal for itself.
    pub(super) fn end(&self, cell: &Cell, became: &str) {
        let now = self.began.elapsed();
        let line = self.change(|course| {
            let (cell, took) = course.end(&cell.id, now)?;
            Some(plain::ended(&cell, &course.overall(now), became, took))
        });
        match &self.shown {
            Shown::Picture(hand) => hand.draw(line),
            Shown::Lines(_) => line.iter().for_each(|line| say(&line.painted(false))),
        }
    }

    /// Takes the picture away.
    pub(super) fn finish(&self) {
        match &self.shown {
            Shown::Picture(hand) => hand.finish(),
            Shown::Lines(_) => {}
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Course) -> T) -> T {
        match &self.shown {
            Shown::Picture(hand) => hand.change(change),
            Shown::Lines(course) => change(&mut course.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}

/// Whether standard error is a terminal that knows how to move its cursor.
fn can_draw() -> bool {
    let knows = |name: &std::ffi::OsStr| !name.is_empty() && name != "dumb";
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_some_and(|name| knows(&name))
}
