//! The report as a page, built from saved records of Linux 6.18: how large it may become, that it is the same each time, and
//! whole pages written out for `scripts/look`, which opens them in a browser and holds them to what is said of them here.

#![expect(clippy::disallowed_methods, reason = "this writes the pages that scripts/look looks at")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use brimful_evidence::record::{KnobReading, Record};
use brimful_judge::report::{Report, RunInfo};
use brimful_loadgen_plan::outcome::{Failure, Phase};
use brimful_plan::cell::{Cell, KnobSetting, KnobValue};
use brimful_plan::expect::CellOutcome;
use brimful_report::html::{Detail, render};

const SOMAXCONN: &str = "sysctl.net.core.somaxconn";
const SYN_BACKLOG: &str = "sysctl.net.ipv4.tcp_max_syn_backlog";
const NOFILE: &str = "ulimit.nofile";

/// A page of a thousand cells must stay below this, in bytes.
const MOST_BYTES: usize = 10_000_000;

/// Four cells of the origin: a small and a large queue, few descriptors and many.
fn saved() -> anyhow::Result<[Record; 4]> {
    Ok([
        serde_json::from_str(include_str!("fixtures/pages/queue-128-nofile-1024.json"))?,
        serde_json::from_str(include_str!("fixtures/pages/queue-128-nofile-65535.json"))?,
        serde_json::from_str(include_str!("fixtures/pages/queue-32768-nofile-1024.json"))?,
        serde_json::from_str(include_str!("fixtures/pages/queue-32768-nofile-65535.json"))?,
    ])
}

/// The same record as another cell: these values for its three knobs.
fn as_cell(record: &Record, values: [u64; 3]) -> Record {
    let mut record = record.clone();
    for (knob, value) in [SOMAXCONN, SYN_BACKLOG, NOFILE].into_iter().zip(values) {
        let value = KnobValue::Number(value);
        let reading = KnobReading { asked: value.clone(), given: Some(value.clone()), reason: None };
        record.knobs.insert(knob.to_owned(), reading);
        let setting = KnobSetting { asked: value.clone(), set: value, clamped_because: None };
        record.cell.knobs.insert(knob.to_owned(), setting);
    }
    let [somaxconn, syn, nofile] = values;
    record.cell.id = format!("somaxconn={somaxconn},tcp_max_syn_backlog={syn},nofile={nofile}");
    record
}

/// Ten values for each of three knobs; the cells with few descriptors fail, behind a small queue or a large one.
fn a_thousand(saved: &[Record; 4]) -> Vec<Record> {
    let [small_few, small_many, large_few, large_many] = saved;
    let mut records = Vec::with_capacity(1_000);
    for somaxconn in (0..10).map(|i| 128 << i) {
        for syn in (0..10).map(|i| 64 << i) {
            for nofile in (0..10).map(|i| 512 << i) {
                let record = match (somaxconn < 4_096, nofile < 8_192) {
                    (true, true) => small_few,
                    (true, false) => small_many,
                    (false, true) => large_few,
                    (false, false) => large_many,
                };
                records.push(as_cell(record, [somaxconn, syn, nofile]));
            }
        }
    }
    records
}

/// The generator ran out of source ports: what it saw says nothing of the target.
fn void(record: &Record) -> Record {
    let mut record = record.clone();
    let outcome = &mut record.load.outcome;
    outcome.established = 10_000;
    outcome.held = 10_000;
    outcome.failures = vec![Failure { phase: Phase::Bind, errno: "EADDRNOTAVAIL".into(), count: 2_000 }];
    record
}

fn planned(records: &[Record]) -> Vec<Cell> {
    let mut cells: Vec<Cell> = records.iter().map(|r| r.cell.clone()).collect();
    cells.dedup_by(|a, b| a.id == b.id);
    cells
}

fn report(question: &str, records: &[Record], planned: &[Cell], blocks: u32) -> anyhow::Result<Report> {
    let info = RunInfo {
        scenario: "origin".into(),
        question: question.into(),
        tool_version: "0.1.0".into(),
        host: saved()?[0].host.clone(),
        seed: 7,
        blocks,
        interrupted: records.len() < planned.len(),
        arms: Vec::new(),
        gate: None,
        notes: Vec::new(),
    };
    Ok(Report::build(info, records, planned))
}

const QUESTION: &str = "Which limit makes the health check fail: the accept queue, the SYN queue or the descriptors?";

/// A page, and the records behind it.
struct Page {
    report: Report,
    records: Vec<Record>,
    with_details: bool,
}

impl Page {
    fn of(records: Vec<Record>, planned: &[Cell], blocks: u32) -> anyhow::Result<Self> {
        Ok(Self { report: report(QUESTION, &records, planned, blocks)?, records, with_details: true })
    }

    fn text(&self) -> String {
        let details: Vec<Detail> = self.records.iter().filter(|_| self.with_details).map(Detail::of).collect();
        render(&self.report, &details)
    }

