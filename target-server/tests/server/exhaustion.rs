//! What each reaction does when `accept4` really answers `EMFILE`.
//!
//! Clients are dialled first, into the accept queue, then the limit is lowered, then the server runs: so it is exact how many it can take.

use std::time::{Duration, Instant};

use anyhow::Result;
use brimful_target::limits::{nofile, set_nofile};
use brimful_target_plan::{Accept, Nofile, OnEmfile, TargetPlan};
use socket2::{Domain, Socket, Type};
use tokio::net::TcpStream;

use crate::site::{CHECK, Site, alone, ask, closed, dial, emfile, leave_room, many_turns, plan, until};

fn site(on_emfile: OnEmfile) -> Result<Site> {
    Site::open(TargetPlan { on_emfile, ..plan() })
}

#[test]
fn spinning_counts_on_and_serves_whom_it_has() -> Result<()> {
    alone("exhaustion::spinning_counts_on_and_serves_whom_it_has", || {
        let mut site = site(OnEmfile::Spin)?;
        let counters = site.counters();
        let mut clients = dial(site.address(), 8)?;
        let before = leave_room(3)?;
        site.serve(async {
            let seen = until(&counters, |seen| emfile(seen) >= 100).await?;
            assert_eq!((seen.accepted, seen.held, seen.shed), (3, 3, 0));
            let mut first = TcpStream::from_std(clients.remove(0))?;
            assert_eq!(ask(&mut first, CHECK).await?, (200, true));

            // Two descriptors come free, the client's and the server's; two more connections are taken.
            drop(first);
            until(&counters, |seen| seen.accepted == 5 && seen.held == 4).await?;
            // The limit is read at every accept: raising it is a cure without a restart.
            set_nofile(before)?;
            until(&counters, |seen| seen.accepted == 8).await?;
            Ok(())
        })?;
        Ok(())
    })
}

#[test]
fn spinning_stops_when_told() -> Result<()> {
    alone("exhaustion::spinning_stops_when_told", || {
        let mut site = site(OnEmfile::Spin)?;
        let counters = site.counters();
        let _clients = dial(site.address(), 2)?;
        leave_room(0)?;
        // The script ends in the middle of the spin, and with it the server.
        let outcome = site.serve(async {
            until(&counters, |seen| emfile(seen) >= 10).await?;
            Ok(())
        })?;
        assert_eq!((outcome.accepted, outcome.held), (0, 0));
        Ok(())
    })
}

#[test]
fn spinning_rests_while_the_queue_is_empty() -> Result<()> {
    alone("exhaustion::spinning_rests_while_the_queue_is_empty", || {
        let mut site = site(OnEmfile::Spin)?;
        let (address, counters) = (site.address(), site.counters());
        let mut clients = dial(address, 3)?;
        leave_room(3)?;
        site.serve(async {
            until(&counters, |seen| seen.accepted == 3 && emfile(seen) == 1).await?;
            many_turns().await;
            assert_eq!(emfile(&counters.snapshot()), 1);
            clients.pop();
            until(&counters, |seen| seen.held == 2).await?;
            let _new = dial(address, 1)?;
            until(&counters, |seen| seen.accepted == 4).await?;
            Ok(())
        })?;
        Ok(())
    })
}

#[test]
fn sleeping_waits_longer_and_longer() -> Result<()> {
    alone("exhaustion::sleeping_waits_longer_and_longer", || {
        let mut site = site(OnEmfile::Sleep)?;
        let counters = site.counters();
        let _clients = dial(site.address(), 8)?;
        let before = leave_room(3)?;
        let begun = Instant::now();
        site.serve(async {
            let seen = until(&counters, |seen| emfile(seen) >= 4).await?;
            assert!(begun.elapsed() >= Duration::from_millis(5 + 10 + 20), "{:?}", begun.elapsed());
            assert_eq!(seen.accepted, 3);
            set_nofile(before)?;
            until(&counters, |seen| seen.accepted == 8).await?;
            Ok(())
        })?;
        Ok(())
    })
}

#[test]
fn a_reserve_sheds_the_queue_in_good_order_and_then_rests() -> Result<()> {
    alone("exhaustion::a_reserve_sheds_the_queue_in_good_order_and_then_rests", || {
        let mut site = site(OnEmfile::ReserveFd)?;
        let (address, counters) = (site.address(), site.counters());
        let mut clients = dial(address, 8)?;
        leave_room(3)?;
        site.serve(async {
            until(&counters, |seen| seen.shed == 5).await?;
            for shed in clients.drain(3..) {
                closed(&mut TcpStream::from_std(shed)?).await?;
            }
            many_turns().await;
            let seen = counters.snapshot();
            // One for each that was shed, and one that found the queue empty.
            assert_eq!((seen.accepted, seen.held, seen.shed, emfile(&seen)), (3, 3, 5, 6));

            // Five clients left, so there is room again, for the server too.
            let _new = dial(address, 2)?;
            until(&counters, |seen| seen.accepted == 5).await?;
            Ok(())
        })?;
        Ok(())
    })
}

