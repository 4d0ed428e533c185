//! Records for tests: a small world of one listener, one acceptor, a load and a probe, stepped by milliseconds and read ten
//! times a second, as the observer does. Its rules are those measured on Linux 6.18: a queue of N holds N + 1, a full one drops
//! SYNs, a dropped SYN comes again after 1, 2, 3, 4, 5, 7, 11 s, EMFILE takes nothing from the queue.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "for tests, which end where their world cannot be made")]

mod cases;
mod faults;
mod written;

pub mod comparisons;
pub mod gates;
pub mod hosts;
pub mod knees;
pub mod reports;
pub mod runs;
pub mod schema;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use brimful_loadgen_plan::outcome::Phase;
use brimful_loadgen_plan::probe::{Action, Outcome, ProbePlan, Sample};

use brimful_evidence::record::{ListenerEvidence, Record};
use brimful_evidence::series::Series;

pub use cases::*;
pub use faults::*;

pub const ADDRESS: &str = "127.0.0.1:23380";
pub const MS: u64 = 1_000_000;
pub const SECOND: u64 = 1_000 * MS;
const RETRY_AFTER_MS: [u64; 7] = [1_030, 2_050, 3_080, 4_100, 5_120, 7_150, 11_250];
/// Descriptors a server has before its first connection.
const BASE: u64 = 12;

/// What the small world is.
#[derive(Clone, Copy)]
pub struct World {
    pub connections: u64,
    pub ramp_ms: u64,
    pub hold_ms: u64,
    pub nofile: (u64, u64),
    pub backlog: u32,
    pub somaxconn: u64,
    /// The limit in force; not always min(backlog, somaxconn).
    pub limit: u64,
    pub accepts_per_s: u64,
    /// First, every, length, in milliseconds.
    pub pause: Option<(u64, u64, u64)>,
    /// Connections the program allows; beyond it they wait, or are closed at once.
    pub cap: Option<(u64, bool)>,
    /// How long an answer takes, in milliseconds.
    pub answer_ms: u64,
}

impl Default for World {
    fn default() -> Self {
        Self {
            connections: 12_000,
            ramp_ms: 3_000,
            hold_ms: 8_000,
            nofile: (65_535, 524_288),
            backlog: 32_768,
            somaxconn: 32_768,
            limit: 32_768,
            accepts_per_s: 50_000,
            pause: None,
            cap: None,
            answer_ms: 0,
        }
    }
}

pub fn probe_plan() -> ProbePlan {
    ProbePlan {
        action: Action::http_get("/healthz"),
        address: ADDRESS.parse().unwrap(),
        period: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        initial_delay: Duration::ZERO,
        failure_threshold: 3,
        success_threshold: 1,
    }
}

/// The probe of second `seq`, ending as such a probe does.
pub fn sample(seq: u64, outcome: Outcome) -> Sample {
    let started = seq * SECOND;
    let (took, connect, message) = match outcome {
        Outcome::Ok => (400_000, Some(80_000), "HTTP probe succeeded with statuscode: 200"),
        Outcome::ConnectTimeout => (1_001 * MS, None, "dial tcp 127.0.0.1:23380: i/o timeout"),
        Outcome::ResponseTimeout => {
            (1_001 * MS, Some(80_000), "context deadline exceeded (Client.Timeout exceeded while awaiting headers)")
        }
        Outcome::Refused => (90_000, None, "dial tcp 127.0.0.1:23380: connect: connection refused"),
        Outcome::Reset => (600_000, Some(80_000), "read: connection reset by peer"),
        Outcome::BadStatus => (500_000, Some(80_000), "HTTP probe failed with statuscode: 503"),
        Outcome::LocalError => (20_000, None, "dial tcp 127.0.0.1:23380: socket: cannot allocate memory"),
    };
    Sample {
        seq,
        intended_ns: started,
        started_ns: started,
        ended_ns: started + took,
        connect_ns: connect,
        tls_ns: None,
        first_byte_ns: (outcome == Outcome::Ok).then_some(350_000),
        outcome,
        status: match outcome {
            Outcome::Ok => Some(200),
            Outcome::BadStatus => Some(503),
            _ => None,
        },
        message: message.into(),
        missed_ticks: 0,
        discarded: false,
    }
}

#[derive(Clone, Copy)]
enum Client {
    Load,
    Probe(usize),
}

/// The world at one millisecond.
struct State {
    world: World,
    queue: VecDeque<Client>,
    fds: u64,
    drops: u64,
    passive: u64,
    attempted: u64,
    established: u64,
    cpu_ns: u64,
    budget: u64,
    /// Connections that the program closed at once.
    closed: u64,
    samples: Vec<Sample>,
    /// Retransmissions due, as the number of tries before.
    retries: BTreeMap<u64, Vec<usize>>,
}

