//! The prober itself is out of descriptors: it cannot make a socket, so it never asks the target. Pure.

use brimful_evidence::record::Role;

use super::super::spans::known;
use super::super::view::View;
use super::local_error::{Lack, lack};
use super::{Finding, ProofLine};
use crate::wording::count;

pub(super) fn look(view: &View<'_>) -> Finding {
    let refused: Vec<_> = view.failed.iter().filter(|s| lack(s) == Some(Lack::Descriptors)).collect();
    if !view.explains_most(refused.len()) {
        return Finding::Excluded(ProofLine::new(
            "probe.outcomes.local-error",
            format!("EMFILE {}", refused.len()),
            if refused.is_empty() {
                "the prober could make every socket"
            } else {
                "the prober could make most sockets"
            },
        ));
    }
    let mut proof = vec![
        ProofLine::new(
            "probe.outcomes.local-error",
            format!("EMFILE {} of {} failed", refused.len(), view.failed.len()),
            format!("the prober was out of descriptors itself: {}", refused.first().map_or("", |s| s.message.as_str())),
        )
        .at(refused.first().map_or(0, |s| s.ended_ns)),
    ];
    let prober = view.record.evidence.processes.iter().find(|p| p.role == Role::Probe);
    if let Some((open, soft)) = prober.and_then(|p| Some((known(&p.descriptors)?, known(&p.nofile_soft)?))) {
        proof.push(ProofLine::new(
            "probe.0.descriptors",
            format!("{} of {}", count(open.max), count(soft.last)),
            "the prober's own descriptors; the target's are another process's",
        ));
    }
    Finding::Shown { proof, why: None }
}
