//! `brimful compare` and `brimful gate` on the binary: what they read, what they print, and how they exit.
//!
//! The reports are written here as JSON, by the paths that scripts rely on.

#![expect(clippy::unwrap_used, reason = "a test file: every helper here serves tests alone")]

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::{Value, json};

/// A run of one cell, or of two arms of it.
struct Run {
    blocks: u64,
    /// Latency of each side, as a factor.
    factors: Vec<(&'static str, f64)>,
}

fn alone(blocks: u64, factor: f64) -> Value {
    Run { blocks, factors: vec![("", factor)] }.json()
}

fn arms(blocks: u64, base: f64, head: f64) -> Value {
    Run { blocks, factors: vec![("base", base), ("head", head)] }.json()
}

impl Run {
    fn json(&self) -> Value {
        let cells: Vec<Value> = self.factors.iter().map(|&(arm, factor)| self.cell(arm, factor)).collect();
        let arms: Vec<Value> = self
            .factors
            .iter()
            .filter(|(arm, _)| !arm.is_empty())
            .map(|(arm, _)| json!({"name": arm, "set": []}))
            .collect();
        json!({
            "schema_version": 1,
            "tool": {"name": "brimful", "version": "0.1.0"},
            "host": {
                "kernel": "6.18.44", "arch": "x86_64", "cpus": 2, "memory_bytes": 8_000_000_000_u64,
                "nofile_hard": 20_000, "user_namespace": false,
            },
            "scenario": {"name": "made-up", "question": "Is the new one slower?"},
            "seed": 7, "blocks": self.blocks, "interrupted": false, "arms": arms,
            "headline": [], "cells": cells, "missing": [], "knob_effects": [], "smallest_cures": [],
        })
    }

    fn cell(&self, arm: &str, factor: f64) -> Value {
        let id = if arm.is_empty() { "nofile=1024".to_owned() } else { format!("arm={arm},nofile=1024") };
        let mut knobs = json!({"ulimit.nofile": {"asked": 1_024, "given": 1_024}});
        if !arm.is_empty() {
            knobs["arm"] = json!({"asked": arm, "given": arm});
        }
        let blocks: Vec<Value> = (0..self.blocks).map(|block| self.block(block, arm, factor)).collect();
        let mut cell = json!({
            "id": id, "knobs": knobs, "evidence": {}, "told_by_block": 0, "prediction": null, "blocks": blocks,
        });
        for same in ["outcome", "verdict", "probe", "load", "cost"] {
            cell[same] = cell["blocks"][0][same].clone();
        }
        cell
    }

