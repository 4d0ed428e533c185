//! A client as it is mostly written: one tokio task for each connection, a small buffer in each, ports left to the kernel, a tick of
//! tokio's interval between two openings. Not shipped; `scripts/peers` sets it beside brimful.
//!
//! `naive ADDRESS[,ADDRESS…] CONNECTIONS RAMP_MS HOLD_MS` opens, holds, and prints one JSON object. It raises its descriptor limit, and nothing else.

#![expect(clippy::print_stdout, reason = "an example tells its numbers on stdout")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use brimful_target::clock::monotonic_ns;
use brimful_target::errno;
use brimful_target::limits::raise_nofile;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::task::LocalSet;

#[derive(Default)]
struct Seen {
    held: u64,
    last_established_ns: u64,
    /// Behind the intended instants, in nanoseconds.
    late_ns: Vec<u64>,
    errors: BTreeMap<String, u64>,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    ensure!(arguments.len() == 4, "usage: naive ADDRESS[,ADDRESS…] CONNECTIONS RAMP_MS HOLD_MS");
    let addresses: Vec<SocketAddr> = arguments[0].split(',').map(str::parse).collect::<Result<_, _>>()?;
    ensure!(addresses.iter().all(|address| address.ip().is_loopback()), "loopback only");
    let number = |index: usize| -> Result<u64> { Ok(arguments[index].replace('_', "").parse()?) };
    let (connections, ramp_ms, hold_ms) = (number(1)?, number(2)?, number(3)?);
    raise_nofile()?;
    let before = resident()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let seen = Rc::new(RefCell::new(Seen::default()));
    let began_ns = monotonic_ns();
    runtime.block_on(LocalSet::new().run_until(async {
        let mut ticks = (ramp_ms > 0).then(|| {
            let gap = Duration::from_millis(ramp_ms) / u32::try_from(connections).unwrap_or(u32::MAX);
            tokio::time::interval(gap.max(Duration::from_nanos(1)))
        });
        for number in 0..connections {
            let intended_ns = ramp_ms * 1_000_000 * number / connections;
            let address = addresses[usize::try_from(number).unwrap_or(0) % addresses.len()];
            tokio::task::spawn_local(client(Rc::clone(&seen), address, began_ns, (ramp_ms > 0).then_some(intended_ns)));
            if let Some(ticks) = &mut ticks {
                ticks.tick().await;
            } else if number % 64 == 63 {
                tokio::task::yield_now().await;
            }
        }
        // Until all have said something, or nothing more comes.
        let mut before = u64::MAX;
        loop {
            let now = {
                let seen = seen.borrow();
                seen.held + seen.errors.values().sum::<u64>()
            };
            if now >= connections || now == before {
                break;
            }
            before = now;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        tokio::time::sleep(Duration::from_millis(hold_ms)).await;
    }));
    let grown = resident()?.saturating_sub(before);
    let mut seen = seen.borrow_mut();
    seen.late_ns.sort_unstable();
    let p99 = seen.late_ns.get(seen.late_ns.len() * 99 / 100).copied();
    let errors: Vec<String> = seen.errors.iter().map(|(name, count)| format!("\"{name}\":{count}")).collect();
    let seconds = seen.last_established_ns.saturating_sub(began_ns) as f64 / 1e9;
    println!(
        "{{\"held\":{},\"rate_per_s\":{:.0},\"user_bytes_each\":{:.0},\"late_p99_ns\":{},\"errors\":{{{}}}}}",
        seen.held,
        seen.held as f64 / seconds.max(1e-9),
        grown as f64 / (seen.held.max(1)) as f64,
        p99.map_or("null".to_owned(), |ns| ns.to_string()),
        errors.join(",")
    );
    Ok(())
}

async fn client(seen: Rc<RefCell<Seen>>, address: SocketAddr, began_ns: u64, intended_ns: Option<u64>) {
    if let Some(intended_ns) = intended_ns {
        seen.borrow_mut().late_ns.push(monotonic_ns().saturating_sub(began_ns + intended_ns));
    }
    let mut stream = match TcpStream::connect(address).await {
        Ok(stream) => stream,
        Err(error) => {
            let name = error.raw_os_error().map_or_else(|| error.to_string(), errno::name);
            return *seen.borrow_mut().errors.entry(name).or_default() += 1;
        }
    };
    {
        let mut seen = seen.borrow_mut();
        seen.held += 1;
        seen.last_established_ns = monotonic_ns();
    }
    let mut buffer = [0; 64];
    while matches!(stream.read(&mut buffer).await, Ok(1..)) {}
}

/// Resident memory of this process, in bytes (`/proc/self/smaps_rollup`, exact where `statm` may lag).
fn resident() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup")?;
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:")).context("no Rss line in smaps_rollup")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? * 1_024)
}
