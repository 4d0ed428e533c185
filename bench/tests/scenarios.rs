//! The catalogue: every file in `scenarios/` is read, expands on small and large machines, and is compiled in.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test file: every helper here serves tests alone")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use brimful::plan::cell::Cell;
use brimful::plan::cost::{Machine, feasible, table};
use brimful::plan::scenario::Scenario;
use brimful::plan::{catalogue, matrix, topology};

/// Name and text of every file of the catalogue.
fn files() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| {
            assert_eq!(path.extension().unwrap(), "toml", "{} is no scenario", path.display());
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap())
        })
        .collect()
}

fn machine(nofile_hard: u64) -> Machine {
    Machine {
        nofile_hard,
        nofile_soft: 1_024,
        memory_available_bytes: 2 << 30,
        file_max: 200_000,
        file_nr: 2_000,
        cpus: 2,
        conntrack_max: None,
        kernel: "6.18.44".to_owned(),
    }
}

fn cells(name: &str, text: &str, nofile_hard: u64) -> Vec<Cell> {
    let scenario = Scenario::parse(name, text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(scenario.name, name);
    matrix::expand(&scenario, nofile_hard).unwrap_or_else(|refusals| panic!("{name}: {refusals:?}"))
}

#[test]
fn every_file_is_read_expands_and_fits_a_laptop() {
    for (name, text) in files() {
        for nofile_hard in [20_000, 1_048_576] {
            let cells = cells(&name, &text, nofile_hard);
            assert_eq!(feasible(&cells, &machine(nofile_hard)), [], "{name}");
            table(&cells, &machine(nofile_hard), 1).unwrap();
            for cell in &cells {
                topology::resolve(cell, nofile_hard).unwrap();
            }
        }
    }
}

#[test]
fn every_file_says_what_it_asks_and_what_is_true() {
    for (name, text) in files() {
        let scenario = Scenario::parse(&name, &text).unwrap();
        assert!(scenario.question.ends_with('?'), "{name}");
        assert!(scenario.about.is_some_and(|about| about.len() > 100), "{name}");
        assert!(!scenario.expect.is_empty(), "{name}");
    }
}

#[test]
fn every_cell_has_a_line_of_ground_truth() {
    for (name, text) in files() {
        let scenario = Scenario::parse(&name, &text).unwrap();
        for cell in cells(&name, &text, 20_000) {
            let lines = scenario.expect.iter().filter(|line| {
                line.when.iter().all(|(knob, value)| cell.knobs.get(knob).is_some_and(|knob| knob.asked == *value))
            });
            assert_eq!(lines.count(), 1, "{name}: {}", cell.id);
        }
    }
}

#[test]
fn every_file_is_compiled_in_and_nothing_else_is() {
    let embedded: BTreeMap<String, String> =
        catalogue::list().iter().map(|one| (one.name.to_owned(), one.text.to_owned())).collect();
    assert_eq!(embedded.len(), catalogue::list().len(), "a name is there twice");
    assert_eq!(embedded, files());
}

#[test]
fn the_catalogue_is_over_in_minutes() {
    for (name, text) in files() {
        let seconds: u64 = cells(&name, &text, 20_000).iter().map(|cell| cell.duration().as_secs()).sum();
        assert!(seconds <= 120, "{name} takes {seconds} s");
    }
}

#[test]
fn the_first_scenario_is_clamped_and_says_so() {
    let cells = cells("origin", catalogue::find(catalogue::DEFAULT).unwrap().text, 20_000);
    assert_eq!(cells.len(), 8);
    assert_eq!(cells[0].id, "somaxconn=128,tcp_max_syn_backlog=1024,nofile=1024");
    assert_eq!(cells[7].id, "somaxconn=32768,tcp_max_syn_backlog=32768,nofile=65535");
    let setting = &cells[7].knobs["ulimit.nofile"];
    assert_eq!(setting.set.to_string(), "20000");
    assert!(setting.clamped_because.as_deref().unwrap().contains("20,000"));
}
