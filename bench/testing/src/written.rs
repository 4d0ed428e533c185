//! What an observer writes down of the small world.

use std::collections::BTreeMap;
use std::time::Duration;

use brimful_evidence::record::*;
use brimful_evidence::series::Series;
use brimful_loadgen_plan::latency::Latency;
use brimful_loadgen_plan::outcome::LoadOutcome;
use brimful_loadgen_plan::plan::{Behaviour, Comeback, LoadPlan, Sources};
use brimful_loadgen_plan::probe::Sample;
use brimful_plan::cell::*;
use brimful_target_plan::{AcceptPause, Listening, Nofile, Ready};

use super::{ADDRESS, BASE, MS, World, probe_plan};

impl World {
    pub fn written_down(
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
            attempt: 0,
            seed: 7,
            host: Host {
                kernel: "6.18.44".into(),
                arch: "x86_64".into(),
                cpus: 2,
                memory_bytes: 25_769_803_776,
                nofile_hard: 524_288,
                user_namespace: true,
                virtual_machine: None,
            },
            started_at: "2026-11-23T10:00:00Z".into(),
            duration_ns,
            interrupted: false,
            prediction: None,
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
                commands: Vec::new(),
            },
            load: LoadRecord {
                plan: self.load_plan(),
                outcome: self.load_outcome(established),
                missing_shards: Vec::new(),
                stopped_rising_at_ns: None,
            },
            probe: ProbeRecord { plan: probe_plan(), samples },
            turned: Vec::new(),
            lives: Vec::new(),
            startup: None,
            readiness: None,
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
                    member: None,
                    descriptors,
                    nofile_soft: constant(self.nofile.0),
                    nofile_hard: constant(self.nofile.1),
                    rss_bytes: constant(9_000_000),
                    cpu_ns,
                    runqueue_wait_ns: constant(2_000_000),
                    inotify: Some(constant(0)),
                }],
                host: BTreeMap::new(),
                sources: vec![Source { name: "netstat".into(), reads: 110, ..Source::default() }],
            },
            cost: Cost { setup_ms: 41.5, cooldown_ms: 0.0, teardown_ms: 96.25, observer_cpu_fraction: 0.0125 },
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
            comeback: Comeback::default(),
            path: "/".to_owned(),
            seed: 0,
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
            closed: 0,
            renewed: 0,
            timeline: Vec::new(),
            ..LoadOutcome::default()
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
            sandbox: Sandbox::Netns,
            path: Path::Loopback,
            faults: Vec::new(),
            sysctls: [("net.core.somaxconn".to_owned(), self.somaxconn.to_string())].into_iter().collect(),
            nofile: Some(Nofile { soft: self.nofile.0, hard: self.nofile.1 }),
            target: TargetSetup {
                plan: brimful_target_plan::TargetPlan {
                    backlog: self.backlog,
                    accept_pause: self.pause.map(|(first, every, length)| AcceptPause {
                        first: Duration::from_millis(first),
                        every: Some(Duration::from_millis(every)),
                        length: Duration::from_millis(length),
                    }),
                    ..brimful_target_plan::TargetPlan::plain(ADDRESS.parse().unwrap())
                },
                shards: 1,
                cpu_percent: None,
                command: None,
            },
            load: LoadSetup {
                connections: self.connections,
                ramp: Duration::from_millis(self.ramp_ms),
                hold: Duration::from_millis(self.hold_ms),
                behaviour: Behaviour::Idle,
                comeback: Comeback::default(),
                source: SourceChoice::Auto,
                ramp_until: None,
            },
            probe: ProbeSetup {
                action: plan.action,
                period: plan.period,
                timeout: plan.timeout,
                initial_delay: plan.initial_delay,
                failure_threshold: plan.failure_threshold,
                success_threshold: plan.success_threshold,
                nofile: None,
                host: None,
                port: None,
            },
            changes: Vec::new(),
            restart: None,
        }
    }
}
