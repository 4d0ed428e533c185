//! The generator did not keep its plan, or ran into its own limits: the cell is void, and the target is not blamed. Pure.

use brimful_loadgen_plan::outcome::Phase;
use brimful_loadgen_plan::plan::{Behaviour, Sources};
use brimful_loadgen_plan::probe::Sample;

use super::super::view::View;
use super::local_error::{Lack, lack};
use super::{Finding, ProofLine};
use crate::wording::{count, nanos, phase_name, time};

/// Lateness below this is never held against the load, in nanoseconds: one reading of the evidence, and a tenth of the shortest time-out a kubelet knows.
const LAG_FLOOR_NS: u64 = 100_000_000;

/// Beyond the floor the 99th percentile may be this fraction of the ramp, or of a heartbeat's interval: the mean rate is then off by at most so much.
const LAG_OF_RAMP: u64 = 20;

/// Local failures up to one connection in this many change no table that holds thousands; they are not held against it either.
const LOCAL_FAILURES_ONE_IN: u64 = 1_000;

/// The host is held to be busy when at least so many probes that passed began late,
const LATE_LEAST: u64 = 2;

/// and at least one in so many of them: a tenth of the numbers that blocks are compared by would be its own.
const LATE_ONE_IN: u64 = 10;

/// One thing the generator did not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shortfall {
    /// Load processes that ended without a report.
    MissingShards(usize),
    /// The load ended before it had tried every connection.
    NotAttempted { attempted: u64, requested: u64 },
    /// Its own descriptors, ports or memory ran out.
    Local { phase: Phase, errno: String, count: u64 },
    /// It opened connections later than planned.
    LoadLate { p99_ns: u64, allowed_ns: u64 },
    /// It sent heartbeats later than planned.
    HeartbeatsLate { p99_ns: u64, allowed_ns: u64 },
    /// No probe ended.
    NoProbe,
    /// The prober could not even try.
    ProbeLocal { count: u64, message: String },
    /// The prober began failed probes so late that it was short of processor time itself.
    ProbeLate { lag_ns: u64, timeout_ns: u64 },
    /// The prober began probes that passed so late that their latency is its own.
    HostBusy { late: u64, passed: u64, lag_ns: u64 },
}

pub(super) fn look(view: &View<'_>) -> Finding {
    let shortfalls = shortfalls(view);
    if shortfalls.is_empty() {
        let outcome = &view.record.load.outcome;
        return Finding::Excluded(ProofLine::new(
            "load",
            format!(
                "{} of {} attempted, lag p99 {}",
                count(outcome.attempted),
                count(outcome.requested),
                time(outcome.lag.quantile(0.99))
            ),
            "the generator kept its plan",
        ));
    }
    Finding::Shown { proof: shortfalls.iter().map(Shortfall::line).collect(), why: None }
}

/// Everything the generator did not do, the most telling first.
pub(crate) fn shortfalls(view: &View<'_>) -> Vec<Shortfall> {
    let (record, mut found) = (view.record, Vec::new());
    let load = &record.load.outcome;
    if !record.load.missing_shards.is_empty() {
        found.push(Shortfall::MissingShards(record.load.missing_shards.len()));
    }
    let local = load.failures.iter().filter(|f| is_local(f.phase, &f.errno) && !a_finding(view, &f.errno));
    found.extend(
        local.filter(|f| f.count.saturating_mul(LOCAL_FAILURES_ONE_IN) > load.requested).map(|f| Shortfall::Local {
            phase: f.phase,
            errno: f.errno.clone(),
            count: f.count,
        }),
    );
    // A signal, a target that ended, or a ramp that was to end early, cuts a load short without any fault of its own.
    let told = record.load.stopped_rising_at_ns.is_some();
    let cut_short = told || record.interrupted || !record.target.early_ends.is_empty();
    if load.attempted < load.requested && !cut_short {
        found.push(Shortfall::NotAttempted { attempted: load.attempted, requested: load.requested });
    }
    let ramp_ns = nanos(record.load.plan.ramp);
    let (p99_ns, allowed_ns) = (load.lag.quantile(0.99), LAG_FLOOR_NS.max(ramp_ns / LAG_OF_RAMP));
    // Without a ramp every connection is due at the start, and lateness is only the time it takes.
    if ramp_ns > 0 && p99_ns > allowed_ns {
        found.push(Shortfall::LoadLate { p99_ns, allowed_ns });
    }
    if let Behaviour::Heartbeat { interval, .. } = record.load.plan.behaviour {
        let p99_ns = load.heartbeat_lag.quantile(0.99);
        let allowed_ns = LAG_FLOOR_NS.max(nanos(interval) / LAG_OF_RAMP);
        if p99_ns > allowed_ns {
            found.push(Shortfall::HeartbeatsLate { p99_ns, allowed_ns });
        }
    }
    let samples = &record.probe.samples;
    if samples.is_empty() && !cut_short {
        found.push(Shortfall::NoProbe);
    }
    // What the prober's own ports and descriptors do to a health check is a finding; anything else is a broken experiment.
    let local: Vec<_> = samples.iter().filter(|s| lack(s) == Some(Lack::Other)).collect();
    if let Some(first) = local.first() {
        found.push(Shortfall::ProbeLocal { count: local.len() as u64, message: first.message.clone() });
    }
    let lag_ns = view.failed.iter().map(|s| s.lag_ns()).max().unwrap_or(0);
    // Half the time-out: the prober is then as likely the reason as the target.
    if lag_ns > 0 && lag_ns >= view.timeout_ns / 2 {
        found.push(Shortfall::ProbeLate { lag_ns, timeout_ns: view.timeout_ns });
    }
    found.extend(host_busy(view));
    found
}

