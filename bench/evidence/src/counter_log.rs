//! Counters over time: each reading of a file of counters becomes one more reading of each [`Series`].

use std::collections::{BTreeMap, HashMap};

use super::counters::{CounterError, Table};
use super::series::Series;

/// The series of every counter in one file that is read again and again.
#[derive(Debug, Default)]
pub struct CounterLog {
    table: Table,
    /// For each name of the table, its place in `series`.
    places: Vec<usize>,
    series: Vec<(String, Series)>,
}

impl CounterLog {
    /// Takes a reading, at nanoseconds since the start of the cell. A negative value is no reading.
    ///
    /// # Errors
    ///
    /// [`CounterError`] for a text that is not one of counters; nothing of it is kept.
    pub fn record(&mut self, at_ns: u64, text: &str) -> Result<(), CounterError> {
        if self.table.update(text)? {
            self.find_places();
        }
        for (&place, value) in self.places.iter().zip(self.table.values()) {
            if let (Some((_, series)), Some(value)) = (self.series.get_mut(place), value) {
                series.push(at_ns, *value);
            }
        }
        Ok(())
    }

    /// The last value of a counter, `TcpExt.ListenDrops`; `None` for one that was never read.
    #[must_use]
    pub fn last(&self, name: &str) -> Option<u64> {
        self.series.iter().find(|(known, _)| known == name).filter(|(_, s)| s.reads > 0).map(|(_, s)| s.last)
    }

    /// Every counter that was read at least once.
    #[must_use]
    pub fn into_series(self) -> BTreeMap<String, Series> {
        self.series.into_iter().filter(|(_, series)| series.reads > 0).collect()
    }

    fn find_places(&mut self) {
        let mut known: HashMap<&str, usize> =
            self.series.iter().enumerate().map(|(place, (name, _))| (name.as_str(), place)).collect();
        let mut unknown = Vec::new();
        self.places.clear();
        for name in self.table.names() {
            let next = self.series.len() + unknown.len();
            let place = *known.entry(name).or_insert(next);
            if place == next {
                unknown.push((name.clone(), Series::default()));
            }
            self.places.push(place);
        }
        self.series.append(&mut unknown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_follow_their_names_when_the_kernel_shows_a_new_one() {
        let mut log = CounterLog::default();
        log.record(10, "Tcp: A B MaxConn\nTcp: 1 2 -1\n").unwrap();
        log.record(20, "Tcp: A New B MaxConn\nTcp: 3 9 4 -1\n").unwrap();
        assert_eq!((log.last("Tcp.B"), log.last("Tcp.MaxConn"), log.last("Tcp.C")), (Some(4), None, None));
        let series = log.into_series();
        assert_eq!(series.keys().map(String::as_str).collect::<Vec<_>>(), ["Tcp.A", "Tcp.B", "Tcp.New"]);
        assert_eq!(series.get("Tcp.A").map(|s| s.points.as_slice()), Some([(10, 1), (20, 3)].as_slice()));
        assert_eq!(series.get("Tcp.New").map(|s| s.points.as_slice()), Some([(20, 9)].as_slice()));
    }

    #[test]
    fn a_bad_reading_leaves_the_series_alone() {
        let mut log = CounterLog::default();
        log.record(10, "Tcp: A B\nTcp: 1 2\n").unwrap();
        assert!(log.record(20, "Tcp: A B\nTcp: 7\n").is_err());
        log.record(30, "Tcp: A B\nTcp: 1 5\n").unwrap();
        let series = log.into_series();
        assert_eq!(series.get("Tcp.B").map(|s| (s.reads, s.last)), Some((2, 5)));
    }
}
