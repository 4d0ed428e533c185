//! Connections that come back after they were lost, and storms.

use std::thread::{JoinHandle, spawn};

use brimful_loadgen_plan::plan::{Policy, Storm};

use super::*;

fn returning(connections: u64, net: u8, destination: SocketAddr, policy: Policy) -> LoadPlan {
    let (base, cap) = (Duration::from_millis(20), Duration::from_millis(100));
    let comeback = Comeback { policy, base, cap, storm: None };
    LoadPlan { behaviour: Behaviour::Reconnect, comeback, seed: 3, ..plan(connections, net, destination) }
}

fn adds_up(outcome: &LoadOutcome) {
    let failed =
        |hold| -> u64 { outcome.failures.iter().filter(|f| (f.phase == Phase::Hold) == hold).map(|f| f.count).sum() };
    assert_eq!(outcome.established, outcome.held + outcome.closed + failed(true));
    assert_eq!(outcome.attempted + outcome.reconnects.attempted, outcome.established + outcome.pending + failed(false));
}

/// Accepts for as long as it is wanted; the first `drops` connections are closed, or reset, at once.
fn dropping(listener: TcpListener, drops: usize, total: usize, resets: bool) -> JoinHandle<Vec<TcpStream>> {
    spawn(move || {
        let mut kept = Vec::new();
        for number in 0..total {
            let (stream, _) = listener.accept().unwrap();
            if number >= drops {
                kept.push(stream);
            } else if resets {
                socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
            }
        }
        kept
    })
}

#[test]
fn what_the_server_closes_or_resets_comes_back() {
    for (net, policy, resets) in
        [(51, Policy::Linear, false), (52, Policy::Exponential, true), (53, Policy::Jittered, true)]
    {
        let (listener, address) = listening(&format!("127.88.{net}.200:0"), 256);
        let server = dropping(listener, 60, 160, resets);
        let held = run_until(&returning(100, net, address, policy), |p| p.held == 100 && p.established == 160);
        let (outcome, back) = (&held.outcome, held.outcome.reconnects);
        assert_eq!((back.attempted, back.back, back.given_up), (60, 60, 0));
        assert_eq!((outcome.attempted, outcome.held, outcome.back_latency.count()), (100, 100, 60));
        let kind = if resets { "ECONNRESET" } else { "EOF" };
        assert_eq!(failures(&held), [(Phase::Hold, kind, 60)]);
        if policy != Policy::Jittered {
            // The first pause is the base with both, and whoever was unlucky twice waited for it twice.
            assert!(outcome.back_latency.quantile(0.0) >= 19_900_000, "{:?}", outcome.back_latency);
        }
        adds_up(outcome);
        drop(server.join().unwrap());
    }
}

#[test]
fn who_was_refused_is_back_as_soon_as_somebody_listens() {
    let (socket, address) = bound("127.88.54.200:0");
    let mut listens = false;
    let held = run_until(&returning(30, 54, address, Policy::Exponential), |p| {
        if p.failed >= 30 && !listens {
            socket.listen(64).unwrap();
            listens = true;
        }
        p.held == 30
    });
    let outcome = &held.outcome;
    assert_eq!((outcome.attempted, outcome.reconnects.back), (30, 30));
    assert!(outcome.reconnects.attempted >= 30);
    assert!(failures(&held).iter().all(|&(phase, errno, _)| (phase, errno) == (Phase::Connect, "ECONNREFUSED")));
    adds_up(outcome);
}

#[test]
fn without_a_policy_nobody_comes_back() {
    let (listener, address) = listening("127.88.55.200:0", 64);
    let server = dropping(listener, 10, 20, false);
    let idle = LoadPlan { behaviour: Behaviour::Reconnect, ..plan(20, 55, address) };
    let held = run_until(&idle, |p| p.held == 10 && p.failed == 10);
    assert!(held.outcome.reconnects.is_none());
    drop(server.join().unwrap());
}

#[test]
fn a_storm_closes_and_opens_all_or_a_share() {
    for (net, share_percent) in [(56, 100), (57, 30)] {
        let (listener, address) = listening(&format!("127.88.{net}.200:0"), 4_096);
        let storm = Some(Storm { at: Duration::from_millis(150), share_percent });
        let comeback = Comeback { storm, ..Comeback::default() };
        let stormy = LoadPlan { behaviour: Behaviour::Reconnect, comeback, seed: 9, ..plan(500, net, address) };
        let held = run_until(&stormy, |p| p.at_ns > 200_000_000 && p.held == 500);
        let (outcome, back) = (&held.outcome, held.outcome.reconnects);
        assert_eq!((back.attempted, back.back, back.given_up), (outcome.closed, outcome.closed, 0));
        assert_eq!((outcome.attempted, outcome.held, outcome.failures.len()), (500, 500, 0));
        // Five standard deviations of a count of 150 are 51. A worker has its descriptors for itself; here other tests take and free some
        // meanwhile, so that one that came back may land where the storm has not been yet.
        assert!(outcome.closed.abs_diff(5 * u64::from(share_percent)) <= 52, "{}", outcome.closed);
        adds_up(outcome);
        // Each that came back has a source of its own: none met the TIME_WAIT that its closing left.
        let sources: std::collections::BTreeSet<_> =
            (0..500 + outcome.closed).map(|_| listener.accept().unwrap().1).collect();
        assert_eq!(sources.len() as u64, 500 + outcome.closed);
    }
}
