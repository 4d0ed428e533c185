//! What a record costs once it is made: writing it, reading it, judging it, merging its histograms. Small as captured, and large as fifty processes
//! at each end make it.

use std::hint::black_box;

use brimful_evidence::record::{Record, Role};
use brimful_judge::judge;
use brimful_loadgen_plan::latency::Latency;
use brimful_loadgen_plan::outcome::LoadPoint;
use brimful_plan::matrix::expand;
use brimful_plan::scenario::Scenario;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const SMALL: &str = include_str!("../tests/fixtures/records/accept-queue.json");
const ORIGIN: &str = include_str!("../../../scenarios/origin.toml");

/// Shards at each end of the large record, and points of its timeline.
const SHARDS: u32 = 53;
const POINTS: u64 = 1_200;
/// Values of a histogram of connecting, spread as in a run: most within a millisecond, some at a retransmission.
const VALUES: u64 = 100_000;

fn small() -> Record {
    match serde_json::from_str(SMALL) {
        Ok(record) => record,
        Err(error) => unreachable!("the fixture is a record: {error}"),
    }
}

/// The small one with many processes, each with as many readings as a minute has, a long timeline and full histograms.
fn large() -> Record {
    let mut record = small();
    let mut processes = Vec::new();
    for process in &record.evidence.processes {
        let shards = if matches!(process.role, Role::Target | Role::Load) { SHARDS } else { 1 };
        for shard in 0..shards {
            let mut one = process.clone();
            one.shard = shard;
            for at in 0..600 {
                one.descriptors.push(at * 100_000_000, at * 30);
                one.rss_bytes.push(at * 100_000_000, 6_000_000 + at * 4_096);
            }
            processes.push(one);
        }
    }
    record.evidence.processes = processes;
    let load = &mut record.load.outcome;
    load.timeline = (0..POINTS).map(|i| LoadPoint { at_ns: i * 50_000_000, ..LoadPoint::default() }).collect();
    load.connect_latency = histogram(1);
    load.lag = histogram(2);
    record
}

fn histogram(seed: u64) -> Latency {
    let mut chance = brimful_loadgen_plan::seeded::Seeded::new(seed);
    let mut latency = Latency::new();
    for i in 0..VALUES {
        latency.record(if i.is_multiple_of(50) { 1_000_000_000 } else { 10_000 } + chance.below(1_000_000));
    }
    latency
}

fn records(c: &mut Criterion) {
    for (name, record) in [("small", small()), ("large", large())] {
        let Ok(text) = serde_json::to_string(&record) else { unreachable!("a record is JSON") };
        let mut group = c.benchmark_group(format!("record/{name}"));
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function("write", |b| {
            b.iter(|| serde_json::to_vec(black_box(&record)).map_or(0, |text| text.len()))
        });
        group.bench_function("read", |b| {
            b.iter(|| serde_json::from_str::<Record>(black_box(&text)).map_or(0, |record| record.duration_ns))
        });
        group.bench_function("judge", |b| b.iter(|| judge(black_box(&record)).outcome));
        group.finish();
    }
}

fn histograms(c: &mut Criterion) {
    let shards: Vec<Latency> = (0..u64::from(SHARDS)).map(histogram).collect();
    c.bench_function("latency/merge of 53 shards", |b| {
        b.iter(|| {
            let mut sum = Latency::new();
            for shard in black_box(&shards) {
                sum.merge(shard);
            }
            sum.count()
        });
    });
    let mut latency = Latency::new();
    let mut value = 0;
    c.bench_function("latency/record", |b| {
        b.iter(|| {
            value = (value + 7_919) % 1_000_000;
            latency.record(black_box(value));
        });
    });
}

fn planning(c: &mut Criterion) {
    c.bench_function("plan/parse the origin scenario", |b| {
        b.iter(|| Scenario::parse("origin.toml", black_box(ORIGIN)).is_ok());
    });
    let Ok(scenario) = Scenario::parse("origin.toml", ORIGIN) else { unreachable!("the catalogue parses") };
    c.bench_function("plan/expand the origin scenario", |b| {
        b.iter(|| expand(black_box(&scenario), 20_000).map_or(0, |cells| cells.len()))
    });
}

criterion_group!(benches, records, histograms, planning);
criterion_main!(benches);
