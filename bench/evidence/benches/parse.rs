//! What it costs to read the kernel's texts and bytes, which the observer does ten times a second.

use std::hint::black_box;

use brimful_evidence::counter_log::CounterLog;
use brimful_evidence::counters::{Table, parse};
use brimful_evidence::inet_diag::{Body, Messages};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const NETSTAT: &str = include_str!("../tests/fixtures/proc/netstat-6.18.txt");
const LISTENER: &[u8] = include_bytes!("../tests/fixtures/netlink/listen-v4-6.18.bin");

fn netstat(c: &mut Criterion) {
    let mut group = c.benchmark_group("netstat");
    group.throughput(Throughput::Bytes(NETSTAT.len() as u64));
    group.bench_function("afresh", |b| b.iter(|| parse(black_box(NETSTAT))));
    let mut table = Table::default();
    group.bench_function("again", |b| b.iter(|| table.update(black_box(NETSTAT))));
    let (mut log, mut at_ns) = (CounterLog::default(), 0);
    group.bench_function("into series", |b| {
        b.iter(|| {
            at_ns += 1;
            log.record(at_ns, black_box(NETSTAT))
        });
    });
    group.finish();
}

fn inet_diag(c: &mut Criterion) {
    // The captured listener without the end of the dump, over and over: as much as the kernel sends in one go.
    let listener = LISTENER.get(..LISTENER.len() - 20).unwrap_or_default();
    let received = listener.repeat(32 * 1024 / listener.len().max(1));
    let entries = received.len() / listener.len().max(1);
    let mut group = c.benchmark_group("inet_diag");
    group.throughput(Throughput::Elements(entries as u64));
    group.bench_function("32 KiB of listeners", |b| {
        b.iter(|| {
            let drops = Messages::new(black_box(&received)).filter_map(|message| match message.ok()?.body {
                Body::Entry(entry) => entry.drops.map(u64::from),
                _ => None,
            });
            drops.sum::<u64>()
        });
    });
    group.finish();
}

criterion_group!(benches, netstat, inet_diag);
criterion_main!(benches);
