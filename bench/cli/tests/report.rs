//! `brimful report` on a saved run, in every form, as somebody types it. It needs no privilege.

#![expect(clippy::unwrap_used, reason = "a test file: every helper here serves tests alone")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use brimful_evidence::record::Record;
use brimful_judge::report::{Report, RunInfo};
use brimful_runner::store::RunDirectory;

const BRIMFUL: &str = env!("CARGO_BIN_EXE_brimful");

/// Every form, and how its text begins.
const FORMS: [(&str, &str); 11] = [
    ("text", "Do saved records speak?"),
    ("md", "## Do saved records speak?"),
    ("html", "<!doctype html>\n<html lang=\"en\">"),
    ("json", "{\n  \"schema_version\": 1,"),
    ("junit", "<?xml version=\"1.0\""),
    ("bmf", "{\n  \"saved/"),
    ("github-action-benchmark", "[\n  {\n    \"name\": \"saved/"),
    ("benchstat", "scenario: saved\n"),
    ("hgrm", "# saved: "),
    ("hlog", "#brimful "),
    ("openmetrics", "# TYPE brimful_run info"),
];

/// A run of two cells, as `brimful run` leaves it.
fn saved(folder: &Path) {
    let records: Vec<Record> = [
        ("backlog=128", include_str!("../../judge/tests/fixtures/records/accept-queue.json")),
        ("nofile=1024", include_str!("../../judge/tests/fixtures/records/fd-limit.json")),
    ]
    .into_iter()
    .map(|(id, text)| {
        let mut record: Record = serde_json::from_str(text).unwrap();
        record.cell.id = id.to_owned();
        record
    })
    .collect();
    let cells: Vec<_> = records.iter().map(|record| record.cell.clone()).collect();
    let info = RunInfo {
        scenario: "saved".into(),
        question: "Do saved records speak?".into(),
        tool_version: "0.1.0".into(),
        host: records[0].host.clone(),
        seed: 7,
        blocks: 1,
        interrupted: false,
        arms: Vec::new(),
        gate: None,
        notes: Vec::new(),
    };
    let directory = RunDirectory::create(folder, false).unwrap();
    records.iter().for_each(|record| directory.save_record(record).unwrap());
    let report = Report::build(info, &records, &cells);
    directory.save_report(&report, &records).unwrap();
}

fn brimful(folder: &Path, words: &[&str]) -> Output {
    Command::new(BRIMFUL).arg("report").arg(folder).args(words).output().unwrap()
}

#[test]
fn every_form_goes_to_standard_output_or_to_a_file() {
    let scratch = tempfile::tempdir().unwrap();
    let run = scratch.path().join("run");
    saved(&run);
    for (form, begin) in FORMS {
        let shown = brimful(&run, &["--format", form]);
        let shown = String::from_utf8(shown.stdout).unwrap();
        assert!(shown.starts_with(begin), "{form}: {}", shown.lines().next().unwrap_or_default());
        let file = scratch.path().join(form);
        let written = brimful(&run.join("report.json"), &["--format", form, "--out", file.to_str().unwrap()]);
        assert_eq!((written.status.code(), written.stdout.len()), (Some(0), 0), "{form}");
        // Only where the whole is depends on how the run was named.
        assert!(fs::read_to_string(&file).unwrap() == shown, "{form}: the file differs from what is shown");
    }
    assert!(fs::read_to_string(run.join("report.md")).unwrap().starts_with("## Do saved records speak?"));
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("<figure class=\"time\">"));
}

#[test]
fn a_glob_leaves_some_cells_and_one_that_fits_none_is_told_which_there_are() {
    let scratch = tempfile::tempdir().unwrap();
    let run = scratch.path().join("run");
    saved(&run);
    for (form, _) in FORMS {
        let one = brimful(&run, &["--format", form, "--cell", "nofile=*"]).stdout;
        let one = String::from_utf8(one).unwrap();
        assert!(!one.contains("backlog=128"), "{form}: {one}");
    }
    let none = brimful(&run, &["--cell", "nothing"]);
    assert_eq!(none.status.code(), Some(2));
    let said = String::from_utf8(none.stderr).unwrap();
    assert!(said.contains("no cell fits `nothing`") && said.contains("`backlog=128`"), "{said}");
}

#[test]
fn a_limit_cuts_markdown_and_names_the_whole() {
    let scratch = tempfile::tempdir().unwrap();
    let run = scratch.path().join("r");
    saved(&run);
    let cut = brimful(&run, &["--format", "md", "--limit", "2KiB"]).stdout;
    assert!(cut.len() <= 2_048, "{}", cut.len());
    assert!(String::from_utf8(cut).unwrap().contains("report.json`."));
    assert_eq!(brimful(&run, &["--format", "md", "--limit", "10"]).status.code(), Some(2));
}
