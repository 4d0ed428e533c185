//! What the generator needs to keep its plan. Pure.

use brimful_plan::expect::Why;
use brimful_plan::knob::TakesEffect;

use super::{Cure, Place, PlaceKind};
use crate::cause::{Shortfall, shortfalls};
use crate::view::View;
use crate::wording::time;

pub(crate) fn cure(view: &View<'_>, _why: Option<Why>) -> Option<Cure> {
    let shortfall = shortfalls(view).into_iter().next()?;
    let (knob, text, because) = match &shortfall {
        Shortfall::Local { errno, .. } if errno == "EMFILE" || errno == "ENFILE" => (
            "ulimit.nofile",
            "raise brimful's own hard limit before it starts (ulimit -Hn), or let the load use more processes"
                .to_owned(),
            "the load was out of descriptors".to_owned(),
        ),
        Shortfall::Local { errno, .. } if errno.starts_with("EADDR") => (
            "load.source",
            "[load]\nsource = \"auto\"   # or a wider sysctl.net.ipv4.ip_local_port_range".to_owned(),
            "the load was out of source ports: one source address has at most one range of them for each destination"
                .to_owned(),
        ),
        Shortfall::Local { errno, .. } => (
            "load.connections",
            "fewer connections, or more memory".to_owned(),
            format!("the load failed on its own side with {errno}"),
        ),
        Shortfall::LoadLate { p99_ns, .. } => (
            "load.ramp",
            "a longer ramp, fewer connections, or a machine with more processors and nothing beside it".to_owned(),
            format!("connections were opened up to {} late", time(*p99_ns)),
        ),
        Shortfall::HeartbeatsLate { p99_ns, .. } => (
            "load.heartbeat-share",
            "a smaller share, a longer heartbeat-interval, or a machine with more processors and nothing beside it"
                .to_owned(),
            format!("heartbeats were sent up to {} late", time(*p99_ns)),
        ),
        Shortfall::MissingShards(_) | Shortfall::NotAttempted { .. } => (
            "load.connections",
            "look at run.log for the end of the load processes; then fewer connections, or more memory".to_owned(),
            "the load did not run to its end".to_owned(),
        ),
        Shortfall::NoProbe => (
            "load.hold",
            "a hold longer than the probe's initial delay, period and time-out together".to_owned(),
            "without a probe there is nothing to judge".to_owned(),
        ),
        Shortfall::ProbeLocal { .. } | Shortfall::ProbeLate { .. } | Shortfall::HostBusy { .. } => (
            "load.connections",
            "fewer connections, or a machine with more processors and nothing beside it".to_owned(),
            "the prober itself could not keep up".to_owned(),
        ),
    };
    Some(Cure {
        knob: knob.to_owned(),
        value: None,
        takes_effect: TakesEffect::ProcessStart,
        also: Vec::new(),
        places: vec![Place::new(PlaceKind::Scenario, text, None)],
        because,
    })
}
