//! What values a knob can have, and the one spelling of each.

use std::time::Duration;

use serde::Serialize;

use super::nofile::{parse_nofile, print_nofile};
use crate::cell::KnobValue;
use crate::wording::{self, grouped, time};

/// The longest value of a sysctl taken, in bytes.
const MAX_WORD: usize = 256;

/// The values a knob can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Values {
    /// A whole number between two bounds, both included.
    Count {
        /// The least.
        least: u64,
        /// The most.
        most: u64,
    },
    /// This many whole numbers in one text, as in `"1024 60999"`.
    Counts {
        /// How many.
        how_many: usize,
        /// The most each can be; the least is 0.
        most: u64,
    },
    /// One of these words.
    Words(&'static [&'static str]),
    /// `true` or `false`.
    Switch,
    /// One number, or `"soft:hard"`.
    Nofile,
    /// A duration with its unit, as in `"1200ms"`, to the millisecond.
    Time {
        /// The least.
        least: Duration,
        /// The most.
        most: Duration,
        /// Whether the kernel counts it in seconds.
        whole_seconds: bool,
    },
    /// Whatever the kernel takes.
    Any,
}

impl Values {
    /// The one spelling of a value, so that two that mean the same are equal.
    ///
    /// # Errors
    /// Says why the knob cannot have this value.
    pub fn canonical(self, value: &KnobValue) -> Result<KnobValue, String> {
        match self {
            Self::Count { least, most } => {
                let KnobValue::Number(count) = as_number(value) else { return Err(self.wants(value)) };
                if (least..=most).contains(&count) {
                    Ok(KnobValue::Number(count))
                } else {
                    Err(format!("{} is out of range: {}", grouped(count), self.describe()))
                }
            }
            Self::Counts { how_many, most } => {
                let text = value.to_string();
                let counts: Option<Vec<u64>> = text.split_whitespace().map(|word| word.parse().ok()).collect();
                match counts {
                    Some(counts) if counts.len() == how_many && counts.iter().all(|&count| count <= most) => {
                        let words: Vec<String> = counts.iter().map(u64::to_string).collect();
                        Ok(KnobValue::Word(words.join(" ")))
                    }
                    _ => Err(self.wants(value)),
                }
            }
            Self::Words(known) => match value {
                KnobValue::Word(word) if known.contains(&word.as_str()) => Ok(value.clone()),
                KnobValue::Word(word) => Err(match wording::nearest(word, known.iter().copied()) {
                    Some(near) => format!("{}; did you mean `{near}`?", self.wants(value)),
                    None => self.wants(value),
                }),
                _ => Err(self.wants(value)),
            },
            Self::Switch => match value {
                KnobValue::Switch(_) => Ok(value.clone()),
                _ => Err(self.wants(value)),
            },
            Self::Nofile => parse_nofile(value).map(print_nofile),
            Self::Time { least, most, whole_seconds } => {
                let span = parse_time(value)?;
                let odd = span.subsec_nanos() % if whole_seconds { 1_000_000_000 } else { 1_000_000 } != 0;
                if odd || span < least || span > most {
                    return Err(format!("{} is out of range: {}", time(span), self.describe()));
                }
                Ok(print_time(span))
            }
            Self::Any => match as_number(value) {
                KnobValue::Word(word) => any_word(&word).map(KnobValue::Word),
                KnobValue::Switch(_) => {
                    Err("it takes a number or a text: write 1 or 0, or the word in quotes".to_owned())
                }
                number => Ok(number),
            },
        }
    }

    /// What it takes, as a message says it.
    #[must_use]
    pub fn describe(self) -> String {
        match self {
            Self::Count { least, most } => {
                format!("it takes a whole number between {} and {}", grouped(least), grouped(most))
            }
            Self::Counts { how_many, most } => {
                format!("it takes {how_many} whole numbers in one text, each at most {}", grouped(most))
            }
            Self::Words(known) => format!("it takes one of {}", wording::quoted(known)),
            Self::Switch => "it takes true or false".to_owned(),
            Self::Nofile => "it takes a number or \"soft:hard\"".to_owned(),
            Self::Time { least, most, whole_seconds } => {
                let fine = if whole_seconds { "whole seconds" } else { "a duration" };
                format!("it takes {fine} between {} and {}", time(least), time(most))
            }
            Self::Any => "it takes a number or a text".to_owned(),
        }
    }

