//! A line of a terminal as a value: pieces of text, each in a tone, and the small drawings made of them. Pure.

use std::fmt::Write as _;
use std::time::Duration;

use brimful_loadgen_plan::probe::Outcome;

/// What a piece of text means to the eye.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// Nothing in particular.
    Plain,
    /// The name of what is shown.
    Bold,
    /// Of less weight.
    Dim,
    /// A value as it should be.
    Calm,
    /// It passed, it is done.
    Good,
    /// Near a limit.
    Warn,
    /// At a limit, failed.
    Bad,
    /// It says nothing.
    Void,
}

impl Tone {
    /// The parameters of its escape sequence (ECMA-48, SGR), from the eight colours that every terminal has.
    fn parameters(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Calm => "36",
            Self::Good => "32",
            Self::Warn => "33",
            Self::Bad => "31",
            Self::Void => "35",
        }
    }
}

/// A line. All its characters are one column wide: cell ids are ASCII, and so is all that is written here but for blocks and dots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line(Vec<(Tone, String)>);

impl Line {
    /// With one more piece at its end.
    pub(super) fn with(mut self, tone: Tone, text: impl Into<String>) -> Self {
        let text = text.into();
        match self.0.last_mut() {
            _ if text.is_empty() => {}
            Some(last) if last.0 == tone => last.1.push_str(&text),
            _ => self.0.push((tone, text)),
        }
        self
    }

    /// With the pieces of another one at its end.
    pub(super) fn and(self, other: Self) -> Self {
        other.0.into_iter().fold(self, |line, (tone, text)| line.with(tone, text))
    }

    /// With blanks up to a column.
    pub(super) fn to(self, column: usize) -> Self {
        let blanks = column.saturating_sub(self.width());
        self.with(Tone::Plain, " ".repeat(blanks))
    }

    /// Columns.
    pub(super) fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| text.chars().count()).sum()
    }

    /// The same in at most so many columns; what was cut off leaves a `…`.
    pub(super) fn cut(self, columns: usize) -> Self {
        if self.width() <= columns {
            return self;
        }
        let mut left = columns.saturating_sub(1);
        let mut line = Self::default();
        for (tone, text) in self.0 {
            let kept: String = text.chars().take(left).collect();
            left -= kept.chars().count();
            line = line.with(tone, kept);
        }
        if columns > 0 { line.with(Tone::Dim, "…") } else { line }
    }

    /// As text for a terminal, with escape sequences where colours are wanted.
    pub(super) fn painted(&self, colour: bool) -> String {
        let mut out = String::new();
        for (tone, text) in &self.0 {
            match tone.parameters() {
                parameters if colour && !parameters.is_empty() => {
                    // Writing to a string cannot fail.
                    write!(out, "\u{1b}[{parameters}m{text}\u{1b}[0m").ok();
                }
                _ => out.push_str(text),
            }
        }
        out
    }
}

/// A bar of so many columns, filled by `value` of `limit`; past its limit it is full.
pub(super) fn bar(value: u64, limit: u64, columns: usize, tone: Tone) -> Line {
    const PARTS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    // A limit of nothing is reached by anything.
    let limit = limit.max(1);
    let eighths = u128::from(value.min(limit)) * columns as u128 * 8 / u128::from(limit);
    let eighths = usize::try_from(eighths).unwrap_or(usize::MAX).max(usize::from(value > 0));
    let (whole, part) = (eighths / 8, eighths % 8);
    let mut filled = "█".repeat(whole.min(columns));
    if part > 0 && whole < columns {
        filled.push(PARTS[part]);
    }
    let rest = columns.saturating_sub(filled.chars().count());
    Line::default().with(tone, filled).with(Tone::Dim, "░".repeat(rest))
}

/// A column for each value, an eighth of the line's height to the whole of it for `limit` and above; none yet is a blank.
pub(super) fn sparkline(values: &[Option<u64>], limit: u64, tone: Tone) -> Line {
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let limit = limit.max(1);
    let column = |value: &Option<u64>| {
        value.map_or(' ', |value| {
            let level = u128::from(value.min(limit)) * 7 / u128::from(limit);
            LEVELS[usize::try_from(level).unwrap_or(7).min(7)]
        })
    };
    Line::default().with(tone, values.iter().map(column).collect::<String>())
}

