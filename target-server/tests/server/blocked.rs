//! An event loop that stands still, and answers that are held back while it does not.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use brimful_target::clock::monotonic_ns;
use brimful_target_plan::{AcceptPause, TargetPlan};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::site::{CHECK, Site, answer, ask, dial, plan, until};

#[test]
fn during_a_block_nobody_is_accepted_read_or_answered_on_either_listener() -> Result<()> {
    let length = Duration::from_secs(1);
    let block = AcceptPause { first: Duration::ZERO, every: None, length };
    let mut asked = TargetPlan { block: Some(block), ..plan() };
    asked.health_listen = Some(asked.listen);
    let mut site = Site::open(asked)?;
    let (address, counters) = (site.address(), site.counters());
    let health = site.server().ready().listening[1].address;
    let (start, started) = oneshot::channel();
    site.serve_from(async { started.await.ok() }, async {
        let mut client = TcpStream::connect(address).await?;
        assert_eq!(ask(&mut client, CHECK).await?, (200, true));
        let t0 = monotonic_ns();
        ensure!(start.send(t0).is_ok(), "the server does not wait for its start");
        // The server hears of it in this turn, and is blocked from the next on.
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;

        client.write_all(CHECK.as_bytes()).await?;
        let _clients = dial(address, 3)?;
        let _probes = dial(health, 2)?;
        for look in 0_u32.. {
            let seen = counters.snapshot();
            if Duration::from_nanos(monotonic_ns() - t0) >= length {
                ensure!(look > 0, "the block was over before anything was asked of it");
                break;
            }
            assert_eq!((seen.accepted, seen.health_answers), (1, 1));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(answer(&mut client).await?, (200, true));
        until(&counters, |seen| seen.accepted == 6 && seen.health_answers == 2).await?;
        Ok(())
    })?;
    Ok(())
}

#[test]
fn a_blocked_server_stops_when_told() -> Result<()> {
    let length = Duration::from_secs(3_600);
    let block = AcceptPause { first: Duration::ZERO, every: None, length };
    let mut site = Site::open(TargetPlan { block: Some(block), ..plan() })?;
    let _clients = dial(site.address(), 3)?;
    let t0 = monotonic_ns();
    let outcome = site.serve_from(async move { Some(t0) }, async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Ok(())
    })?;
    ensure!(Duration::from_nanos(monotonic_ns() - t0) < length / 60, "waited for the block");
    assert_eq!(outcome, brimful_target_plan::TargetOutcome::default());
    Ok(())
}

#[test]
fn a_block_recurs() -> Result<()> {
    let every = Duration::from_millis(200);
    let block = AcceptPause { first: Duration::ZERO, every: Some(every), length: Duration::from_millis(150) };
    let mut site = Site::open(TargetPlan { block: Some(block), ..plan() })?;
    let (address, counters) = (site.address(), site.counters());
    let t0 = monotonic_ns();
    site.serve_from(async move { Some(t0) }, async {
        for round in 1..=2 {
            // Before the middle of the block of this round, then let it pass.
            while block.paused(Duration::from_nanos(monotonic_ns() - t0)).is_none_or(|left| left < block.length / 2) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let dialled = monotonic_ns();
            let before = counters.snapshot().accepted;
            let left = block.paused(Duration::from_nanos(dialled - t0)).unwrap_or_default();
            let _client = dial(address, 1)?;
            until(&counters, |seen| seen.accepted == before + 1).await?;
            ensure!(Duration::from_nanos(monotonic_ns() - dialled) >= left, "accepted in block {round}");
        }
        Ok(())
    })?;
    Ok(())
}

#[test]
fn answers_are_held_back_each_for_itself() -> Result<()> {
    let answer_delay = Duration::from_millis(300);
    let mut site = Site::open(TargetPlan { answer_delay, ..plan() })?;
    let (address, counters) = (site.address(), site.counters());
    let begun = Instant::now();
    site.serve(async {
        let mut clients = Vec::new();
        for _ in 0..10 {
            let mut client = TcpStream::connect(address).await?;
            client.write_all(CHECK.as_bytes()).await?;
            clients.push(client);
        }
        let seen = until(&counters, |seen| seen.accepted == 10).await?;
        ensure!(seen.health_answers == 0 || begun.elapsed() >= answer_delay, "answered at once: {seen:?}");
        for client in &mut clients {
            assert_eq!(answer(client).await?, (200, true));
            ensure!(begun.elapsed() >= answer_delay, "answered after {:?}", begun.elapsed());
        }
        // One after the other they would take ten times as long as one.
        ensure!(begun.elapsed() < 10 * answer_delay, "all answered after {:?}", begun.elapsed());
        Ok(())
    })?;
    Ok(())
}
