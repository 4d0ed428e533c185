//! What a reader should know besides outcome and cause: knobs that did not take, partial evidence, near misses. Pure.

use brimful_evidence::record::Record;
use brimful_loadgen_plan::probe::Action;
use brimful_plan::expect::CellOutcome;

use super::cause::cookies_sent;
use super::view::View;
use crate::wording::{count, counted};

/// What a reader of a matrix over `tcp_max_syn_backlog` should know (`tcp_conn_request` looks at it only with cookies off).
pub const NOT_READ_WITH_COOKIES: &str = "tcp_max_syn_backlog is not read while cookies are on";

/// The notes on one record, most telling first.
pub(crate) fn notes(view: &View<'_>, outcome: CellOutcome) -> Vec<String> {
    let record = view.record;
    let mut notes = Vec::new();
    if record.interrupted {
        notes.push("broken off by a signal: what is here is partial".to_owned());
    }
    notes.extend(
        record.target.early_ends.iter().map(|end| format!("target {} ended by itself: {}", end.shard, end.how)),
    );
    notes.extend(knobs_that_did_not_take(record));
    notes.extend(not_read_with_cookies(view));
    notes.extend(half_open(record));
    if outcome == CellOutcome::Healthy {
        notes.extend(near_misses(view));
    }
    let missed = record.evidence.sources.iter().filter(|s| s.unavailable_because.is_some() && !s.is_extra());
    let missing: Vec<&str> = missed.map(|s| s.name.as_str()).collect();
    if !missing.is_empty() {
        notes.push(format!("not available: {}", missing.join(", ")));
    }
    notes
}

/// A load of which no connection was ever established: half-open, by intent or not.
fn half_open(record: &Record) -> Option<String> {
    let load = &record.load.outcome;
    (load.established == 0 && load.pending > 0).then(|| {
        let (kept, renewed) = (counted(load.pending, "connection"), counted(load.renewed, "handshake"));
        format!("{kept} of the load stood half-open at the end; {renewed} that the kernel gave up were begun anew")
    })
}

fn knobs_that_did_not_take(record: &Record) -> impl Iterator<Item = String> {
    record.knobs.iter().filter_map(|(name, knob)| {
        let reason = knob.reason.as_deref().map(|r| format!(", because {r}")).unwrap_or_default();
        match &knob.given {
            Some(given) if *given != knob.asked => Some(format!("{name}: asked {}, given {given}{reason}", knob.asked)),
            None => Some(format!("{name}: asked {}, could not be read back{reason}", knob.asked)),
            Some(_) => None,
        }
    })
}

/// That one number has no effect while another is set as it is (`tcp_conn_request`): said where a scenario sets it.
fn not_read_with_cookies(view: &View<'_>) -> Option<String> {
    let name = "net.ipv4.tcp_max_syn_backlog";
    let set = view.record.knobs.contains_key(&format!("sysctl.{name}")) || view.record.cell.sysctls.contains_key(name);
    let cookies = view.sysctl("net.ipv4.tcp_syncookies").filter(|&cookies| cookies > 0);
    cookies.filter(|_| set).map(|_| NOT_READ_WITH_COOKIES.to_owned())
}

fn near_misses(view: &View<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(n) = view.grew("TcpExt.ListenOverflows").filter(|&n| n > 0) {
        notes.push(format!("the accept queue overflowed {} times, though no probe was hit", count(n)));
    }
    if let Some(n) = cookies_sent(view).filter(|&n| n > 0) {
        notes.push(format!("{} SYNs were answered with cookies: served, not a fault", count(n)));
    }
    if view.targets.iter().any(|t| !t.at_limit.is_empty()) {
        notes.push("the target reached its descriptor limit, though no probe failed".to_owned());
    }
    let waiting = view.queue.as_ref().map_or(0, |q| q.recv_q.last);
    let taken = view.taken_between(0, view.end_ns);
    if waiting > 0 && taken == Some(0) && view.record.probe.plan.action == Action::TcpSocket {
        notes.push("the target accepted nothing: a tcpSocket probe passes on the kernel's handshake alone, until the accept queue is full".to_owned());
    }
    if taken == Some(0) && matches!(view.record.probe.plan.action, Action::Exec(_)) {
        notes.push("the target accepted nothing: an exec probe passes on what its command finds, and asks no listener by itself".to_owned());
    }
    let load = &view.record.load.outcome;
    // Where none was established the load is half-open, and another note says so.
    let pending = if load.established == 0 { 0 } else { load.pending };
    let lost = load.failures.iter().map(|f| f.count).sum::<u64>() + pending;
    if lost > 0 {
        notes.push(format!(
            "{} of the load failed or were never completed, though no probe failed",
            counted(lost, "connection")
        ));
    }
    notes
}
