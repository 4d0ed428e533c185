//! Numbers and times as a reader wants them. Pure.

use std::time::Duration;

use brimful_loadgen_plan::outcome::Phase;
use brimful_loadgen_plan::probe::Outcome;

/// A count with a comma between thousands: `12,000`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count with its noun, in the singular or with an `s`: `1 cell`, `4 cells`.
pub fn counted(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(n), if n == 1 { "" } else { "s" })
}

/// A time in nanoseconds, to about two digits, in the unit that fits: `0.4 ms`, `12 ms`, `1.2 s`.
pub fn time(ns: u64) -> String {
    let ms = ns as f64 / 1e6;
    match ns {
        0..=9_999_999 => format!("{} ms", trimmed(ms)),
        10_000_000..=999_499_999 => format!("{ms:.0} ms"),
        _ => format!("{} s", trimmed(ms / 1e3)),
    }
}

/// The same, without the space: for tables.
pub fn short_time(ns: u64) -> String {
    time(ns).replace(' ', "")
}

/// A duration in nanoseconds; one beyond 584 years reads as the largest.
pub fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// `a`, `a and b`, `a, b and c`.
pub fn listed<S: AsRef<str>>(items: &[S]) -> String {
    match items {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [init @ .., last] => {
            let init: Vec<&str> = init.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", init.join(", "), last.as_ref())
        }
    }
}

/// The next number up that has two digits and then noughts: `12,345` becomes `13,000`.
pub(crate) fn readable_above(n: u64) -> u64 {
    let mut unit = 1_u64;
    while n / unit >= 100 {
        unit = unit.saturating_mul(10);
    }
    n.div_ceil(unit).saturating_mul(unit)
}

/// The name under which a probe's end appears in records and in `report.json`.
pub fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::ConnectTimeout => "connect-timeout",
        Outcome::ResponseTimeout => "response-timeout",
        Outcome::Refused => "refused",
        Outcome::Reset => "reset",
        Outcome::BadStatus => "bad-status",
        Outcome::LocalError => "local-error",
    }
}

/// The name under which a step of a connection's life appears in records and in `report.json`.
pub fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Socket => "socket",
        Phase::Bind => "bind",
        Phase::Connect => "connect",
        Phase::Hold => "hold",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(["0", "999", "1,000", "12,000", "1,234,567"], [0, 999, 1_000, 12_000, 1_234_567].map(count));
        assert_eq!((counted(1, "cell"), counted(4, "cell")), ("1 cell".to_owned(), "4 cells".to_owned()));
    }

    #[test]
    fn times_take_the_unit_that_fits() {
        let cases =
            [(0, "0 ms"), (412_000, "0.4 ms"), (12_400_000, "12 ms"), (1_000_000_000, "1 s"), (1_249_000_000, "1.2 s")];
        for (ns, text) in cases {
            assert_eq!(time(ns), text);
        }
        assert_eq!(short_time(412_000), "0.4ms");
    }

    #[test]
    fn lists_read_as_spoken() {
        assert_eq!([listed::<&str>(&[]), listed(&["a"]), listed(&["a", "b", "c"])], ["", "a", "a, b and c"]);
    }

    proptest! {
        #[test]
        fn a_readable_number_is_never_below_and_at_most_a_tenth_above(n in 0_u64..1_000_000_000_000) {
            let readable = readable_above(n);
            prop_assert!(readable >= n && readable <= n + n / 10 + 1);
        }
    }
}
