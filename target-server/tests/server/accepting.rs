//! How connections are taken from the queue: one a turn, so many a second, from some sockets of a group, and late.

use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use brimful_target::{Counters, Server, TargetError};
use brimful_target_plan::{Accept, InvalidTarget, TargetPlan};
use tokio::net::TcpStream;
use tokio::task::yield_now;

use crate::site::{CHECK, Site, ask, dial, many_turns, plan, sockets, until};

/// `LISTEN` as `include/net/tcp_states.h` numbers it.
const LISTEN: u8 = 10;

/// The most accepted between two turns of the loop, and the most accepted and not yet answered, until `count` are answered.
async fn strides(counters: &Counters, count: u64) -> (u64, u64) {
    let (mut before, mut stride, mut ahead) = (0, 0, 0);
    loop {
        let seen = counters.snapshot();
        stride = stride.max(seen.accepted - before);
        ahead = ahead.max(seen.accepted - seen.health_answers);
        before = seen.accepted;
        if seen.health_answers == count {
            return (stride, ahead);
        }
        yield_now().await;
    }
}

fn strides_of(accept: Accept, count: usize) -> Result<(u64, u64)> {
    let mut site = Site::open(TargetPlan { accept, ..plan() })?;
    let counters = site.counters();
    let mut clients = dial(site.address(), count)?;
    for client in &mut clients {
        client.write_all(CHECK.as_bytes())?;
    }
    let mut seen = (0, 0);
    site.serve(async {
        seen = tokio::time::timeout(Duration::from_secs(30), strides(&counters, count as u64)).await?;
        Ok(())
    })?;
    Ok(seen)
}

#[test]
fn one_a_turn_is_one_and_who_has_a_request_is_answered_in_between() -> Result<()> {
    let (stride, ahead) = strides_of(Accept::OnePerWakeup, 100)?;
    ensure!(stride == 1, "{stride} accepted in one turn");
    // Waking, hearing and answering each take a turn of their own.
    ensure!(ahead <= 10, "{ahead} accepted and not answered");
    Ok(())
}

#[test]
fn draining_takes_all_before_anybody_is_answered() -> Result<()> {
    assert_eq!(strides_of(Accept::Drain, 100)?, (100, 100));
    Ok(())
}

