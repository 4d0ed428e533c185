//! Nothing listens where the probe connects: the kernel answers the SYN with a reset, at once. Pure.

use brimful_loadgen_plan::probe::Outcome;

use super::super::view::View;
use super::fd_limit::{self, last_line};
use super::{Finding, ProofLine};

pub(super) fn look(view: &View<'_>) -> Finding {
    let refused: Vec<_> = view.failed.iter().filter(|s| s.outcome == Outcome::Refused).collect();
    if refused.is_empty() {
        return Finding::Excluded(ProofLine::new("probe.outcomes.refused", "0", "no probe was refused"));
    }
    let ended_at = view.early_end();
    if refused.iter().filter(|s| fd_limit::explains(view, s)).count() == refused.len() {
        return Finding::Excluded(ProofLine::new(
            format!("target.{}.end", view.shard),
            ended_at.map_or_else(String::new, |end| end.how.clone()),
            "the listener is gone because the target gave up at its descriptor limit: a symptom",
        ));
    }
    if !view.explains_most(refused.len()) {
        return open(format!("it explains {} of {} failed probes, not most of them", refused.len(), view.failed.len()));
    }
    let resets = view.grew("Tcp.OutRsts");
    let Some(resets) = resets.filter(|&n| n > 0) else {
        return open(match resets {
            Some(_) => {
                "the probes were refused, but the server's namespace sent no reset: something before it refused them"
                    .into()
            }
            None => "the probes were refused, but Tcp.OutRsts was not read, so who refused them is not known".into(),
        });
    };
    let listens = view.queue.is_some();
    if listens && ended_at.is_none_or(|end| end.at_ns > refused.first().map_or(0, |s| s.ended_ns)) {
        return open("the probes were refused although a listener was seen on that port; it may have closed in between, or a packet filter refuses".into());
    }
    let address = view.record.probe.plan.address;
    let mut proof = vec![
        ProofLine::new(
            "probe",
            format!("refused {} of {}", refused.len(), view.record.probe.samples.len()),
            format!("{address} answered with a reset"),
        )
        .at(refused.first().map_or(0, |s| s.ended_ns)),
        ProofLine::new("server.Tcp.OutRsts", format!("+{resets}"), "the server's own namespace sent the resets"),
    ];
    proof.push(match ended_at {
        Some(end) => ProofLine::new(
            format!("target.{}.end", view.shard),
            end.how.clone(),
            format!("the target ended by itself; it said: {}", last_line(&end.said)),
        )
        .at(end.at_ns),
        None => ProofLine::new("inet_diag.listeners", "none", format!("no socket listened on port {}", address.port())),
    });
    Finding::Shown { proof, why: None }
}

fn open(why: String) -> Finding {
    Finding::Open {
        why,
        collect: vec![
            "the listeners of the server's namespace while probes are refused (`ss -lnt`)".into(),
            "a capture that shows who sends the reset".into(),
        ],
    }
}
