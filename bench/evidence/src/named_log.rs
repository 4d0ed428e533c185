//! Named quantities over time, for sources that give a name with every number.

use std::collections::BTreeMap;

use super::series::Series;

/// The series of quantities by name. A name that is known already costs no allocation.
#[derive(Debug, Default)]
pub struct NamedLog {
    series: BTreeMap<String, Series>,
    name: String,
}

impl NamedLog {
    /// Takes a reading, at nanoseconds since the start of the cell, of the quantity named by `parts` joined by dots.
    pub fn record(&mut self, at_ns: u64, parts: &[&str], value: u64) {
        self.name.clear();
        for part in parts {
            if !self.name.is_empty() {
                self.name.push('.');
            }
            self.name.push_str(part);
        }
        match self.series.get_mut(self.name.as_str()) {
            Some(series) => series.push(at_ns, value),
            None => {
                self.series.insert(self.name.clone(), Series::starting(at_ns, value));
            }
        }
    }

    /// The last value of a quantity; `None` for one that was never read.
    #[must_use]
    pub fn last(&self, name: &str) -> Option<u64> {
        self.series.get(name).map(|series| series.last)
    }

    /// Every quantity that was read.
    #[must_use]
    pub fn into_series(self) -> BTreeMap<String, Series> {
        self.series
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_kept_by_their_full_name() {
        let mut log = NamedLog::default();
        log.record(1, &["sockstat", "TCP", "tw"], 5);
        log.record(2, &["sockstat", "TCP", "tw"], 6);
        log.record(2, &["softnet", "dropped"], 0);
        assert_eq!(
            (log.last("sockstat.TCP.tw"), log.last("softnet.dropped"), log.last("tw")),
            (Some(6), Some(0), None)
        );
        assert_eq!(log.into_series().get("sockstat.TCP.tw").map(|s| s.reads), Some(2));
    }
}
