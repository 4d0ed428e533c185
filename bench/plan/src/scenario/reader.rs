//! Reads tables and values, each with its place in the file.
//!
//! `toml`'s spanned tree is read directly rather than through derived types: a derived type with
//! `deny_unknown_fields` refuses a misspelt key as well, but it cannot point at a value once that has been read, and
//! most of what can be wrong with a scenario (a duplicate in an axis, a condition on a knob that does not vary) is
//! found out only then. Unknown keys are refused where a table is opened, so no reader can forget to.

use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::de::value::{Error as WordError, StrDeserializer};
use toml::de::{DeTable, DeValue};

use super::error::{ScenarioError, Source};
use crate::cell::KnobValue;
use crate::wording::{grouped, time};

/// The keys of one table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys {
    /// What can be written.
    pub(super) now: &'static [&'static str],
    /// What belongs to the language but not to this version.
    pub(super) later: &'static [&'static str],
    /// Other names that people write, such as a pod spec's, and the name here.
    pub(super) elsewhere: &'static [(&'static str, &'static str)],
}

/// A table, its keys known to be valid.
#[derive(Clone, Debug)]
pub(super) struct Section<'s> {
    source: Source<'s>,
    /// The dotted name, empty for the file itself.
    name: String,
    /// `None` for a table that is not in the file.
    table: Option<&'s DeTable<'s>>,
    /// Where it stands: its key, or the first byte of the file.
    place: Range<usize>,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Value<'s> {
    pub(super) source: Source<'s>,
    /// The dotted name, as messages say it.
    pub(super) name: String,
    key: Range<usize>,
    span: Range<usize>,
    inner: &'s DeValue<'s>,
}

impl<'s> Section<'s> {
    /// The file itself.
    pub(super) fn root(source: Source<'s>, table: &'s DeTable<'s>, keys: Keys) -> Result<Self, ScenarioError> {
        let section = Self { source, name: String::new(), table: Some(table), place: 0..0 };
        section.refuse_strangers(keys)?;
        Ok(section)
    }

    /// A table in this one; an empty one where the file has none.
    pub(super) fn child(&self, key: &str, keys: Keys) -> Result<Self, ScenarioError> {
        match self.value(key) {
            Some(value) => value.table(keys),
            None => Ok(Self { source: self.source, name: self.path(key), table: None, place: self.place.clone() }),
        }
    }

    /// The value of a key.
    pub(super) fn value(&self, key: &str) -> Option<Value<'s>> {
        self.values().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// Every key and value, in the file's order.
    pub(super) fn values(&self) -> impl Iterator<Item = (&'s str, Value<'s>)> {
        let source = self.source;
        self.table.into_iter().flatten().map(move |(key, value)| {
            let text: &'s str = key.get_ref();
            let inner = value.get_ref();
            (text, Value { source, name: self.path(text), key: key.span(), span: value.span(), inner })
        })
    }

    /// The value of a key that must be there.
    pub(super) fn required(&self, key: &str) -> Result<Value<'s>, ScenarioError> {
        self.value(key).ok_or_else(|| self.error(format!("`{}` is missing", self.path(key))))
    }

    /// A whole number, or what stands for it when the key is absent.
    pub(super) fn count(&self, key: &str, range: RangeInclusive<u64>, absent: u64) -> Result<u64, ScenarioError> {
        self.value(key).map_or(Ok(absent), |value| value.count(range))
    }

    /// A duration, or what stands for it when the key is absent.
    pub(super) fn duration(
        &self,
        key: &str,
        range: RangeInclusive<Duration>,
        absent: Duration,
    ) -> Result<Duration, ScenarioError> {
        self.value(key).map_or(Ok(absent), |value| value.duration(range))
    }

    /// A word of a closed set, or its default.
    pub(super) fn word<T: DeserializeOwned + Default>(
        &self,
        key: &str,
        now: &[&str],
        later: &[&str],
    ) -> Result<T, ScenarioError> {
        self.value(key).map_or_else(|| Ok(T::default()), |value| value.word(now, later))
    }

    /// An error about the table as a whole.
    pub(super) fn error(&self, message: impl Into<String>) -> ScenarioError {
        self.source.error(self.place.clone(), message)
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    fn refuse_strangers(&self, keys: Keys) -> Result<(), ScenarioError> {
        for (key, value) in self.values() {
            if keys.now.contains(&key) {
                continue;
            }
            if keys.later.contains(&key) {
                return Err(value.not_yet_key());
            }
            let error = value.error_at_key(format!("unknown key `{}`", value.name)).valid(key, keys.now);
            return Err(match keys.elsewhere.iter().find(|(name, _)| *name == key) {
                Some((_, here)) => error.hint(format!("it is called `{here}` here")),
                None => error,
            });
        }
        Ok(())
    }
}

impl<'s> Value<'s> {
    /// An error about the value.
    pub(super) fn error(&self, message: impl Into<String>) -> ScenarioError {
        self.source.error(self.span.clone(), message)
    }

    /// An error about the key.
    pub(super) fn error_at_key(&self, message: impl Into<String>) -> ScenarioError {
        self.source.error(self.key.clone(), message)
    }

    /// The error of a key that a later version will read.
    fn not_yet_key(&self) -> ScenarioError {
        self.error_at_key(format!("`{}` is known, but not in this version", self.name))
            .hint("take it out; a scenario is never run as if it were not there")
    }

