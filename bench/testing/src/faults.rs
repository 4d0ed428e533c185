//! The cases of the catalogue beyond the first: for each cause a record that shows it. What nearly shows it is made of these in the tests.

use brimful_evidence::record::{NamespaceEvidence, ProcessEvidence, Record, Role};
use brimful_evidence::series::Series;
use brimful_loadgen_plan::outcome::LoadPoint;
use brimful_loadgen_plan::probe::Outcome;

use super::{ADDRESS, MS, SECOND, World, fail_from, fd_limit, flat, healthy, rising, sample};

pub const PORT: &str = "23380";

/// A quantity that was read and did not change.
pub fn steady(value: u64) -> Series {
    Series { reads: 110, ..Series::starting(0, value) }
}

/// A quantity that is `low` until `from_ms`, and `high` from then on.
pub fn from_ms(from_ms: u64, low: u64, high: u64) -> Series {
    let mut s = Series::default();
    (0..110).for_each(|i| s.push(i * 100 * MS, if i * 100 < from_ms { low } else { high }));
    s
}

/// Puts a series among the server's counters.
pub fn count(record: &mut Record, name: &str, series: Series) {
    record.evidence.server.counters.insert(name.into(), series);
}

/// Puts a series among the host's.
pub fn host(record: &mut Record, name: &str, series: Series) {
    record.evidence.host.insert(name.into(), series);
}

/// Puts a count of sockets among a namespace's.
pub fn socket(namespace: &mut NamespaceEvidence, state: &str, port: &str, series: Series) {
    namespace.sockets.entry(state.into()).or_default().insert(port.into(), series);
}

/// The client's own namespace, made where there is none.
pub fn client(record: &mut Record) -> &mut NamespaceEvidence {
    record.evidence.client.get_or_insert_with(NamespaceEvidence::default)
}

/// Two namespaces, and everything on the path read and at rest; a probe that goes to an address of the server's.
pub fn across_a_link() -> Record {
    let mut record = World { connections: 3_000, ..World::default() }.record();
    let address = "10.88.0.1:23380";
    record.probe.plan.address = address.parse().unwrap();
    let listener = record.evidence.server.listeners.remove(ADDRESS).unwrap();
    record.evidence.server.listeners.insert(address.into(), listener);
    record.target.ready[0].listening[0].address = address.parse().unwrap();
    for name in [
        "nf_conntrack.drop",
        "TcpExt.TCPSynRetrans",
        "Tcp.RetransSegs",
        "TcpExt.TCPAbortOnMemory",
        "TcpExt.TCPMemoryPressures",
    ] {
        count(&mut record, name, flat());
    }
    count(&mut record, "TcpExt.TCPDeferAcceptDrop", flat());
    count(&mut record, "device.eth0.rx_dropped", flat());
    count(&mut record, "nftables.filter.input.0.packets", flat());
    for name in ["Ip.InReceives", "Ip.InDelivers"] {
        count(&mut record, name, rising(40));
    }
    for state in ["SYN_RECV", "SYN_RECV_RETRANS", "CLOSE_WAIT"] {
        socket(&mut record.evidence.server, state, PORT, steady(0));
    }
    let client = client(&mut record);
    for name in ["nf_conntrack.drop", "nftables.filter.output.0.packets", "device.eth0.rx_dropped"] {
        client.counters.insert(name.into(), flat());
    }
    for name in ["Ip.OutRequests", "Ip.OutTransmits"] {
        client.counters.insert(name.into(), rising(40));
    }
    for port in [PORT, "other"] {
        socket(client, "SYN_SENT", port, steady(0));
    }
    for name in ["softnet.dropped", "arp_cache.table_fulls", "cgroup.target.nr_periods", "cgroup.target.nr_throttled"] {
        host(&mut record, name, flat());
    }
    host(&mut record, "fs.file-nr.allocated", steady(4_000));
    host(&mut record, "fs.file-nr.max", steady(1_000_000));
    record
}

/// The same, with SYNs that get no answer from the third second on.
pub fn unanswered() -> Record {
    let mut record = across_a_link();
    fail_from(&mut record, 3, Outcome::ConnectTimeout);
    socket(client(&mut record), "SYN_SENT", PORT, from_ms(3_000, 0, 5));
    record
}

/// The server's connection-tracking table is full.
pub fn conntrack_full() -> Record {
    let mut record = unanswered();
    count(&mut record, "nf_conntrack.drop", rising(4));
    count(&mut record, "nf_conntrack.count", steady(262_144));
    host(&mut record, "nf_conntrack.max", steady(262_144));
    count(&mut record, "Ip.InReceives", rising(44));
    record
}