#[test]
fn a_reserve_that_does_not_help_is_not_spun_for_and_is_taken_again() -> Result<()> {
    alone("exhaustion::a_reserve_that_does_not_help_is_not_spun_for_and_is_taken_again", || {
        let mut site = site(OnEmfile::ReserveFd)?;
        let (address, counters) = (site.address(), site.counters());
        let _clients = dial(address, 3)?;
        let late = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        let before = nofile()?;
        // Below the number of the reserve: giving that up frees nothing that may be used.
        set_nofile(Nofile { soft: 3, ..before })?;
        let begun = Instant::now();
        site.serve(async {
            // The first turn meets it twice, with the reserve and without; each later one once, after a wait.
            let seen = until(&counters, |seen| emfile(seen) >= 5).await?;
            assert!(begun.elapsed() >= Duration::from_millis(5 + 10 + 20), "{:?}", begun.elapsed());
            assert_eq!((seen.accepted, seen.shed), (0, 0));

            set_nofile(before)?;
            until(&counters, |seen| seen.accepted == 3).await?;
            leave_room(0)?;
            late.connect(&address.into())?;
            until(&counters, |seen| seen.shed == 1).await?;
            Ok(())
        })?;
        Ok(())
    })
}

#[test]
fn exiting_ends_the_server_and_says_why() -> Result<()> {
    alone("exhaustion::exiting_ends_the_server_and_says_why", || {
        let mut site = site(OnEmfile::Exit)?;
        let _clients = dial(site.address(), 8)?;
        leave_room(3)?;
        let outcome = site.serve(std::future::pending())?;
        assert_eq!((outcome.accepted, outcome.held, emfile(&outcome)), (3, 3, 1));
        assert!(outcome.exited_on_emfile);
        Ok(())
    })
}

#[test]
fn a_server_that_stops_accepting_never_comes_back() -> Result<()> {
    alone("exhaustion::a_server_that_stops_accepting_never_comes_back", || {
        let mut site = site(OnEmfile::StopAccepting)?;
        let counters = site.counters();
        let mut clients = dial(site.address(), 8)?;
        let before = leave_room(3)?;
        let outcome = site.serve(async {
            until(&counters, |seen| seen.stopped_accepting).await?;
            set_nofile(before)?;
            let mut first = TcpStream::from_std(clients.remove(0))?;
            assert_eq!(ask(&mut first, CHECK).await?, (200, true));
            clients.truncate(2);
            drop(first);
            until(&counters, |seen| seen.held == 2).await?;
            many_turns().await;
            Ok(())
        })?;
        assert_eq!((outcome.accepted, emfile(&outcome)), (3, 1));
        Ok(())
    })
}

#[test]
fn a_listener_of_its_own_does_not_save_the_health_check() -> Result<()> {
    alone("exhaustion::a_listener_of_its_own_does_not_save_the_health_check", || {
        let mut asked = TargetPlan { on_emfile: OnEmfile::Spin, accept: Accept::Dead, ..plan() };
        asked.health_listen = Some(asked.listen);
        let mut site = Site::open(asked)?;
        let (health, counters) = (site.server().ready().listening[1].address, site.counters());
        let mut probe = dial(health, 1)?;
        leave_room(0)?;
        site.serve(async {
            // Descriptors belong to the process: the probe connects, and nobody can take it.
            until(&counters, |seen| emfile(seen) >= 10).await?;
            let mut probe = TcpStream::from_std(probe.remove(0))?;
            tokio::io::AsyncWriteExt::write_all(&mut probe, CHECK.as_bytes()).await?;
            many_turns().await;
            let seen = counters.snapshot();
            assert_eq!((seen.accepted, seen.health_answers), (0, 0));
            Ok(())
        })?;
        Ok(())
    })
}

#[test]
fn a_connection_without_its_extra_descriptors_is_closed_and_counted() -> Result<()> {
    alone("exhaustion::a_connection_without_its_extra_descriptors_is_closed_and_counted", || {
        let mut site = Site::open(TargetPlan { extra_fds_per_connection: 2, ..plan() })?;
        let counters = site.counters();
        let mut clients = dial(site.address(), 3)?;
        leave_room(4)?;
        let outcome = site.serve(async {
            // The first takes three of the four; for the others there is a socket and nothing to go with it.
            until(&counters, |seen| seen.extra_fd_errors.get("EMFILE") == Some(&2)).await?;
            for refused in clients.drain(1..) {
                closed(&mut TcpStream::from_std(refused)?).await?;
            }
            Ok(())
        })?;
        assert_eq!((outcome.accepted, outcome.held, emfile(&outcome)), (1, 1, 0));
        Ok(())
    })
}
