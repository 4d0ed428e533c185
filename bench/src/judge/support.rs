//! Records for tests: a small world of one listener, one acceptor, a load and a probe, stepped by milliseconds and read ten
//! times a second, as the observer does. Its rules are those measured on Linux 6.18: a queue of N holds N + 1, a full one drops
//! SYNs, a dropped SYN comes again after 1, 2, 3, 4, 5, 7, 11 s, EMFILE takes nothing from the queue.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use brimful_loadgen::latency::Latency;
use brimful_loadgen::outcome::LoadOutcome;
use brimful_loadgen::plan::{Behaviour, LoadPlan, Sources};
use brimful_loadgen::probe::{Action, Outcome, ProbePlan, Sample};
use brimful_target::limits::Nofile;
use brimful_target::{Accept, AcceptPause, Listening, OnEmfile, Ready};

use crate::evidence::record::*;
use crate::evidence::series::Series;
use crate::plan::cell::*;

pub(crate) const ADDRESS: &str = "127.0.0.1:23380";
pub(crate) const MS: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1_000 * MS;
const RETRY_AFTER_MS: [u64; 7] = [1_030, 2_050, 3_080, 4_100, 5_120, 7_150, 11_250];
/// Descriptors a server has before its first connection.
const BASE: u64 = 12;

/// What the small world is.
#[derive(Clone, Copy)]
pub(crate) struct World {
    pub(crate) connections: u64,
    pub(crate) ramp_ms: u64,
    pub(crate) hold_ms: u64,
    pub(crate) nofile: (u64, u64),
    pub(crate) backlog: u32,
    pub(crate) somaxconn: u64,
    /// The limit in force; not always min(backlog, somaxconn).
    pub(crate) limit: u64,
    pub(crate) accepts_per_s: u64,
    /// First, every, length, in milliseconds.
    pub(crate) pause: Option<(u64, u64, u64)>,
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
        }
    }
}

pub(crate) fn probe_plan() -> ProbePlan {
    ProbePlan {
        action: Action::HttpGet { path: "/healthz".into() },
        address: ADDRESS.parse().unwrap(),
        period: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        initial_delay: Duration::ZERO,
        failure_threshold: 3,
        success_threshold: 1,
    }
}

/// The probe of second `seq`, ending as such a probe does.
pub(crate) fn sample(seq: u64, outcome: Outcome) -> Sample {
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
        Outcome::LocalError => (20_000, None, "bind: cannot assign requested address"),
    };
    Sample {
        seq,
        intended_ns: started,
        started_ns: started,
        ended_ns: started + took,
        connect_ns: connect,
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
            let Some(client) = self.queue.pop_front() else { break };
            self.budget -= 1_000;
            self.cpu_ns += 20_000;
            match client {
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
        let waited = (ms * MS).saturating_sub(s.started_ns);
        if waited < SECOND {
            *s = sample(s.seq, Outcome::Ok);
            s.ended_ns += waited;
            s.first_byte_ns = s.first_byte_ns.map(|ns| ns + waited);
        }
    }
}

impl World {
    /// Runs the world and writes down what an observer would have seen.
    pub(crate) fn record(self) -> Record {
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
        self.wrap(state.samples, listener, counters, descriptors, cpu, state.established)
    }

