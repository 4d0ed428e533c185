//! A page of a given width: lines, headings, words broken where they must be. Pure.

use std::fmt::Write as _;

use super::Look;

/// What is written so far.
pub(super) struct Page {
    pub(super) out: String,
    pub(super) look: Look,
}

impl Page {
    pub(super) fn raw(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }

    pub(super) fn gap(&mut self) {
        self.out.push('\n');
    }

    pub(super) fn heading(&mut self, text: &str) {
        let at = self.out.len();
        self.wrapped(text, 0, 0);
        if self.look.color {
            let body = self.out.split_off(at);
            // Writing to a String cannot fail.
            if writeln!(self.out, "\u{1b}[1m{}\u{1b}[0m", body.trim_end()).is_err() {
                self.out.push_str(&body);
            }
        }
    }

    /// Words broken at the width; the first line indented by `first`, the others by `rest`.
    pub(super) fn wrapped(&mut self, text: &str, first: usize, rest: usize) {
        let width = usize::from(self.look.width);
        let mut line = " ".repeat(first);
        let mut empty = true;
        for word in text.split_whitespace() {
            if !empty && line.chars().count() + 1 + word.chars().count() > width {
                self.raw(line.trim_end());
                line = " ".repeat(rest);
                empty = true;
            }
            if !empty {
                line.push(' ');
            }
            line.push_str(word);
            empty = false;
        }
        self.raw(line.trim_end());
    }

    /// Words after a label, further lines indented to where they began.
    pub(super) fn wrapped_after(&mut self, label: &str, text: &str) {
        let indent = label.chars().count();
        let at = self.out.len();
        self.wrapped(text, indent, indent);
        self.out.replace_range(at..at + indent, label);
    }
}
