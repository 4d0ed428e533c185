//! Numbers as people read them, the same in every message of the plan.

use std::time::Duration;

/// A count with its thousands set apart: `12,000`.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in the largest binary unit that leaves at least one of it, with one decimal: `5.7 GiB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut tenths = u128::from(count) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// A time as a scenario would write it, to the millisecond: `1h 2m 3s 500ms`.
pub(crate) fn time(span: Duration) -> String {
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    humantime::format_duration(Duration::from_millis(millis)).to_string()
}

/// The names in backquotes, joined by commas.
pub fn quoted<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    names.into_iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ")
}

/// The candidate most like `name`, if one is alike enough to be what was meant.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Below this Jaro-Winkler likeness two words have little in common (`hold` and `load` score 0.67).
    const ALIKE: f64 = 0.8;
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        for (count, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_000, "12,000"), (4_000_000, "4,000,000")] {
            assert_eq!(grouped(count), text);
        }
    }

    #[test]
    fn bytes_take_the_largest_fitting_unit() {
        for (count, text) in [(0, "0.0 KiB"), (1_536, "1.5 KiB"), (1 << 20, "1.0 MiB"), (6_000_000_000, "5.5 GiB")] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn the_nearest_name_is_found_and_a_stranger_is_not() {
        assert_eq!(nearest("connectons", ["connections", "ramp"]), Some("connections"));
        assert_eq!(nearest("zebra", ["connections", "ramp"]), None);
    }
}
