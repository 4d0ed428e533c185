//! The cases: one record for each cause, and what nearly is one.

use brimful_evidence::record::{EarlyEnd, KnobReading, Record};
use brimful_evidence::series::Series;
use brimful_loadgen_plan::outcome::{Failure, Phase};
use brimful_loadgen_plan::probe::Outcome;
use brimful_plan::cell::{KnobSetting, KnobValue};

use super::{MS, SECOND, World, sample};

/// Nothing wrong.
pub fn healthy() -> Record {
    World::default().record()
}

/// Out of descriptors behind a large queue: everything connects, nothing is answered, every counter flat.
pub fn fd_limit() -> Record {
    World { nofile: (1_024, 524_288), ..World::default() }.record()
}

/// Out of descriptors behind a small queue, which overflows: the symptom of the first post.
pub fn fd_limit_behind_full_queue() -> Record {
    World { nofile: (1_024, 20_000), backlog: 511, limit: 511, ..World::default() }.record()
}

/// The accept loop pauses 700 ms of every second before a queue of 128, at 2,000 connections a second.
pub fn bursts() -> World {
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
pub fn dead(limit: u32) -> Record {
    World { accepts_per_s: 0, backlog: limit, limit: u64::from(limit), ..World::default() }.record()
}

/// Half-open connections fill the SYN queue with cookies off: the counters say so, the accept queue is idle.
pub fn syn_queue() -> Record {
    let mut record = healthy();
    fail_from(&mut record, 1, Outcome::ConnectTimeout);
    for name in ["TcpExt.TCPReqQFullDrop", "TcpExt.ListenDrops"] {
        record.evidence.server.counters.insert(name.into(), rising(37));
    }
    record.cell.sysctls.insert("net.ipv4.tcp_syncookies".into(), "0".into());
    record
}

/// The quarter of the SYN queue that is kept for proven peers.
pub fn three_quarters() -> Record {
    let mut record = syn_queue();
    record.evidence.server.counters.insert("TcpExt.TCPReqQFullDrop".into(), flat());
    record.cell.sysctls.insert("net.ipv4.tcp_max_syn_backlog".into(), "256".into());
    let half_open = Series { max: 193, last: 193, ..Series::starting(0, 193) };
    record.evidence.server.sockets.insert("SYN_RECV".into(), [("23380".to_owned(), half_open)].into());
    record
}

/// The target ended by itself at four seconds.
pub fn ended() -> Record {
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
pub fn out_of_ports() -> Record {
    let mut record = healthy();
    record.load.outcome.established = 10_000;
    record.load.outcome.held = 10_000;
    record.load.outcome.failures.push(Failure { phase: Phase::Bind, errno: "EADDRNOTAVAIL".into(), count: 2_000 });
    record
}

/// What the second post shows: many descriptors far below the limit, an idle queue, and SYNs that get no answer.
pub fn origin_replay() -> Record {
    let mut record = World { connections: 17_900, ..World::default() }.record();
    fail_from(&mut record, 3, Outcome::ConnectTimeout);
    record
}

/// Makes every probe from `seq` on end so.
pub fn fail_from(record: &mut Record, seq: u64, outcome: Outcome) {
    for s in record.probe.samples.iter_mut().filter(|s| s.seq >= seq) {
        *s = sample(s.seq, outcome);
    }
}

/// The record of an older kernel, without these counters.
pub fn without_counters(mut record: Record, names: &[&str]) -> Record {
    record.evidence.server.counters.retain(|name, _| !names.contains(&name.as_str()));
    record
}

/// A counter that grows by so much ten times a second, all the time.
pub fn rising(step: u64) -> Series {
    let mut s = Series::default();
    (0..110).for_each(|i| s.push(i * 100 * MS, i * step));
    s
}

/// A counter that was read and stayed at zero.
pub fn flat() -> Series {
    Series { reads: 110, ..Series::starting(0, 0) }
}

/// The eight cells of the origin: three published numbers, and a machine that gives 20,000 descriptors at most.
pub fn origin_run() -> Vec<Record> {
    let mut records = Vec::new();
    for somaxconn in [128_u64, 32_768] {
        for syn in [1_024_u64, 32_768] {
            for (asked, given) in [(1_024_u64, 1_024_u64), (65_535, 20_000)] {
                let world = World { nofile: (given, 20_000), somaxconn, limit: somaxconn, ..World::default() };
                let mut record = world.record();
                let knob = |asked, given, reason: Option<&str>| KnobReading {
                    asked: KnobValue::Number(asked),
                    given: Some(KnobValue::Number(given)),
                    reason: reason.map(str::to_owned),
                };
                let clamped = (asked != given).then_some("the hard limit here is 20000");
                record.knobs = [
                    ("sysctl.net.core.somaxconn".to_owned(), knob(somaxconn, somaxconn, None)),
                    ("sysctl.net.ipv4.tcp_max_syn_backlog".to_owned(), knob(syn, syn, None)),
                    ("ulimit.nofile".to_owned(), knob(asked, given, clamped)),
                ]
                .into_iter()
                .collect();
                record.cell.knobs = record
                    .knobs
                    .iter()
                    .map(|(name, k)| {
                        let set = k.given.clone().unwrap();
                        (name.clone(), KnobSetting { asked: k.asked.clone(), set, clamped_because: k.reason.clone() })
                    })
                    .collect();
                record.cell.id = format!("somaxconn={somaxconn},tcp_max_syn_backlog={syn},nofile={asked}");
                records.push(record);
            }
        }
    }
    records
}
