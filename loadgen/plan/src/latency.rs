//! Latencies as HdrHistograms, and distributions in which a time-out is a value known only from below.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};
use serde::{Deserialize, Serialize, de, ser};

/// Significant decimal digits kept of every value.
const SIGNIFICANT_DIGITS: u8 = 3;

/// A histogram of nanoseconds: range 1 ns to about 292 years, three significant digits, grows as needed. A count is of 32 bits, so that the
/// three of a generator weigh little beside its connections; one that is full, at four thousand million equal values, stays as it is.
///
/// In JSON it is one string, the base64 of HdrHistogram's V2 encoding, so that any HdrHistogram library can read it.
#[derive(Clone, PartialEq)]
pub struct Latency(Histogram<u32>);

/// In a few words: the counters themselves fill pages.
impl fmt::Debug for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(histogram) = self;
        f.debug_struct("Latency")
            .field("count", &histogram.len())
            .field("p50", &histogram.value_at_quantile(0.5))
            .field("max", &histogram.max())
            .finish()
    }
}

/// A quantile of a distribution with censored values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantile {
    /// The value lies among the answered, in nanoseconds.
    Exact(u64),
    /// The rank falls among the censored: all that is known is that it took at least this long, in nanoseconds.
    AtLeast(u64),
}

/// Answered latencies together with the number of attempts that were given up at a known deadline
/// (type I right-censoring: nothing is known of them but that they took at least `deadline_ns`).
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// Latencies of the attempts that were answered.
    pub answered: Latency,
    /// Attempts that were not.
    pub censored: u64,
    /// The deadline at which they were given up, in nanoseconds.
    pub deadline_ns: u64,
}

/// A histogram's text that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("not a histogram in base64 of HdrHistogram's V2 encoding")]
pub struct LatencyError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl Default for Latency {
    fn default() -> Self {
        Self::new()
    }
}

impl Latency {
    /// An empty histogram.
    #[must_use]
    pub fn new() -> Self {
        match Histogram::new(SIGNIFICANT_DIGITS) {
            Ok(histogram) => Self(histogram),
            Err(_) => unreachable!("three significant digits are within hdrhistogram's 0 to 5"),
        }
    }

    /// Records one latency in nanoseconds; 0 is recorded as 1, the smallest value a histogram tells apart.
    pub fn record(&mut self, nanoseconds: u64) {
        // Not `saturating_record`: that never resizes, and clamps everything to the 2,047 ns it begins with.
        // `record` resizes by itself; its only error left is a `usize` too small for 56,000 counters.
        if self.0.record(nanoseconds.max(1)).is_err() {
            unreachable!("an auto-resizing histogram takes every value");
        }
    }

    /// Adds every value of another histogram to this one. Merging is associative and commutative.
    pub fn merge(&mut self, other: &Self) {
        // Both resize by themselves, so the only error of `add` (a value out of range) cannot occur.
        if self.0.add(&other.0).is_err() {
            unreachable!("an auto-resizing histogram takes every value");
        }
    }

    /// How many values were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The smallest recorded value at or above the fraction `q` (0 to 1) of all values, in nanoseconds; 0 when there is none.
    #[must_use]
    pub fn quantile(&self, q: f64) -> u64 {
        self.0.value_at_quantile(q)
    }

    /// The largest value, in nanoseconds; 0 when there is none.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.0.max()
    }

    /// The mean, in nanoseconds; 0 when there is no value.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.0.mean()
    }

    /// The histogram itself, for writers of interval logs.
    #[must_use]
    pub fn histogram(&self) -> &Histogram<u32> {
        &self.0
    }

    /// The base64 text of the V2 encoding.
    ///
    /// # Errors
    /// When the histogram does not fit the encoding's 32-bit length.
    pub fn to_base64(&self) -> Result<String, LatencyError> {
        let mut bytes = Vec::new();
        V2Serializer::new().serialize(&self.0, &mut bytes).map_err(|e| LatencyError(Box::new(e)))?;
        Ok(STANDARD.encode(bytes))
    }

    /// Reads what [`Latency::to_base64`] wrote.
    ///
    /// # Errors
    /// When the text is not base64, or its bytes are not a histogram.
    pub fn from_base64(text: &str) -> Result<Self, LatencyError> {
        let bytes = STANDARD.decode(text).map_err(|e| LatencyError(Box::new(e)))?;
        let mut histogram: Histogram<u32> =
            Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(|e| LatencyError(Box::new(e)))?;
        histogram.auto(true);
        Ok(Self(histogram))
    }
}

