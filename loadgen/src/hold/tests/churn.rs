//! Connections that are closed when their time is over.

use std::io::{ErrorKind, Read as _};
use std::net::Shutdown;
use std::thread::{JoinHandle, spawn};

use super::*;

/// A lifetime that no test outlasts.
const FOR_EVER: Duration = Duration::from_secs(10_000);

fn churn(connections: u64, net: u8, destination: SocketAddr, lifetime: Duration) -> LoadPlan {
    LoadPlan { behaviour: Behaviour::Churn { lifetime }, ..plan(connections, net, destination) }
}

/// Accepts `connections`, shuts down those that `shuts` chooses by their number, and reads each to its end. Returns how
/// many ended with a FIN and how many were reset.
fn reader(listener: TcpListener, connections: usize, shuts: fn(usize) -> bool) -> JoinHandle<(usize, usize)> {
    spawn(move || {
        let mut kept = Vec::new();
        for number in 0..connections {
            let (stream, _) = listener.accept().unwrap();
            if shuts(number) {
                // It may be gone already.
                let _gone = stream.shutdown(Shutdown::Write);
            }
            kept.push(stream);
        }
        let ends: Vec<_> = kept.iter_mut().map(|stream| stream.read(&mut [0; 1])).collect();
        let fins = ends.iter().filter(|end| matches!(end, Ok(0))).count();
        let resets = ends.iter().filter(|end| end.as_ref().is_err_and(|e| e.kind() == ErrorKind::ConnectionReset));
        (fins, resets.count())
    })
}

fn adds_up(outcome: &LoadOutcome) {
    let failed =
        |hold| -> u64 { outcome.failures.iter().filter(|f| (f.phase == Phase::Hold) == hold).map(|f| f.count).sum() };
    assert_eq!(outcome.established, outcome.held + outcome.closed + failed(true));
    assert_eq!(outcome.attempted + outcome.renewed, outcome.established + outcome.pending + failed(false));
}

#[test]
fn each_is_closed_with_a_fin_when_its_time_is_over() {
    let (listener, address) = listening("127.88.21.200:0", 512);
    let server = reader(listener, 300, |_| false);
    let ramped = LoadPlan { ramp: Duration::from_millis(150), ..churn(300, 21, address, Duration::from_millis(120)) };
    let held = run_until(&ramped, |p| p.established == 300 && p.held == 0);
    let outcome = &held.outcome;
    assert_eq!((outcome.closed, outcome.held, outcome.pending, outcome.failures.len()), (300, 0, 0, 0));
    assert_eq!(held.connections.open(), 0);
    // Nobody is closed before its lifetime is over, and the last one was opened at the end of the ramp.
    let end_ns = outcome.timeline.last().map(|p| p.at_ns);
    assert!(end_ns >= outcome.last_established_ns.map(|last_ns| last_ns + 120_000_000));
    adds_up(outcome);
    assert_eq!(server.join().unwrap(), (300, 0));
}

#[test]
fn who_has_time_left_is_still_held() {
    let (_listener, address) = listening("127.88.22.200:0", 64);
    let held = run_until(&churn(50, 22, address, FOR_EVER), |p| p.held == 50);
    assert_eq!((held.outcome.closed, held.outcome.held, held.connections.open()), (0, 50, 50));
}

#[test]
fn a_peer_that_closes_first_is_counted_as_ever_and_its_descriptor_is_another_ones() {
    let (listener, address) = listening("127.88.23.200:0", 512);
    let server = reader(listener, 200, |number| number % 2 == 0);
    // Descriptors that the peer has freed are used again within the ramp, while the closed ones' time is not over.
    let ramped = LoadPlan { ramp: Duration::from_millis(300), ..churn(200, 23, address, Duration::from_millis(250)) };
    let held = run_until(&ramped, |p| p.established == 200 && p.held == 0);
    let outcome = &held.outcome;
    let lost: u64 = outcome.failures.iter().map(|f| f.count).sum();
    assert!(outcome.closed >= 100, "half of them were left to the client: {outcome:?}");
    assert_eq!(outcome.closed + lost, 200);
    assert!(failures(&held).iter().all(|&(phase, errno, _)| (phase, errno) == (Phase::Hold, "EOF")), "{outcome:?}");
    adds_up(outcome);
    assert_eq!(server.join().unwrap(), (200, 0));
}

#[test]
fn a_peer_that_always_closes_first_leaves_nothing_to_close() {
    let (listener, address) = listening("127.88.24.200:0", 512);
    let server = reader(listener, 100, |_| true);
    let held = run_until(&churn(100, 24, address, FOR_EVER), |p| p.failed == 100);
    assert_eq!(failures(&held), [(Phase::Hold, "EOF", 100)]);
    assert_eq!((held.outcome.closed, held.outcome.held), (0, 0));
    adds_up(&held.outcome);
    assert_eq!(server.join().unwrap(), (100, 0));
}

/// As when every port of the kernel's choice rests in `TIME_WAIT`: the tuple is in use, and `connect(2)` says so.
#[test]
fn a_source_that_is_still_in_use_is_a_failure_to_connect() {
    let (_listener, address) = listening("127.88.25.200:0", 64);
    let stranger = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    stranger.set_reuse_address(true).unwrap();
    let source: SocketAddr = "127.88.25.1:40000".parse().unwrap();
    stranger.bind(&source.into()).unwrap();
    stranger.connect(&address.into()).unwrap();
    let held = run_until(&churn(3, 25, address, FOR_EVER), |p| p.held == 2 && p.failed == 1);
    assert_eq!(failures(&held), [(Phase::Connect, "EADDRNOTAVAIL", 1)]);
    adds_up(&held.outcome);
}
