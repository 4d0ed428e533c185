//! Cures that belong to the node: its tables, its filters, its routes, and the prober that runs on it. Pure.

use brimful_evidence::record::Role;
use brimful_plan::cell::KnobValue;
use brimful_plan::expect::Why;
use brimful_plan::knob::TakesEffect;

use super::{Cure, Note, Place, PlaceKind, pod_sysctls, sysctl_file};
use crate::spans::known;
use crate::view::View;
use crate::wording::{count, readable_above};

/// A sysctl of the whole node; twice the present value where that is known, as a first step to measure.
pub(crate) fn node_sysctl(name: &str, now: Option<u64>, because: String) -> Cure {
    let value = now.map(|now| readable_above(now.saturating_mul(2)));
    let written = value.map_or_else(|| "MORE".to_owned(), |v| v.to_string());
    Cure {
        knob: format!("sysctl.{name}"),
        value: value.map(KnobValue::Number),
        takes_effect: TakesEffect::Live,
        also: Vec::new(),
        places: vec![Place::new(PlaceKind::SysctlD, format!("{name} = {written}"), Some(Note::WholeNode))],
        because,
    }
}

/// Something on the way that no number of a table cures.
fn on_the_node(knob: &str, text: String, because: &str) -> Cure {
    Cure {
        knob: knob.into(),
        value: None,
        takes_effect: TakesEffect::Live,
        also: Vec::new(),
        places: vec![Place::new(PlaceKind::Node, text, None)],
        because: because.into(),
    }
}

/// A larger connection-tracking table, or fewer entries in it.
pub(crate) fn conntrack(view: &View<'_>, _why: Option<Why>) -> Option<Cure> {
    Some(more_entries(view.host("nf_conntrack.max").map(|s| s.last)))
}

/// The same, by the present limit.
pub(crate) fn more_entries(max: Option<u64>) -> Cure {
    let mut cure = node_sysctl(
        "net.netfilter.nf_conntrack_max",
        max,
        max.map_or_else(
            || "twice what it is now; every connection takes an entry until long after its end".to_owned(),
            |max| format!("twice the present {}; every connection takes an entry until long after its end", count(max)),
        ),
    );
    cure.places.push(Place::new(
        PlaceKind::Node,
        "`notrack` rules for traffic that needs none; shorter net.netfilter.nf_conntrack_tcp_timeout_*",
        None,
    ));
    cure
}

/// The rule that drops.
pub(crate) fn filter(view: &View<'_>, _why: Option<Why>) -> Option<Cure> {
    let rules = view.sides().flat_map(|(side, ns)| {
        let grown =
            ns.counters.iter().filter(|(name, s)| name.starts_with("nftables.") && s.reads > 0 && s.delta() > 0);
        grown.map(move |(name, s)| format!("{side}.{name} (+{})", count(s.delta())))
    });
    let rules: Vec<String> = rules.collect();
    let address = view.record.probe.plan.address;
    Some(on_the_node(
        "packet-filter",
        format!("let connections to {address} pass, or find out who installs the rule: {}", rules.join(", ")),
        "the listener never sees what is dropped before it: no backlog, sysctl of TCP or descriptor limit changes it",
    ))
}

/// A route to the client.
pub(crate) fn route(_view: &View<'_>, _why: Option<Why>) -> Option<Cure> {
    Some(a_route())
}

/// The same, whatever was run.
pub(crate) fn a_route() -> Cure {
    on_the_node(
        "route",
        "ip route add CLIENTS via GATEWAY   # in the server's namespace; look at `ip rule` and `ip route get CLIENT` first".into(),
        "the listener hears the SYN and cannot answer it: no queue is full",
    )
}

/// The way back.
pub(crate) fn return_path(_view: &View<'_>, _why: Option<Why>) -> Option<Cure> {
    Some(on_the_node(
        "return-path",
        "find where SYN-ACKs are lost: capture on both ends, then filters, reverse-path checks (rp_filter) and NAT between them".into(),
        "the server answers and the client does not hear it: larger queues would only hold more of the same half-open connections",
    ))
}

