//! A processor's receive backlog is full (`net.core.netdev_max_backlog`): packets are dropped before IP sees them. Pure.
//!
//! `softnet_stat` counts it for the whole host, the device for its namespace (`net/core/dev.c`, `enqueue_to_backlog`): only both
//! together say that it hit this one.

use super::super::view::View;
use super::Finding;
use super::lost::{self, Witness, Words};

const WORDS: Words = Words {
    shown: "packets dropped because a processor's backlog was full",
    flat: "no processor's backlog dropped anything",
    unread: "column 2 of softnet_stat, or the devices' rx_dropped, was not read",
    collect: &["column 2 of /proc/net/softnet_stat", "`rx_dropped` of the devices in both namespaces (/proc/net/dev)"],
};

pub(super) fn look(view: &View<'_>) -> Finding {
    let unheard = lost::unheard(view);
    if let Some(line) = lost::heard(view, unheard.len()) {
        return Finding::Excluded(line);
    }
    let host = view.host("softnet.dropped").map(|series| Witness { name: "host.softnet.dropped".into(), series });
    let devices: Vec<Witness<'_>> = view
        .sides()
        .flat_map(|(side, ns)| {
            let dropped = ns.counters.iter().filter(|(name, series)| {
                name.starts_with("device.") && name.ends_with(".rx_dropped") && series.reads > 0
            });
            dropped.map(move |(name, series)| Witness { name: format!("{side}.{name}"), series })
        })
        .collect();
    let Some(host) = host else { return WORDS.open(WORDS.unread) };
    if host.grew() > 0 && devices.is_empty() {
        return WORDS
            .open("a processor's backlog of this host dropped packets, but the devices of the cell were not read");
    }
    let hit =
        unheard.iter().filter(|s| host.near(view, s) && devices.iter().any(|device| device.near(view, s))).count();
    let witnesses: Vec<Witness<'_>> = std::iter::once(host).chain(devices).collect();
    lost::decide(view, &witnesses, hit, true, &WORDS)
}
