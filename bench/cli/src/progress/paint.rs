//! From one picture to the next, as text for a terminal. Pure.
//!
//! The terminal is asked nothing and told little: up, clear a line, write. The cursor rests at the beginning of the line below the
//! picture, so whatever else is written, a shell's prompt or the words of a panic, stands below it.

use super::line::Line;

/// Begin and end of an update that a terminal should show at once, where it knows the sequence (DEC mode 2026).
const TOGETHER: (&str, &str) = ("\u{1b}[?2026h", "\u{1b}[?2026l");

/// Clear from the cursor to the end of its line. Never to the end of the screen: some terminals (tmux) take that for a wish
/// to keep what is cleared, and push it into their history.
const CLEAR: &str = "\u{1b}[K";

/// What stands on the terminal.
#[derive(Debug)]
pub(super) struct Painter {
    colour: bool,
    columns: usize,
    drawn: Vec<Line>,
}

impl Painter {
    /// Before the first picture.
    pub(super) fn new(colour: bool) -> Self {
        Self { colour, columns: 0, drawn: Vec::new() }
    }

    /// What to write so that `above` stands above the picture from now on, and `picture` is the picture, on a terminal of so
    /// many columns. Empty when nothing changes. No line of the picture may be as wide as the terminal: a full line
    /// leaves the cursor where clearing would eat its last letter.
    pub(super) fn paint(&mut self, above: &[Line], picture: Vec<Line>, columns: usize) -> String {
        let same_room = columns == self.columns;
        if above.is_empty() && picture == self.drawn && same_room {
            return String::new();
        }
        let mut out = String::from(TOGETHER.0);
        let rows = self.rows(columns);
        let up = if rows > 0 { format!("\r\u{1b}[{rows}A") } else { "\r".to_owned() };
        out.push_str(&up);
        let in_place = above.is_empty() && same_room && picture.len() == self.drawn.len();
        if !in_place {
            out.push_str(&format!("{CLEAR}\r\n").repeat(rows));
            out.push_str(&up);
        }
        for line in above {
            out.push_str(&line.painted(self.colour));
            out.push_str("\r\n");
        }
        for (index, line) in picture.iter().enumerate() {
            if !in_place || self.drawn.get(index) != Some(line) {
                out.push_str(&line.painted(self.colour));
                out.push_str(CLEAR);
            }
            out.push_str("\r\n");
        }
        out.push_str(TOGETHER.1);
        self.drawn = picture;
        self.columns = columns;
        out
    }

    /// Rows that the picture takes by now: a terminal made narrower has broken its lines.
    fn rows(&self, columns: usize) -> usize {
        self.drawn.iter().map(|line| line.width().div_ceil(columns.max(1)).max(1)).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use proptest::prelude::*;

    use super::super::line::Tone;
    use super::*;

    fn lines(texts: &[&str]) -> Vec<Line> {
        texts.iter().map(|&text| Line::default().with(Tone::Plain, text)).collect()
    }

    /// A terminal, the lines it shows, and where its cursor is.
    fn screen(rows: u16, columns: u16) -> vt100::Parser {
        vt100::Parser::new(NonZeroU16::new(rows).unwrap(), NonZeroU16::new(columns).unwrap(), 1_000)
    }

    fn seen(terminal: &vt100::Parser) -> Vec<String> {
        let (_, columns) = terminal.screen().size();
        let mut rows: Vec<String> = terminal.screen().rows(0, columns.get()).collect();
        while rows.last().is_some_and(String::is_empty) {
            rows.pop();
        }
        rows
    }

    #[test]
    fn a_picture_is_drawn_over_and_what_stands_above_stays() {
        let mut terminal = screen(6, 20);
        terminal.process(b"$ brimful run\r\n");
        let mut painter = Painter::new(true);
        terminal.process(painter.paint(&[], lines(&["one 1", "two 1"]), 20).as_bytes());
        terminal.process(painter.paint(&[], lines(&["one 2", "two"]), 20).as_bytes());
        assert_eq!(seen(&terminal), ["$ brimful run", "one 2", "two"]);
        terminal.process(painter.paint(&lines(&["done"]), lines(&["next"]), 20).as_bytes());
        assert_eq!(seen(&terminal), ["$ brimful run", "done", "next"]);
        terminal.process(painter.paint(&[], Vec::new(), 20).as_bytes());
        assert_eq!(seen(&terminal), ["$ brimful run", "done"]);
        assert_eq!(terminal.screen().cursor_position(), (2, 0));
        assert!(!terminal.screen().hide_cursor());
    }

    #[test]
    fn what_stays_the_same_is_not_written_again() {
        let mut painter = Painter::new(false);
        painter.paint(&[], lines(&["still", "moving"]), 20);
        assert!(!painter.paint(&[], lines(&["still", "moved"]), 20).contains("still"));
        assert_eq!(painter.paint(&[], lines(&["still", "moved"]), 20), "");
        assert!(painter.paint(&[], lines(&["still", "moved"]), 30).contains("still"), "after a change of size all is");
    }

    #[test]
    fn a_narrower_terminal_has_broken_the_lines() {
        let mut painter = Painter::new(false);
        painter.paint(&[], lines(&["0123456789012345", "01234"]), 20);
        assert!(painter.paint(&[], lines(&["0123", "01"]), 8).contains("\u{1b}[3A"), "two rows and one");
    }

    proptest! {
        /// Whatever is shown: what was put above is there in its order, then the picture, and nothing else.
        #[test]
        fn nothing_is_lost_and_nothing_is_left(
            steps in prop::collection::vec(
                (prop::collection::vec("[a-z]{1,30}", 0..4), prop::collection::vec("[0-9]{0,19}", 0..5)), 1..12,
            ),
        ) {
            // High enough to hold all of it, as a scrollback would.
            let mut terminal = screen(200, 20);
            let mut painter = Painter::new(true);
            let mut above = String::new();
            let mut last = Vec::new();
            for (told, picture) in &steps {
                let told: Vec<&str> = told.iter().map(String::as_str).collect();
                let picture: Vec<&str> = picture.iter().map(String::as_str).collect();
                terminal.process(painter.paint(&lines(&told), lines(&picture), 20).as_bytes());
                above.extend(told);
                last = picture;
            }
            let contents = seen(&terminal).concat();
            prop_assert_eq!(contents, above + &last.concat());
            prop_assert_eq!(terminal.screen().cursor_position().1, 0);
        }
    }

    #[test]
    fn lines_leave_a_small_terminal_upwards() {
        let mut terminal = screen(4, 20);
        let mut painter = Painter::new(false);
        for n in 0..10 {
            let done = format!("done {n}");
            terminal.process(painter.paint(&lines(&[&done]), lines(&["held", "queue"]), 20).as_bytes());
        }
        assert_eq!(seen(&terminal), ["done 9", "held", "queue"]);
        terminal.screen_mut().set_scrollback(9);
        assert_eq!(seen(&terminal), ["done 0", "done 1", "done 2", "done 3"]);
    }
}