/// Probes that passed, of which one in [`LATE_ONE_IN`] or more began late by half the time-out. One alone may be chance, and its
/// latency is true to what a kubelet on this host would have felt; many say that the host had no time for anybody.
fn host_busy(view: &View<'_>) -> Option<Shortfall> {
    let passed: Vec<u64> =
        view.record.probe.samples.iter().filter(|s| s.outcome.passed()).map(Sample::lag_ns).collect();
    let late: Vec<u64> = passed.iter().copied().filter(|&lag_ns| lag_ns >= view.timeout_ns / 2).collect();
    let (count, of) = (late.len() as u64, passed.len() as u64);
    let lag_ns = late.into_iter().max()?;
    (count >= LATE_LEAST && count * LATE_ONE_IN >= of).then_some(Shortfall::HostBusy {
        late: count,
        passed: of,
        lag_ns,
    })
}

/// Whether another attempt may come to something: what ran out of a limit will run out of it again, but a machine that was short
/// of processor time may have more of it in a minute.
pub(crate) fn may_pass(shortfalls: &[Shortfall]) -> bool {
    shortfalls.iter().all(|shortfall| match shortfall {
        Shortfall::Local { .. } | Shortfall::ProbeLocal { .. } => false,
        Shortfall::MissingShards(_)
        | Shortfall::NotAttempted { .. }
        | Shortfall::LoadLate { .. }
        | Shortfall::HeartbeatsLate { .. }
        | Shortfall::NoProbe
        | Shortfall::ProbeLate { .. }
        | Shortfall::HostBusy { .. } => true,
    })
}

/// Whether the load's failure to find a source port is what a real client would meet: the kernel was to choose it, and the probe met it
/// as well. Ports that were planned are the plan's fault; and where only the load ran out, the server never saw the load that was asked for.
fn a_finding(view: &View<'_>, errno: &str) -> bool {
    errno == "EADDRNOTAVAIL"
        && view.record.load.plan.sources == Sources::Kernel
        && view.failed.iter().any(|s| lack(s) == Some(Lack::Ports))
}

/// Whether a failure is the generator's own: making and binding sockets always, connecting where the errno speaks of its ports or memory.
fn is_local(phase: Phase, errno: &str) -> bool {
    match phase {
        Phase::Socket | Phase::Bind => true,
        Phase::Connect => {
            matches!(errno, "EADDRNOTAVAIL" | "EADDRINUSE" | "EMFILE" | "ENFILE" | "ENOBUFS" | "ENOMEM" | "EAGAIN")
        }
        Phase::Hold => false,
    }
}

impl Shortfall {
    fn line(&self) -> ProofLine {
        match self {
            Self::MissingShards(n) => {
                ProofLine::new("load.missing_shards", n.to_string(), "load processes that ended without a report")
            }
            Self::NotAttempted { attempted, requested } => ProofLine::new(
                "load.attempted",
                format!("{attempted} of {requested}"),
                "the load ended before it had tried every connection",
            ),
            Self::Local { phase, errno, count } => ProofLine::new(
                "load.errors",
                format!("{} {errno} {count}", phase_name(*phase)),
                match errno.as_str() {
                    "EMFILE" => "the generator itself is out of descriptors",
                    "EADDRNOTAVAIL" | "EADDRINUSE" => "the generator itself is out of source ports",
                    _ => "a limit of the generator itself, before anything reached the target",
                },
            ),
            Self::LoadLate { p99_ns, allowed_ns } => ProofLine::new(
                "load.lag_ns.p99",
                format!("{}, allowed {}", time(*p99_ns), time(*allowed_ns)),
                "connections were opened later than planned",
            ),
            Self::HeartbeatsLate { p99_ns, allowed_ns } => ProofLine::new(
                "load.heartbeat_lag.p99",
                format!("{}, allowed {}", time(*p99_ns), time(*allowed_ns)),
                "heartbeats were sent later than planned",
            ),
            Self::NoProbe => ProofLine::new("probe.sent", "0", "no probe ended"),
            Self::ProbeLocal { count, message } => ProofLine::new(
                "probe.outcomes.local-error",
                count.to_string(),
                format!("the prober could not even try: {message}"),
            ),
            Self::ProbeLate { lag_ns, timeout_ns } => ProofLine::new(
                "probe.lag",
                format!("{} of a time-out of {}", time(*lag_ns), time(*timeout_ns)),
                "the prober began a failed probe late: it was short of processor time itself",
            ),
            Self::HostBusy { late, passed, lag_ns } => ProofLine::new(
                "probe.lag",
                format!("{late} of {passed} that passed, up to {}", time(*lag_ns)),
                "the prober began probes late by half their time-out: the host was too busy to measure on",
            ),
        }
    }
}
