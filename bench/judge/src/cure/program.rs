//! Cures that only the program itself, or what surrounds it, can give. Pure.

use brimful_plan::cell::KnobValue;
use brimful_plan::command::ARG;
use brimful_plan::expect::Why;
use brimful_plan::knob::TakesEffect;

use super::{Cure, Note, Place, PlaceKind, Setting, pod_sysctls};
use crate::view::View;
use crate::wording::{count, readable_above};

/// Room above what the load needs, as one part in this many: health checks, and what comes while others leave.
const MARGIN_ONE_IN: u64 = 10;

/// A change of the program's code, felt when it starts again.
fn code(knob: &str, value: Option<KnobValue>, text: impl Into<String>, because: impl Into<String>) -> Cure {
    Cure {
        knob: knob.into(),
        value,
        takes_effect: TakesEffect::ProcessStart,
        also: Vec::new(),
        places: vec![Place::new(PlaceKind::Code, text, None)],
        because: because.into(),
    }
}

/// A leak: close what the peer has closed.
pub(crate) fn leak(_view: &View<'_>, _why: Option<Why>) -> Option<Cure> {
    Some(close_what_is_over())
}

/// The same, whatever was run.
pub(crate) fn close_what_is_over() -> Cure {
    code(
        "target.leak-one-in",
        Some(KnobValue::Number(0)),
        "close(2) every connection whose read gives end of file or an error, on every path, also while it is idle;\n\
         a keep-alive (SO_KEEPALIVE) or an idle time-out ends those whose clients vanished",
        "a higher limit is only met later: nothing but the program's close ends a socket in CLOSE_WAIT",
    )
}

/// A cap of the program's own.
pub(crate) fn cap(view: &View<'_>, _why: Option<Why>) -> Option<Cure> {
    let shards = u64::from(view.record.cell.target.shards.max(1));
    let need = view.record.load.outcome.requested.div_ceil(shards);
    let value = readable_above(need.saturating_add(need / MARGIN_ONE_IN));
    Some(code(
        &knob_of_the_cap(view),
        Some(KnobValue::Number(value)),
        format!(
            "raise the program's own limit of connections to {value} (worker_connections, maxTcpConnections, a pool's size),\n\
             and serve health checks on a listener of their own that it does not count"
        ),
        format!(
            "{} connections and a tenth to spare; descriptors and queues have room, so no limit of the kernel needs to change",
            count(need)
        ),
    ))
}

/// What the cap is called: of a command it is the one setting that its scenario varies, where there is one.
fn knob_of_the_cap(view: &View<'_>) -> String {
    if view.record.cell.target.command.is_none() {
        return "target.max-connections".to_owned();
    }
    let mut own = view.record.knobs.keys().filter(|knob| knob.starts_with(ARG));
    match (own.next(), own.next()) {
        (Some(one), None) => one.clone(),
        (Some(_), Some(_)) | (None, _) => "the program's own limit".to_owned(),
    }
}

/// Answers that take too long.
pub(crate) fn slow(view: &View<'_>, _why: Option<Why>) -> Option<Cure> {
    let seconds = view.record.probe.plan.timeout.as_secs().max(1).saturating_mul(2);
    Some(Cure {
        knob: "probe.timeout".into(),
        value: Some(KnobValue::Word(format!("{seconds}s"))),
        takes_effect: TakesEffect::ProcessStart,
        also: Vec::new(),
        places: vec![
            Place::new(PlaceKind::PodSpec, format!("livenessProbe:\n  timeoutSeconds: {seconds}"), None),
            Place::new(
                PlaceKind::Code,
                "answer the health check without waiting for work, locks or other services",
                None,
            ),
        ],
        because: "no limit of the kernel is met: the program takes the connection and answers late, so it must \
                  answer sooner or be given more time"
            .into(),
    })
}

/// Too little processor time.
pub(crate) fn processor(_view: &View<'_>, _why: Option<Why>) -> Option<Cure> {
    Some(more_processor())
}

/// The same, whatever was run.
pub(crate) fn more_processor() -> Cure {
    Cure {
        knob: "target.cpu-percent".into(),
        value: None,
        takes_effect: TakesEffect::Live,
        also: Vec::new(),
        places: vec![
            Place::new(
                PlaceKind::PodSpec,
                "resources:\n  requests:\n    cpu: MORE   # its share when others want the processor too\n  limits: {}   # a cpu limit throttles even on an idle node",
                None,
            ),
            Place::new(PlaceKind::Systemd, "[Service]\nCPUQuota=\nCPUWeight=1000", None),
        ],
        because: "no backlog or sysctl cures it: in a larger queue connections only wait longer for the same processor"
            .into(),
    }
}

/// A quota in per cent of one processor: of the container, and of the unit.
pub(crate) fn quota(percent: u64) -> [Place; 2] {
    let millis = percent.saturating_mul(10);
    [
        Place::new(PlaceKind::PodSpec, format!("resources:\n  limits:\n    cpu: {millis}m"), None),
        Place::new(PlaceKind::Systemd, format!("[Service]\nCPUQuota={percent}%"), None),
    ]
}

/// One socket of a group that nobody serves.
pub(crate) fn skew(_view: &View<'_>, _why: Option<Why>) -> Option<Cure> {
    Some(serve_every_socket())
}

/// The same, whatever was run.
pub(crate) fn serve_every_socket() -> Cure {
    code(
        "target.reuseport",
        None,
        "give every SO_REUSEPORT socket an acceptor of its own that nothing blocks, close a socket whose worker stops,\n\
         or let the workers share one socket",
        "the kernel spreads connections by hash and does not look who is idle; tcp_migrate_req = 1 moves what waits when such a socket is closed",
    )
}

/// Handshakes that wait for data.
pub(crate) fn defer(_view: &View<'_>, _why: Option<Why>) -> Option<Cure> {
    Some(no_deferring())
}

/// The same, whatever was run.
pub(crate) fn no_deferring() -> Cure {
    Cure {
        also: vec![Setting { knob: "sysctl.net.ipv4.tcp_syncookies".into(), value: KnobValue::Number(1) }],
        places: vec![
            Place::new(
                PlaceKind::Code,
                "do not set TCP_DEFER_ACCEPT (`deferred` in nginx, `AcceptFilter` in Apache)",
                None,
            ),
            pod_sysctls(&[("net.ipv4.tcp_syncookies", &KnobValue::Number(1))], Note::Safe),
        ],
        ..code(
            "target.defer-accept",
            None,
            "",
            "clients that connect and say nothing stay in the SYN queue; without it they would be accepted and cost a descriptor each",
        )
    }
}
