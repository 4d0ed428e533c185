//! A server on a runtime of its own, and the means to wait for what it does.

use std::future::Future;
use std::io::{Read, pipe};
use std::net::{SocketAddr, TcpStream as StdStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use brimful_target::limits::{nofile, set_nofile};
use brimful_target::{Counters, Server};
use brimful_target_plan::{Nofile, TargetOutcome, TargetPlan};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

/// How long a state may take to come about before a test is given up.
const DEADLINE: Duration = Duration::from_secs(30);
/// A health check as a client would keep it alive.
pub(crate) const CHECK: &str = "GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n";

/// A plan on loopback with a free port.
pub(crate) fn plan() -> TargetPlan {
    TargetPlan { backlog: 128, ..TargetPlan::plain(SocketAddr::from(([127, 0, 0, 1], 0))) }
}

/// A server that listens and does not run yet.
pub(crate) struct Site {
    runtime: Runtime,
    server: Server,
}

impl Site {
    pub(crate) fn open(plan: TargetPlan) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, server: Server::bind(plan)? })
    }

    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    pub(crate) fn counters(&self) -> Counters {
        self.server.counters()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.ready().listening[0].address
    }

    /// Serves while `script` runs, in the same thread, and stops when it ends.
    pub(crate) fn serve(&mut self, script: impl Future<Output = Result<()>>) -> Result<TargetOutcome> {
        self.serve_from(async { None }, script)
    }

    /// The same, with the start of the cell.
    pub(crate) fn serve_from(
        &mut self,
        started: impl Future<Output = Option<u64>>,
        script: impl Future<Output = Result<()>>,
    ) -> Result<TargetOutcome> {
        let mut verdict = Ok(());
        let stop = async { verdict = script.await };
        let outcome = self.runtime.block_on(self.server.run(started, stop))?;
        verdict?;
        Ok(outcome)
    }
}

/// Waits until the counters are as wanted.
pub(crate) async fn until(counters: &Counters, wanted: impl Fn(&TargetOutcome) -> bool) -> Result<TargetOutcome> {
    let begun = Instant::now();
    loop {
        let seen = counters.snapshot();
        if wanted(&seen) {
            return Ok(seen);
        }
        ensure!(begun.elapsed() < DEADLINE, "never came about; last seen: {seen:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Lets the server have many turns, so that what it would do at once is done.
pub(crate) async fn many_turns() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

/// How often `accept4` answered `EMFILE`.
pub(crate) fn emfile(seen: &TargetOutcome) -> u64 {
    seen.accept_errors.get("EMFILE").copied().unwrap_or(0)
}

/// Connections that the kernel completed; whether anyone accepts them is another matter.
pub(crate) fn dial(address: SocketAddr, count: usize) -> Result<Vec<StdStream>> {
    (0..count)
        .map(|_| {
            let stream = StdStream::connect(address)?;
            stream.set_nonblocking(true)?;
            Ok(stream)
        })
        .collect()
}

/// Says `text` and reads one answer: its status, and whether the server keeps the connection.
pub(crate) async fn ask(stream: &mut TcpStream, text: &str) -> Result<(u16, bool)> {
    stream.write_all(text.as_bytes()).await?;
    answer(stream).await
}

/// Reads one answer.
pub(crate) async fn answer(stream: &mut TcpStream) -> Result<(u16, bool)> {
    let mut bytes = Vec::new();
    loop {
        let mut fields = [httparse::EMPTY_HEADER; 16];
        let mut response = httparse::Response::new(&mut fields);
        if let httparse::Status::Complete(head) = response.parse(&bytes)? {
            let field = |name: &str| {
                let found = response.headers.iter().find(|field| field.name == name).context("a field is missing")?;
                anyhow::Ok(std::str::from_utf8(found.value)?)
            };
            let whole = head + field("Content-Length")?.parse::<usize>()?;
            if bytes.len() >= whole {
                ensure!(bytes.len() == whole, "more than one answer");
                return Ok((response.code.context("no status")?, field("Connection")? == "keep-alive"));
            }
        }
        // One byte at a time, so that a pipelined second answer stays in the socket.
        let mut byte = [0];
        let read = tokio::time::timeout(DEADLINE, stream.read(&mut byte)).await??;
        ensure!(read > 0, "closed after {:?}", String::from_utf8_lossy(&bytes));
        bytes.push(byte[0]);
    }
}

/// Waits until the peer has closed in good order.
pub(crate) async fn closed(stream: &mut TcpStream) -> Result<()> {
    let read = tokio::time::timeout(DEADLINE, stream.read(&mut [0; 16])).await??;
    ensure!(read == 0, "{read} bytes instead of the end");
    Ok(())
}

/// The sockets of this network namespace with this port at their own end (IPv4): state, as `include/net/tcp_states.h` numbers
/// it, and what waits to be received; for a listener, the length of its accept queue (`proc_net_tcp`). The table is read in
/// pieces while others change it: a row that comes twice is dropped, one that is missed is there the next time.
pub(crate) fn sockets(port: u16) -> Result<Vec<(u8, usize)>> {
    let text = std::fs::read_to_string("/proc/self/net/tcp")?;
    let ours = format!(":{port:04X}");
    let mut inodes = std::collections::BTreeSet::new();
    let mut found = Vec::new();
    for line in text.lines() {
        let row: Vec<_> = line.split_whitespace().collect();
        let [_, local, _, state, queues, _, _, _, _, inode, ..] = row[..] else { continue };
        if local.ends_with(&ours) && inodes.insert(inode) {
            let (_, waiting) = queues.split_once(':').context("no queues")?;
            found.push((u8::from_str_radix(state, 16)?, usize::from_str_radix(waiting, 16)?));
        }
    }
    Ok(found)
}

/// Lowers the soft limit so that exactly `room` more descriptors can be opened, and returns what it was.
pub(crate) fn leave_room(room: usize) -> Result<Nofile> {
    use std::os::fd::AsRawFd;
    let before = nofile()?;
    // The lowest free numbers are handed out first: when these are open, all below the highest are.
    let probes = (0..=room).map(|_| std::fs::File::open("/dev/null")).collect::<Result<Vec<_>, _>>()?;
    let highest = probes.last().context("no probe")?.as_raw_fd();
    set_nofile(Nofile { soft: u64::try_from(highest)?, ..before })?;
    Ok(before)
}

/// Runs `body` in a process of its own: limits and descriptor numbers belong to a process, and tests share one.
/// `name` is the test's own, as libtest has it.
pub(crate) fn alone(name: &str, body: impl FnOnce() -> Result<()>) -> Result<()> {
    const INSIDE: &str = "BRIMFUL_TEST_ALONE";
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let (mut output, end) = pipe()?;
    let mut child = Command::new(std::env::current_exe()?)
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .stdin(Stdio::null())
        .stdout(end.try_clone()?)
        .stderr(end)
        .spawn()?;
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if begun.elapsed() > 2 * DEADLINE {
            child.kill()?;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let mut said = String::new();
    output.read_to_string(&mut said)?;
    ensure!(status.success() && said.contains("1 passed"), "{name} in a process of its own: {status}\n{said}");
    Ok(())
}