    fn block(&self, block: u64, arm: &str, factor: f64) -> Value {
        // A little apart from block to block, and each side in its own way, without chance.
        let salt = (factor * 1_000.0) as u64 + if arm == "head" { 3 } else { 0 };
        let wobble = 1.0 + 0.01 * ((block * 7 + salt) % 5) as f64;
        let ns = |level: f64| (level * factor * wobble) as u64;
        json!({
            "block": block, "started_at": "2026-11-23T12:00:00Z", "repeated": 0, "outcome": "healthy",
            "verdict": {
                "outcome": "healthy", "cause": null, "why": null, "proof": [], "ruled_out": [], "undecided": [],
                "cure": null, "notes": [],
            },
            "probe": {
                "timeout_ns": 1_000_000_000, "sent": 100, "ok": 100, "failed": 0, "missed_ticks": 0, "outcomes": {"ok": 100},
                "failure_rate": 0.0, "restricted_mean_ns": ns(5e5),
                "latency_ns": {"p50": ns(4e5), "p90": ns(8e5), "p99": ns(2e6), "max": ns(3e6)},
                "would_restart_at_s": null, "out_of_service_at_s": null, "first_failure": null, "first_message": null,
            },
            "load": {
                "requested": 12_000, "attempted": 12_000, "established": 12_000, "held": 12_000, "pending": 0, "errors": [],
                "rate_per_s": 4_000.0, "lag_ns": {"p99": 100_000},
                "connect_latency_ns": {"p50": 40_000, "p99": 90_000, "max": 400_000},
            },
            "cost": {"setup_ms": 10.0, "teardown_ms": 5.0, "observer_cpu_fraction": 0.01},
        })
    }
}

/// What a command said and how it ended.
struct Said {
    status: i32,
    out: String,
    err: String,
}

fn brimful(folder: &Path, arguments: &[&str]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_brimful")).current_dir(folder).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Said { status: output.status.code().unwrap(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// A folder with runs in it, each by its name.
fn folder(runs: &[(&str, Value)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, report) in runs {
        fs::create_dir(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("report.json"), report.to_string()).unwrap();
    }
    folder
}

#[test]
fn the_exit_status_is_the_answer() {
    for (factor, status, says) in [(1.0, 0, "gate: pass"), (1.1, 5, "gate: inconclusive"), (1.3, 4, "gate: fail")] {
        let of_arms = folder(&[("run", arms(12, 1.0, factor))]);
        let said = brimful(of_arms.path(), &["gate", "run", "--arms", "base,head"]);
        assert_eq!(said.status, status, "{}{}", said.out, said.err);
        assert!(said.out.starts_with(says), "{}", said.out);
        let of_runs = folder(&[("before", alone(12, 1.0)), ("after", alone(12, factor * 1.003))]);
        let said = brimful(of_runs.path(), &["gate", "--baseline", "before", "after"]);
        assert_eq!(said.status, status, "{}{}", said.out, said.err);
        assert!(said.out.contains("weaker evidence"), "{}", said.out);
        // The report itself will do for its folder, and a comparison only tells.
        let said = brimful(of_runs.path(), &["compare", "before/report.json", "after/report.json"]);
        assert_eq!((said.status, said.err.as_str()), (0, ""), "{}", said.out);
    }
}

#[test]
fn every_line_has_a_ratio_and_an_interval() {
    let folder = folder(&[("run", arms(12, 1.0, 1.3))]);
    let said = brimful(folder.path(), &["compare", "run", "--arms", "base,head", "--metric", "latency.p50,load.held"]);
    let lines: Vec<&str> = said.out.lines().filter(|line| line.contains("  p ")).collect();
    assert_eq!(lines.len(), 4, "{}", said.out);
    assert!(lines.iter().all(|line| line.contains(" to ")), "{}", said.out);
}

#[test]
fn the_forms_are_text_markdown_and_json() {
    let folder = folder(&[("run", arms(12, 1.0, 1.3))]);
    let gate = |more: &[&str]| brimful(folder.path(), &[&["gate", "run", "--arms", "base,head"], more].concat());
    let json: Value = serde_json::from_str(&gate(&["--format", "json"]).out).unwrap();
    assert_eq!((&json["answer"], &json["comparison"]["interleaved"]), (&json!("fail"), &json!(true)));
    assert!(gate(&["--format", "md"]).out.starts_with("## brimful gate: fail: `head` against `base`\n"));
    let summary = folder.path().join("summary.md");
    fs::write(&summary, "# Before\n").unwrap();
    assert_eq!(gate(&["--summary", "summary.md"]).status, 4);
    let text = fs::read_to_string(&summary).unwrap();
    assert!(text.starts_with("# Before\n## brimful gate: fail"), "{text}");
    let said = brimful(folder.path(), &["compare", "run", "--arms", "base,head", "--format", "json"]);
    assert_eq!(serde_json::from_str::<Value>(&said.out).unwrap()["comparison_version"], 1);
}

#[test]
fn tolerances_and_ceilings_can_be_typed() {
    let folder = folder(&[("run", arms(12, 1.0, 1.3))]);
    let gate = |more: &[&str]| brimful(folder.path(), &[&["gate", "run", "--arms", "base,head"], more].concat());
    let wide = ["--tolerance", "latency.p99=50%", "--tolerance", "latency.restricted-mean=50%"];
    assert_eq!(gate(&wide).status, 0);
    assert_eq!(gate(&[&wide[..], &["--ceiling", "latency.p99=2ms"]].concat()).status, 4);
    let alone = |more: &[&str]| brimful(folder.path(), &[&["gate", "run", "--ceilings-only"], more].concat());
    assert_eq!(alone(&["--ceiling", "latency.p99=50ms", "--ceiling", "failure-rate=0"]).status, 0);
    let broken = alone(&["--ceiling", "load.held=20_000"]);
    assert_eq!(broken.status, 4);
    assert!(broken.out.contains("load.held may be 20,000 at least, is 12,000"), "{}", broken.out);
}

#[test]
fn the_scenarios_gate_is_gone_by() {
    let mut report = arms(12, 1.0, 1.0);
    report["gate"] = json!({
        "blocks": 12, "metrics": ["latency.p50"], "cells": null, "tolerance": {}, "ceiling": {"latency.p99": 1_000_000.0},
    });
    let folder = folder(&[("run", report)]);
    let said = brimful(folder.path(), &["gate", "run", "--arms", "base,head"]);
    assert_eq!(said.status, 4, "{}", said.out);
    assert!(said.out.contains("latency.p99 may be 1ms at most") && said.out.contains("  latency.p50 "), "{}", said.out);
}

#[test]
fn what_cannot_be_judged_is_never_a_pass() {
    let mut future = alone(12, 1.0);
    future["schema_version"] = json!(99);
    future["of the future"] = json!(true);
    let mut empty = alone(12, 1.0);
    empty["cells"] = json!([]);
    let mut other = alone(12, 1.0);
    other["cells"][0]["id"] = json!("nofile=2048");
    let runs = [
        ("good", alone(12, 1.0)),
        ("few", alone(6, 1.0)),
        ("arms", arms(12, 1.0, 1.0)),
        ("future", future),
        ("empty", empty),
        ("other", other),
    ];
    let folder = folder(&runs);
    fs::create_dir(folder.path().join("cut")).unwrap();
    let text = runs[0].1.to_string();
    fs::write(folder.path().join("cut/report.json"), &text[..text.len() / 2]).unwrap();
    let table: &[(&str, &[&str], &[&str])] = &[
        (
            "a misspelt metric",
            &["gate", "--baseline", "good", "good", "--metric", "latency.p9"],
            &["did you mean `latency.p9"],
        ),
        (
            "a misspelt tolerance",
            &["gate", "--baseline", "good", "good", "--tolerance", "failurerate=1%"],
            &["did you mean `failure-rate`?"],
        ),
        ("an empty baseline", &["gate", "--baseline", "empty", "good"], &["`empty` has no cells"]),
        ("a truncated report", &["gate", "--baseline", "cut", "good"], &["cut/report.json", "EOF", "hint:"]),
        ("a truncated run", &["gate", "--baseline", "good", "cut"], &["cut/report.json", "EOF"]),
        ("a report from the future", &["gate", "--baseline", "future", "good"], &["of version 99", "hint:"]),
        ("no such run", &["gate", "--baseline", "good", "nowhere"], &["nowhere"]),
        ("another scenario", &["gate", "--baseline", "good", "other"], &["no cell in common", "nofile=2048"]),
        (
            "too few blocks",
            &["gate", "--baseline", "few", "good"],
            &["take 10 blocks", "there are 6", "--blocks 10", "--ceilings-only"],
        ),
        ("nothing to hold it against", &["gate", "good"], &["nothing to hold `good` against", "--arms base,head"]),
        ("no ceiling", &["gate", "good", "--ceilings-only"], &["no ceiling", "--ceiling latency.p99=50ms"]),
        ("a misspelt arm", &["gate", "arms", "--arms", "base,haed"], &["no arm `haed`", "`base`, `head`"]),
        ("one arm", &["gate", "arms", "--arms", "base"], &["--arms base,head"]),
        ("an arm twice", &["gate", "arms", "--arms", "head,head"], &["both sides"]),
        ("arms of a run without", &["compare", "good", "--arms", "base,head"], &["no arm `base`", "--arm"]),
        (
            "a glob that fits nothing",
            &["gate", "arms", "--arms", "base,head", "--cells", "backlog=*"],
            &["no cell fits", "nofile=1024"],
        ),
        ("a glob that is none", &["compare", "good", "few", "--cells", "a[b"], &["is no glob"]),
        ("one run alone", &["compare", "good"], &["not compared with itself"]),
        ("arms of two runs", &["compare", "good", "few", "--arms", "base,head"], &["arms are those of one run"]),
    ];
    for (name, arguments, says) in table {
        let said = brimful(folder.path(), arguments);
        assert_eq!((said.status, said.out.as_str()), (2, ""), "{name}: {}", said.err);
        assert!(said.err.starts_with("error: "), "{name}: {}", said.err);
        for expected in *says {
            assert!(said.err.contains(expected), "{name}: `{expected}` is not in\n{}", said.err);
        }
    }
}

#[test]
fn a_missing_cell_fails_and_a_new_one_is_listed() {
    let mut more = alone(12, 1.0);
    let mut second = more["cells"][0].clone();
    second["id"] = json!("nofile=65535");
    more["cells"].as_array_mut().unwrap().push(second);
    let folder = folder(&[("one", alone(12, 1.0)), ("two", more)]);
    let said = brimful(folder.path(), &["gate", "--baseline", "two", "one"]);
    assert_eq!(said.status, 4, "{}", said.out);
    assert!(said.out.contains("missing  nofile=65535") && said.out.contains("1 missing cell"), "{}", said.out);
    let said = brimful(folder.path(), &["gate", "--baseline", "one", "two"]);
    assert_eq!(said.status, 0, "{}", said.out);
    assert!(said.out.contains("new      nofile=65535"), "{}", said.out);
}

#[test]
fn a_baseline_whose_aa_failed_is_refused() {
    let folder = folder(&[("before", alone(12, 1.0)), ("after", alone(12, 1.003)), ("aa", arms(12, 1.0, 1.3))]);
    let aa = brimful(folder.path(), &["gate", "aa", "--arms", "base,head", "--format", "json"]);
    assert_eq!(aa.status, 4);
    let beside = folder.path().join("before/aa.json");
    fs::write(&beside, &aa.out).unwrap();
    for baseline in ["before", "before/report.json"] {
        let said = brimful(folder.path(), &["gate", "--baseline", baseline, "after"]);
        assert_eq!(said.status, 2, "{}", said.out);
        assert!(said.err.contains("the A/A of the baseline failed"), "{}", said.err);
    }
    // Only of the baseline: what is held against it need not have one.
    assert_eq!(brimful(folder.path(), &["gate", "--baseline", "after", "before"]).status, 0);
    for (text, says) in [("{", "EOF"), (r#"{"gate_version": 99}"#, "of version 99")] {
        fs::write(&beside, text).unwrap();
        let said = brimful(folder.path(), &["gate", "--baseline", "before", "after"]);
        assert_eq!(said.status, 2, "{}", said.out);
        assert!(said.err.contains("aa.json") && said.err.contains(says), "{}", said.err);
    }
    fs::write(&beside, aa.out.replacen("\"answer\": \"fail\"", "\"answer\": \"pass\"", 1)).unwrap();
    assert_eq!(brimful(folder.path(), &["gate", "--baseline", "before", "after"]).status, 0);
}

#[test]
fn help_shows_what_to_type() {
    for command in ["compare", "gate"] {
        let said = brimful(Path::new("."), &[command, "--help"]);
        assert_eq!(said.status, 0);
        assert!(said.out.contains("Examples:") && said.out.contains("--arms base,head"), "{}", said.out);
    }
}
