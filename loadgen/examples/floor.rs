//! The floor under every figure of brimful: the smallest loop that opens connections with named ports, and the smallest that accepts them.
//! Not shipped. `scripts/bench/floor N` runs it in a network namespace of its own.
//!
//! An opener does `socket`, `setsockopt(SO_REUSEADDR)`, `bind`, `connect` and `epoll_ctl` for each connection, an acceptor `accept4` and
//! `epoll_ctl`: no pace, no table, no counters. As many openers run at a time as there are processors. Told are connections a second, kernel memory and
//! user memory for each connection, as this machine's own counters have them before and after.

#![expect(clippy::print_stdout, reason = "an example tells its numbers on stdout")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use brimful_loadgen_plan::plan::{OWN_DESCRIPTORS, shards_needed};
use brimful_target::clock::monotonic_ns;
use brimful_target::limits::raise_nofile;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType, accept_with, bind, connect, listen, socket_with, sockopt};

/// Listeners stand below the ports of the openers.
const FIRST_LISTENER: u16 = 1_100;
/// Ports of one source address: beside those that the kernel chooses from, above the listeners.
const FIRST_PORT: u16 = 2_048;
const PORTS: u64 = 30_000;
/// All is held for so long, for whoever looks at the machine from outside (`scripts/bench/spent`).
const HELD_FOR: Duration = Duration::from_secs(2);
/// The most connections that can be asked for.
const MOST: u64 = 4_000_000;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["acceptor", shard] => acceptor(shard.parse()?),
        ["opener", shard, count] => opener(shard.parse()?, count.parse()?),
        [connections] => measure(connections.replace('_', "").parse().context("usage: floor CONNECTIONS")?),
        _ => bail!("usage: floor CONNECTIONS"),
    }
}

/// A part of the measurement in a process of its own.
struct Part {
    child: Child,
    orders: ChildStdin,
    said: BufReader<ChildStdout>,
}

impl Part {
    fn start(arguments: &[String]) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting a part")?;
        let orders = child.stdin.take().context("no pipe to a part")?;
        let said = BufReader::new(child.stdout.take().context("no pipe from a part")?);
        Ok(Self { child, orders, said })
    }

    fn tell(&mut self) -> Result<()> {
        Ok(self.orders.write_all(b"\n")?)
    }

    fn numbers(&mut self) -> Result<Vec<u64>> {
        let mut line = String::new();
        self.said.read_line(&mut line)?;
        ensure!(!line.is_empty(), "a part ended without a word");
        line.split_whitespace().map(|word| Ok(word.parse()?)).collect()
    }
}

fn measure(connections: u64) -> Result<()> {
    ensure!((1..=MOST).contains(&connections), "between 1 and {MOST} connections");
    // A namespace made for this has a loopback and no way out.
    let routes = std::fs::read_to_string("/proc/net/route")?.lines().count().saturating_sub(1);
    ensure!(routes == 0, "this network namespace has routes, so others use it\nhint: use scripts/bench/floor");
    let hard = raise_nofile()?.hard;
    let shards = shards_needed(connections, hard);
    let mut acceptors = Vec::new();
    for shard in 0..shards {
        acceptors.push(Part::start(&["acceptor".to_owned(), shard.to_string()])?);
    }
    let mut openers = Vec::new();
    for shard in 0..shards {
        let count = (connections - u64::from(shard)).div_ceil(u64::from(shards));
        openers.push(Part::start(&["opener".to_owned(), shard.to_string(), count.to_string()])?);
    }
    let mut user_before = [0, 0];
    for (part, sum) in acceptors.iter_mut().map(|a| (a, 0)).chain(openers.iter_mut().map(|o| (o, 1))) {
        user_before[sum] += part.numbers()?[0];
    }
    let before = Kernel::read()?;

    let at_a_time = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let began_ns = monotonic_ns();
    let mut opened = Vec::new();
    for group in openers.chunks_mut(at_a_time) {
        for opener in group.iter_mut() {
            opener.tell()?;
        }
        for opener in group {
            opened.push(opener.numbers()?);
        }
    }
    let seconds = (monotonic_ns() - began_ns) as f64 / 1e9;
    for acceptor in &mut acceptors {
        acceptor.tell()?;
    }
    let mut user = [0, 0];
    let mut accepted = 0;
    for acceptor in &mut acceptors {
        let said = acceptor.numbers()?;
        accepted += said[0];
        user[0] += said[1];
    }
    user[1] = opened.iter().map(|said| said[1]).sum();
    let after = Kernel::read()?;
    ensure!(accepted == connections, "{accepted} of {connections} were accepted");

    let each = |bytes: u64| bytes as f64 / connections as f64;
    let grown = |after: u64, before: u64| each(after.saturating_sub(before));
    println!("connections            {connections}, over {shards} + {shards} processes, {at_a_time} openers at a time");
    println!("opened                 {:.0} connections/s", connections as f64 / seconds);
    // Openers of equal parts, in the order in which they had their turn.
    let tenth = (opened.len() / 10).max(1);
    let took = |some: &[Vec<u64>]| some.iter().map(|said| said[0] as f64).sum::<f64>();
    let flat = took(&opened[..tenth]) / took(&opened[opened.len() - tenth..]);
    println!("last tenth             opened at {flat:.2} of the rate of the first");
    println!("kernel, slab           {:.0} bytes a connection, both ends", grown(after.slab, before.slab));
    println!(
        "kernel, less available {:.0} bytes a connection, both ends and all else",
        grown(before.available, after.available)
    );
    println!("kernel, TCP sockets    {} in use, {} pages of socket memory", after.in_use, after.pages);
    println!("user, acceptors        {:.1} resident bytes a connection", grown(user[0], user_before[0]));
    println!("user, openers          {:.1} resident bytes a connection", grown(user[1], user_before[1]));

    std::thread::sleep(HELD_FOR);
    let closing_ns = monotonic_ns();
    for part in acceptors.iter_mut().chain(&mut openers) {
        part.child.kill()?;
    }
    for part in acceptors.iter_mut().chain(&mut openers) {
        part.child.wait()?;
    }
    println!("closed                 in {:.2} s, both ends together", (monotonic_ns() - closing_ns) as f64 / 1e9);
    Ok(())
}

