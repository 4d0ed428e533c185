//! Hosts made up for tests: quiet and busy, until a test changes one thing.

use std::collections::BTreeMap;

use brimful_evidence::proc::Limits;
use brimful_evidence::snapshot::tally::{AtPort, Outgoing};
use brimful_evidence::snapshot::{Listener, Namespace, Process, Snapshot, Sockets, Throttle, Watched, names};
use brimful_judge::doctor::{Diagnosis, Scope, diagnose};
use brimful_plan::expect::CauseName;

/// Where the made-up server listens.
pub const PORT: u16 = 8_080;
/// Its process.
pub const PID: u32 = 812;

/// Two looks at a host, a second apart.
pub struct Pair {
    pub before: Snapshot,
    pub after: Snapshot,
}

impl Pair {
    /// A server with 500 connections and room everywhere, which accepts and closes some while it is watched.
    pub fn busy() -> Self {
        let before = snapshot();
        let mut after = before.clone();
        after.at_ns = 1_000_000_000;
        let namespace = &mut after.namespaces[0];
        for (name, n) in [("Ip.InReceives", 90_000), ("Ip.InDelivers", 90_000), ("Tcp.RetransSegs", 3)] {
            *namespace.counters.get_mut(name).expect("counted") += n;
        }
        listener(namespace).watched = Some(Watched { readings: 50, full: 0, least: 0, most: 9 });
        at_port(namespace).taken = (400..950).collect();
        Self { before, after }
    }

    pub fn both(mut self, change: impl Fn(&mut Snapshot)) -> Self {
        change(&mut self.before);
        change(&mut self.after);
        self
    }

    pub fn after(mut self, change: impl Fn(&mut Snapshot)) -> Self {
        change(&mut self.after);
        self
    }

    pub fn judged(&self) -> Diagnosis {
        diagnose(&self.before, &self.after, &Scope { words: "this host".into(), ..Scope::default() })
    }

    pub fn causes(&self) -> Vec<CauseName> {
        self.judged().causes.iter().map(|found| found.cause).collect()
    }
}

pub fn snapshot() -> Snapshot {
    let counters = [
        ("TcpExt.ListenOverflows", 7_000),
        ("TcpExt.ListenDrops", 9_000),
        ("TcpExt.TCPReqQFullDrop", 12),
        ("TcpExt.TCPDeferAcceptDrop", 4),
        ("TcpExt.TCPAbortOnMemory", 2),
        ("TcpExt.TCPSynRetrans", 400),
        ("Tcp.RetransSegs", 900),
        ("Ip.InReceives", 1_000_000),
        ("Ip.InDelivers", 990_000),
        ("Ip.OutNoRoutes", 66),
        ("nf_conntrack.drop", 5),
        ("nf_conntrack.entries", 900),
    ];
    let sysctls = [
        (names::SOMAXCONN, "4096"),
        (names::SYNCOOKIES, "1"),
        (names::MAX_SYN_BACKLOG, "2048"),
        (names::PORT_RANGE, "32768\t60999"),
        (names::RESERVED_PORTS, ""),
        (names::TW_REUSE, "2"),
    ];
    let sockets = Sockets {
        complete: true,
        states: [("ESTABLISHED", 900), ("TIME_WAIT", 3_000)].into(),
        ports: [(PORT, AtPort { held: 500, syn_recv: 1, taken: (300..800).collect() })].into(),
        outgoing: vec![Outgoing {
            from: ip("10.0.0.1"),
            to: "10.0.0.9:443".parse().expect("an address"),
            ports: 400,
            time_wait: 90,
        }],
        ..Sockets::default()
    };
    let namespace = Namespace {
        id: 1,
        own: true,
        counters: counters.into_iter().map(|(name, n)| (name.to_owned(), n)).collect(),
        sysctls: sysctls.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        listeners: Some(vec![Listener {
            address: format!("0.0.0.0:{PORT}").parse().expect("an address"),
            waiting: 2,
            limit: 511,
            drops: Some(44),
            inode: 77,
            owners: vec![PID],
            watched: None,
        }]),
        sockets: Some(sockets),
        ..Namespace::default()
    };
    let process = Process {
        pid: PID,
        name: "web".to_owned(),
        namespace: 1,
        descriptors: Some(530),
        nofile: Some(Limits { soft: 1_024, hard: 524_288 }),
        sockets: [("ESTABLISHED".to_owned(), 500), ("LISTEN".to_owned(), 1)].into(),
        cpu_ns: Some(0),
        throttle: Some(Throttle {
            group: "/sys/fs/cgroup/web".into(),
            periods: 10_000,
            throttled: 9_000,
            throttled_ns: 1,
        }),
        ..Process::default()
    };
    let host = [
        (names::FILES, 9_000),
        (names::FILES_MAX, 1_000_000),
        (names::NR_OPEN, 1_048_576),
        (names::CONNTRACK_MAX, 262_144),
        (names::SOFTNET_DROPPED, 40),
        ("arp_cache.entries", 30),
        ("arp_cache.table_fulls", 8),
        ("net.ipv4.neigh.default.gc_thresh3", 1_024),
    ];
    Snapshot {
        kernel: "6.18.44".to_owned(),
        host: host.into_iter().map(|(name, n)| (name.to_owned(), n)).collect::<BTreeMap<_, _>>(),
        namespaces: vec![namespace],
        processes: vec![process],
        ..Snapshot::default()
    }
}

pub fn ip(text: &str) -> std::net::IpAddr {
    text.parse().expect("an address")
}

pub fn listener(namespace: &mut Namespace) -> &mut Listener {
    namespace.listeners.as_mut().and_then(|all| all.first_mut()).expect("a listener")
}

pub fn at_port(namespace: &mut Namespace) -> &mut AtPort {
    namespace.sockets.as_mut().and_then(|sockets| sockets.ports.get_mut(&PORT)).expect("its port")
}

pub fn count(snapshot: &mut Snapshot, name: &str, more: u64) {
    *snapshot.namespaces[0].counters.get_mut(name).expect("counted") += more;
}

pub fn process(snapshot: &mut Snapshot) -> &mut Process {
    &mut snapshot.processes[0]
}

pub fn namespace(snapshot: &mut Snapshot) -> &mut Namespace {
    &mut snapshot.namespaces[0]
}

/// The queue over the window, and what was dropped.
pub fn queue(snapshot: &mut Snapshot, least: u32, most: u32, dropped: u32) {
    let listener = listener(namespace(snapshot));
    let full = if most > listener.limit { 20 } else { 0 };
    listener.watched = Some(Watched { readings: 50, full, least, most });
    listener.waiting = least;
    listener.drops = listener.drops.map(|drops| drops + dropped);
    count(snapshot, "TcpExt.ListenOverflows", dropped.into());
    count(snapshot, "TcpExt.ListenDrops", dropped.into());
}
