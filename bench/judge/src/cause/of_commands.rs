//! Whether the server turned away the command that is its health check. Pure.
//!
//! Why a command failed is not to be seen from outside. One thing is: a server that takes nobody beyond a number of connections closes
//! whatever comes then, the command's connection among it. For that the command has to have connected at all, and that is counted: what
//! was established in the server's namespace and is not of the load is of the command. One that looks at a file, or fails for a reason
//! of its own without asking the server, makes no connection. What it says proves nothing, and is quoted.

use brimful_loadgen_plan::probe::{Action, Outcome, Sample};

use super::super::view::View;
use super::ProofLine;
use crate::wording::{count, counted};

/// Connections that one command may make: a client that was turned away often tries once more. Beyond it they are somebody else's, such
/// as those of a server that asks itself.
const EACH_AT_MOST: u64 = 3;
/// Bytes of what a command said that are quoted.
const QUOTED_MOST: usize = 120;

/// The commands that failed with an exit status of their own since an instant, where the server is seen to have turned them away: it served
/// them before that instant, none after it, and each of them connected.
pub(super) fn turned_away<'a>(view: &View<'a>, from_ns: u64) -> Vec<&'a Sample> {
    if !matches!(view.record.probe.plan.action, Action::Exec(_)) {
        return Vec::new();
    }
    let samples = &view.record.probe.samples;
    let served_before = samples.iter().any(|s| s.outcome.passed() && s.ended_ns < from_ns);
    let served_since = samples.iter().any(|s| s.outcome.passed() && s.started_ns >= from_ns);
    if !served_before || served_since || connections(view).is_none() {
        return Vec::new();
    }
    let failed = view.failed.iter().filter(|s| s.started_ns >= from_ns && s.outcome == Outcome::BadStatus);
    failed.copied().collect()
}

/// Connections that were established in the server's namespace and are not of the load, where they are as many as commands ended, or a few
/// times that. `None` where it was not read, or where a full queue leaves clients established that the server knows nothing of.
fn connections(view: &View<'_>) -> Option<u64> {
    let lost = view.grew("TcpExt.ListenOverflows")?.saturating_add(view.grew("TcpExt.ListenDrops")?);
    let entered = view.grew("Tcp.PassiveOpens")?;
    let others = entered.checked_sub(view.record.load.outcome.established).filter(|_| lost == 0)?;
    let ended = view.record.probe.samples.iter().filter(|s| s.status.is_some()).count() as u64;
    (ended > 0 && (ended..=ended.saturating_mul(EACH_AT_MOST)).contains(&others)).then_some(others)
}

/// The lines that say so.
pub(super) fn proof(view: &View<'_>, from_ns: u64) -> Vec<ProofLine> {
    let away = turned_away(view, from_ns);
    let (Some(first), Some(made)) = (away.first(), connections(view)) else { return Vec::new() };
    let mut proof = vec![
        ProofLine::new(
            "server.Tcp.PassiveOpens",
            count(made),
            format!(
                "connections beyond those of the load: each of {} connected, those that came before the number was reached passed, and none since",
                counted(view.record.probe.samples.len() as u64, "command")
            ),
        )
        .at(first.started_ns),
    ];
    let said = first.message.split_whitespace().collect::<Vec<_>>().join(" ");
    if !said.is_empty() {
        let quoted: String = said.chars().take(QUOTED_MOST).collect();
        let status = first.status.map_or_else(String::new, |status| format!("exit status {status}"));
        proof.push(
            ProofLine::new("probe.message", status, format!("said by the command: {quoted}")).at(first.started_ns),
        );
    }
    proof
}