/// What the kernel says of its own memory.
struct Kernel {
    slab: u64,
    available: u64,
    in_use: u64,
    pages: u64,
}

impl Kernel {
    fn read() -> Result<Self> {
        let meminfo = std::fs::read_to_string("/proc/meminfo")?;
        let sockstat = std::fs::read_to_string("/proc/net/sockstat")?;
        let field = |name: &str| -> Result<u64> {
            let line = meminfo.lines().find_map(|line| line.strip_prefix(name)).context("a field of meminfo")?;
            Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? * 1_024)
        };
        let tcp: Vec<&str> = sockstat.lines().find(|line| line.starts_with("TCP:")).unwrap_or("").split(' ').collect();
        let number = |name: &str| -> u64 {
            tcp.windows(2).find(|pair| pair[0] == name).and_then(|pair| pair[1].parse().ok()).unwrap_or(0)
        };
        Ok(Self {
            slab: field("Slab:")?,
            available: field("MemAvailable:")?,
            in_use: number("inuse"),
            pages: number("mem"),
        })
    }
}

fn watched(events: &OwnedFd, socket: &OwnedFd, number: u64) -> Result<()> {
    Ok(epoll::add(events, socket, EventData::new_u64(number), EventFlags::IN | EventFlags::RDHUP)?)
}

fn listener(shard: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST_LISTENER + shard))
}

fn acceptor(shard: u16) -> Result<()> {
    raise_nofile()?;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &listener(shard))?;
    listen(&socket, 4_096)?;
    let events = epoll::create(CreateFlags::CLOEXEC)?;
    say(&[resident()?])?;
    let accepting = std::thread::spawn(move || -> Result<()> {
        let mut kept: Vec<OwnedFd> = Vec::new();
        loop {
            let connection = accept_with(&socket, SocketFlags::CLOEXEC)?;
            watched(&events, &connection, kept.len() as u64)?;
            kept.push(connection);
            ACCEPTED.store(kept.len() as u64, std::sync::atomic::Ordering::Release);
        }
    });
    wait()?;
    // What was opened is in the queue, or taken already: it is all there when the count stands still for a look.
    let mut before = u64::MAX;
    while before != ACCEPTED.load(std::sync::atomic::Ordering::Acquire) && !accepting.is_finished() {
        before = ACCEPTED.load(std::sync::atomic::Ordering::Acquire);
        std::thread::sleep(Duration::from_millis(50));
    }
    say(&[before, resident()?])?;
    wait()
}

static ACCEPTED: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

fn opener(shard: u16, count: u64) -> Result<()> {
    let limit = raise_nofile()?.soft;
    ensure!(count + OWN_DESCRIPTORS <= limit + 1, "{count} connections do not fit below {limit} descriptors");
    let events = epoll::create(CreateFlags::CLOEXEC)?;
    let mut kept: Vec<OwnedFd> = Vec::with_capacity(usize::try_from(count)?);
    let destination = listener(shard);
    say(&[resident()?])?;
    wait()?;
    let began_ns = monotonic_ns();
    for number in 0..count {
        let address = u32::from(Ipv4Addr::new(127, 1, 0, 1)) + u32::from(shard) * 256 + u32::try_from(number / PORTS)?;
        let port = FIRST_PORT + u16::try_from(number % PORTS)?;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        sockopt::set_socket_reuseaddr(&socket, true)?;
        bind(&socket, &SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::from(address), port)))?;
        connect(&socket, &destination)?;
        watched(&events, &socket, number)?;
        kept.push(socket);
    }
    say(&[monotonic_ns() - began_ns, resident()?])?;
    wait()
}

fn say(numbers: &[u64]) -> Result<()> {
    let words: Vec<String> = numbers.iter().map(u64::to_string).collect();
    println!("{}", words.join(" "));
    Ok(std::io::stdout().flush()?)
}

/// The next line, or the end of the input.
fn wait() -> Result<()> {
    let mut byte = [0];
    if std::io::stdin().read(&mut byte)? == 0 {
        std::io::stdin().read_to_end(&mut Vec::new())?;
    }
    Ok(())
}

/// Resident memory of this process, in bytes (`/proc/self/smaps_rollup`, exact where `statm` may lag).
fn resident() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup")?;
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:")).context("no Rss line in smaps_rollup")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? * 1_024)
}