/// A longer receive backlog.
pub(crate) fn softirq(_view: &View<'_>, _why: Option<Why>) -> Option<Cure> {
    Some(longer_backlog())
}

/// The same, whatever was run.
pub(crate) fn longer_backlog() -> Cure {
    node_sysctl(
        "net.core.netdev_max_backlog",
        None,
        "packets came faster than one processor took them; spreading them over more (RPS, more queues) helps as well"
            .into(),
    )
}

/// A larger neighbour table.
pub(crate) fn neighbours(view: &View<'_>, _why: Option<Why>) -> Option<Cure> {
    let family = if view.record.probe.plan.address.is_ipv4() { "ipv4" } else { "ipv6" };
    Some(node_sysctl(
        &format!("net.{family}.neigh.default.gc_thresh3"),
        None,
        "more neighbours than the host's one table holds; raise gc_thresh1 and gc_thresh2 with it".into(),
    ))
}

/// More open files on the host.
pub(crate) fn files(view: &View<'_>, _why: Option<Why>) -> Option<Cure> {
    let max = view.host("fs.file-nr.max").map(|s| s.last);
    Some(node_sysctl(
        "fs.file-max",
        max,
        "the limit of the whole host, not of the process: its own descriptor limit has room".into(),
    ))
}

/// More inotify instances for each user.
pub(crate) fn inotify(view: &View<'_>, _why: Option<Why>) -> Option<Cure> {
    Some(node_sysctl(
        "fs.inotify.max_user_instances",
        view.host("fs.inotify.max_user_instances").map(|s| s.last),
        "the limit of each user of the host, not of the process: \"too many open files\" speaks of inotify here".into(),
    ))
}

/// More memory for TCP.
pub(crate) fn tcp_memory(_view: &View<'_>, _why: Option<Why>) -> Option<Cure> {
    Some(more_tcp_memory())
}

/// The same, whatever was run.
pub(crate) fn more_tcp_memory() -> Cure {
    node_sysctl(
        "net.ipv4.tcp_mem",
        None,
        "three numbers in pages, for the whole node; data that programs do not read counts too".into(),
    )
}

/// More source ports for the prober.
pub(crate) fn ports(_view: &View<'_>, _why: Option<Why>) -> Option<Cure> {
    Some(more_ports())
}

/// The same, whatever was run.
pub(crate) fn more_ports() -> Cure {
    let range = KnobValue::Word("1024 65535".into());
    let name = "net.ipv4.ip_local_port_range";
    Cure {
        knob: format!("sysctl.{name}"),
        takes_effect: TakesEffect::NextConnection,
        also: Vec::new(),
        places: vec![sysctl_file(&[(name, &range)], Note::ProberNode), pod_sysctls(&[(name, &range)], Note::Safe)],
        value: Some(range),
        because: "one source address has at most one range of ports for each destination, and a closed connection keeps its port for a \
                  minute; fewer new connections (keep-alive) or more source addresses help as well"
            .into(),
    }
}

/// More descriptors for the prober.
pub(crate) fn prober(view: &View<'_>, _why: Option<Why>) -> Option<Cure> {
    let prober = view.record.evidence.processes.iter().find(|p| p.role == Role::Probe);
    let soft = prober.and_then(|p| known(&p.nofile_soft)).map(|s| s.last);
    let value = soft.map(|soft| readable_above(soft.saturating_mul(2)));
    let written = value.map_or_else(|| "MORE".to_owned(), |v| v.to_string());
    Some(Cure {
        knob: "probe.nofile".into(),
        value: value.map(KnobValue::Number),
        takes_effect: TakesEffect::ProcessStart,
        also: Vec::new(),
        places: vec![
            Place::new(PlaceKind::Systemd, format!("[Service]\nLimitNOFILE={written}"), Some(Note::ProberUnit)),
            Place::new(
                PlaceKind::Live,
                format!("prlimit --pid PID-OF-THE-PROBER --nofile={written}"),
                Some(Note::UntilRestart),
            ),
        ],
        because: "the target was never asked: the limit is the prober's own, and often the sign of a leak in it".into(),
    })
}
