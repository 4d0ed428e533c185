//! A table of events, of `kubectl get events` or at the end of `kubectl describe pod`.

use super::{About, Event};

/// How the kubelet begins what it says (`pkg/kubelet/prober/prober.go`, `pkg/kubelet/kuberuntime/kuberuntime_manager.go`).
const SAYINGS: [(&str, About); 8] = [
    ("Liveness probe failed", About::Liveness),
    ("Liveness probe errored", About::Liveness),
    ("Readiness probe failed", About::Readiness),
    ("Readiness probe errored", About::Readiness),
    ("Startup probe failed", About::Startup),
    ("Startup probe errored", About::Startup),
    ("Container ", About::Killing),
    ("Back-off restarting", About::BackOff),
];

/// What a message is about; `None` for one that is about nothing here.
pub(super) fn about(message: &str) -> Option<About> {
    let (_, about) = *SAYINGS.iter().find(|(saying, _)| message.starts_with(saying))?;
    let killing = message.contains("failed liveness probe") || message.contains("failed startup probe");
    (about != About::Killing || killing).then_some(about)
}

/// Whether the text has the head of such a table, even one with nothing under it.
pub(super) fn is_table(text: &str) -> bool {
    text.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.starts_with(&["LAST", "SEEN", "TYPE", "REASON"]) || words.starts_with(&["Type", "Reason", "Age"])
    })
}

/// Every event of every table in the text.
pub(super) fn read(text: &str) -> Vec<Event> {
    let mut described = None;
    let mut events = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("Name:") {
            described = Some(name.trim().to_owned());
        }
        events.extend(row(line, described.as_deref()));
    }
    events
}

fn row(line: &str, described: Option<&str>) -> Option<Event> {
    let words: Vec<&str> = line.split_whitespace().collect();
    if !words.iter().take(8).any(|word| matches!(*word, "Normal" | "Warning")) {
        return None;
    }
    let at = SAYINGS.iter().filter_map(|(saying, _)| line.find(saying)).min()?;
    let (before, rest) = line.split_at_checked(at)?;
    let about = about(rest)?;
    // Columns after the message, in the wide form: FIRST SEEN, COUNT, NAME, each after two spaces or more.
    let mut columns = rest.split("  ").map(str::trim).filter(|column| !column.is_empty());
    let message = columns.next()?.to_owned();
    let count = columns.nth(1).and_then(|count| count.parse().ok());
    let pod = before.split_whitespace().find_map(|word| word.strip_prefix("pod/")).or(described).map(str::to_owned);
    Some(Event { pod, about, times: count.or_else(|| repeated(before)).unwrap_or(1).max(1), message })
}

/// The number of `(x4 over 32s)`.
fn repeated(before: &str) -> Option<u64> {
    let (_, rest) = before.split_once("(x")?;
    rest.split_whitespace().next()?.parse().ok()
}