/// A rule at the server drops SYNs.
pub fn filtered() -> Record {
    let mut record = unanswered();
    count(&mut record, "nftables.filter.input.0.packets", rising(3));
    count(&mut record, "Ip.InReceives", rising(43));
    record
}

/// What the second post would show with everything read: several listeners, nothing full, a filter that drops.
pub fn origin_with_a_filter() -> Record {
    let mut record = filtered();
    for (port, n) in [("9099", 2), ("10251", 1), ("10252", 1), ("other", 2)] {
        socket(client(&mut record), "SYN_SENT", port, from_ms(3_000, 0, n));
    }
    record
}

/// The server has no route to the client.
pub fn no_route_back() -> Record {
    let mut record = unanswered();
    count(&mut record, "Ip.OutNoRoutes", rising(4));
    count(&mut record, "TcpExt.ListenDrops", rising(4));
    let listener = record.evidence.server.listeners.get_mut("10.88.0.1:23380").unwrap();
    listener.drops = rising(4);
    record
}

/// SYN-ACKs are lost on the way back.
pub fn return_path_loss() -> Record {
    let mut record = unanswered();
    socket(&mut record.evidence.server, "SYN_RECV", PORT, from_ms(3_000, 0, 5));
    socket(&mut record.evidence.server, "SYN_RECV_RETRANS", PORT, from_ms(4_000, 0, 4));
    count(&mut record, "TcpExt.TCPSynRetrans", rising(2));
    record
}

/// A processor's receive backlog overflows.
pub fn softirq_backlog() -> Record {
    let mut record = unanswered();
    host(&mut record, "softnet.dropped", rising(9));
    count(&mut record, "device.eth0.rx_dropped", rising(9));
    record
}

/// The host's neighbour table is full.
pub fn neighbour_table() -> Record {
    let mut record = unanswered();
    host(&mut record, "arp_cache.table_fulls", rising(2));
    record
}

/// Closed connections are kept, until the descriptors run out.
pub fn fd_leak() -> Record {
    let mut record = fd_limit();
    let mut closing = Series::default();
    (0..110_u64).for_each(|i| closing.push(i * 100 * MS, (i * 400).min(990)));
    closing.push(11 * SECOND, 990 + record.evidence.server.listeners[ADDRESS].recv_q.last);
    socket(&mut record.evidence.server, "CLOSE_WAIT", PORT, closing);
    record
}

/// Something leaks that is no socket in `CLOSE_WAIT`: the clients hold ever the same, the descriptors rise.
pub fn other_leak() -> Record {
    let mut record = fd_limit();
    let mut open = Series::default();
    (0..110_u64).for_each(|i| open.push(i * 100 * MS, (12 + i * 50).min(1_024)));
    record.evidence.processes[0].descriptors = open;
    fail_from(&mut record, 0, Outcome::Ok);
    fail_from(&mut record, 3, Outcome::ResponseTimeout);
    let point = |at_ns, held| LoadPoint { at_ns, attempted: held, established: held, held, ..LoadPoint::default() };
    record.load.outcome.timeline = vec![point(100 * MS, 100), point(500 * MS, 200)];
    record
}

/// The host allows no more files, while the process has room.
pub fn file_max() -> Record {
    let mut record = World { accepts_per_s: 0, ..World::default() }.record();
    host(&mut record, "fs.file-nr.allocated", steady(999_950));
    host(&mut record, "fs.file-nr.max", steady(1_000_000));
    record
}

/// Every probe ends with this local error from `seq` on.
pub fn local_error(seq: u64, what: &str) -> Record {
    let mut record = healthy();
    fail_from(&mut record, seq, Outcome::LocalError);
    for s in record.probe.samples.iter_mut().filter(|s| s.seq >= seq) {
        s.message = format!("dial tcp 127.0.0.1:23380: {what}");
    }
    record
}

/// The prober has no descriptors.
pub fn prober_fd_limit() -> Record {
    let mut record = local_error(1, "socket: too many open files");
    let target = &record.evidence.processes[0];
    let prober = ProcessEvidence {
        role: Role::Probe,
        pid: 4_712,
        descriptors: steady(64),
        nofile_soft: steady(64),
        nofile_hard: steady(64),
        ..target.clone()
    };
    record.evidence.processes.push(prober);
    record
}

