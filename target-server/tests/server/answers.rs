//! Requests and answers, and the life of a connection around them.

use std::io::Write;
use std::net::{Ipv6Addr, SocketAddr};

use anyhow::{Result, ensure};
use brimful_target::{Server, TargetError};
use brimful_target_plan::Accept;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::site::{CHECK, Site, alone, answer, ask, closed, dial, plan, until};

#[test]
fn a_kept_connection_goes_back_to_rest_and_answers_again() -> Result<()> {
    let mut site = Site::open(plan())?;
    let (address, counters) = (site.address(), site.counters());
    let outcome = site.serve(async {
        let mut client = TcpStream::connect(address).await?;
        for round in 1..=3 {
            assert_eq!(ask(&mut client, CHECK).await?, (200, true));
            until(&counters, |seen| seen.health_answers == round && seen.held == 1).await?;
        }
        Ok(())
    })?;
    assert_eq!((outcome.accepted, outcome.held, outcome.held_max), (1, 1, 1));
    assert_eq!((outcome.health_answers, outcome.other_answers), (3, 0));
    Ok(())
}

#[test]
fn other_paths_and_methods_are_refused_and_the_connection_kept() -> Result<()> {
    let mut site = Site::open(plan())?;
    let address = site.address();
    let outcome = site.serve(async {
        let mut client = TcpStream::connect(address).await?;
        assert_eq!(ask(&mut client, "GET /other HTTP/1.1\r\n\r\n").await?, (404, true));
        assert_eq!(ask(&mut client, "PUT /healthz HTTP/1.1\r\n\r\n").await?, (405, true));
        assert_eq!(ask(&mut client, CHECK).await?, (200, true));
        Ok(())
    })?;
    assert_eq!((outcome.health_answers, outcome.other_answers, outcome.held), (1, 2, 1));
    Ok(())
}

#[test]
fn the_connection_ends_where_http_says_so() -> Result<()> {
    let mut site = Site::open(plan())?;
    let (address, counters) = (site.address(), site.counters());
    let outcome = site.serve(async {
        for (text, status) in [
            ("GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(), 200),
            ("GET /healthz HTTP/1.0\r\n\r\n".to_owned(), 200),
            ("nonsense\r\n\r\n".to_owned(), 400),
            (format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(20_000)), 431),
        ] {
            let mut client = TcpStream::connect(address).await?;
            assert_eq!(ask(&mut client, &text).await?, (status, false));
            closed(&mut client).await?;
        }
        until(&counters, |seen| seen.held == 0).await?;
        Ok(())
    })?;
    assert_eq!((outcome.accepted, outcome.held_max), (4, 1));
    Ok(())
}

#[test]
fn a_request_in_pieces_two_at_once_and_one_before_a_fin_are_all_answered() -> Result<()> {
    let mut site = Site::open(plan())?;
    let (address, counters) = (site.address(), site.counters());
    site.serve(async {
        let mut client = TcpStream::connect(address).await?;
        let (first, last) = CHECK.split_at(10);
        client.write_all(first.as_bytes()).await?;
        crate::site::many_turns().await;
        assert_eq!(ask(&mut client, last).await?, (200, true));

        assert_eq!(ask(&mut client, &[CHECK, CHECK].concat()).await?, (200, true));
        assert_eq!(answer(&mut client).await?, (200, true));

        client.write_all(CHECK.as_bytes()).await?;
        client.shutdown().await?;
        assert_eq!(answer(&mut client).await?, (200, true));
        closed(&mut client).await?;
        until(&counters, |seen| seen.held == 0).await?;
        Ok(())
    })?;
    Ok(())
}

#[test]
fn a_peer_that_hangs_up_frees_its_slot_however_it_does_it() -> Result<()> {
    let mut site = Site::open(plan())?;
    let (address, counters) = (site.address(), site.counters());
    let outcome = site.serve(async {
        let mut clients = dial(address, 30)?;
        until(&counters, |seen| seen.held == 30).await?;
        for (nth, client) in clients.iter_mut().enumerate() {
            match nth % 3 {
                0 => {}
                1 => socket2::SockRef::from(&*client).set_linger(Some(std::time::Duration::ZERO))?,
                _ => client.write_all(b"GET /half")?,
            }
        }
        drop(clients);
        until(&counters, |seen| seen.held == 0).await?;
        let _again = dial(address, 2)?;
        until(&counters, |seen| seen.held == 2).await?;
        Ok(())
    })?;
    assert_eq!((outcome.accepted, outcome.held_max, outcome.other_answers), (32, 30, 0));
    Ok(())
}

