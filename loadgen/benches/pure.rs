//! What the pure parts cost for each connection: they run between two system calls of the load, so they must stay far
//! below the 16 µs that opening takes.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use brimful_loadgen_plan::address::Planner;
use brimful_loadgen_plan::outcome::{LoadOutcome, LoadPoint};
use brimful_loadgen_plan::pace::intended_ns;
use brimful_loadgen_plan::plan::{Behaviour, Comeback, LoadPlan, Sources};
use criterion::{Criterion, criterion_group, criterion_main};

const CONNECTIONS: u64 = 1_000_000;

fn plan() -> LoadPlan {
    LoadPlan {
        connections: CONNECTIONS,
        shards: 53,
        ramp: Duration::from_secs(30),
        behaviour: Behaviour::Idle,
        sources: Sources::Named {
            first: IpAddr::V4(Ipv4Addr::new(127, 1, 0, 1)),
            addresses: 64,
            first_port: 20_000,
            last_port: 60_999,
            skip: (20_000..21_000).step_by(7).collect(),
        },
        destinations: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 23_380))],
        comeback: Comeback::default(),
        path: "/".to_owned(),
        seed: 0,
    }
}

fn pacer(c: &mut Criterion) {
    let mut i = 0;
    c.bench_function("pace/intended_ns", |b| {
        b.iter(|| {
            i = (i + 1) % CONNECTIONS;
            intended_ns(black_box(i), CONNECTIONS, Duration::from_secs(30))
        });
    });
}

fn planner(c: &mut Criterion) {
    let plan = plan();
    c.bench_function("address/Planner::new", |b| b.iter(|| Planner::new(black_box(&plan)).is_ok()));
    let Ok(planner) = Planner::new(&plan) else { unreachable!("64 addresses of 40,000 ports hold a million") };
    let mut k = 0;
    c.bench_function("address/of_shard", |b| {
        b.iter(|| {
            k = (k + 1) % planner.connections_of(7);
            planner.of_shard(7, black_box(k))
        });
    });
}

fn merge(c: &mut Criterion) {
    let shard = |offset: u64| LoadOutcome {
        timeline: (0..600).map(|i| LoadPoint { at_ns: i * 100_000_000 + offset, ..LoadPoint::default() }).collect(),
        ..LoadOutcome::default()
    };
    let shards: Vec<LoadOutcome> = (0..53).map(shard).collect();
    c.bench_function("outcome/merge of 53 shards", |b| {
        b.iter(|| {
            let mut sum = LoadOutcome::default();
            for outcome in &shards {
                sum.merge(outcome);
            }
            sum.timeline.len()
        });
    });
}

criterion_group!(benches, pacer, planner, merge);
criterion_main!(benches);
