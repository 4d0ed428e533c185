//! Connections that their peers ended and that are never closed here.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use brimful_target_plan::{AtMax, TargetPlan};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::site::{CHECK, Site, alone, answer, ask, closed, dial, many_turns, plan, sockets, until};

/// `CLOSE_WAIT` as `include/net/tcp_states.h` numbers it.
const CLOSE_WAIT: u8 = 8;

/// Waits until so many connections of this port are in `CLOSE_WAIT`.
async fn close_waits(port: u16, count: usize) -> Result<()> {
    let begun = Instant::now();
    loop {
        let seen = sockets(port)?.iter().filter(|row| row.0 == CLOSE_WAIT).count();
        if seen == count {
            return Ok(());
        }
        ensure!(begun.elapsed() < Duration::from_secs(30), "{seen} in CLOSE_WAIT, {count} expected");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn each_third_stays_in_close_wait_with_its_descriptors() -> Result<()> {
    alone("leak::each_third_stays_in_close_wait_with_its_descriptors", || {
        let open = || anyhow::Ok(std::fs::read_dir("/proc/self/fd")?.count() - 1);
        let mut site = Site::open(TargetPlan { leak_one_in: 3, extra_fds_per_connection: 1, ..plan() })?;
        let (address, counters) = (site.address(), site.counters());
        let before = open()?;
        site.serve(async {
            for round in 1..=3 {
                let clients = dial(address, 4)?;
                until(&counters, |seen| seen.accepted == 4 * round).await?;
                drop(clients);
                until(&counters, |seen| seen.held == seen.leaked && seen.leaked == 4 * round / 3).await?;
            }
            close_waits(address.port(), 4).await?;
            assert_eq!(open()?, before + 4 * 2);
            many_turns().await;
            assert_eq!(counters.snapshot().leaked, 4);
            Ok(())
        })?;
        Ok(())
    })
}

#[test]
fn an_end_after_an_answer_or_in_half_a_request_is_one_too() -> Result<()> {
    let mut site = Site::open(TargetPlan { leak_one_in: 1, ..plan() })?;
    let (address, counters) = (site.address(), site.counters());
    site.serve(async {
        let mut client = TcpStream::connect(address).await?;
        assert_eq!(ask(&mut client, CHECK).await?, (200, true));
        drop(client);
        until(&counters, |seen| seen.leaked == 1).await?;

        let mut client = TcpStream::connect(address).await?;
        client.write_all(CHECK.as_bytes()).await?;
        client.shutdown().await?;
        assert_eq!(answer(&mut client).await?, (200, true));
        until(&counters, |seen| seen.leaked == 2).await?;

        let mut client = TcpStream::connect(address).await?;
        client.write_all(b"GET /half").await?;
        drop(client);
        until(&counters, |seen| seen.leaked == 3 && seen.held == 3).await?;
        close_waits(address.port(), 3).await?;
        Ok(())
    })?;
    Ok(())
}

#[test]
fn what_the_server_closes_and_what_is_reset_is_closed_as_ever() -> Result<()> {
    let mut site = Site::open(TargetPlan { leak_one_in: 1, ..plan() })?;
    let (address, counters) = (site.address(), site.counters());
    let outcome = site.serve(async {
        let mut probe = TcpStream::connect(address).await?;
        assert_eq!(ask(&mut probe, "GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n").await?, (200, false));
        closed(&mut probe).await?;

        let client = dial(address, 1)?.pop().context("nobody dialled")?;
        until(&counters, |seen| seen.accepted == 2 && seen.held == 1).await?;
        socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO))?;
        drop(client);
        until(&counters, |seen| seen.held == 0).await?;
        Ok(())
    })?;
    assert_eq!((outcome.accepted, outcome.leaked), (2, 0));
    Ok(())
}

#[test]
fn leaked_connections_fill_the_cap_and_ignored_ones_do_not_leak() -> Result<()> {
    let asked = TargetPlan { leak_one_in: 1, max_connections: Some(2), at_max: AtMax::Ignore, ..plan() };
    let mut site = Site::open(asked)?;
    let (address, counters) = (site.address(), site.counters());
    site.serve(async {
        let clients = dial(address, 2)?;
        until(&counters, |seen| seen.accepted == 2).await?;
        drop(clients);
        until(&counters, |seen| seen.leaked == 2).await?;
        let beyond = dial(address, 3)?;
        until(&counters, |seen| seen.capped == 3 && seen.held == 5).await?;
        drop(beyond);
        until(&counters, |seen| seen.held == 2).await?;
        assert_eq!(counters.snapshot().leaked, 2);
        Ok(())
    })?;
    Ok(())
}