    fn wants(self, value: &KnobValue) -> String {
        format!("`{value}` will not do: {}", self.describe())
    }
}

/// The span of time that a value stands for.
///
/// # Errors
/// Says what is wrong: no text, no unit, or no duration.
pub fn parse_time(value: &KnobValue) -> Result<Duration, String> {
    let KnobValue::Word(text) = value else {
        return Err(format!("`{value}` will not do: write a duration with its unit, as in \"1200ms\""));
    };
    humantime::parse_duration(text).map_err(|error| format!("`{text}` is no duration: {error}"))
}

/// The one spelling of a span of whole milliseconds: seconds where it is that many, milliseconds where not.
fn print_time(span: Duration) -> KnobValue {
    KnobValue::Word(match span.subsec_millis() {
        0 => format!("{}s", span.as_secs()),
        _ => format!("{}ms", span.as_millis()),
    })
}

/// A text that is nothing but a number, as that number.
fn as_number(value: &KnobValue) -> KnobValue {
    match value {
        KnobValue::Word(word) => word.trim().parse().map_or_else(|_| value.clone(), KnobValue::Number),
        other => other.clone(),
    }
}

/// A sysctl's text with single spaces, as `/proc/sys` takes it.
fn any_word(word: &str) -> Result<String, String> {
    let text = word.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() || text.len() > MAX_WORD || text.chars().any(char::is_control) {
        return Err(format!("a value is printable text of 1 to {MAX_WORD} bytes"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> KnobValue {
        KnobValue::Word(text.to_owned())
    }

    #[test]
    fn values_that_mean_the_same_become_equal() {
        let count = Values::Count { least: 0, most: 10 };
        assert_eq!(count.canonical(&word("7")), Ok(KnobValue::Number(7)));
        let range = Values::Counts { how_many: 2, most: 65_535 };
        assert_eq!(range.canonical(&word("1024\t 60999")), Ok(word("1024 60999")));
        assert_eq!(Values::Any.canonical(&word("16384 ")), Ok(KnobValue::Number(16_384)));
        assert_eq!(Values::Nofile.canonical(&word("1024:1024")), Ok(KnobValue::Number(1024)));
        let span = Values::Time { least: Duration::ZERO, most: Duration::from_secs(60), whole_seconds: false };
        for (written, read) in [("1s 200ms", "1200ms"), ("1m", "60s"), ("1000ms", "1s"), ("0s", "0s")] {
            assert_eq!(span.canonical(&word(written)), Ok(word(read)), "{written}");
        }
    }

    #[test]
    fn values_out_of_reach_are_refused_with_what_would_do() {
        let count = Values::Count { least: 1, most: 10 };
        assert!(count.canonical(&KnobValue::Number(11)).unwrap_err().contains("between 1 and 10"));
        assert!(count.canonical(&word("ten")).unwrap_err().contains("`ten` will not do"));
        assert!(
            Values::Words(&["spin", "sleep"]).canonical(&word("spim")).unwrap_err().contains("did you mean `spin`")
        );
        assert!(Values::Switch.canonical(&KnobValue::Number(1)).is_err());
        assert!(Values::Counts { how_many: 2, most: 9 }.canonical(&word("1 2 3")).is_err());
        assert!(Values::Counts { how_many: 2, most: 9 }.canonical(&word("1 10")).is_err());
        let whole = Values::Time { least: Duration::from_secs(1), most: Duration::from_secs(60), whole_seconds: true };
        for bad in ["1500ms", "0s", "61s", "5", "soon"] {
            assert!(whole.canonical(&word(bad)).is_err(), "{bad}");
        }
        assert!(whole.canonical(&KnobValue::Number(5)).unwrap_err().contains("with its unit"));
        assert!(Values::Any.canonical(&word("")).is_err());
        assert!(Values::Any.canonical(&KnobValue::Switch(true)).is_err());
    }
}
