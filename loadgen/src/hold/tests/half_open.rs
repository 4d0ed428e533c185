//! Connections that are not meant to be established. On loopback a full accept queue makes them: its SYNs are dropped.

use super::*;

fn half_open(connections: u64, net: u8, destination: SocketAddr) -> LoadPlan {
    LoadPlan { behaviour: Behaviour::HalfOpen, ..plan(connections, net, destination) }
}

/// A connection that takes the one place of a queue with a backlog of 0 (`sk_acceptq_is_full` compares with >).
fn filler(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).unwrap()
}

fn adds_up(outcome: &LoadOutcome) {
    let failed: u64 = outcome.failures.iter().map(|f| f.count).sum();
    assert_eq!(outcome.attempted + outcome.renewed, outcome.held + outcome.pending + outcome.closed + failed);
}

#[test]
fn they_stay_in_their_handshake() {
    let (_listener, address) = listening("127.88.31.200:0", 0);
    let _filler = filler(address);
    let ramped = LoadPlan { ramp: Duration::from_millis(100), ..half_open(50, 31, address) };
    let held = run_until(&ramped, |p| p.pending == 50);
    let outcome = &held.outcome;
    assert_eq!((outcome.attempted, outcome.established, outcome.held, outcome.pending), (50, 0, 0, 50));
    assert_eq!((outcome.renewed, outcome.failures.len(), outcome.lag.count()), (0, 0, 50));
    assert_eq!(outcome.timeline.last().map(|p| p.pending), Some(50));
    assert_eq!(held.connections.open(), 50);
}

#[test]
fn one_that_is_established_all_the_same_is_kept() {
    let (_listener, address) = listening("127.88.32.200:0", 0);
    let held = run_until(&half_open(6, 32, address), |p| p.pending == 5 && p.held == 1);
    assert_eq!((held.outcome.established, held.outcome.closed, held.connections.open()), (1, 0, 6));
    adds_up(&held.outcome);
}

#[test]
fn one_that_fails_is_begun_anew_once_a_second_at_most() {
    let (_socket, address) = bound("127.88.33.200:0");
    let held = run_until(&half_open(20, 33, address), |p| p.failed >= 40);
    let outcome = &held.outcome;
    let failed: u64 = outcome.failures.iter().map(|f| f.count).sum();
    assert_eq!(failures(&held), [(Phase::Connect, "ECONNREFUSED", failed)]);
    assert_eq!((outcome.attempted, outcome.established), (20, 0));
    let seconds = outcome.timeline.last().map_or(0, |p| p.at_ns) / 1_000_000_000;
    assert!((20..=20 * seconds).contains(&outcome.renewed), "{} in {seconds} s", outcome.renewed);
    adds_up(outcome);
}

#[test]
fn what_is_begun_anew_comes_from_the_same_source_and_fills_the_plan_again() {
    let (socket, address) = bound("127.88.34.200:0");
    let mut fillers = Vec::new();
    let mut planned = half_open(10, 34, address);
    // No spares, so that another source would be a failure.
    if let Sources::Named { addresses, first_port, last_port, .. } = &mut planned.sources {
        (*addresses, *first_port, *last_port) = (1, 20_000, 20_009);
    }
    // The load is in this very call and opens nothing meanwhile: the queue is full before the next SYN.
    let held = run_until(&planned, |p| {
        if p.failed >= 10 && fillers.is_empty() {
            socket.listen(0).unwrap();
            fillers.push(filler(address));
        }
        p.pending == 10
    });
    let outcome = &held.outcome;
    assert_eq!((outcome.attempted, outcome.established, outcome.pending), (10, 0, 10));
    assert!(outcome.renewed >= 10);
    let renewed = outcome.renewed;
    assert_eq!(failures(&held), [(Phase::Connect, "ECONNREFUSED", renewed)]);
    adds_up(outcome);
}

#[test]
fn the_generators_own_failures_are_not_begun_anew() {
    let (_stranger, taken) = listening("0.0.0.0:0", 1);
    let (_socket, address) = bound("127.88.35.200:0");
    let mut planned = half_open(1, 35, address);
    if let Sources::Named { addresses, first_port, last_port, .. } = &mut planned.sources {
        (*addresses, *first_port, *last_port) = (1, taken.port(), taken.port());
    }
    // Longer than the second after which it would be.
    let held = run_until(&planned, |p| p.at_ns > 1_500_000_000);
    assert_eq!(failures(&held), [(Phase::Bind, "EADDRINUSE", 1)]);
    assert_eq!((held.outcome.attempted, held.outcome.renewed, held.outcome.pending), (1, 0, 0));
}
