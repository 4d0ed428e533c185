//! The hand on the terminal: a thread of its own, so that a terminal that is slow, or stopped with Ctrl-S, holds up nothing but itself.
//!
//! It takes no keys, changes no mode and hides no cursor, so there is nothing to restore, however the process ends. All
//! it must see to is that it does not draw over what somebody else has written: it draws only while a cell runs, and
//! never again after a panic.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use terminal_size::terminal_size_of;

use super::frame::{Size, frame};
use super::line::Line;
use super::paint::Painter;
use crate::progress::state::Course;

/// From one picture to the next.
const EVERY: Duration = Duration::from_millis(125);

/// How long the run waits, between two cells, for the terminal to be clear.
const BETWEEN_CELLS: Duration = Duration::from_millis(200);

/// How long it waits at its end for everything to be written.
const AT_THE_END: Duration = Duration::from_secs(1);

/// A terminal that does not say how large it is has had this size since the VT100.
const USUAL: Size = Size { columns: 80, rows: 24 };

/// Whether this process has panicked: whatever is on the screen then, stays.
static PANICKED: AtomicBool = AtomicBool::new(false);

/// A display on the terminal at standard error.
#[derive(Debug)]
pub(super) struct Hand(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    board: Mutex<Board>,
    /// Something is to be drawn at once.
    wake: Condvar,
    /// Something was drawn.
    drawn: Condvar,
    /// The terminal was too slow to be waited for: what is on it, stays, because others write to it from now on.
    given_up: AtomicBool,
}

#[derive(Debug)]
struct Board {
    course: Course,
    began: Instant,
    /// What goes above the picture next.
    above: Vec<Line>,
    /// Counts what was asked to be drawn at once, and how much of it was.
    asked: u64,
    done: u64,
    over: bool,
}

impl Hand {
    /// Begins to show a run; `None` when there can be no thread for it.
    pub(super) fn start(course: Course, began: Instant, colour: bool) -> Option<Self> {
        leave_panics_alone();
        let board = Board { course, began, above: Vec::new(), asked: 0, done: 0, over: false };
        let shared = Arc::new(Shared {
            board: Mutex::new(board),
            wake: Condvar::new(),
            drawn: Condvar::new(),
            given_up: AtomicBool::new(false),
        });
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new().name("display".to_owned());
        thread.spawn(move || theirs.keep_drawing(Painter::new(colour))).ok().map(|_| Self(shared))
    }

    /// Changes what is known. The next picture shows it.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Course) -> T) -> T {
        change(&mut self.0.lock().course)
    }

    /// Draws at once, with these lines above the picture. When nothing runs, the terminal is free on return, unless it
    /// is too slow for that.
    pub(super) fn draw(&self, above: impl IntoIterator<Item = Line>) {
        let mut board = self.0.lock();
        board.above.extend(above);
        board.asked += 1;
        self.0.wake.notify_all();
        if board.course.running().is_empty() {
            // One that was too slow for this is drawn on when it can.
            self.0.wait(board, BETWEEN_CELLS);
        }
    }

    /// Takes the picture away, and ends the thread.
    pub(super) fn finish(&self) {
        let mut board = self.0.lock();
        if !board.over {
            board.course.stop();
            board.over = true;
            board.asked += 1;
            self.0.wake.notify_all();
            if !self.0.wait(board, AT_THE_END) {
                self.0.given_up.store(true, Ordering::Release);
            }
        }
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until everything asked for is drawn, but not for ever, and says whether it was.
    fn wait(&self, board: MutexGuard<'_, Board>, patience: Duration) -> bool {
        let asked = board.asked;
        let waited = self.drawn.wait_timeout_while(board, patience, |board| board.done < asked);
        let (board, _) = waited.unwrap_or_else(PoisonError::into_inner);
        board.done >= asked
    }

    fn keep_drawing(&self, mut painter: Painter) {
        loop {
            let board = self.lock();
            let waited = self.wake.wait_timeout_while(board, EVERY, |board| board.asked == board.done && !board.over);
            let (mut board, _) = waited.unwrap_or_else(PoisonError::into_inner);
            let size = room();
            let picture = frame(&board.course, board.began.elapsed(), size);
            let above = std::mem::take(&mut board.above);
            let (asked, over) = (board.asked, board.over);
            drop(board);
            // One more than may be used: see `room`.
            let there = self.write(&painter.paint(&above, picture, size.columns + 1));
            let mut board = self.lock();
            board.done = asked;
            board.over |= !there;
            self.drawn.notify_all();
            if over || !there {
                return;
            }
        }
    }

    /// Writes it all at once, and says whether there is a terminal to write more to.
    fn write(&self, text: &str) -> bool {
        let mut terminal = std::io::stderr().lock();
        // With the lock held, so that a panic's words, or whatever is said at the end, are either not begun yet or seen here.
        if PANICKED.load(Ordering::Acquire) || self.given_up.load(Ordering::Acquire) {
            return false;
        }
        text.is_empty() || terminal.write_all(text.as_bytes()).and_then(|()| terminal.flush()).is_ok()
    }
}

/// What may be used of the terminal: all but the last column, which is left free so that no line is ever broken, and all but the last
/// row, where the cursor rests.
fn room() -> Size {
    let told = terminal_size_of(std::io::stderr());
    let size = told.map_or(USUAL, |(columns, rows)| Size { columns: columns.0.into(), rows: rows.0.into() });
    let size = if size.columns == 0 || size.rows == 0 { USUAL } else { size };
    Size { columns: size.columns.saturating_sub(1), rows: size.rows.saturating_sub(1) }
}

/// From here on, a panic anywhere in the process ends all drawing before it says its first word.
fn leave_panics_alone() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICKED.store(true, Ordering::Release);
            before(panic);
        }));
    });
}
