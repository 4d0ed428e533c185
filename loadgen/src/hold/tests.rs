//! Against real listeners on loopback. Each test has source addresses of its own (127.88.N.1), and ends through its
//! stop pipe as soon as the state it waits for is seen; `hold_until_ns` is only there to fail instead of hanging.

use std::io::{PipeReader, PipeWriter, pipe};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::process::Command;
use std::time::Duration;

use brimful_loadgen_plan::outcome::{Failure, Phase};
use brimful_loadgen_plan::plan::{Behaviour, Comeback, Sources};
use brimful_target::clock::monotonic_ns;
use brimful_target::limits::{nofile, set_nofile};
use brimful_target_plan::Nofile;
use socket2::{Domain, Socket, Type};

use super::*;

mod churn;
mod exchange;
mod half_open;
mod reconnect;

/// A bound socket that does not listen yet, on a port of the kernel's choice.
fn bound(address: &str) -> (Socket, SocketAddr) {
    let address: SocketAddr = address.parse().unwrap();
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    socket.bind(&address.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

fn listening(address: &str, backlog: i32) -> (TcpListener, SocketAddr) {
    let (socket, address) = bound(address);
    socket.listen(backlog).unwrap();
    (socket.into(), address)
}

/// A plan of one shard without a ramp, from 127.88.`net`.1 on.
fn plan(connections: u64, net: u8, destination: SocketAddr) -> LoadPlan {
    LoadPlan {
        connections,
        shards: 1,
        ramp: Duration::ZERO,
        behaviour: Behaviour::Idle,
        sources: Sources::Named {
            first: IpAddr::V4(Ipv4Addr::new(127, 88, net, 1)),
            addresses: 2,
            first_port: 40_000,
            last_port: 50_000,
            skip: vec![],
        },
        destinations: vec![destination],
        comeback: Comeback::default(),
        path: "/".to_owned(),
        seed: 0,
    }
}

/// Runs shard 0 until a point satisfies `enough`.
fn run_until(plan: &LoadPlan, mut enough: impl FnMut(LoadPoint) -> bool) -> Held {
    let (stop, writer): (PipeReader, PipeWriter) = pipe().unwrap();
    let mut writer = Some(writer);
    let now = monotonic_ns();
    let schedule = Schedule { t0_ns: now, hold_until_ns: Some(now + 30_000_000_000) };
    let held = run_shard(plan, 0, schedule, stop.as_fd(), |point| {
        if writer.is_some() && enough(point) {
            // A hang-up is a stop too.
            drop(writer.take());
        }
    });
    assert!(writer.is_none(), "what was waited for did not happen: {held:?}");
    held.unwrap()
}

#[test]
fn a_load_that_has_enough_opens_no_more_and_goes_on_holding() {
    let (_listener, address) = listening("127.88.13.200:0", 4_096);
    let ramped = LoadPlan { ramp: Duration::from_secs(20), ..plan(2_000, 13, address) };
    let (words, writer) = pipe().unwrap();
    let now = monotonic_ns();
    let schedule = Schedule { t0_ns: now, hold_until_ns: Some(now + 15_000_000_000) };
    let (mut said, mut after, heard) = (0, 0, std::cell::Cell::new(None));
    let hear = || {
        let mut word = [0];
        std::io::Read::read_exact(&mut &words, &mut word).unwrap();
        let word = if word == *b"e" { Word::Enough } else { Word::End };
        heard.set(Some(word));
        word
    };
    let held = run_shard_hearing(&ramped, 0, schedule, words.as_fd(), hear, |point| {
        let say = |word: &[u8]| std::io::Write::write_all(&mut &writer, word).unwrap();
        match heard.get() {
            None if said == 0 && point.held >= 20 => {
                say(b"e");
                said = point.attempted;
            }
            Some(Word::Enough) => {
                after += 1;
                // The ramp would have opened 30 in this time.
                if after == 3 {
                    say(b"!");
                }
            }
            _ => {}
        }
    })
    .unwrap();
    assert_eq!(heard.get(), Some(Word::End), "it went on after the first word");
    let outcome = &held.outcome;
    assert_eq!((outcome.requested, outcome.held), (2_000, outcome.attempted));
    assert!((said..said + 10).contains(&outcome.attempted), "{} at the word, {} at the end", said, outcome.attempted);
}

fn failures(held: &Held) -> Vec<(Phase, &str, u64)> {
    held.outcome.failures.iter().map(|Failure { phase, errno, count }| (*phase, errno.as_str(), *count)).collect()
}

#[test]
fn all_are_established_and_held_and_closed_only_when_dropped() {
    let (listener, address) = listening("127.88.1.200:0", 4_096);
    let held = run_until(&plan(500, 1, address), |p| p.held == 500);
    let outcome = &held.outcome;
    assert_eq!((outcome.requested, outcome.attempted, outcome.established), (500, 500, 500));
    assert_eq!((outcome.held, outcome.pending, outcome.failures.len()), (500, 0, 0));
    assert_eq!((outcome.connect_latency.count(), outcome.lag.count()), (500, 0));
    assert!(outcome.first_attempt_ns <= outcome.last_attempt_ns);
    assert!(outcome.last_attempt_ns <= outcome.last_established_ns);
    assert!(outcome.rate_per_s().is_some());
    assert_eq!(outcome.timeline.last().map(|p| p.held), Some(500));
    assert_eq!(held.connections.open(), 500);

    let (server, peer) = listener.accept().unwrap();
    assert_eq!(peer, "127.88.1.1:40000".parse().unwrap());
    drop(held);
    assert_eq!(std::io::Read::read(&mut &server, &mut [0; 1]).unwrap(), 0);
}

#[test]
fn ipv6_and_a_source_of_the_kernels_choice_work_alike() {
    let (_listener, address) = listening("[::1]:0", 64);
    for sources in [
        Sources::Named { first: address.ip(), addresses: 1, first_port: 20_000, last_port: 20_400, skip: vec![] },
        Sources::Kernel,
    ] {
        let held = run_until(&LoadPlan { sources, ..plan(20, 2, address) }, |p| p.held == 20);
        assert_eq!(failures(&held), []);
    }
}

#[test]
fn a_ramp_records_lateness_and_shards_take_turns() {
    let (listener, address) = listening("127.88.3.200:0", 64);
    let ramped = LoadPlan { ramp: Duration::from_millis(50), shards: 2, ..plan(9, 3, address) };
    let held = run_until(&ramped, |p| p.held == 5);
    assert_eq!((held.outcome.requested, held.outcome.lag.count()), (5, 5));
    // The last intended instant of shard 0 is 8/9 of the ramp; nothing is opened before its time.
    assert!(held.outcome.last_attempt_ns >= Some(44_444_444));
    let ports: Vec<u16> = (0..5).map(|_| listener.accept().unwrap().1.port()).collect();
    assert_eq!(ports, [40_000, 40_002, 40_004, 40_006, 40_008]);
}

#[test]
fn a_peer_that_closes_or_resets_ends_the_hold() {
    let (listener, address) = listening("127.88.4.200:0", 256);
    let server = std::thread::spawn(move || {
        let mut kept = Vec::new();
        for i in 0..100 {
            let (stream, _) = listener.accept().unwrap();
            match i % 4 {
                // A word before the end must not hide it.
                0 => std::io::Write::write_all(&mut &stream, b"bye").unwrap(),
                1 => socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap(),
                _ => {
                    std::io::Write::write_all(&mut &stream, &[0; 10_000]).unwrap();
                    kept.push(stream);
                }
            }
        }
        kept
    });
    let held = run_until(&plan(100, 4, address), |p| p.established == 100 && p.held == 50);
    assert_eq!(failures(&held), [(Phase::Hold, "ECONNRESET", 25), (Phase::Hold, "EOF", 25)]);
    assert_eq!((held.outcome.held, held.outcome.pending, held.connections.open()), (50, 0, 50));
    drop::<Vec<TcpStream>>(server.join().unwrap());
}

#[test]
fn nobody_listening_is_a_refusal_each() {
    let (_socket, address) = bound("127.88.5.200:0");
    let held = run_until(&plan(40, 5, address), |p| p.failed == 40);
    assert_eq!(failures(&held), [(Phase::Connect, "ECONNREFUSED", 40)]);
    assert_eq!((held.outcome.attempted, held.outcome.established), (40, 0));
    assert_eq!((held.outcome.held, held.outcome.pending), (0, 0));
}

#[test]
fn a_full_accept_queue_leaves_the_rest_pending() {
    // A backlog of 1 holds 2 (`sk_acceptq_is_full` compares with >).
    let (_listener, address) = listening("127.88.6.200:0", 1);
    let held = run_until(&plan(10, 6, address), |p| p.attempted == 10 && p.established == 2);
    assert_eq!((held.outcome.held, held.outcome.pending, held.connections.open()), (2, 8, 10));
    assert_eq!(failures(&held), []);
}

#[test]
fn a_handshake_that_ends_later_is_seen() {
    let (listener, address) = listening("127.88.7.200:0", 1);
    let mut accepted = Vec::new();
    // Room is made only after the queue was seen full, so the rest come in with a retransmitted SYN.
    let held = run_until(&plan(3, 7, address), |p| {
        if p.attempted == 3 && p.established == 2 && accepted.is_empty() {
            accepted.extend((0..2).map(|_| listener.accept().unwrap().0));
        }
        p.held == 3
    });
    assert_eq!((held.outcome.pending, held.outcome.connect_latency.count()), (0, 3));
}

#[test]
fn a_stop_within_the_ramp_leaves_a_partial_outcome() {
    let (_listener, address) = listening("127.88.8.200:0", 64);
    let slow = LoadPlan { ramp: Duration::from_secs(1_000), ..plan(10_000, 8, address) };
    let held = run_until(&slow, |p| p.held > 0);
    let outcome = &held.outcome;
    assert!((1..10_000).contains(&outcome.attempted), "{}", outcome.attempted);
    assert_eq!((outcome.requested, outcome.held), (10_000, outcome.attempted));
}

#[test]
fn the_end_of_the_schedule_ends_a_load_whose_stop_never_comes() {
    let (_listener, address) = listening("127.88.9.200:0", 64);
    let (stop, _writer) = pipe().unwrap();
    let now = monotonic_ns();
    let schedule = Schedule { t0_ns: now, hold_until_ns: Some(now + 10_000_000) };
    let mut points = 0;
    let held = run_shard(&plan(3, 9, address), 0, schedule, stop.as_fd(), |_| points += 1).unwrap();
    assert!(points >= 1);
    assert_eq!(held.outcome.held, held.outcome.attempted);
    assert!(held.outcome.timeline.last().is_some_and(|p| p.at_ns >= 10_000_000));
}

#[test]
fn a_port_that_a_stranger_listens_on_is_replaced_by_a_spare() {
    let (_stranger, taken) = listening("0.0.0.0:0", 1);
    let (listener, address) = listening("127.88.10.200:0", 64);
    let from = |last_port| Sources::Named {
        first: "127.88.10.1".parse().unwrap(),
        addresses: 1,
        first_port: taken.port(),
        last_port,
        skip: vec![address.port()],
    };
    let spared = LoadPlan { sources: from(taken.port() + 100), ..plan(4, 10, address) };
    let held = run_until(&spared, |p| p.held == 4);
    assert_eq!(failures(&held), []);
    assert_ne!(listener.accept().unwrap().1.port(), taken.port());

    let unspared = LoadPlan { sources: from(taken.port()), ..plan(1, 10, address) };
    let held = run_until(&unspared, |p| p.failed == 1);
    assert_eq!(failures(&held), [(Phase::Bind, "EADDRINUSE", 1)]);
}

/// Descriptor limits are per process, so the test runs itself again in one of its own.
#[test]
fn the_generators_own_limit_is_counted_and_does_not_end_the_run() {
    const CHILD: &str = "BRIMFUL_TEST_OWN_LIMIT";
    const NAME: &str = "hold::tests::the_generators_own_limit_is_counted_and_does_not_end_the_run";
    if std::env::var_os(CHILD).is_none() {
        let child = Command::new(std::env::current_exe().unwrap()).args(["--exact", NAME]).env(CHILD, "1").output();
        let child = child.unwrap();
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let (_listener, address) = listening("127.88.11.200:0", 256);
    set_nofile(Nofile { soft: 60, ..nofile().unwrap() }).unwrap();
    let held = run_until(&plan(100, 11, address), |p| p.attempted == 100);
    let outcome = &held.outcome;
    assert_eq!(failures(&held), [(Phase::Socket, "EMFILE", 100 - outcome.established)]);
    assert!((20..60).contains(&outcome.held), "{}", outcome.held);
    assert_eq!(outcome.held, outcome.established);
}

#[test]
fn what_cannot_begin_is_an_error_with_a_reason() {
    let (_listener, address) = listening("127.88.12.200:0", 1);
    let (stop, _writer) = pipe().unwrap();
    let schedule = Schedule { t0_ns: monotonic_ns(), hold_until_ns: None };
    let error = run_shard(&plan(1, 12, address), 1, schedule, stop.as_fd(), |_| {}).unwrap_err();
    assert!(matches!(error, LoadError::Address(AddressError::NoSuchShard { shard: 1, shards: 1 })), "{error}");
    // A regular file cannot be polled.
    let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    let error = run_shard(&plan(1, 12, address), 0, schedule, file.as_fd(), |_| {}).unwrap_err();
    assert!(matches!(error, LoadError::SetUp { call: "epoll_ctl of stop", .. }), "{error}");
}
