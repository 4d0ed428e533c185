//! The one error of a scenario file: where, what, what would be valid, and what to do.

use std::fmt;
use std::ops::Range;

use super::super::refusal::Class;
use crate::wording;

/// Where in a file something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named to [`super::Scenario::parse`].
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// The text of that line.
    pub text: String,
    /// How many characters of it are meant, at least 1.
    pub width: usize,
}

/// Why a scenario file cannot be used.
///
/// Its text has the place, the line with a caret, the message and the valid keys, but not the hint: whoever prints it
/// sets `hint:` beneath.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ScenarioError {
    /// Where.
    pub at: Box<Place>,
    /// What is wrong; lowercase, no full stop.
    pub message: String,
    /// The keys or words that are valid there; empty where that is not the question.
    pub valid: Vec<String>,
    /// What to type.
    pub hint: Option<String>,
    /// Whether the file has to change, or the machine it is to run on.
    pub class: Class,
}

impl ScenarioError {
    /// The same with a hint.
    #[must_use]
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same about the machine rather than the file.
    #[must_use]
    pub(super) fn class(self, class: Class) -> Self {
        Self { class, ..self }
    }

    /// The same with what is valid there, and the nearest of it as the hint if one is like `given`.
    #[must_use]
    pub(super) fn valid(self, given: &str, valid: &[&str]) -> Self {
        let hint = wording::nearest(given, valid.iter().copied()).map(|near| format!("did you mean `{near}`?"));
        Self { valid: valid.iter().map(|&word| word.to_owned()).collect(), hint: hint.or(self.hint), ..self }
    }
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { file, line, column, text, width } = &*self.at;
        writeln!(f, "{file}:{line}:{column}: {}", self.message)?;
        let margin = " ".repeat(line.to_string().len());
        // Tabs are kept, so that the caret stands under the text however wide a tab is.
        let lead: String = text.chars().take(column - 1).map(|c| if c == '\t' { c } else { ' ' }).collect();
        writeln!(f, "{margin} |")?;
        writeln!(f, "{line} | {text}")?;
        write!(f, "{margin} | {lead}{}", "^".repeat(*width))?;
        if !self.valid.is_empty() {
            write!(f, "\nvalid here: {}", wording::quoted(&self.valid))?;
        }
        Ok(())
    }
}

/// A file's name and text, for errors about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'s> {
    pub(super) file: &'s str,
    pub(super) text: &'s str,
    /// Whether host-wide knobs may be varied: where the host is a guest of one's own.
    pub(super) own_host: bool,
}

impl Source<'_> {
    /// An error about the bytes of `span`.
    pub(super) fn error(&self, span: Range<usize>, message: impl Into<String>) -> ScenarioError {
        let start = self.text.floor_char_boundary(span.start);
        let before = &self.text[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let text = self.text[line_start..].lines().next().unwrap_or_default();
        let column = self.text[line_start..start].chars().count();
        let meant = self.text.get(start..span.end).and_then(|meant| meant.lines().next()).unwrap_or_default();
        let place = Place {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: column + 1,
            text: text.to_owned(),
            width: meant.chars().count().max(1),
        };
        ScenarioError {
            at: Box::new(place),
            message: message.into(),
            valid: Vec::new(),
            hint: None,
            class: Class::Scenario,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_what_is_meant() {
        let source = Source { file: "a.toml", text: "x = 1\n\té = \"ü\" # ß\n", own_host: false };
        let at = source.text.find('"').unwrap();
        let error = source.error(at..at + 4, "no");
        assert_eq!(error.to_string(), "a.toml:2:6: no\n  |\n2 | \té = \"ü\" # ß\n  | \t    ^^^");
    }

    #[test]
    fn a_place_at_or_behind_the_end_is_still_a_place() {
        let source = Source { file: "a.toml", text: "x", own_host: false };
        assert_eq!(source.error(1..1, "no").at.column, 2);
        assert_eq!(source.error(9..12, "no").at.line, 1);
        assert_eq!(Source { file: "a", text: "", own_host: false }.error(0..0, "no").at.width, 1);
    }
}
