//! What a control group says of its processor time. Given text, never a path.

use super::proc::ProcError;

/// Calls `each` with name and value for the throttling in a group's `cpu.stat`: `nr_periods` and `nr_throttled`, and
/// `throttled_ns` whatever the kernel's unit. The first version counts nanoseconds (`throttled_time`), the second
/// microseconds (`throttled_usec`) (`kernel/sched/core.c`, `cpu_cfs_stat_show` and `cpu_extra_stat_show`).
///
/// A group without a quota of its own has numbers that stand still; the second version shows none where the cpu
/// controller is not in force, and then nothing is called.
///
/// # Errors
///
/// [`ProcError`] for a known name without a number.
pub fn cpu_stat(text: &str, mut each: impl FnMut(&'static str, u64)) -> Result<(), ProcError> {
    for line in text.lines() {
        let mut fields = line.split_ascii_whitespace();
        let (name, factor) = match fields.next() {
            Some("nr_periods") => ("nr_periods", 1),
            Some("nr_throttled") => ("nr_throttled", 1),
            Some("throttled_time") => ("throttled_ns", 1),
            Some("throttled_usec") => ("throttled_ns", 1_000),
            _ => continue,
        };
        let value: u64 = fields
            .next()
            .and_then(|field| field.parse().ok())
            .ok_or_else(|| ProcError::new("cpu.stat", "number", line))?;
        each(name, value.saturating_mul(factor));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Vec<(&'static str, u64)>, ProcError> {
        let mut seen = Vec::new();
        cpu_stat(text, |name, value| seen.push((name, value))).map(|()| seen)
    }

    #[test]
    fn both_versions_are_read_in_nanoseconds() {
        let throttled = [("nr_periods", 43), ("nr_throttled", 40), ("throttled_ns", 3_900_012_000)];
        let first = "nr_periods 43\nnr_throttled 40\nthrottled_time 3900012000\nnr_bursts 0\nburst_time 0\n";
        assert_eq!(read(first).unwrap(), throttled);
        let second =
            "usage_usec 9\nuser_usec 4\nsystem_usec 5\nnr_periods 43\nnr_throttled 40\nthrottled_usec 3900012\n";
        assert_eq!(read(second).unwrap(), throttled);
        assert_eq!(read("usage_usec 9\nuser_usec 4\nsystem_usec 5\n").unwrap(), []);
    }

    #[test]
    fn a_name_without_a_number_is_refused() {
        assert_eq!(read("nr_throttled\n").unwrap_err().field, "number");
        assert_eq!(read("nr_throttled -1\n").unwrap_err().field, "number");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(?s)((nr_throttled|throttled_usec|[0-9 \n]){0,12}|.{0,80})") {
            prop_assert!(read(&text).is_ok_and(|seen| seen.len() <= text.len()) || read(&text).is_err());
        }
    }
}