impl State {
    fn probe(&mut self) {
        let i = self.samples.len();
        let outcome = if self.offer(Client::Probe(i)) { Outcome::ResponseTimeout } else { Outcome::ConnectTimeout };
        self.samples.push(sample(i as u64, outcome));
    }

    fn load(&mut self, ms: u64) {
        let w = self.world;
        let due = if ms < w.ramp_ms { w.connections * (ms + 1) / w.ramp_ms } else { w.connections };
        let fresh = usize::try_from(due - self.attempted).unwrap();
        self.attempted = due;
        let again = self.retries.remove(&ms).unwrap_or_default();
        for tries in again.into_iter().chain(std::iter::repeat_n(0, fresh)) {
            if self.offer(Client::Load) {
                self.established += 1;
            } else if let Some(after) = RETRY_AFTER_MS.get(tries) {
                let before = tries.checked_sub(1).map_or(0, |i| RETRY_AFTER_MS[i]);
                self.retries.entry(ms + after - before).or_default().push(tries + 1);
            }
        }
    }

    /// A SYN: taken into the queue, or dropped.
    fn offer(&mut self, client: Client) -> bool {
        if self.queue.len() as u64 > self.world.limit {
            self.drops += 1;
            return false;
        }
        self.queue.push_back(client);
        self.passive += 1;
        true
    }

    fn accept(&mut self, ms: u64) {
        let w = self.world;
        if w.pause.is_some_and(|(first, every, length)| ms >= first && (ms - first) % every < length) {
            self.budget = 0;
            return;
        }
        self.budget = (self.budget + w.accepts_per_s).min(w.accepts_per_s.max(1_000) * 2);
        while self.budget >= 1_000 && self.fds < w.nofile.0 {
            let capped = w.cap.filter(|&(most, _)| self.fds >= BASE + most);
            if capped.is_some_and(|(_, closes)| !closes) {
                break;
            }
            let Some(client) = self.queue.pop_front() else { break };
            self.budget -= 1_000;
            self.cpu_ns += 20_000;
            match client {
                Client::Load if capped.is_some() => self.closed += 1,
                Client::Probe(i) if capped.is_some() => {
                    let seq = self.samples[i].seq;
                    self.samples[i] = sample(seq, Outcome::Reset);
                }
                Client::Load => self.fds += 1,
                Client::Probe(i) => self.answer(i, ms),
            }
        }
        if self.fds >= w.nofile.0 {
            self.cpu_ns += MS;
        }
    }

    /// Answers a probe that still waits.
    fn answer(&mut self, i: usize, ms: u64) {
        let s = &mut self.samples[i];
        let waited = ((ms + self.world.answer_ms) * MS).saturating_sub(s.started_ns);
        if waited < SECOND {
            *s = sample(s.seq, Outcome::Ok);
            s.ended_ns += waited;
            s.first_byte_ns = s.first_byte_ns.map(|ns| ns + waited);
        }
    }
}

impl World {
    /// Runs the world and writes down what an observer would have seen.
    pub fn record(self) -> Record {
        let end_ms = self.ramp_ms + self.hold_ms;
        let mut state = State {
            world: self,
            queue: VecDeque::new(),
            fds: BASE,
            drops: 0,
            passive: 0,
            attempted: 0,
            established: 0,
            cpu_ns: 0,
            budget: 0,
            closed: 0,
            samples: Vec::new(),
            retries: BTreeMap::new(),
        };
        let (mut listener, mut counters) = (ListenerEvidence::default(), BTreeMap::<&str, Series>::new());
        let (mut descriptors, mut cpu) = (Series::default(), Series::default());
        for ms in 0..end_ms {
            state.load(ms);
            if ms % 1_000 == 0 && end_ms - ms >= 1_001 {
                state.probe();
            }
            state.accept(ms);
            if ms % 100 == 0 {
                let t = ms * MS;
                listener.recv_q.push(t, state.queue.len() as u64);
                listener.limit.push(t, self.limit);
                listener.drops.push(t, state.drops);
                descriptors.push(t, state.fds);
                cpu.push(t, state.cpu_ns);
                let read = [
                    ("TcpExt.ListenOverflows", state.drops),
                    ("TcpExt.ListenDrops", state.drops),
                    ("TcpExt.TCPReqQFullDrop", 0),
                    ("TcpExt.TCPReqQFullDoCookies", 0),
                    ("Tcp.PassiveOpens", state.passive),
                    ("Tcp.OutRsts", 0),
                    ("Ip.OutNoRoutes", 0),
                ];
                for (name, value) in read {
                    counters.entry(name).or_default().push(t, value);
                }
            }
        }
        let closed = state.closed;
        let mut record = self.written_down(state.samples, listener, counters, descriptors, cpu, state.established);
        if closed > 0 {
            record.load.outcome.add_failure(Phase::Hold, "EOF", closed);
            record.load.outcome.held -= closed;
        }
        record
    }
}
