//! Lines of a page for a terminal: broken at its width, headings bold. Pure: width and colour are given.

use crate::text::Look;

/// The narrowest page.
const LEAST_WIDTH: u16 = 60;

/// A page that is being written.
pub(crate) struct Page {
    pub(crate) out: String,
    look: Look,
}

impl Page {
    pub(crate) fn new(look: Look) -> Self {
        Self { out: String::new(), look: Look { width: look.width.max(LEAST_WIDTH), ..look } }
    }

    /// How it looks.
    pub(crate) fn look(&self) -> Look {
        self.look
    }

    /// Its columns.
    pub(crate) fn width(&self) -> usize {
        usize::from(self.look.width)
    }

    /// Whether it may be coloured.
    pub(crate) fn color(&self) -> bool {
        self.look.color
    }

    /// A line as it is.
    pub(crate) fn raw(&mut self, line: &str) {
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }

    /// An empty line.
    pub(crate) fn gap(&mut self) {
        self.out.push('\n');
    }

    /// Words in bold.
    pub(crate) fn heading(&mut self, text: &str) {
        let at = self.out.len();
        self.wrapped(text, 0, 0);
        if self.look.color {
            let body = self.out.split_off(at);
            self.out.push_str(&format!("\u{1b}[1m{}\u{1b}[0m\n", body.trim_end()));
        }
    }

    /// Words broken at the width; the first line indented by `first`, the others by `rest`.
    pub(crate) fn wrapped(&mut self, text: &str, first: usize, rest: usize) {
        let width = self.width();
        let mut line = " ".repeat(first);
        let mut empty = true;
        for word in text.split([' ', '\n']) {
            if !empty && line.chars().count() + 1 + word.chars().count() > width {
                self.raw(&line);
                line = " ".repeat(rest);
                empty = true;
            }
            if !empty {
                line.push(' ');
            }
            line.push_str(word);
            empty = false;
        }
        self.raw(&line);
    }

    /// Words after a label, further lines indented to where they began.
    pub(crate) fn wrapped_after(&mut self, label: &str, text: &str) {
        if text.trim().is_empty() {
            return self.raw(label);
        }
        let indent = label.chars().count();
        let at = self.out.len();
        self.wrapped(text, indent, indent);
        self.out.replace_range(at..at + indent, label);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_broken_at_the_width_and_indented() {
        let mut page = Page::new(Look { width: 1, color: false });
        page.wrapped(&"word ".repeat(20), 2, 4);
        assert!(
            page.out.lines().all(|line| line.len() <= 60 && line.starts_with("  word") || line.starts_with("    word"))
        );
        assert_eq!(page.out.split_whitespace().count(), 20);
        page.out.clear();
        page.wrapped_after("  ≥ label  ", &"word ".repeat(12));
        page.wrapped_after("  label  ", "");
        let lines: Vec<&str> = page.out.lines().collect();
        assert!(lines[0].starts_with("  ≥ label  word") && lines[1].starts_with("           word"), "{lines:?}");
        assert_eq!(lines[2], "  label");
    }
}
