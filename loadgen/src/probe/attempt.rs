//! One attempt of a probe under its deadline, whatever is asked of the target.

use std::io;

use brimful_loadgen_plan::probe::{Action, Outcome, ProbePlan, nanoseconds};
use brimful_target::clock::monotonic_ns;

use super::alarm::Alarm;
use super::classify::{self, Phase};
use super::closer::Closer;
use super::marks::{Mark, Marks};
use super::redirect::Url;
use super::{connect, exec, grpc, http, wording};

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) outcome: Outcome,
    pub(super) message: String,
    /// Whether the kubelet takes it for an error of its own and tries again, rather than for a result.
    pub(super) errored: bool,
}

impl End {
    /// It passed, with what the kubelet would say of it: nothing, or a warning.
    pub(super) fn passed(message: String) -> Self {
        Self { outcome: Outcome::Ok, message, errored: false }
    }

    /// It ended like this while it was waiting for `phase`.
    pub(super) fn failed(phase: Phase, outcome: Outcome, message: String) -> Self {
        Self { outcome, message, errored: phase == Phase::Body }
    }
}

/// Makes one attempt. Its deadline counts from now, over everything: connecting, redirects, headers and body.
///
/// # Errors
/// When the alarm cannot be set.
pub(super) async fn attempt(plan: &ProbePlan, alarm: &Alarm, closer: &Closer) -> io::Result<(End, Mark)> {
    let marks = Marks::default();
    let deadline_ns = monotonic_ns().saturating_add(nanoseconds(plan.timeout));
    let acted = async {
        match &plan.action {
            Action::HttpGet(get) => {
                let first = Url::first(get.scheme, plan.address, &get.path);
                http::get(first, get, plan.address, closer, &marks).await
            }
            Action::TcpSocket => tcp(plan, closer, &marks).await,
            Action::Grpc { service } => grpc::check(service, plan, deadline_ns, closer, &marks).await,
            Action::Exec(plan) => exec::run(plan, &marks).await,
        }
    };
    let end = tokio::select! {
        biased;
        end = acted => end,
        rung = alarm.at(deadline_ns) => {
            rung?;
            given_up(plan, &marks.now())
        }
    };
    Ok((end, marks.now()))
}

/// `tcpSocket`: a handshake passes, nothing is sent, and the connection is closed at once (`pkg/probe/tcp/tcp.go`).
async fn tcp(plan: &ProbePlan, closer: &Closer, marks: &Marks) -> End {
    marks.dialled("");
    match connect::dial(plan.address, closer, marks).await {
        Ok(_) => End::passed(String::new()),
        Err(failed) => {
            let outcome = classify::of_error(Phase::Dial, &failed.error);
            End::failed(Phase::Dial, outcome, wording::dial(plan.address, failed.syscall, &failed.error))
        }
    }
}

fn given_up(plan: &ProbePlan, mark: &Mark) -> End {
    let message = match &plan.action {
        Action::HttpGet(_) => wording::http_timeout(&mark.url, mark.phase),
        Action::TcpSocket => wording::dial_timeout(plan.address),
        Action::Grpc { .. } => return grpc::given_up(plan, mark),
        Action::Exec(exec) => return exec::given_up(&exec.command),
    };
    End::failed(mark.phase, classify::of_deadline(mark.phase), message)
}
