//! Whether the kernel would say why it drops a packet. Given text, never a path.

use super::proc::ProcError;

/// Makes sure that the `format` of the tracepoint `skb:kfree_skb` has a field for the reason of the drop, which it has
/// since Linux 5.17 (`include/trace/events/skb.h`).
///
/// # Errors
///
/// [`ProcError`] for a format without it.
pub fn drop_reasons(format: &str) -> Result<(), ProcError> {
    let is_reason = |line: &str| {
        let declaration = line.trim().strip_prefix("field:").and_then(|rest| rest.split(';').next());
        declaration.is_some_and(|words| words.split_ascii_whitespace().last() == Some("reason"))
    };
    if format.lines().any(is_reason) {
        return Ok(());
    }
    Err(ProcError::new("events/skb/kfree_skb/format", "field `reason`", format.lines().next().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_format_with_a_reason_will_do() {
        let newer = include_str!("../tests/fixtures/proc/kfree_skb-format-6.18.txt");
        assert_eq!(drop_reasons(newer), Ok(()));
        let older: String =
            newer.lines().filter(|line| !line.contains("reason")).map(|line| format!("{line}\n")).collect();
        let error = drop_reasons(&older).unwrap_err().to_string();
        assert!(error.contains("reason"), "{error}");
    }
}
