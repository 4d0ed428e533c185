//! Lines of one number or two: limits, sysctls, times of requests, the summary of `ss -s`. Pure.

use super::super::proc::limits_nofile;
use super::Nofile;

/// `Max open files            1024                 4096                 files`.
pub(super) fn limits(line: &str) -> Option<Nofile> {
    limits_nofile(line.trim()).ok()
}

/// `net.core.somaxconn = 128`.
pub(super) fn sysctl(line: &str) -> Option<(String, String)> {
    let (name, value) = line.trim().split_once('=')?;
    let name = name.trim();
    let known = ["net.", "fs.", "kernel.", "vm."].iter().any(|head| name.starts_with(head));
    (known && !name.contains(' ')).then(|| (name.to_owned(), value.trim().to_owned()))
}

/// `real 0m1.012s` of the shell, `time_total: 1.012` of `curl -w`, in nanoseconds.
pub(super) fn request_ns(line: &str) -> Option<u64> {
    let seconds = match line.trim().split_once(char::is_whitespace) {
        Some(("real", time)) => {
            let (minutes, seconds) = time.trim().strip_suffix('s')?.split_once('m')?;
            minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?
        }
        _ => {
            let (_, rest) = line.split_once("time_total")?;
            rest.trim_start_matches([':', '=', ' ', '\t']).trim().trim_end_matches('s').parse().ok()?
        }
    };
    // A request that takes longer than a day is no request.
    (0.0..86_400.0).contains(&seconds).then_some((seconds * 1e9) as u64)
}

/// `TCP:   460 (estab 284, closed 176, orphaned 0, timewait 176)`: established and in `TIME_WAIT`.
pub(super) fn summary(line: &str) -> Option<(u64, u64)> {
    let rest = line.strip_prefix("TCP:")?;
    let after = |word: &str| {
        let (_, rest) = rest.split_once(word)?;
        let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    };
    Some((after("estab")?, after("timewait")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_both_forms() {
        let table = [
            ("real\t0m1.012s", Some(1_012_000_000)),
            ("real    1m52.000s", Some(112_000_000_000)),
            ("time_total: 3.014", Some(3_014_000_000)),
            ("user\t0m0.004s", None),
            ("real money", None),
        ];
        for (line, ns) in table {
            assert_eq!(request_ns(line), ns, "{line}");
        }
    }

    #[test]
    fn settings_and_summaries_are_read() {
        assert_eq!(sysctl("net.core.somaxconn = 128"), Some(("net.core.somaxconn".into(), "128".into())));
        assert_eq!(sysctl("a.b = 1"), None);
        assert_eq!(summary("TCP:   460 (estab 284, closed 176, orphaned 0, timewait 176)"), Some((284, 176)));
        assert_eq!(
            limits("Max open files            1024                 4096                 files").map(|l| l.soft),
            Some(1_024)
        );
    }
}