    /// A text.
    pub(super) fn text(&self) -> Result<&'s str, ScenarioError> {
        self.inner.as_str().ok_or_else(|| self.wrong("a text in quotes"))
    }

    /// `true` or `false`.
    pub(super) fn switch(&self) -> Result<bool, ScenarioError> {
        self.inner.as_bool().ok_or_else(|| self.wrong("true or false"))
    }

    /// A whole number between two bounds.
    pub(super) fn count(&self, range: RangeInclusive<u64>) -> Result<u64, ScenarioError> {
        let DeValue::Integer(digits) = self.inner else {
            let error = self.wrong("a whole number");
            return Err(match self.inner.as_str().map(|text| text.replace('_', "")) {
                Some(text) if text.parse::<u64>().is_ok() => error.hint(format!("write {text} without quotes")),
                _ => error,
            });
        };
        let negative = digits.as_str().starts_with('-');
        match u64::from_str_radix(digits.as_str().trim_start_matches('+'), digits.radix()) {
            Ok(count) if range.contains(&count) => Ok(count),
            Err(_) if negative => Err(self
                .error(format!("`{}` cannot be negative", self.name))
                .hint("write a whole number from 0 upwards")),
            _ => Err(self.error(format!(
                "`{}` is out of range, it must be between {} and {}",
                self.name,
                grouped(*range.start()),
                grouped(*range.end())
            ))),
        }
    }

    /// A span of time with its unit.
    pub(super) fn duration(&self, range: RangeInclusive<Duration>) -> Result<Duration, ScenarioError> {
        let no_unit = |number: &str| {
            self.error(format!("`{}` needs a unit", self.name)).hint(format!("write \"{number}s\" for seconds"))
        };
        let text = match self.inner {
            DeValue::Integer(number) => return Err(no_unit(number.as_str())),
            DeValue::Float(number) => return Err(no_unit(number.as_str()).hint("write \"1500ms\" for one and a half")),
            _ => self.text()?,
        };
        if text.parse::<f64>().is_ok() {
            return Err(no_unit(text));
        }
        let span = humantime::parse_duration(text).map_err(|error| {
            self.error(format!("`{}` is no duration: {error}", self.name))
                .hint("write \"10s\", \"700ms\" or \"1h 30m\"")
        })?;
        if range.contains(&span) {
            return Ok(span);
        }
        Err(self.error(format!(
            "`{}` is out of range, it must be between {} and {}",
            self.name,
            time(*range.start()),
            time(*range.end())
        )))
    }

    /// A word of a closed set; those of `later` are known, and refused.
    pub(super) fn word<T: DeserializeOwned>(&self, now: &[&str], later: &[&str]) -> Result<T, ScenarioError> {
        let text = self.text()?;
        if later.contains(&text) {
            return Err(self
                .error(format!("`{} = \"{text}\"` is known, but not in this version", self.name))
                .hint(format!("this version has \"{}\"", now.join("\", \""))));
        }
        if !now.contains(&text) {
            return Err(self.error(format!("`{}` cannot be \"{text}\"", self.name)).valid(text, now));
        }
        T::deserialize(StrDeserializer::<WordError>::new(text)).map_err(|error| self.error(error.to_string()))
    }

    /// A table with these keys.
    pub(super) fn table(&self, keys: Keys) -> Result<Section<'s>, ScenarioError> {
        let section = self.any_table()?;
        section.refuse_strangers(keys)?;
        Ok(section)
    }

    /// A table whose keys the caller looks at.
    pub(super) fn any_table(&self) -> Result<Section<'s>, ScenarioError> {
        match self.inner {
            DeValue::Table(table) => Ok(Section {
                source: self.source,
                name: self.name.clone(),
                table: Some(table),
                place: self.key.clone(),
            }),
            _ => Err(self.wrong("a table")),
        }
    }

    /// Whether it is a table.
    pub(super) fn is_table(&self) -> bool {
        self.inner.is_table()
    }

    /// Whether it is a list.
    pub(super) fn is_list(&self) -> bool {
        self.inner.is_array()
    }

    /// The values of a list.
    pub(super) fn list(&self) -> Result<Vec<Self>, ScenarioError> {
        let DeValue::Array(items) = self.inner else { return Err(self.wrong("a list in brackets")) };
        Ok(items
            .iter()
            .map(|item| Self { span: item.span(), key: item.span(), inner: item.get_ref(), ..self.clone() })
            .collect())
    }

    /// The value of a knob: a number, a word or a switch.
    pub(super) fn knob_value(&self) -> Result<KnobValue, ScenarioError> {
        match self.inner {
            DeValue::Boolean(value) => Ok(KnobValue::Switch(*value)),
            DeValue::String(value) => Ok(KnobValue::Word(value.to_string())),
            DeValue::Integer(_) => self.count(0..=u64::MAX).map(KnobValue::Number),
            _ => Err(self.wrong("a whole number, a text or a switch")),
        }
    }

    fn wrong(&self, wanted: &str) -> ScenarioError {
        self.error(format!("`{}` must be {wanted}, not {}", self.name, Kind(self.inner)))
    }
}

/// What a value is, in words.
struct Kind<'s>(&'s DeValue<'s>);

impl fmt::Display for Kind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "a switch",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        })
    }
}