    fn wrap(
        self,
        samples: Vec<Sample>,
        listener: ListenerEvidence,
        counters: BTreeMap<&str, Series>,
        descriptors: Series,
        cpu_ns: Series,
        established: u64,
    ) -> Record {
        let duration_ns = (self.ramp_ms + self.hold_ms) * MS;
        let constant = |value| Series { reads: 110, ..Series::starting(0, value) };
        let knobs = [
            ("sysctl.net.core.somaxconn", self.somaxconn),
            ("target.backlog", u64::from(self.backlog)),
            ("ulimit.nofile", self.nofile.0),
        ];
        let number = KnobValue::Number;
        Record {
            record_version: RECORD_VERSION,
            tool_version: "0.1.0".into(),
            scenario: "origin".into(),
            cell: self.cell(&knobs),
            block: 0,
            seed: 7,
            host: Host {
                kernel: "6.18.44".into(),
                arch: "x86_64".into(),
                cpus: 2,
                memory_bytes: 25_769_803_776,
                nofile_hard: 524_288,
                user_namespace: true,
            },
            started_at: "2026-11-23T10:00:00Z".into(),
            duration_ns,
            interrupted: false,
            knobs: knobs
                .iter()
                .map(|&(name, v)| {
                    (name.to_owned(), KnobReading { asked: number(v), given: Some(number(v)), reason: None })
                })
                .collect(),
            target: TargetRecord {
                ready: vec![Ready {
                    listening: vec![Listening {
                        address: ADDRESS.parse().unwrap(),
                        backlog: self.backlog,
                        health_only: false,
                    }],
                    nofile: Nofile { soft: self.nofile.0, hard: self.nofile.1 },
                    descriptors: BASE,
                }],
                outcomes: vec![None],
                early_ends: Vec::new(),
            },
            load: LoadRecord {
                plan: self.load_plan(),
                outcome: self.load_outcome(established),
                missing_shards: Vec::new(),
            },
            probe: ProbeRecord { plan: probe_plan(), samples },
            evidence: Evidence {
                server: NamespaceEvidence {
                    counters: counters.into_iter().map(|(name, s)| (name.to_owned(), s)).collect(),
                    listeners: [(ADDRESS.to_owned(), listener)].into(),
                    sockets: BTreeMap::new(),
                },
                client: None,
                processes: vec![ProcessEvidence {
                    role: Role::Target,
                    shard: 0,
                    pid: 4_711,
                    descriptors,
                    nofile_soft: constant(self.nofile.0),
                    nofile_hard: constant(self.nofile.1),
                    rss_bytes: constant(9_000_000),
                    cpu_ns,
                    runqueue_wait_ns: constant(2_000_000),
                }],
                host: BTreeMap::new(),
                sources: vec![Source { name: "netstat".into(), reads: 110, ..Source::default() }],
            },
            cost: Cost { setup_ms: 41.5, teardown_ms: 96.25, observer_cpu_fraction: 0.0125 },
        }
    }

    fn load_plan(self) -> LoadPlan {
        LoadPlan {
            connections: self.connections,
            shards: 1,
            ramp: Duration::from_millis(self.ramp_ms),
            behaviour: Behaviour::Idle,
            sources: Sources::Named {
                first: "127.1.0.1".parse().unwrap(),
                addresses: 1,
                first_port: 1_024,
                last_port: 65_535,
                skip: vec![23_380],
            },
            destinations: vec![ADDRESS.parse().unwrap()],
        }
    }

    fn load_outcome(self, established: u64) -> LoadOutcome {
        let (mut lag, mut connect_latency) = (Latency::new(), Latency::new());
        for i in 0..self.connections {
            lag.record(20_000 + i % 100 * 1_000);
            connect_latency.record(60_000 + i % 40 * 1_000);
        }
        LoadOutcome {
            requested: self.connections,
            attempted: self.connections,
            established,
            held: established,
            pending: self.connections - established,
            failures: Vec::new(),
            connect_latency,
            lag,
            first_attempt_ns: Some(0),
            last_attempt_ns: Some(self.ramp_ms * MS),
            last_established_ns: Some(self.ramp_ms * MS),
            timeline: Vec::new(),
        }
    }

    fn cell(self, knobs: &[(&str, u64)]) -> Cell {
        let plan = probe_plan();
        let setting = |v| KnobSetting { asked: KnobValue::Number(v), set: KnobValue::Number(v), clamped_because: None };
        let id: Vec<String> =
            knobs.iter().map(|(name, v)| format!("{}={v}", name.rsplit('.').next().unwrap())).collect();
        Cell {
            id: id.join(","),
            knobs: knobs.iter().map(|&(name, v)| (name.to_owned(), setting(v))).collect(),
            path: Path::Loopback,
            sysctls: [("net.core.somaxconn".to_owned(), self.somaxconn.to_string())].into_iter().collect(),
            nofile: Some(Nofile { soft: self.nofile.0, hard: self.nofile.1 }),
            target: TargetSetup {
                plan: brimful_target::Plan {
                    listen: ADDRESS.parse().unwrap(),
                    backlog: self.backlog,
                    health_path: "/healthz".into(),
                    health_listen: None,
                    accept: Accept::Drain,
                    accept_pause: self.pause.map(|(first, every, length)| AcceptPause {
                        first: Duration::from_millis(first),
                        every: Some(Duration::from_millis(every)),
                        length: Duration::from_millis(length),
                    }),
                    on_emfile: OnEmfile::Spin,
                    raise_nofile: false,
                    extra_fds_per_connection: 0,
                },
                shards: 1,
            },
            load: LoadSetup {
                connections: self.connections,
                ramp: Duration::from_millis(self.ramp_ms),
                hold: Duration::from_millis(self.hold_ms),
                behaviour: Behaviour::Idle,
                source: SourceChoice::Auto,
            },
            probe: ProbeSetup {
                action: plan.action,
                period: plan.period,
                timeout: plan.timeout,
                initial_delay: plan.initial_delay,
                failure_threshold: plan.failure_threshold,
                success_threshold: plan.success_threshold,
            },
        }
    }
}

