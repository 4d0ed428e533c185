//! Every series of a record under one readable name. Pure.

use std::collections::BTreeMap;

use brimful_evidence::record::{Evidence, NamespaceEvidence, ProcessEvidence, Role};
use brimful_evidence::series::Series;

use super::SeriesSummary;

/// First, last and largest of every series that was read: `server.TcpExt.ListenOverflows`, `listener.127.0.0.1:23380.recv_q`,
/// `target.0.descriptors`, `host.fs.file-nr.allocated`. What is the client's own begins with `client.`.
pub(crate) fn flatten(evidence: &Evidence) -> BTreeMap<String, SeriesSummary> {
    let mut flat = Flat::default();
    flat.namespace("server.", "", &evidence.server);
    if let Some(client) = &evidence.client {
        flat.namespace("client.", "client.", client);
    }
    for process in &evidence.processes {
        flat.process(process);
    }
    for (name, series) in &evidence.host {
        flat.put(format!("host.{name}"), series);
    }
    flat.0
}

#[derive(Default)]
struct Flat(BTreeMap<String, SeriesSummary>);

impl Flat {
    /// Absent is not zero: a series that was never read is left out.
    fn put(&mut self, name: String, series: &Series) {
        if series.reads > 0 {
            self.0.insert(name, SeriesSummary { first: series.first, last: series.last, max: series.max });
        }
    }

    fn namespace(&mut self, counters: &str, listeners: &str, namespace: &NamespaceEvidence) {
        for (name, series) in &namespace.counters {
            self.put(format!("{counters}{name}"), series);
        }
        for (address, listener) in &namespace.listeners {
            for (what, series) in [("recv_q", &listener.recv_q), ("limit", &listener.limit), ("drops", &listener.drops)]
            {
                self.put(format!("{listeners}listener.{address}.{what}"), series);
            }
        }
        for (state, ports) in &namespace.sockets {
            for (port, series) in ports {
                self.put(format!("{counters}sockets.{state}.{port}"), series);
            }
        }
    }

    fn process(&mut self, p: &ProcessEvidence) {
        let role = match p.role {
            Role::Target => "target",
            Role::Load => "load",
            Role::Probe => "probe",
            Role::Sandbox => "sandbox",
        };
        for (what, series) in [
            ("descriptors", &p.descriptors),
            ("nofile_soft", &p.nofile_soft),
            ("nofile_hard", &p.nofile_hard),
            ("rss_bytes", &p.rss_bytes),
            ("cpu_ns", &p.cpu_ns),
            ("runqueue_wait_ns", &p.runqueue_wait_ns),
        ] {
            self.put(format!("{role}.{}.{what}", p.place()), series);
        }
        if let Some(series) = &p.inotify {
            self.put(format!("{role}.{}.inotify", p.shard), series);
        }
    }
}
