//! When a lost SYN is sent again. Pure.

use brimful_evidence::record::Record;
use brimful_plan::cell::KnobValue;

/// The first retransmission (`TCP_TIMEOUT_INIT`, RFC 6298), and the unit of the later ones.
const STEP_NS: u64 = 1_000_000_000;
/// Retransmissions before `connect(2)` gives up (`net.ipv4.tcp_syn_retries`); where it is not set otherwise.
const RETRIES: u64 = 6;
/// Retransmissions one second apart before the doubling begins (`net.ipv4.tcp_syn_linear_timeouts`), from Linux 6.5 on.
const LINEAR: u64 = 4;
/// The kernel in which they came.
const LINEAR_SINCE: (u64, u64) = (6, 5);
/// More are not drawn.
const MOST: u64 = 16;

/// The instants at which the kernel of a record sends a lost SYN again, in nanoseconds after the first: 1, 3, 7 s and so on
/// before Linux 6.5; 1, 2, 3, 4, 5, 7, 11 s from then on.
pub(super) fn of(record: &Record) -> Vec<u64> {
    let default = if is_since(&record.host.kernel, LINEAR_SINCE) { LINEAR } else { 0 };
    let linear = sysctl(record, "net.ipv4.tcp_syn_linear_timeouts").unwrap_or(default);
    // The linear ones are on top of the others.
    steps(linear, linear.saturating_add(sysctl(record, "net.ipv4.tcp_syn_retries").unwrap_or(RETRIES)))
}

fn steps(linear: u64, retries: u64) -> Vec<u64> {
    let gaps = (0..retries.min(MOST)).map(|i| match i.checked_sub(linear) {
        None => STEP_NS,
        Some(doubled) => STEP_NS << doubled.min(20),
    });
    gaps.scan(0_u64, |at, gap| {
        *at = at.saturating_add(gap);
        Some(*at)
    })
    .collect()
}

/// Whether a release of the kernel, as `6.18.44-amd64`, is not before another.
fn is_since(release: &str, since: (u64, u64)) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse::<u64>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) >= since,
        _ => false,
    }
}

fn sysctl(record: &Record, name: &str) -> Option<u64> {
    match record.knobs.get(&format!("sysctl.{name}")).and_then(|k| k.given.as_ref()) {
        Some(KnobValue::Number(n)) => Some(*n),
        Some(KnobValue::Word(text)) => text.trim().parse().ok(),
        Some(KnobValue::Switch(_)) => None,
        None => record.cell.sysctls.get(name).and_then(|text| text.trim().parse().ok()),
    }
}

#[cfg(test)]
mod tests {
    use brimful_testing;

    use super::*;

    fn seconds(record: &Record) -> Vec<u64> {
        of(record).into_iter().map(|ns| ns / STEP_NS).collect()
    }

    /// As measured on Linux 6.18, and as older kernels document it (`tcp_syn_retries` in ip-sysctl.rst).
    #[test]
    fn the_ladder_is_that_of_the_kernel() {
        let mut record = brimful_testing::healthy();
        assert_eq!(seconds(&record), [1, 2, 3, 4, 5, 7, 11, 19, 35, 67]);
        record.host.kernel = "6.1.0-31-amd64".into();
        assert_eq!(seconds(&record), [1, 3, 7, 15, 31, 63]);
        record.host.kernel = "6.18.44".into();
        record.cell.sysctls.insert("net.ipv4.tcp_syn_linear_timeouts".into(), "0".into());
        assert_eq!(seconds(&record), [1, 3, 7, 15, 31, 63]);
        record.host.kernel = "unknown".into();
        assert_eq!(seconds(&record).first(), Some(&1));
    }
}