/// How full something is, to the eye.
pub(super) fn fullness(value: u64, limit: u64) -> Tone {
    if value >= limit.max(1) {
        Tone::Bad
    } else if value > 0 && u128::from(value) * 5 >= u128::from(limit) * 4 {
        Tone::Warn
    } else {
        Tone::Calm
    }
}

/// The letter of a probe's outcome, and its tone. They can be told apart without colours.
pub(super) fn letter(outcome: Outcome) -> (Tone, char) {
    match outcome {
        Outcome::Ok => (Tone::Good, '·'),
        Outcome::ConnectTimeout => (Tone::Bad, 'C'),
        Outcome::ResponseTimeout => (Tone::Bad, 'A'),
        Outcome::Refused => (Tone::Bad, 'F'),
        Outcome::Reset => (Tone::Bad, 'R'),
        Outcome::BadStatus => (Tone::Bad, 'S'),
        Outcome::LocalError => (Tone::Void, 'L'),
    }
}

/// A probe's outcome in words, those of the report's table.
pub(super) fn words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::ConnectTimeout => "no connect",
        Outcome::ResponseTimeout => "no answer",
        Outcome::Refused => "refused",
        Outcome::Reset => "reset",
        Outcome::BadStatus => "bad status",
        Outcome::LocalError => "prober",
    }
}

/// A time to the second: `9 s`, `1 min 40 s`, `2 h 5 min`.
pub(super) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(line: &Line) -> String {
        line.painted(false)
    }

    #[test]
    fn bars_fill_from_the_left_and_never_over() {
        for (value, limit, drawn) in [
            (0, 8, "░░░░"),
            (1, 8, "▌░░░"),
            (1, 8_000, "▏░░░"),
            (4, 8, "██░░"),
            (7, 8, "███▌"),
            (8, 8, "████"),
            (9, 8, "████"),
            (1, 0, "████"),
        ] {
            assert_eq!(text(&bar(value, limit, 4, Tone::Calm)), drawn, "{value} of {limit}");
        }
    }

    #[test]
    fn a_sparkline_has_blanks_for_what_is_to_come() {
        assert_eq!(text(&sparkline(&[Some(0), Some(4), Some(9), None], 8, Tone::Calm)), "▁▄█ ");
    }

    #[test]
    fn a_limit_is_bad_when_it_is_reached() {
        assert_eq!(
            [(79, 100), (80, 100), (99, 100), (100, 100), (0, 0), (1, 0)].map(|(v, l)| fullness(v, l)),
            [Tone::Calm, Tone::Warn, Tone::Warn, Tone::Bad, Tone::Calm, Tone::Bad]
        );
    }

    #[test]
    fn outcomes_can_be_told_apart_without_colours() {
        let all = [
            Outcome::Ok,
            Outcome::ConnectTimeout,
            Outcome::ResponseTimeout,
            Outcome::Refused,
            Outcome::Reset,
            Outcome::BadStatus,
            Outcome::LocalError,
        ];
        let letters: std::collections::BTreeSet<char> = all.iter().map(|o| letter(*o).1).collect();
        assert_eq!(letters.len(), all.len());
    }

    #[test]
    fn spans() {
        assert_eq!([9, 100, 7_500].map(|s| span(Duration::from_secs(s))), ["9 s", "1 min 40 s", "2 h 5 min"]);
    }

    #[test]
    fn escapes_stand_only_where_colours_are_wanted() {
        let line = Line::default().with(Tone::Bold, "a").with(Tone::Plain, "b");
        assert_eq!(line.painted(true), "\u{1b}[1ma\u{1b}[0mb");
        assert_eq!(line.painted(false), "ab");
    }

    proptest! {
        #[test]
        fn a_cut_line_fits(pieces in prop::collection::vec("[a-z]{0,9}", 0..6), columns in 0..40_usize) {
            let line = pieces.into_iter().fold(Line::default(), |line, text| line.with(Tone::Bold, text).with(Tone::Dim, "-"));
            let whole = line.clone();
            let cut = line.cut(columns);
            prop_assert!(cut.width() <= columns);
            prop_assert!(whole.width() > columns || cut == whole);
        }

        #[test]
        fn a_bar_has_its_columns(value in 0..2_000_u64, limit in 0..2_000_u64, columns in 0..80_usize) {
            prop_assert_eq!(bar(value, limit, columns, Tone::Calm).width(), columns);
        }
    }
}
