//! What a source costs, and what becomes of one that cannot be read.

use std::error::Error;
use std::time::{Duration, Instant};

use brimful_evidence::record::Source;

/// After so many failures in a row a source is not tried again.
const GIVE_UP_AFTER: u32 = 3;

/// The account of one source.
#[derive(Debug)]
pub(super) struct Meter {
    name: &'static str,
    reads: u64,
    cost_ns: u64,
    longest_ns: u64,
    failures: u32,
    first_error: Option<String>,
}

impl Meter {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, reads: 0, cost_ns: 0, longest_ns: 0, failures: 0, first_error: None }
    }

    /// Takes a reading, unless the source was given up. Returns it with what it cost.
    pub(super) fn read<T, E: Error>(&mut self, reading: impl FnOnce() -> Result<T, E>) -> Option<(T, u64)> {
        if self.gave_up() {
            return None;
        }
        let begun = Instant::now();
        let result = reading();
        let cost_ns = nanoseconds(begun.elapsed());
        self.cost_ns += cost_ns;
        self.longest_ns = self.longest_ns.max(cost_ns);
        match result {
            Ok(value) => {
                self.reads += 1;
                self.failures = 0;
                Some((value, cost_ns))
            }
            Err(error) => {
                self.failures += 1;
                self.first_error.get_or_insert_with(|| told(&error));
                None
            }
        }
    }

    /// Gives a source up at once: it could not even be opened.
    pub(super) fn give_up(&mut self, error: &dyn Error) {
        self.failures = GIVE_UP_AFTER;
        self.first_error.get_or_insert_with(|| told(error));
    }

    pub(super) fn gave_up(&self) -> bool {
        self.failures >= GIVE_UP_AFTER
    }

    /// The account, under a name with the side behind it where there are two.
    pub(super) fn into_source(self, side: Option<&str>) -> Source {
        let name = side.map_or_else(|| self.name.to_owned(), |side| format!("{}.{side}", self.name));
        let unavailable = self.gave_up() || self.reads == 0;
        Source {
            name,
            unavailable_because: if unavailable { self.first_error } else { None },
            reads: self.reads,
            cost_ns: self.cost_ns,
            longest_ns: self.longest_ns,
        }
    }
}

/// Adds an account to those of the same name: that of one process to that of another.
pub(super) fn merge(sources: &mut Vec<Source>, source: Source) {
    let Some(known) = sources.iter_mut().find(|known| known.name == source.name) else {
        sources.push(source);
        return;
    };
    known.reads += source.reads;
    known.cost_ns += source.cost_ns;
    known.longest_ns = known.longest_ns.max(source.longest_ns);
    known.unavailable_because = known.unavailable_because.take().or(source.unavailable_because);
}

/// An error with its causes, on one line.
pub(super) fn told(error: &dyn Error) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn failing() -> Result<(), io::Error> {
        Err(io::Error::from_raw_os_error(13))
    }

    #[test]
    fn a_source_that_never_works_is_tried_three_times() {
        let (mut meter, mut tried) = (Meter::new("netstat"), 0);
        for _ in 0..10 {
            let read = meter.read(|| {
                tried += 1;
                failing()
            });
            assert!(read.is_none());
        }
        assert_eq!(tried, 3);
        let source = meter.into_source(Some("client"));
        assert_eq!((source.name.as_str(), source.reads), ("netstat.client", 0));
        assert!(source.unavailable_because.is_some_and(|why| why.contains("ermission denied")));
    }

    #[test]
    fn a_passing_failure_is_forgiven() {
        let mut meter = Meter::new("netstat");
        for fails in [true, true, false, true, true, false] {
            let read = meter.read(|| if fails { failing() } else { Ok(()) });
            assert_eq!(read.is_some(), !fails);
        }
        let source = meter.into_source(None);
        assert_eq!((source.reads, source.unavailable_because), (2, None));
        assert!(source.longest_ns <= source.cost_ns);
    }

    #[test]
    fn a_source_that_was_never_reached_has_no_reason() {
        assert_eq!(Meter::new("x").into_source(None).unavailable_because, None);
    }

    #[test]
    fn accounts_of_one_name_are_added_up() {
        let source = |reads, longest_ns, why: Option<&str>| Source {
            name: "process.cpu".to_owned(),
            unavailable_because: why.map(str::to_owned),
            reads,
            cost_ns: 10,
            longest_ns,
        };
        let mut sources = vec![source(3, 7, None)];
        merge(&mut sources, source(2, 9, Some("no")));
        merge(&mut sources, Source { name: "other".to_owned(), ..source(1, 1, None) });
        assert_eq!(sources.len(), 2);
        assert_eq!(sources.first(), Some(&Source { cost_ns: 20, ..source(5, 9, Some("no")) }));
    }
}
