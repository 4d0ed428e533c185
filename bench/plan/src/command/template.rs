//! Texts with placeholders: `{{name}}`, and nothing more. Braces around anything else are left as they are, because what is filled in are
//! the files of other programs.

use std::fmt;

const OPEN: &str = "{{";
const CLOSE: &str = "}}";

/// Which text of a command is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spot<'a> {
    /// The command line.
    Argv,
    /// A variable of this name.
    Env(&'a str),
    /// A file of this name.
    File(&'a str),
    /// The command that is the health check.
    Probe,
}

impl fmt::Display for Spot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argv => f.write_str("`target.argv`"),
            Self::Env(name) => write!(f, "the variable `{name}`"),
            Self::File(name) => write!(f, "the file `{name}`"),
            Self::Probe => f.write_str("`probe.exec`"),
        }
    }
}

/// Where something stands, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place(pub(super) String);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Whether a name of a placeholder can have this character.
pub(super) fn fits(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

/// A text in pieces: what is left as it is, and the name behind it where there is one.
fn pieces(mut text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    std::iter::from_fn(move || {
        if text.is_empty() {
            return None;
        }
        let mut from = 0;
        while let Some(at) = text.get(from..).and_then(|rest| rest.find(OPEN)).map(|at| from + at) {
            let (before, rest) = (text.get(..at)?, text.get(at + OPEN.len()..)?);
            match rest.split_once(CLOSE) {
                Some((name, after)) if !name.is_empty() && name.chars().all(fits) => {
                    text = after;
                    return Some((before, Some(name)));
                }
                _ => from = at + 1,
            }
        }
        Some((std::mem::take(&mut text), None))
    })
}

/// The names that a text asks for.
pub(super) fn names(text: &str) -> impl Iterator<Item = &str> {
    pieces(text).filter_map(|(_, name)| name)
}

/// The text with every name put in place by its value.
///
/// # Errors
/// The first name that has none.
pub(super) fn fill(text: &str, value: &impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut filled = String::with_capacity(text.len());
    for (before, name) in pieces(text) {
        filled.push_str(before);
        if let Some(name) = name {
            filled.push_str(&value(name).ok_or_else(|| name.to_owned())?);
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(text: &str) -> Result<String, String> {
        fill(text, &|name| (name == "a" || name == "b-1").then(|| format!("<{name}>")))
    }

    #[test]
    fn names_are_put_in_place_and_other_braces_are_not() {
        for (text, becomes) in [
            ("", ""),
            ("{{a}}", "<a>"),
            ("x{{a}}{{b-1}}y", "x<a><b-1>y"),
            ("{{{a}}}", "{<a>}"),
            ("{{ a }} { } {{}} {{", "{{ a }} { } {{}} {{"),
            ("f({a: {b: {}}})", "f({a: {b: {}}})"),
            ("{{a", "{{a"),
        ] {
            assert_eq!(filled(text).as_deref(), Ok(becomes), "{text}");
        }
        assert_eq!(filled("{{a}}{{c}}"), Err("c".to_owned()));
        assert_eq!(names("{{a}} {{ x }} {{c}}").collect::<Vec<_>>(), ["a", "c"]);
    }

    proptest! {
        #[test]
        fn a_text_without_names_is_itself(text in "[{}a ü]{0,40}") {
            prop_assume!(names(&text).next().is_none());
            prop_assert_eq!(filled(&text), Ok(text));
        }
    }
}
