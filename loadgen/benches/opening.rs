//! What the generator itself can do on this machine: 15,000 connections over loopback, paced at 4,000 a second and
//! without a ramp, with named sources and with the kernel's, and what each costs in user memory. Memory is right for
//! the first measurement only: the later ones find pages that it left.
//!
//! It starts itself again as acceptor, because both ends together would pass the usual limit of 20,000 descriptors.
//! Bounded: 15,000 connections at a time, 60 s each. Not a criterion bench: one opening is one sample, and repeating
//! it measures the kernel's TIME_WAIT handling instead.

#![expect(clippy::print_stdout, reason = "a bench tells its numbers on stdout")]

use std::io::{BufRead as _, BufReader, Read as _, pipe};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use brimful_loadgen::hold::{Schedule, run_shard};
use brimful_loadgen_plan::plan::{Behaviour, Comeback, LoadPlan, Sources};
use brimful_target::clock::monotonic_ns;
use brimful_target::limits::raise_nofile;
use socket2::{Domain, Socket, Type};

const CONNECTIONS: u64 = 15_000;
const ACCEPTOR: &str = "BRIMFUL_BENCH_ACCEPTOR";
/// After this it is given up, in nanoseconds.
const GIVE_UP_NS: u64 = 60_000_000_000;

fn main() -> anyhow::Result<()> {
    raise_nofile()?;
    if std::env::var_os(ACCEPTOR).is_some() {
        return accept_until_stdin_ends();
    }
    // `cargo test --benches` compiles and starts it only to see that it starts.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let named = |net| Sources::Named {
        first: IpAddr::V4(Ipv4Addr::new(127, 89, net, 1)),
        addresses: 1,
        first_port: 20_000,
        last_port: 60_999,
        skip: vec![],
    };
    measure("named by bind", named(0), Duration::ZERO)?;
    measure("the kernel's choice", Sources::Kernel, Duration::ZERO)?;
    measure("named by bind, paced at 4,000/s", named(1), Duration::from_millis(CONNECTIONS / 4))
}

/// Opens once from `sources`, and tells rate, latency, lateness (0 without a ramp) and memory.
fn measure(name: &str, sources: Sources, ramp: Duration) -> anyhow::Result<()> {
    let mut acceptor = Command::new(std::env::current_exe()?)
        .env(ACCEPTOR, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting the acceptor")?;
    let mut line = String::new();
    BufReader::new(acceptor.stdout.take().context("the acceptor's stdout")?).read_line(&mut line)?;
    let destination: SocketAddr = line.trim().parse()?;
    let plan = LoadPlan {
        connections: CONNECTIONS,
        shards: 1,
        ramp,
        behaviour: Behaviour::Idle,
        sources,
        destinations: vec![destination],
        comeback: Comeback::default(),
        path: "/".to_owned(),
        seed: 0,
    };

    let before = resident_bytes()?;
    let (stop, writer) = pipe()?;
    let mut writer = Some(writer);
    let t0_ns = monotonic_ns();
    let schedule = Schedule { t0_ns, hold_until_ns: Some(t0_ns + GIVE_UP_NS) };
    let held = run_shard(&plan, 0, schedule, stop.as_fd(), |point| {
        if point.held + point.failed == CONNECTIONS {
            drop(writer.take());
        }
    })?;
    let grown = resident_bytes()?.saturating_sub(before);
    let outcome = &held.outcome;
    println!(
        "{name}: held {} of {}, {:.0}/s, connect p50 {} ns p99 {} ns, late p50 {} ns p99 {} ns, {:.1} resident bytes each, failures {:?}",
        outcome.held,
        outcome.requested,
        outcome.rate_per_s().unwrap_or(0.0),
        outcome.connect_latency.quantile(0.5),
        outcome.connect_latency.quantile(0.99),
        outcome.lag.quantile(0.5),
        outcome.lag.quantile(0.99),
        grown as f64 / CONNECTIONS as f64,
        outcome.failures,
    );
    drop(held);
    drop(acceptor.stdin.take());
    ensure!(acceptor.wait()?.success(), "the acceptor failed");
    Ok(())
}

/// The acceptor: says where it listens, keeps what it accepts, and ends with its parent.
fn accept_until_stdin_ends() -> anyhow::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 89, 0, 200), 0)).into())?;
    socket.listen(4_096)?;
    let listener: TcpListener = socket.into();
    println!("{}", listener.local_addr()?);
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept() {
            kept.push(stream);
        }
    });
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Resident memory of this process, in bytes (`/proc/self/smaps_rollup`, exact where `statm` may lag).
fn resident_bytes() -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup")?;
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:")).context("no Rss line in smaps_rollup")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1_024)
}