/// The second of two sockets on the port is never accepted from; one probe in two goes there.
pub fn skewed() -> Record {
    let mut record = World { connections: 3_000, ..World::default() }.record();
    let mut stuck = record.evidence.server.listeners[ADDRESS].clone();
    stuck.limit = steady(128);
    stuck.recv_q = from_ms(300, 0, 129);
    stuck.drops = rising(7);
    record.evidence.server.listeners.insert(format!("{ADDRESS}#2"), stuck);
    count(&mut record, "TcpExt.ListenOverflows", rising(7));
    count(&mut record, "TcpExt.ListenDrops", rising(7));
    for s in record.probe.samples.iter_mut().filter(|s| s.seq % 2 == 1) {
        *s = sample(s.seq, Outcome::ConnectTimeout);
    }
    record
}

/// An acceptor at two hundredths of a processor, by its group's quota.
pub fn throttled() -> Record {
    let mut record =
        World { accepts_per_s: 200, backlog: 128, limit: 128, hold_ms: 4_000, ..World::default() }.record();
    host(&mut record, "cgroup.target.nr_periods", rising(1));
    let mut throttled = Series::default();
    (0..110_u64).for_each(|i| throttled.push(i * 100 * MS, i * 40 / 43));
    host(&mut record, "cgroup.target.nr_throttled", throttled);
    record
}

/// An acceptor that waits for a processor because others are on it.
pub fn starved() -> Record {
    let mut record =
        World { accepts_per_s: 200, backlog: 128, limit: 128, hold_ms: 4_000, ..World::default() }.record();
    let process = &mut record.evidence.processes[0];
    process.runqueue_wait_ns = rising(80 * MS);
    process.cpu_ns = rising(10 * MS);
    record
}

/// A program that takes 1,000 connections and lets the others wait.
pub fn capped() -> Record {
    World { cap: Some((1_000, false)), ..World::default() }.record()
}

/// A program that takes 1,100 connections and closes the others at once.
pub fn turning_away() -> Record {
    World { cap: Some((1_101, true)), ..World::default() }.record()
}

/// As many inotify instances as the user may have, one for each connection: more are closed at once.
pub fn inotify_limit() -> Record {
    let mut record = turning_away();
    host(&mut record, "fs.inotify.max_user_instances", steady(1_101));
    record.evidence.processes[0].inotify = Some(from_ms(1_000, 0, 1_101));
    record
}

/// The same, with instances to spare: the program has a cap of its own.
pub fn inotify_to_spare() -> Record {
    let mut record = inotify_limit();
    host(&mut record, "fs.inotify.max_user_instances", steady(1_200));
    record
}

/// Answers take 1.2 s, whatever the load.
pub fn slow() -> Record {
    World { connections: 500, answer_ms: 1_200, ..World::default() }.record()
}

/// Silent clients of a listener that waits for data fill the SYN queue.
pub fn deferred() -> Record {
    let mut record = unanswered();
    count(&mut record, "TcpExt.TCPDeferAcceptDrop", rising(2));
    for name in ["TcpExt.TCPReqQFullDrop", "TcpExt.ListenDrops"] {
        count(&mut record, name, rising(3));
    }
    record.evidence.server.listeners.get_mut("10.88.0.1:23380").unwrap().drops = rising(3);
    socket(&mut record.evidence.server, "SYN_RECV", PORT, from_ms(500, 0, 129));
    record
}

/// TCP has no memory: what is connected is aborted.
pub fn tcp_mem() -> Record {
    let mut record = across_a_link();
    fail_from(&mut record, 3, Outcome::Reset);
    count(&mut record, "TcpExt.TCPAbortOnMemory", rising(2));
    count(&mut record, "TcpExt.TCPMemoryPressures", from_ms(2_000, 0, 3));
    record
}

/// The accept queue overflows when the last ACK comes: connected, and never answered; drained at once, to be filled again.
pub fn overflowing_at_the_ack() -> Record {
    let mut record = World { connections: 3_000, backlog: 4, limit: 4, ..World::default() }.record();
    fail_from(&mut record, 2, Outcome::ResponseTimeout);
    let listener = record.evidence.server.listeners.get_mut(ADDRESS).unwrap();
    let mut waiting = Series::default();
    (0..110_u64).for_each(|i| waiting.push(i * 100 * MS, if i % 10 < 3 { 5 } else { 0 }));
    listener.recv_q = waiting;
    listener.drops = rising(3);
    for name in ["TcpExt.ListenOverflows", "TcpExt.ListenDrops"] {
        count(&mut record, name, rising(3));
    }
    socket(&mut record.evidence.server, "SYN_RECV_RETRANS", PORT, steady(4));
    record
}
