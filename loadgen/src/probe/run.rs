//! The hands of the probe: waits for each tick, probes, hands on what it saw.

use std::io;
use std::pin::pin;

use brimful_loadgen_plan::probe::{Due, ProbePlan, Sample, Ticker};
use brimful_target::clock::monotonic_ns;

use super::alarm::Alarm;
use super::attempt::attempt;
use super::closer::Closer;

/// `maxProbeRetries` (`pkg/kubelet/prober/prober.go`): attempts at a probe that errors, not only fails.
const MAX_ATTEMPTS: u32 = 3;

/// Why probing could not begin or go on. What a probe meets is never such an error, but a [`Sample`].
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// A field of the plan has a value that no kubelet accepts.
    #[error("the probe's {field} must be above zero")]
    Plan {
        /// Its name in a pod's specification.
        field: &'static str,
    },
    /// The timer that ticks and deadlines are waited for with failed.
    #[error("cannot set up the probe's timer (timerfd)\nhint: it takes one descriptor; see ulimit -n")]
    Timer(#[source] io::Error),
    /// The thread that closes connections could not be started.
    #[error(
        "cannot start the thread that closes the probe's connections\nhint: see ulimit -u and the cgroup's pids.max"
    )]
    Closer(#[source] io::Error),
}

/// Probes by the plan's ticker until there is nothing more to begin, and hands every probe that ended to `on_sample`.
///
/// `t0_ns` is the start of the container in nanoseconds of `CLOCK_MONOTONIC` ([`monotonic_ns`]): ticks, and all instants
/// of samples, count from there. No probe is begun at or after `until_ns`, nanoseconds since `t0_ns`; the one in flight
/// is finished, which takes at most three timeouts. When `stop` is ready the one in flight is abandoned at once, and
/// not recorded. With neither, it does not return.
///
/// Needs a tokio runtime with I/O enabled, and takes one descriptor for itself and one for each probe; a few more for one that runs a
/// command, which is killed when the calling thread ends. A deadline counts
/// from the actual start of its probe, so where every probe times out and the period is no longer than the timeout,
/// starts slip behind their ticks by the timer's lateness, tens of microseconds each, as they do in the kubelet.
///
/// # Errors
/// When the plan has a zero where no kubelet has one, or the timer or the closing thread cannot be set up.
pub async fn run(
    plan: &ProbePlan,
    t0_ns: u64,
    until_ns: Option<u64>,
    stop: impl Future,
    mut on_sample: impl FnMut(&Sample),
) -> Result<(), ProbeError> {
    validate(plan)?;
    let prober = Prober {
        plan,
        t0_ns,
        alarm: Alarm::new().map_err(ProbeError::Timer)?,
        closer: Closer::start().map_err(ProbeError::Closer)?,
    };
    let over = |at_ns: u64| until_ns.is_some_and(|until_ns| at_ns >= until_ns);
    let mut stop = pin!(stop);
    let (mut ticker, mut due) = Ticker::new(plan);
    for seq in 0.. {
        if over(due.intended_ns) {
            break;
        }
        tokio::select! {
            biased;
            _ = &mut stop => break,
            rung = prober.alarm.at(t0_ns.saturating_add(due.intended_ns)) => rung.map_err(ProbeError::Timer)?,
        }
        if over(prober.now_ns()) {
            break;
        }
        let (sample, attempts) = tokio::select! {
            biased;
            _ = &mut stop => break,
            probed = prober.probe(seq, due) => probed.map_err(ProbeError::Timer)?,
        };
        on_sample(&sample);
        due = ticker.after(sample.ended_ns, attempts);
    }
    Ok(())
}

struct Prober<'a> {
    plan: &'a ProbePlan,
    t0_ns: u64,
    alarm: Alarm,
    closer: Closer,
}

impl Prober<'_> {
    /// One probe, with the attempts that an error earns it, and how many those were.
    async fn probe(&self, seq: u64, due: Due) -> io::Result<(Sample, u32)> {
        let started_ns = self.now_ns();
        let mut attempts = 1;
        let (end, mark) = loop {
            let (end, mark) = attempt(self.plan, &self.alarm, &self.closer).await?;
            if !end.errored || attempts == MAX_ATTEMPTS {
                break (end, mark);
            }
            attempts += 1;
        };
        let sample = Sample {
            seq,
            intended_ns: due.intended_ns,
            started_ns,
            ended_ns: self.now_ns(),
            connect_ns: mark.connected_ns.map(|at_ns| at_ns.saturating_sub(mark.dialled_ns)),
            tls_ns: mark.securing_ns.zip(mark.secured_ns).map(|(from_ns, to_ns)| to_ns.saturating_sub(from_ns)),
            first_byte_ns: mark.first_byte_ns.map(|at_ns| at_ns.saturating_sub(self.t0_ns + started_ns)),
            outcome: end.outcome,
            status: mark.status,
            message: end.message,
            missed_ticks: due.missed_ticks,
            discarded: end.errored,
        };
        Ok((sample, attempts))
    }

    /// Nanoseconds since the start of the container; 0 before it.
    fn now_ns(&self) -> u64 {
        monotonic_ns().saturating_sub(self.t0_ns)
    }
}

fn validate(plan: &ProbePlan) -> Result<(), ProbeError> {
    let field = if plan.period.is_zero() {
        "periodSeconds"
    } else if plan.timeout.is_zero() {
        "timeoutSeconds"
    } else if plan.failure_threshold == 0 {
        "failureThreshold"
    } else if plan.success_threshold == 0 {
        "successThreshold"
    } else {
        return Ok(());
    };
    Err(ProbeError::Plan { field })
}
