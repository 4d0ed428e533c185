//! What happens before the first byte: refused, dropped, passed by the kernel alone, out of descriptors.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;

use brimful_loadgen_plan::probe::{Action, Outcome, ProbePlan, Sample};
use rustix::process::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

use super::*;

/// The test below that is run alone in a process of its own.
const CHILD: &str = "probe::tests::tcp::in_a_child_without_descriptors";

/// A listener whose accept queue holds `backlog + 1` connections (`include/net/sock.h`, `sk_acceptq_is_full`).
fn listener(backlog: i32) -> (TcpListener, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(backlog).unwrap();
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// An address on which nothing listens.
fn nobody() -> SocketAddr {
    listener(0).1
}

fn http() -> Action {
    plan().action
}

#[test]
fn nobody_listening_is_refused() {
    let address = nobody();
    let sample = one(Action::TcpSocket, address, Duration::from_secs(10));
    assert_eq!((sample.outcome, sample.connect_ns), (Outcome::Refused, None));
    assert_eq!(sample.message, format!("dial tcp {address}: connect: connection refused"));
    let sample = one(http(), address, Duration::from_secs(10));
    assert_eq!(sample.outcome, Outcome::Refused);
    assert!(sample.message.starts_with("Get \"http://"), "{}", sample.message);
}

#[test]
fn a_full_accept_queue_is_a_connect_timeout() {
    let (listener, address) = listener(0);
    let filler = TcpStream::connect(address).unwrap();
    for (action, message) in [(Action::TcpSocket, "i/o timeout"), (http(), "awaiting headers)")] {
        let sample = one(action, address, Duration::from_millis(300));
        assert_eq!((sample.outcome, sample.connect_ns, sample.first_byte_ns), (Outcome::ConnectTimeout, None, None));
        assert!(sample.message.ends_with(message), "{}", sample.message);
    }
    drop((filler, listener));
}

#[test]
fn a_dropped_syn_is_sent_again_after_a_second() {
    let (listener, address) = listener(0);
    let filler = TcpStream::connect(address).unwrap();
    thread::spawn(move || {
        // Room is made once the probe's first SYN has been dropped.
        while !syn_sent_to(address) {
            thread::yield_now();
        }
        let _filler = listener.accept().unwrap();
        let (mut probe, _) = listener.accept().unwrap();
        probe.read_exact(&mut [0]).unwrap();
        probe.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    let sample = one(http(), address, Duration::from_secs(2));
    assert_eq!(sample.outcome, Outcome::Ok, "{}", sample.message);
    // The kernel's first retransmission, at 1 s (RFC 6298, TCP_TIMEOUT_INIT).
    let connect_ns = sample.connect_ns.unwrap();
    assert!((900_000_000..1_900_000_000).contains(&connect_ns), "{connect_ns}");
    drop(filler);
}

/// Whether a connection to this address is in SYN_SENT, state 02 of `/proc/net/tcp`.
fn syn_sent_to(address: SocketAddr) -> bool {
    let remote = format!("0100007F:{:04X} 02", address.port());
    fs::read_to_string("/proc/self/net/tcp").unwrap().lines().any(|line| line.contains(&remote))
}

#[test]
fn a_handshake_passes_until_the_probe_itself_has_filled_the_queue() {
    let (_listener, address) = listener(3);
    let (period, timeout) = (Duration::from_millis(20), Duration::from_millis(300));
    let plan = ProbePlan { action: Action::TcpSocket, address, period, timeout, ..plan() };
    let samples = take(6, &plan);
    let outcomes: Vec<_> = samples.iter().map(|sample| sample.outcome).collect();
    use Outcome::{ConnectTimeout, Ok};
    assert_eq!(outcomes, [Ok, Ok, Ok, Ok, ConnectTimeout, ConnectTimeout]);
    assert!(samples[0].connect_ns.is_some() && samples[0].message.is_empty());
    assert_eq!(samples[0].status, None);
}

#[test]
fn a_plan_with_a_zero_is_refused() {
    let plan = ProbePlan { period: Duration::ZERO, ..plan() };
    let refused = block_on(run(&plan, 0, None, std::future::pending::<()>(), |_| {}));
    assert!(matches!(refused, Err(ProbeError::Plan { field: "periodSeconds" })));
}

#[test]
fn a_prober_without_descriptors_blames_itself() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD, "--ignored", "--test-threads=1", "--nocapture"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&child.stderr));
}

#[test]
#[ignore = "uses up the descriptors of its process; a_prober_without_descriptors_blames_itself runs it in its own"]
fn in_a_child_without_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(64);
    setrlimit(Resource::Nofile, limit).unwrap();
    let plan = ProbePlan { address: nobody(), period: Duration::from_millis(10), ..plan() };
    let enough = tokio::sync::Notify::new();
    let (mut hoard, mut samples) = (Vec::new(), Vec::new());
    let on_sample = |sample: &Sample| {
        samples.push(sample.clone());
        hoard.extend(std::iter::from_fn(|| File::open("/dev/null").ok()));
        if sample.outcome != Outcome::Refused || samples.len() == 100 {
            enough.notify_one();
        }
    };
    block_on(run(&plan, monotonic_ns(), None, enough.notified(), on_sample)).unwrap();
    drop(hoard);
    // How many are refused first depends on when the closer gives back the descriptor of the one before.
    let last = samples.last().unwrap();
    assert_eq!((samples[0].outcome, last.outcome), (Outcome::Refused, Outcome::LocalError));
    assert!(last.message.ends_with("socket: too many open files"), "{}", last.message);
}