#[test]
fn extra_descriptors_live_and_die_with_their_connection() -> Result<()> {
    alone("answers::extra_descriptors_live_and_die_with_their_connection", || {
        let open = || anyhow::Ok(std::fs::read_dir("/proc/self/fd")?.count() as u64 - 1);
        let mut site = Site::open(brimful_target_plan::TargetPlan { extra_fds_per_connection: 3, ..plan() })?;
        let (address, counters) = (site.address(), site.counters());
        let before = site.server().ready().descriptors;
        ensure!(before == open()?, "ready said {before}, there are {}", open()?);
        site.serve(async {
            let clients = dial(address, 5)?;
            until(&counters, |seen| seen.held == 5).await?;
            assert_eq!(open()?, before + 5 + 5 * (1 + 3));
            drop(clients);
            until(&counters, |seen| seen.held == 0).await?;
            assert_eq!(open()?, before);
            Ok(())
        })?;
        Ok(())
    })
}

#[test]
fn the_health_listener_answers_while_the_main_one_is_dead() -> Result<()> {
    let mut asked = plan();
    asked.accept = Accept::Dead;
    asked.health_listen = Some(asked.listen);
    let mut site = Site::open(asked)?;
    let listening = site.server().ready().listening.clone();
    assert_eq!(listening.iter().map(|each| each.health_only).collect::<Vec<_>>(), [false, true]);
    let outcome = site.serve(async {
        let _waiting = TcpStream::connect(listening[0].address).await?;
        let mut probe = TcpStream::connect(listening[1].address).await?;
        assert_eq!(ask(&mut probe, CHECK).await?, (200, true));
        Ok(())
    })?;
    assert_eq!(outcome.accepted, 1);
    Ok(())
}

#[test]
fn a_wildcard_of_ipv6_takes_both_families() -> Result<()> {
    let mut site = Site::open(brimful_target_plan::TargetPlan { listen: (Ipv6Addr::UNSPECIFIED, 0).into(), ..plan() })?;
    let port = site.address().port();
    site.serve(async {
        for address in [SocketAddr::from((Ipv6Addr::LOCALHOST, port)), SocketAddr::from(([127, 0, 0, 1], port))] {
            let mut client = TcpStream::connect(address).await?;
            assert_eq!(ask(&mut client, CHECK).await?, (200, true), "{address}");
        }
        Ok(())
    })?;
    Ok(())
}

#[test]
fn a_port_in_use_is_an_error_with_a_hint() -> Result<()> {
    let first = Site::open(plan())?;
    let Err(error) = Server::bind(brimful_target_plan::TargetPlan { listen: first.address(), ..plan() }) else {
        anyhow::bail!("two servers on one port");
    };
    ensure!(matches!(error, TargetError::Listen { call: "bind", .. }), "{error}");
    ensure!(error.to_string().contains("EADDRINUSE") && error.hint().contains("ss -ltnp"), "{error}: {}", error.hint());
    Ok(())
}

#[test]
fn as_many_bytes_as_were_asked_for_come_and_the_connection_goes_on() -> Result<()> {
    let mut site = Site::open(plan())?;
    let address = site.address();
    let outcome = site.serve(async {
        let mut client = TcpStream::connect(address).await?;
        client.write_all(b"GET /bytes/300000 HTTP/1.1\r\nHost: t\r\n\r\n").await?;
        let mut all = Vec::new();
        while !all.windows(4).any(|end| end == b"\r\n\r\n") || all.len() < 300_000 {
            ensure!(client.read_buf(&mut all).await? > 0, "ended after {} bytes", all.len());
        }
        let body = all.windows(4).position(|end| end == b"\r\n\r\n").unwrap_or(0) + 4;
        let mut left = vec![0; 300_000 - (all.len() - body)];
        client.read_exact(&mut left).await?;
        assert_eq!(ask(&mut client, CHECK).await?, (200, true));
        Ok(())
    })?;
    assert_eq!((outcome.other_answers, outcome.health_answers), (1, 1));
    Ok(())
}

/// Whoever has been answered rests again: a task or a buffer that stayed would show after so many answers.
#[test]
fn an_answer_leaves_nothing_behind() -> Result<()> {
    alone("answers::an_answer_leaves_nothing_behind", || {
        let resident = || -> Result<usize> {
            let text = std::fs::read_to_string("/proc/self/smaps_rollup")?;
            let line = text.lines().find_map(|line| line.strip_prefix("Rss:")).unwrap_or("0 kB");
            Ok(line.trim().trim_end_matches("kB").trim().parse()?)
        };
        let mut site = Site::open(plan())?;
        let address = site.address();
        site.serve(async {
            let mut clients = Vec::new();
            for _ in 0..200 {
                clients.push(TcpStream::connect(address).await?);
            }
            let mut before = 0;
            for round in 0..50 {
                for client in &mut clients {
                    ensure!(ask(client, CHECK).await? == (200, true));
                }
                if round == 4 {
                    before = resident()?;
                }
            }
            // 9,000 answers: at the half kilobyte of a task or of a buffer that would be more than four megabytes.
            let grown = resident()?.saturating_sub(before);
            ensure!(grown < 1_024, "grew by {grown} KiB");
            Ok(())
        })?;
        Ok(())
    })
}