/// Nothing wrong.
pub(crate) fn healthy() -> Record {
    World::default().record()
}

/// Out of descriptors behind a large queue: everything connects, nothing is answered, every counter flat.
pub(crate) fn fd_limit() -> Record {
    World { nofile: (1_024, 524_288), ..World::default() }.record()
}

/// Out of descriptors behind a small queue, which overflows: the symptom of the first post.
pub(crate) fn fd_limit_behind_full_queue() -> Record {
    World { nofile: (1_024, 20_000), backlog: 511, limit: 511, ..World::default() }.record()
}

/// The accept loop pauses 700 ms of every second before a queue of 128, at 2,000 connections a second.
pub(crate) fn bursts() -> World {
    World {
        connections: 12_000,
        ramp_ms: 6_000,
        hold_ms: 5_000,
        backlog: 128,
        somaxconn: 4_096,
        limit: 128,
        pause: Some((900, 1_000, 700)),
        ..World::default()
    }
}

/// An acceptor that never accepts.
pub(crate) fn dead(limit: u32) -> Record {
    World { accepts_per_s: 0, backlog: limit, limit: u64::from(limit), ..World::default() }.record()
}

/// Half-open connections fill the SYN queue with cookies off: the counters say so, the accept queue is idle.
pub(crate) fn syn_queue() -> Record {
    let mut record = healthy();
    fail_from(&mut record, 1, Outcome::ConnectTimeout);
    for name in ["TcpExt.TCPReqQFullDrop", "TcpExt.ListenDrops"] {
        record.evidence.server.counters.insert(name.into(), rising(37));
    }
    record.cell.sysctls.insert("net.ipv4.tcp_syncookies".into(), "0".into());
    record
}

/// The quarter of the SYN queue that is kept for proven peers.
pub(crate) fn three_quarters() -> Record {
    let mut record = syn_queue();
    record.evidence.server.counters.insert("TcpExt.TCPReqQFullDrop".into(), flat());
    record.cell.sysctls.insert("net.ipv4.tcp_max_syn_backlog".into(), "256".into());
    let half_open = Series { max: 193, last: 193, ..Series::starting(0, 193) };
    record.evidence.server.sockets.insert("SYN_RECV".into(), [("23380".to_owned(), half_open)].into());
    record
}

/// The target ended by itself at four seconds.
pub(crate) fn ended() -> Record {
    let mut record = healthy();
    fail_from(&mut record, 5, Outcome::Refused);
    record.evidence.server.counters.insert("Tcp.OutRsts".into(), rising(3));
    record.target.early_ends.push(EarlyEnd {
        shard: 0,
        at_ns: 4 * SECOND,
        how: "exit status 101".into(),
        said: "thread 'main' panicked at src/main.rs:7\n".into(),
    });
    record
}

/// The generator ran out of source ports.
pub(crate) fn out_of_ports() -> Record {
    let mut record = healthy();
    record.load.outcome.established = 10_000;
    record.load.outcome.held = 10_000;
    record.load.outcome.failures.push(brimful_loadgen::outcome::Failure {
        phase: brimful_loadgen::outcome::Phase::Bind,
        errno: "EADDRNOTAVAIL".into(),
        count: 2_000,
    });
    record
}

/// What the second post shows: many descriptors far below the limit, an idle queue, and SYNs that get no answer.
pub(crate) fn origin_replay() -> Record {
    let mut record = World { connections: 17_900, ..World::default() }.record();
    fail_from(&mut record, 3, Outcome::ConnectTimeout);
    record
}

/// Makes every probe from `seq` on end so.
pub(crate) fn fail_from(record: &mut Record, seq: u64, outcome: Outcome) {
    for s in record.probe.samples.iter_mut().filter(|s| s.seq >= seq) {
        *s = sample(s.seq, outcome);
    }
}

/// The record of an older kernel, without these counters.
pub(crate) fn without_counters(mut record: Record, names: &[&str]) -> Record {
    record.evidence.server.counters.retain(|name, _| !names.contains(&name.as_str()));
    record
}

/// A counter that grows by so much ten times a second, all the time.
pub(crate) fn rising(step: u64) -> Series {
    let mut s = Series::default();
    (0..110).for_each(|i| s.push(i * 100 * MS, i * step));
    s
}

/// A counter that was read and stayed at zero.
pub(crate) fn flat() -> Series {
    Series { reads: 110, ..Series::starting(0, 0) }
}