impl Serialize for Latency {
    fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_base64().map_err(ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_base64(&text).map_err(de::Error::custom)
    }
}

impl Distribution {
    /// All attempts, answered or not.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.answered.count() + self.censored
    }

    /// The quantile `q` (0 to 1) over answered and censored alike: the value of rank ⌈q·n⌉. `None` when there were no attempts.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<Quantile> {
        let n = self.count();
        if n == 0 {
            return None;
        }
        // Counts stay far below 2^52, so both conversions are exact.
        #[expect(clippy::cast_precision_loss, reason = "counts of probes are far below 2^52")]
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the rank lies between 1 and n")]
        let rank = ((q.clamp(0.0, 1.0) * n as f64).ceil() as u64).clamp(1, n);
        if rank > self.answered.count() {
            return Some(Quantile::AtLeast(self.deadline_ns));
        }
        #[expect(clippy::cast_precision_loss, reason = "counts of probes are far below 2^52")]
        let among_answered = rank as f64 / self.answered.count() as f64;
        Some(Quantile::Exact(self.answered.quantile(among_answered)))
    }

    /// The mean of min(latency, deadline) over all attempts, in nanoseconds (the restricted mean): defined whatever share was censored. `None` when there were no attempts.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds of a run are far below 2^52")]
    pub fn restricted_mean(&self) -> Option<f64> {
        let n = self.count();
        if n == 0 {
            return None;
        }
        let deadline = self.deadline_ns as f64;
        let answered: f64 = self
            .answered
            .histogram()
            .iter_recorded()
            .map(|v| (v.value_iterated_to() as f64).min(deadline) * v.count_at_value() as f64)
            .sum();
        Some((answered + deadline * self.censored as f64) / n as f64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[u64]) -> Latency {
        let mut latency = Latency::new();
        for &value in values {
            latency.record(value);
        }
        latency
    }

    #[test]
    fn a_quantile_among_the_censored_is_known_only_from_below() {
        let d = Distribution { answered: of(&[1_000, 2_000]), censored: 2, deadline_ns: 1_000_000 };
        assert_eq!(d.quantile(0.5), Some(Quantile::Exact(2_000)));
        assert_eq!(d.quantile(0.51), Some(Quantile::AtLeast(1_000_000)));
        assert_eq!(d.quantile(1.0), Some(Quantile::AtLeast(1_000_000)));
        let none = Distribution { answered: of(&[]), censored: 0, deadline_ns: 1 };
        assert_eq!(none.quantile(0.5), None);
        assert_eq!(none.restricted_mean(), None);
    }

    #[test]
    fn the_restricted_mean_counts_a_timeout_as_its_deadline() {
        let d = Distribution { answered: of(&[100]), censored: 1, deadline_ns: 1_000 };
        assert_eq!(d.restricted_mean(), Some(550.0));
    }

    proptest! {
        #[test]
        fn every_value_is_kept_to_three_digits(value in prop_oneof![1_u64..10_000, 1_u64..100_000_000_000, 1..=u64::MAX]) {
            let latency = of(&[value, 1]);
            for kept in [latency.max(), latency.quantile(1.0)] {
                prop_assert!(kept.abs_diff(value) <= value / 1_000, "{value} became {kept}");
            }
        }

        #[test]
        fn parse_undoes_print(values in proptest::collection::vec(1_u64..3_600_000_000_000, 0..50)) {
            let latency = of(&values);
            prop_assert_eq!(Latency::from_base64(&latency.to_base64().unwrap()).unwrap(), latency);
        }

        #[test]
        fn merging_is_associative_and_keeps_every_count(
            a in proptest::collection::vec(1_u64..1_000_000_000, 0..20),
            b in proptest::collection::vec(1_u64..1_000_000_000, 0..20),
            c in proptest::collection::vec(1_u64..1_000_000_000, 0..20),
        ) {
            let (a, b, c) = (of(&a), of(&b), of(&c));
            let mut left = a.clone();
            left.merge(&b);
            left.merge(&c);
            let mut right = b.clone();
            right.merge(&c);
            right.merge(&a);
            prop_assert_eq!(&left, &right);
            prop_assert_eq!(left.count(), a.count() + b.count() + c.count());
        }
    }

    #[test]
    fn what_is_no_histogram_is_refused() {
        assert!(Latency::from_base64("not base64!").is_err());
        assert!(Latency::from_base64("AAAA").is_err());
    }
}
