//! The accept queue: how much the kernel holds for a server that does not accept.

use std::time::Duration;

use anyhow::{Result, ensure};
use brimful_target::clock::monotonic_ns;
use brimful_target_plan::{Accept, AcceptPause, TargetPlan};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Socket, Type};

use crate::site::{Site, dial, plan, until};

/// Whether a connect completes within `wait`; over loopback it has or has not when `connect` returns.
fn completes(socket: &Socket, wait: Duration) -> Result<bool> {
    let wait = Timespec::try_from(wait)?;
    Ok(poll(&mut [PollFd::new(socket, PollFlags::OUT)], Some(&wait))? == 1 && socket.peer_addr().is_ok())
}

#[test]
fn a_dead_acceptor_holds_its_backlog_and_one_more() -> Result<()> {
    for backlog in [0, 1, 4] {
        let site = Site::open(TargetPlan { backlog, accept: Accept::Dead, ..plan() })?;
        let mut held = Vec::new();
        for nth in 0..=backlog + 1 {
            let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None)?;
            let dialled = socket.connect(&site.address().into());
            ensure!(dialled.is_err_and(|error| error.raw_os_error() == Some(115)), "EINPROGRESS is due");
            let fits = nth <= backlog;
            let wait = if fits { Duration::from_secs(10) } else { Duration::ZERO };
            assert_eq!(completes(&socket, wait)?, fits, "connection {nth} at backlog {backlog}");
            held.push(socket);
        }
    }
    Ok(())
}

#[test]
fn a_dead_acceptor_stops_when_told_and_has_accepted_nothing() -> Result<()> {
    let mut site = Site::open(TargetPlan { accept: Accept::Dead, ..plan() })?;
    let _clients = dial(site.address(), 3)?;
    let outcome = site.serve(async {
        crate::site::many_turns().await;
        Ok(())
    })?;
    assert_eq!(outcome, brimful_target_plan::TargetOutcome::default());
    Ok(())
}

#[test]
fn nothing_is_accepted_during_a_pause_and_all_after_it() -> Result<()> {
    let length = Duration::from_millis(150);
    let pause = AcceptPause { first: Duration::ZERO, every: None, length };
    let mut site = Site::open(TargetPlan { accept_pause: Some(pause), ..plan() })?;
    let (address, counters) = (site.address(), site.counters());
    let t0 = monotonic_ns();
    site.serve_from(async move { Some(t0) }, async {
        let _clients = dial(address, 3)?;
        until(&counters, |seen| seen.accepted == 3).await?;
        ensure!(Duration::from_nanos(monotonic_ns() - t0) >= length, "accepted during the pause");
        Ok(())
    })?;
    Ok(())
}

#[test]
fn without_a_start_there_is_no_pause() -> Result<()> {
    let pause = AcceptPause { first: Duration::ZERO, every: None, length: Duration::from_secs(3_600) };
    let mut site = Site::open(TargetPlan { accept_pause: Some(pause), ..plan() })?;
    let (address, counters) = (site.address(), site.counters());
    site.serve_from(std::future::pending(), async {
        let _clients = dial(address, 3)?;
        until(&counters, |seen| seen.accepted == 3).await?;
        Ok(())
    })?;
    Ok(())
}