    /// What a browser must find, counted from the records.
    fn expected(&self) -> serde_json::Value {
        let here = |id: &str| self.report.cells.iter().any(|c| c.id == id);
        let missing = self.report.missing.iter().filter(|m| !here(&m.id)).count();
        let marks: Vec<usize> = self
            .report
            .cells
            .iter()
            .map(|cell| {
                let mut telling = self.records.iter().filter(|r| r.cell.id == cell.id && r.block == cell.told_by_block);
                telling.next().filter(|_| self.with_details).map_or(0, |r| r.probe.samples.len())
            })
            .collect();
        let cells = self.report.cells.len();
        serde_json::json!({
            "boxes": cells + missing,
            "sections": cells,
            "figures": if self.with_details { cells } else { 0 },
            // With many cells all probes of one kind are one path.
            "marks": (cells <= 64).then_some(marks),
        })
    }
}

/// Every page that is looked at, but for the thousand.
fn pages() -> anyhow::Result<BTreeMap<&'static str, Page>> {
    let saved = saved()?;
    let all = planned(&saved);
    let block = |record: &Record, block| Record { block, cell: saved[0].cell.clone(), ..record.clone() };
    let blocks = [&saved[0], &saved[2], &saved[1], &void(&saved[1]), &saved[0]];
    let blocks: Vec<Record> = blocks.into_iter().zip(0..).map(|(r, n)| block(r, n)).collect();
    let mut hostile = saved.to_vec();
    for (i, record) in hostile.iter_mut().enumerate() {
        record.cell.id = format!("{i}<script>alert(1)</script>\"onload=\"'&amp;{}", "long".repeat(60));
        record.probe.samples.iter_mut().for_each(|s| s.message = format!("</q><img src=x>{}", "m".repeat(300)));
    }
    let hostile_cells = planned(&hostile);
    let mut pages = BTreeMap::from([
        ("origin", Page::of(saved.to_vec(), &all, 1)?),
        ("one", Page::of(vec![saved[1].clone()], &all[1..2], 1)?),
        ("partial", Page::of(vec![saved[0].clone(), void(&saved[1])], &all, 1)?),
        ("nothing", Page::of(Vec::new(), &all, 1)?),
        ("blocks", Page::of(blocks.clone(), &planned(&blocks), 5)?),
        ("bare", Page { with_details: false, ..Page::of(saved.to_vec(), &all, 1)? }),
        ("hostile", Page::of(hostile, &hostile_cells, 1)?),
    ]);
    if let Some(hostile) = pages.get_mut("hostile") {
        hostile.report.scenario.question = format!("</title><script>alert(1)</script> {}", "why".repeat(80));
    }
    Ok(pages)
}

/// Writes every page, and what is to be found on it, where `scripts/look` reads them; the largest is held to its size.
#[test]
fn pages_are_written_for_a_browser_to_look_at_and_a_thousand_cells_are_one_of_bounded_size() -> anyhow::Result<()> {
    let folder: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    std::fs::create_dir_all(&folder)?;
    let mut expected = serde_json::Map::new();
    let thousand = a_thousand(&saved()?);
    let planned = planned(&thousand);
    let mut all = pages()?;
    all.insert("thousand", Page::of(thousand, &planned, 1)?);
    for (name, page) in all {
        let text = page.text();
        ensure!(text.len() < MOST_BYTES, "{name}: {} bytes", text.len());
        std::fs::write(folder.join(format!("{name}.html")), text)?;
        expected.insert(format!("{name}.html"), page.expected());
        let failing = page.report.cells.iter().filter(|c| c.outcome == CellOutcome::Failing).count();
        ensure!(name != "thousand" || failing == 400, "{failing} cells fail");
    }
    std::fs::write(folder.join("expected.json"), serde_json::to_string_pretty(&expected)?)?;
    Ok(())
}

#[test]
fn a_page_depends_on_the_report_and_the_details_and_on_nothing_else() -> anyhow::Result<()> {
    for (name, page) in pages()? {
        let mut details: Vec<Detail> = page.records.iter().map(Detail::of).collect();
        let text = render(&page.report, &details);
        ensure!(text == render(&page.report, &details), "{name}");
        details.reverse();
        ensure!(text == render(&page.report, &details), "{name}, with the details in another order");
    }
    Ok(())
}

#[test]
fn a_page_needs_nothing_from_anywhere() -> anyhow::Result<()> {
    for (name, page) in pages()? {
        let text = page.text();
        for foreign in ["<script", "<img", "<iframe", "@import", "url(http", "src=\"", "http-equiv=\"refresh"] {
            ensure!(!text.contains(foreign), "{name} has {foreign}");
        }
        let links = text.match_indices("href=\"").map(|(at, _)| &text[at + 6..]);
        for link in links {
            ensure!(link.starts_with('#') || link.starts_with("data:,"), "{name}: {:.40}", link);
        }
        ensure!(text.contains("default-src 'none'"), "{name}");
    }
    Ok(())
}

#[test]
fn what_a_cell_says_is_said_on_its_page() -> anyhow::Result<()> {
    let page = &pages()?.remove("origin").context("the page of the origin")?;
    let text = page.text();
    for words in [
        "2 of 4 cells fail: the target is out of descriptors (fd-limit).",
        "Failing, because the target is out of descriptors.",
        "peak <b>129</b> of 128",
        "peak <b>1,024</b> of 1,024",
        "<b>+76,016</b> each",
        "liveness restarts it at 4 s",
        "brimful run origin --seed 7",
    ] {
        ensure!(text.contains(words), "{words}");
    }
    Ok(())
}
