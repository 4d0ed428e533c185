//! Runs of made-up records.

use brimful_evidence::record::Record;
use brimful_judge::report::{Report, RunInfo};
use brimful_plan::cell::Cell;
use indexmap::IndexMap;

use crate::*;

pub fn info(question: &str, blocks: u32) -> RunInfo {
    RunInfo {
        scenario: "origin".into(),
        question: question.into(),
        tool_version: "0.1.0".into(),
        host: healthy().host,
        seed: 7,
        blocks,
        interrupted: false,
        arms: Vec::new(),
        gate: None,
        notes: Vec::new(),
    }
}

pub fn cells(records: &[Record]) -> Vec<Cell> {
    let by_id: IndexMap<&str, &Cell> = records.iter().map(|r| (r.cell.id.as_str(), &r.cell)).collect();
    by_id.into_values().cloned().collect()
}

pub fn report(question: &str, records: &[Record]) -> Report {
    let blocks = records.iter().map(|r| r.block + 1).max().unwrap_or(1);
    Report::build(info(question, blocks), records, &cells(records))
}

pub const ORIGIN: &str = "Which limit makes the health check fail: the accept queue, the SYN queue or the descriptors?";

pub fn blocks(records: Vec<Record>) -> Vec<Record> {
    let id = records[0].cell.clone();
    let numbered = records.into_iter().zip(0..);
    numbered.map(|(r, block)| Record { block, cell: id.clone(), ..r }).collect()
}

pub const MIXED: &str = "Which of <these> fails | and `why`?";

pub fn named(id: &str, mut record: Record) -> Record {
    record.cell.id = id.to_owned();
    record
}

/// One probe in ten fails.
pub fn degraded() -> Record {
    let mut record = healthy();
    record.probe.samples[3] = sample(3, brimful_loadgen_plan::probe::Outcome::ConnectTimeout);
    record
}

/// One cell of each outcome, and one that was not run.
pub fn mixed_records() -> Vec<Record> {
    vec![
        named("nofile=65535", healthy()),
        named("nofile=1024", fd_limit()),
        named("nofile=2048", degraded()),
        named("nofile=512", out_of_ports()),
    ]
}

pub fn mixed() -> Report {
    let records = mixed_records();
    let mut planned: Vec<Cell> = cells(&records);
    planned.push(named("nofile=256", healthy()).cell);
    Report::build(info(MIXED, 1), &records, &planned)
}

/// A cell of three sound blocks and a void one, and a cell that failed in one of its two; of five blocks each.
pub fn blocked_records() -> Vec<Record> {
    let slower = |by_ms: u64| {
        let mut record = healthy();
        record.probe.samples.iter_mut().for_each(|s| s.ended_ns += by_ms * MS);
        record
    };
    let mut records = blocks(vec![named("backlog=4096", slower(0)), out_of_ports(), slower(2), slower(7)]);
    let mut failed = slower(1);
    fail_from(&mut failed, 4, brimful_loadgen_plan::probe::Outcome::ConnectTimeout);
    records.extend(blocks(vec![named("backlog=128", slower(3)), failed]));
    records
}

pub fn blocked() -> Report {
    let records = blocked_records();
    Report::build(info("How much do blocks differ?", 5), &records, &cells(&records))
}
