//! Markup while it is written: what is ours goes in as it stands, what comes from a record is escaped. Pure.

use std::fmt::Write as _;

/// A page, or a part of one.
#[derive(Clone, Debug, Default)]
pub(super) struct Markup(String);

impl Markup {
    /// Our own markup. It is known when this is compiled, so nothing from a record can come this way.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Text between tags, or an attribute's value between double quotes.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        text.chars().for_each(|c| self.escaped(c));
        self
    }

    /// A name that is too long for a narrow column, with the places where it is better broken than elsewhere.
    pub(super) fn name(&mut self, name: &str) -> &mut Self {
        for c in name.chars() {
            self.escaped(c);
            if matches!(c, ',' | '_') {
                self.0.push_str("<wbr>");
            }
        }
        self
    }

    /// A plain number, for anchors, counts of columns and coordinates; what people read is grouped by `words::count`.
    pub(super) fn number(&mut self, n: impl Into<u64>) -> &mut Self {
        self.written(format_args!("{}", n.into()))
    }

    /// A position or a width as a share of the whole, 0 to 1, to a tenth of a per cent.
    pub(super) fn percent(&mut self, share: f64) -> &mut Self {
        let tenths = (share.clamp(0.0, 1.0) * 1_000.0).round() as u64;
        if tenths.is_multiple_of(10) {
            self.written(format_args!("{}%", tenths / 10))
        } else {
            self.written(format_args!("{}.{}%", tenths / 10, tenths % 10))
        }
    }

    /// The data of a path.
    pub(super) fn path(&mut self, class: &'static str, path: &Path) -> &mut Self {
        if path.data.is_empty() {
            return self;
        }
        self.raw("<path class=\"").raw(class).raw("\" d=\"");
        self.0.push_str(&path.data);
        self.raw("\"/>")
    }

    /// Another part.
    pub(super) fn add(&mut self, part: &Self) -> &mut Self {
        self.0.push_str(&part.0);
        self
    }

    /// How long it is, in bytes.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The whole.
    pub(super) fn finish(self) -> String {
        self.0
    }

    fn escaped(&mut self, c: char) {
        match c {
            '&' => self.0.push_str("&amp;"),
            '<' => self.0.push_str("&lt;"),
            '>' => self.0.push_str("&gt;"),
            '"' => self.0.push_str("&quot;"),
            '\'' => self.0.push_str("&#39;"),
            '\n' | '\t' => self.0.push(c),
            // Not allowed in HTML, or able to turn the text around it (Unicode TR 9, explicit directional formatting).
            c if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
                self.0.push('\u{fffd}');
            }
            c => self.0.push(c),
        }
    }

    fn written(&mut self, what: std::fmt::Arguments<'_>) -> &mut Self {
        // Writing to a String cannot fail.
        self.0.write_fmt(what).ok();
        self
    }
}

/// The data of a path in whole units of its own frame: a thousand wide and a hundred high, stretched when it is shown.
/// What would move the pen by less than a unit is left out.
#[derive(Clone, Debug, Default)]
pub(super) struct Path {
    data: String,
    /// Where the pen is.
    at: (i64, i64),
    /// Where in the data the last command begins, if it was a line across.
    across: Option<usize>,
}

/// How wide the frame of a path is.
const WIDE: f64 = 1_000.0;
/// How high it is; what is drawn at this height is at the bottom.
const HIGH: f64 = 100.0;

impl Path {
    /// Begins anew at a share of the width and of the height, from the top.
    pub(super) fn go(&mut self, x: f64, y: f64) -> &mut Self {
        let (x, y) = (units(x, WIDE), units(y, HIGH));
        self.at = (x, y);
        self.put(format_args!("M{x} {y}"))
    }

    /// A line to a place.
    pub(super) fn line(&mut self, x: f64, y: f64) -> &mut Self {
        let (x, y) = (units(x, WIDE), units(y, HIGH));
        self.at = (x, y);
        self.put(format_args!("L{x} {y}"))
    }

    /// A line to the left or to the right.
    pub(super) fn across(&mut self, x: f64) -> &mut Self {
        let x = units(x, WIDE);
        self.at.0 = x;
        // One that goes on where another ended is one line.
        let begins = self.across.unwrap_or(self.data.len());
        self.data.truncate(begins);
        self.put(format_args!("H{x}"));
        self.across = Some(begins);
        self
    }

    /// A line up or down.
    pub(super) fn down(&mut self, y: f64) -> &mut Self {
        let y = units(y, HIGH);
        if y == self.at.1 {
            return self;
        }
        self.at.1 = y;
        self.put(format_args!("V{y}"))
    }

    /// Back to where it began.
    pub(super) fn close(&mut self) -> &mut Self {
        self.put(format_args!("z"))
    }

    fn put(&mut self, command: std::fmt::Arguments<'_>) -> &mut Self {
        self.across = None;
        // Writing to a String cannot fail.
        self.data.write_fmt(command).ok();
        self
    }
}

fn units(share: f64, whole: f64) -> i64 {
    (share * whole).round().clamp(-WIDE, 2.0 * WIDE) as i64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(text: &str) -> String {
        let mut markup = Markup::default();
        markup.text(text);
        markup.finish()
    }

    #[test]
    fn what_could_be_markup_is_text() {
        assert_eq!(escaped("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
        assert_eq!(escaped("a\u{0}b\u{202e}c\nd"), "a\u{fffd}b\u{fffd}c\nd");
    }

    #[test]
    fn shares_are_written_short() {
        let mut markup = Markup::default();
        markup.percent(0.0).raw(" ").percent(1.0 / 11.0).raw(" ").percent(2.0);
        assert_eq!(markup.finish(), "0% 9.1% 100%");
    }

    #[test]
    fn paths_are_whole_numbers_of_their_frame() {
        let mut path = Path::default();
        path.go(0.0, 1.0).across(0.5).down(0.123).line(1.0, 0.0).close();
        assert_eq!(path.data, "M0 100H500V12L1000 0z");
        let mut level = Path::default();
        level.go(0.0, 1.0).across(0.2).down(0.999).across(0.4).down(0.5).down(0.501).across(1.0);
        assert_eq!(level.data, "M0 100H400V50H1000");
    }

    proptest! {
        #[test]
        fn no_text_has_a_character_of_markup_left(text in any::<String>()) {
            let escaped = escaped(&text);
            prop_assert!(!escaped.contains(['<', '>', '"', '\'']));
            let back = ["&lt;", "&gt;", "&quot;", "&#39;", "&amp;"].iter().zip(["<", ">", "\"", "'", "&"])
                .fold(escaped, |text, (from, to)| text.replace(from, to));
            prop_assert_eq!(back.chars().count(), text.chars().count());
        }
    }
}
