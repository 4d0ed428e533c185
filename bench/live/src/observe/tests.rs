//! The observer on this machine's loopback, and on trees that are no `/proc`.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, io};

use brimful_evidence::record::Source;
use socket2::{Domain, Socket, Type};

use super::*;
use crate::netlink::netfilter::NetfilterError;
use crate::netlink::sock_diag::SockDiagError;

fn socket() -> Socket {
    Socket::new(Domain::IPV4, Type::STREAM, None).unwrap()
}

fn listening(backlog: i32) -> (Socket, SocketAddr) {
    let listener = socket();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(backlog).unwrap();
    let at = listener.local_addr().unwrap().as_socket().unwrap();
    (listener, at)
}

fn dialing(to: SocketAddr) -> Socket {
    let client = socket();
    client.set_nonblocking(true).unwrap();
    let begun = client.connect(&to.into());
    assert!(begun.is_ok() || begun.is_err_and(|e| e.raw_os_error() == Some(115)), "EINPROGRESS");
    client
}

/// Rounds until one satisfies, for five seconds.
fn rounds(observer: &mut Observer, at_ms: &mut u64, enough: impl Fn(&Glance) -> bool) -> Glance {
    let begun = Instant::now();
    loop {
        *at_ms += 100;
        let glance = observer.sample(*at_ms * 1_000_000);
        if enough(&glance) || begun.elapsed() > Duration::from_secs(5) {
            return glance;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn source<'s>(sources: &'s [Source], name: &str) -> &'s Source {
    sources.iter().find(|source| source.name == name).unwrap()
}

#[test]
fn a_full_queue_is_seen_from_every_side() {
    let (_listener, at) = listening(4);
    let port = at.port().to_string();
    let mut observer = Observer::new("/proc".into(), Side::of_this_thread(SideName::Server), None, &[at.port()]);
    observer.watch(Role::Target, 0, std::process::id());
    let mut at_ms = 0;
    let calm = rounds(&mut observer, &mut at_ms, |_| true);
    assert_eq!((calm.recv_q, calm.limit, calm.drops), (Some(0), Some(4), Some(0)));
    assert!(calm.target_descriptors > Some(3) && calm.target_nofile_soft > Some(0));

    let _clients: Vec<Socket> = (0..8).map(|_| dialing(at)).collect();
    let full = rounds(&mut observer, &mut at_ms, |g| g.drops >= Some(3));
    assert_eq!((full.recv_q, full.limit), (Some(5), Some(4)));
    rounds(&mut observer, &mut at_ms, |g| g.at_ns > full.at_ns);

    let seen = observer.finish();
    let listener = seen.server.listeners.get(&at.to_string()).unwrap();
    assert_eq!((listener.recv_q.max, listener.limit.last), (5, 4));
    assert!(listener.drops.delta() >= 3);
    let sockets = |state: &str| seen.server.sockets.get(state).and_then(|ports| ports.get(&port)).unwrap();
    assert_eq!((sockets("SYN_SENT").first, sockets("SYN_SENT").max), (0, 3));
    assert_eq!((sockets("SYN_RECV").max, sockets("CLOSE_WAIT").max), (0, 0));
    let grown = |name: &str| seen.server.counters.get(name).unwrap().delta();
    assert!(grown("TcpExt.ListenOverflows") >= 3 && grown("TcpExt.ListenDrops") >= 3 && grown("Tcp.InSegs") > 0);
    assert!(seen.server.counters.contains_key("sockstat.TCP.inuse"));
    assert!(seen.server.sockets.get("TIME_WAIT").is_some_and(|ports| ports.contains_key("all")));
    assert!(seen.host.get("fs.file-nr.max").is_some_and(|s| s.last > 0));
    for name in ["netstat", "snmp", "sockstat", "inet_diag.listeners", "inet_diag.states", "process.cpu", "file-nr"] {
        let source = source(&seen.sources, name);
        assert!(source.reads > 0 && source.cost_ns > 0 && source.unavailable_because.is_none(), "{source:?}");
    }
    let extra = source(&seen.sources, "tracepoint.skb:kfree_skb");
    assert!(extra.is_extra());
    assert!((extra.reads == 1) == extra.unavailable_because.is_none() && extra.reads <= 1, "{extra:?}");
}

fn fake_net(folder: &Path, overflows: u64) {
    fs::write(folder.join("netstat"), format!("TcpExt: ListenOverflows Novelty\nTcpExt: {overflows} 1\n")).unwrap();
    fs::write(folder.join("snmp"), "Tcp: MaxConn InSegs\nTcp: -1 7\n").unwrap();
    fs::write(folder.join("sockstat"), "TCP: inuse 3 orphan 0 tw 11 alloc 4 mem 0\n").unwrap();
}

fn refused() -> Result<crate::netlink::sock_diag::SockDiag, SockDiagError> {
    Err(SockDiagError::Open(io::Error::from_raw_os_error(93)))
}

fn side(name: SideName, folder: &Path) -> Side {
    Side::open(name, folder, folder, refused(), Err(NetfilterError::Open(io::Error::from_raw_os_error(93))))
}

#[test]
fn what_cannot_be_read_is_not_available_because() {
    let root = tempfile::tempdir().unwrap();
    let (server, client) = (root.path().join("server"), root.path().join("client"));
    for folder in [&server, &client] {
        fs::create_dir(folder).unwrap();
    }
    fake_net(&server, 3);
    fs::write(client.join("netstat"), "TcpExt: A B\nTcpExt: 1\n").unwrap();
    let mut observer = Observer::new(
        root.path().into(),
        side(SideName::Server, &server),
        Some(side(SideName::Client, &client)),
        &[80],
    );
    for round in 0..5 {
        fake_net(&server, 3 + round);
        assert_eq!(observer.sample(round * 1_000), Glance { at_ns: round * 1_000, ..Glance::default() });
    }
    let seen = observer.finish();
    assert_eq!(seen.server.counters.get("TcpExt.ListenOverflows").map(|s| s.points.len()), Some(5));
    assert_eq!(seen.server.counters.get("TcpExt.Novelty").map(|s| s.reads), Some(5), "an unknown name is kept");
    assert!(!seen.server.counters.contains_key("Tcp.MaxConn"));
    assert_eq!(seen.server.sockets.keys().collect::<Vec<_>>(), ["TIME_WAIT"]);
    assert_eq!(seen.client.map(|client| client.counters.len()), Some(0));
    let why = |name: &str| source(&seen.sources, name).unavailable_because.clone().unwrap_or_default();
    assert_eq!(why("netstat.server"), "");
    assert!(why("netstat.client").ends_with("group TcpExt has 2 names and 1 values"), "{}", why("netstat.client"));
    assert!(why("snmp.client").contains("snmp: No such file"), "{}", why("snmp.client"));
    assert!(why("inet_diag.states.server").contains("netlink"));
    assert!(why("file-nr").contains("sys/fs/file-nr"));
}

#[test]
fn a_thread_that_moves_on_leaves_its_side_behind() {
    let side = std::thread::spawn(|| Side::of_this_thread(SideName::Server)).join().unwrap();
    let mut observer = Observer::new("/proc".into(), side, None, &[80]);
    observer.sample(0);
    assert!(observer.finish().server.counters.contains_key("TcpExt.ListenDrops"), "its thread is gone");
}
