//! A program's own cap on connections, and what it does with one more.

use anyhow::{Result, ensure};
use brimful_target_plan::{AtMax, TargetPlan};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::site::{CHECK, Site, answer, ask, closed, dial, many_turns, plan, until};

fn capped(most: u32, at_max: AtMax) -> TargetPlan {
    TargetPlan { max_connections: Some(most), at_max, ..plan() }
}

#[test]
fn at_the_cap_the_queue_waits_until_somebody_goes() -> Result<()> {
    let mut site = Site::open(capped(3, AtMax::Wait))?;
    let counters = site.counters();
    let mut clients = dial(site.address(), 5)?;
    let outcome = site.serve(async {
        let seen = until(&counters, |seen| seen.waits_at_max == 1).await?;
        assert_eq!((seen.accepted, seen.held), (3, 3));
        many_turns().await;
        assert_eq!(counters.snapshot(), seen);

        let mut first = TcpStream::from_std(clients.remove(0))?;
        assert_eq!(ask(&mut first, CHECK).await?, (200, true));
        drop(first);
        until(&counters, |seen| seen.accepted == 4 && seen.waits_at_max == 2).await?;
        drop(clients.remove(0));
        until(&counters, |seen| seen.accepted == 5).await?;
        many_turns().await;
        Ok(())
    })?;
    // With nobody in the queue it does not rest at the cap: it awaits the next.
    assert_eq!((outcome.held, outcome.held_max, outcome.capped, outcome.waits_at_max), (3, 3, 0, 2));
    Ok(())
}

#[test]
fn whom_the_cap_kept_waiting_is_heard_of_when_he_comes_later_than_the_cap() -> Result<()> {
    let mut site = Site::open(capped(1, AtMax::Wait))?;
    let (address, counters) = (site.address(), site.counters());
    site.serve(async {
        let first = dial(address, 1)?;
        until(&counters, |seen| seen.accepted == 1).await?;
        many_turns().await;
        let mut second = TcpStream::connect(address).await?;
        second.write_all(CHECK.as_bytes()).await?;
        until(&counters, |seen| seen.waits_at_max == 1).await?;
        drop(first);
        assert_eq!(answer(&mut second).await?, (200, true));
        Ok(())
    })?;
    Ok(())
}

#[test]
fn health_checks_count_on_a_listener_of_their_own_too() -> Result<()> {
    let mut asked = capped(2, AtMax::Wait);
    asked.health_listen = Some(asked.listen);
    let mut site = Site::open(asked)?;
    let (address, counters) = (site.address(), site.counters());
    let health = site.server().ready().listening[1].address;
    site.serve(async {
        let mut clients = dial(address, 2)?;
        until(&counters, |seen| seen.accepted == 2).await?;
        let mut probe = TcpStream::connect(health).await?;
        probe.write_all(CHECK.as_bytes()).await?;
        until(&counters, |seen| seen.waits_at_max == 1).await?;
        many_turns().await;
        let seen = counters.snapshot();
        assert_eq!((seen.accepted, seen.health_answers), (2, 0));
        clients.pop();
        assert_eq!(answer(&mut probe).await?, (200, true));
        Ok(())
    })?;
    Ok(())
}

#[test]
fn beyond_the_cap_connections_are_closed_at_once() -> Result<()> {
    let mut site = Site::open(capped(3, AtMax::Close))?;
    let (address, counters) = (site.address(), site.counters());
    let mut clients = dial(address, 5)?;
    site.serve(async {
        until(&counters, |seen| seen.capped == 2).await?;
        for refused in clients.drain(3..) {
            closed(&mut TcpStream::from_std(refused)?).await?;
        }
        let seen = counters.snapshot();
        assert_eq!((seen.accepted, seen.held, seen.held_max), (3, 3, 3));
        clients.pop();
        until(&counters, |seen| seen.held == 2).await?;
        let mut client = TcpStream::connect(address).await?;
        assert_eq!(ask(&mut client, CHECK).await?, (200, true));
        Ok(())
    })?;
    Ok(())
}

#[test]
fn beyond_the_cap_connections_are_kept_and_never_read() -> Result<()> {
    let mut site = Site::open(TargetPlan { extra_fds_per_connection: 1, ..capped(2, AtMax::Ignore) })?;
    let (address, counters) = (site.address(), site.counters());
    let mut clients = dial(address, 4)?;
    site.serve(async {
        until(&counters, |seen| seen.accepted == 4 && seen.capped == 2).await?;
        let mut ignored = clients.drain(2..).map(TcpStream::from_std).collect::<Result<Vec<_>, _>>()?;
        for each in &mut ignored {
            each.write_all(CHECK.as_bytes()).await?;
        }
        for served in clients.drain(..) {
            let mut served = TcpStream::from_std(served)?;
            assert_eq!(ask(&mut served, CHECK).await?, (200, true));
        }
        // Places became free, for whoever comes now and not for those.
        until(&counters, |seen| seen.held == 2).await?;
        let mut client = TcpStream::connect(address).await?;
        assert_eq!(ask(&mut client, CHECK).await?, (200, true));
        many_turns().await;
        assert_eq!(counters.snapshot().health_answers, 3);
        for each in &ignored {
            let nothing = each.try_read(&mut [0]);
            ensure!(nothing.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "answered after all");
        }
        drop(ignored);
        until(&counters, |seen| seen.held == 1).await?;

        let _second = dial(address, 1)?;
        until(&counters, |seen| seen.held == 2 && seen.capped == 2).await?;
        let _third = dial(address, 1)?;
        until(&counters, |seen| seen.held == 3 && seen.capped == 3).await?;
        Ok(())
    })?;
    Ok(())
}