#[test]
fn a_rate_spaces_accepts_and_leaves_the_health_listener_alone() -> Result<()> {
    let mut asked = TargetPlan { accept_rate: Some(50), ..plan() };
    asked.health_listen = Some(asked.listen);
    let mut site = Site::open(asked)?;
    let health = site.server().ready().listening[1].address;
    let counters = site.counters();
    let _clients = dial(site.address(), 20)?;
    let begun = Instant::now();
    site.serve(async {
        let mut probe = TcpStream::connect(health).await?;
        assert_eq!(ask(&mut probe, CHECK).await?, (200, true));
        loop {
            let accepted = counters.snapshot().accepted;
            // The probe, the first at once, then one each 20 ms, and 5 ms that a late timer may make up for.
            let most = 2 + (begun.elapsed() + Duration::from_millis(5)).as_millis() as u64 / 20;
            ensure!(accepted <= most, "{accepted} accepted after {:?}", begun.elapsed());
            if accepted == 21 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })?;
    Ok(())
}

#[test]
fn a_rate_above_what_timers_resolve_takes_several_for_each_time_it_wakes() -> Result<()> {
    let mut site = Site::open(TargetPlan { accept_rate: Some(5_000), ..plan() })?;
    let counters = site.counters();
    let mut clients = dial(site.address(), 120)?;
    for client in &mut clients {
        client.write_all(CHECK.as_bytes())?;
    }
    let begun = Instant::now();
    site.serve(async {
        let (stride, _) = tokio::time::timeout(Duration::from_secs(30), strides(&counters, 120)).await?;
        ensure!(stride > 1, "one for each timer");
        ensure!(
            begun.elapsed() >= Duration::from_secs(119) / 5_000 - Duration::from_millis(5),
            "{:?}",
            begun.elapsed()
        );
        Ok(())
    })?;
    Ok(())
}

#[test]
fn a_stuck_socket_of_a_group_keeps_its_share() -> Result<()> {
    let mut site = Site::open(TargetPlan { reuseport: 2, reuseport_stuck: 1, ..plan() })?;
    let listening = site.server().ready().listening.clone();
    let address = site.address();
    assert_eq!(listening.iter().map(|each| each.address).collect::<Vec<_>>(), [address; 2]);
    let counters = site.counters();
    let waiting = || {
        let rows = sockets(address.port())?;
        anyhow::Ok(rows.iter().filter(|row| row.0 == LISTEN).map(|row| row.1).collect::<Vec<_>>())
    };
    let _clients = dial(address, 64)?;
    site.serve(async {
        // The kernel hashes each connection to one socket; that one of them got all 64 does not happen.
        let begun = Instant::now();
        let stuck = loop {
            ensure!(begun.elapsed() < Duration::from_secs(30), "last seen: {:?}", waiting()?);
            match waiting()?[..] {
                [0, stuck] | [stuck, 0] if stuck > 0 => break stuck as u64,
                _ => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        };
        let seen = until(&counters, |seen| seen.accepted == 64 - stuck).await?;
        ensure!(seen.accepted > 0, "the socket that is served got nobody");
        many_turns().await;
        assert_eq!(counters.snapshot().accepted, 64 - stuck);
        Ok(())
    })?;
    Ok(())
}

#[test]
fn every_socket_of_a_group_is_accepted_from() -> Result<()> {
    let mut site = Site::open(TargetPlan { reuseport: 4, ..plan() })?;
    assert_eq!(site.server().ready().listening.len(), 4);
    let (address, counters) = (site.address(), site.counters());
    site.serve(async {
        let _clients = dial(address, 64)?;
        until(&counters, |seen| seen.accepted == 64).await?;
        Ok(())
    })?;
    Ok(())
}

#[test]
fn who_says_nothing_is_deferred_and_who_speaks_is_not() -> Result<()> {
    let defer_accept = Some(Duration::from_secs(1));
    let mut site = Site::open(TargetPlan { defer_accept, ..plan() })?;
    let (address, counters) = (site.address(), site.counters());
    let begun = Instant::now();
    site.serve(async {
        let _silent = dial(address, 1)?;
        let mut client = TcpStream::connect(address).await?;
        assert_eq!(ask(&mut client, CHECK).await?, (200, true));
        let seen = counters.snapshot();
        // The kernel lets the silent one in at the retransmission of its SYN-ACK, about a second later.
        ensure!(seen.accepted == 1 || begun.elapsed() > Duration::from_millis(800), "{seen:?}");
        until(&counters, |seen| seen.accepted == 2).await?;
        ensure!(begun.elapsed() > Duration::from_millis(800), "let in after {:?}", begun.elapsed());
        Ok(())
    })?;
    Ok(())
}

#[test]
fn a_plan_that_contradicts_itself_is_refused_with_a_hint() -> Result<()> {
    let refused = |plan: TargetPlan| match Server::bind(plan) {
        Err(TargetError::Plan(why)) => Ok(why),
        other => anyhow::bail!("{other:?}"),
    };
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let all_stuck = refused(TargetPlan { reuseport: 2, reuseport_stuck: 2, ..TargetPlan::plain(listen) })?;
    assert_eq!(all_stuck, InvalidTarget::AllStuck { stuck: 2, sockets: 2 });
    ensure!(TargetError::from(all_stuck).hint().contains("reuseport-stuck = 1"), "{}", all_stuck.hint());
    assert_eq!(refused(TargetPlan { reuseport: 0, ..TargetPlan::plain(listen) })?, InvalidTarget::NoListener);
    Ok(())
}
