//! Blocks, arms, several cells at once, attempts that come to nothing, and runs that are merged.

use std::fs;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::support::{BRIMFUL, Run, sandbox_allowed};

/// Two cells of less than a second.
const SHORT: &str = r#"
    question = "which of them?"
    [load]
    connections = 20
    ramp = "100ms"
    hold = "500ms"
    [probe]
    period = "200ms"
    timeout = "200ms"
"#;

fn brimful(arguments: &[&str]) -> Output {
    Command::new(BRIMFUL).args(arguments).output().expect("brimful runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(path: &std::path::Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
}

/// Which cells began, in their order, by the log of a run; one that a busy machine spoilt begins again, and counts once.
fn order(folder: &std::path::Path) -> Vec<String> {
    let log = fs::read_to_string(folder.join("run.log")).expect("run.log");
    let began = log.lines().filter_map(|line| line.split_once(": begins").map(|(before, _)| before.to_owned()));
    let mut order: Vec<String> = began.map(|line| line.split_once(' ').expect("a time").1.to_owned()).collect();
    order.dedup();
    order
}

#[test]
fn a_seed_repeats_the_order_of_a_run() {
    if !sandbox_allowed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let outs = ["first", "second"].map(|name| folder.path().join(name));
    for out in &outs {
        let output = brimful(&["run", "smoke", "--blocks", "2", "--seed", "5", "--out", &out.display().to_string()]);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        assert!(said(&output).contains("seed 5"), "{}", said(&output));
    }
    let expected = ["block 0: nofile=1024", "block 0: nofile=64", "block 1: nofile=64", "block 1: nofile=1024"];
    assert_eq!(outs.each_ref().map(|out| order(out)), [expected, expected]);
    let report = json(&outs[0].join("report.json"));
    assert_eq!((&report["seed"], &report["blocks"]), (&5.into(), &2.into()));
    assert_eq!(report["cells"][0]["blocks"].as_array().map(Vec::len), Some(2));
    let record = json(&outs[0].join("cells/nofile=64/1.json"));
    let pause = record["cost"]["cooldown_ms"].as_f64().expect("how long it waited for the host's tables");
    assert!(pause > 0.0 && pause < 6_000.0, "{pause}");

    // Two runs of one scenario are one with four blocks.
    let merged = folder.path().join("merged");
    let paths = [&outs[0], &outs[1], &merged].map(|path| path.display().to_string());
    let output = brimful(&["merge", &paths[0], &paths[1], "--out", &paths[2], "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let report = json(&merged.join("report.json"));
    assert_eq!((&report["blocks"], report["missing"].as_array().map(Vec::len)), (&4.into(), Some(0)));
    assert_eq!(json(&merged.join("cells/nofile=64/3.json"))["block"], 3);
    assert!(fs::read_to_string(merged.join("run.log")).unwrap().contains("block 3 is block 1 of"));
    let again = brimful(&["report", &paths[2], "--format", "json"]);
    assert_eq!(String::from_utf8_lossy(&again.stdout), String::from_utf8_lossy(&output.stdout));
    let same = brimful(&["merge", &paths[0], &paths[0], "--out", &folder.path().join("same").display().to_string()]);
    assert_eq!(same.status.code(), Some(2), "{}", said(&same));
    assert!(said(&same).contains("same record") && said(&same).contains("hint:"), "{}", said(&same));
}

#[test]
fn arms_are_run_side_by_side_and_each_gets_what_it_sets() {
    if !sandbox_allowed() {
        return;
    }
    let text = format!("{SHORT}[arms]\nbase = {{}}\nhead = {{ target.backlog = 7 }}\n[gate]\nblocks = 8\n");
    let run = Run::of(&text, &["--blocks", "2"]);
    assert_eq!(run.status(), Some(0), "{}", run.stderr());
    let backlogs: Vec<(String, u32, u32)> =
        run.records().iter().map(|r| (r.cell.id.clone(), r.block, r.cell.target.plan.backlog)).collect();
    let row = |arm: &str, block, backlog| (format!("arm={arm}"), block, backlog);
    assert_eq!(backlogs, [row("base", 0, 4_096), row("base", 1, 4_096), row("head", 0, 7), row("head", 1, 7)]);
    let report = run.report();
    assert_eq!(report["arms"][1]["name"], "head");
    assert_eq!(report["gate"]["blocks"], 8);
    assert_eq!(report["cells"][1]["knobs"]["arm"]["asked"], "head");
    assert!(run.report()["seed"].as_u64().is_some_and(|seed| seed > 0), "{report}");
    let limits: Vec<u64> = run
        .records()
        .iter()
        .map(|r| r.evidence.server.listeners.values().next().expect("a listener").limit.first)
        .collect();
    assert_eq!(limits, [4_096, 4_096, 7, 7]);
}

#[test]
fn several_cells_run_at_once_and_the_report_says_so() {
    if !sandbox_allowed() {
        return;
    }
    let run = Run::of(&format!("{SHORT}[matrix.target]\nbacklog = [10, 20, 30, 40]\n"), &["--jobs", "4"]);
    assert_eq!(run.status(), Some(0), "{}", run.stderr());
    let records = run.records();
    assert_eq!(records.len(), 4);
    let note = &run.report()["notes"][0];
    assert!(note.as_str().is_some_and(|note| note.contains("4 cells ran at once")), "{note}");
    let log = fs::read_to_string(run.folder.path().join("out/run.log")).unwrap();
    let first_end = log.lines().position(|line| line.contains(": healthy")).expect("a cell ended");
    let begun = log.lines().take(first_end).filter(|line| line.contains(": begins")).count();
    assert!(begun >= 2, "no two cells were under way at once:\n{log}");
}

#[test]
fn a_block_that_came_to_nothing_is_repeated_and_kept_apart() {
    if !sandbox_allowed() {
        return;
    }
    // So many connections in a tenth of a second are beyond any generator: they come late, and the cell is void each time.
    let text = SHORT.replace("connections = 20", "connections = 60_000").replace("hold = \"500ms\"", "hold = \"1s\"");
    let text = format!("{text}[target]\naccept = \"dead\"\n[matrix.ulimit]\nnofile = [1_024]\n");
    let run = Run::of(&text, &[]);
    assert_eq!(run.status(), Some(6), "{}", run.stderr());
    let report = run.report();
    assert_eq!(report["cells"][0]["blocks"][0]["repeated"], 2, "{}", run.stderr());
    assert_eq!(report["cells"][0]["outcome"], "void");
    let cell = run.folder.path().join("out/cells/base");
    let attempt = |name: &str| json(&cell.join(name))["attempt"].clone();
    assert_eq!(
        [attempt("void/0-0.json"), attempt("void/0-1.json"), attempt("0.json")],
        [serde_json::Value::Null, 1.into(), 2.into()]
    );
    // Whoever reads the run again sees the one that counts.
    let again = brimful(&["report", &run.folder.path().join("out").display().to_string(), "--format", "json"]);
    let again: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(again["cells"][0]["blocks"].as_array().map(Vec::len), Some(1));
    // A scenario that says so has its answer at the first attempt.
    let expected = Run::of(&format!("{text}[expect]\ncells = [{{ outcome = \"void\" }}]\n"), &["--verify"]);
    assert_eq!(expected.status(), Some(0), "{}", expected.stderr());
    assert_eq!(expected.record().attempt, 0);
}

#[test]
fn the_quick_form_of_the_smoke_test_finds_the_same() {
    if !sandbox_allowed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out").display().to_string();
    let output = brimful(&["run", "smoke", "--quick", "--verify", "--out", &out]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("quick: load.hold is 1s 400ms instead of 1s 800ms"), "{}", said(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("quick: load.hold"), "the report says it too");
}

#[test]
fn ctrl_c_in_a_later_block_says_which_blocks_are_missing() {
    if !sandbox_allowed() {
        return;
    }
    for jobs in ["1", "2"] {
        let folder = tempfile::tempdir().unwrap();
        let (file, out) = (folder.path().join("scenario.toml"), folder.path().join("out"));
        fs::write(&file, format!("{SHORT}[matrix.target]\nbacklog = [10, 20]\n")).unwrap();
        let run = Command::new(BRIMFUL)
            .args(["run", "--blocks", "1000", "--jobs", jobs, "--out"])
            .args([&out, &file])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let log = || fs::read_to_string(out.join("run.log")).unwrap_or_default();
        while !log().contains("block 1: backlog=20: begins") {
            assert!(Instant::now() < deadline, "the second block never began:\n{}", log());
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap().success());
        let output = run.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{}", said(&output));
        let report = json(&out.join("report.json"));
        assert_eq!((&report["interrupted"], &report["blocks"]), (&true.into(), &1000.into()));
        let missing = report["missing"][0]["blocks"].as_array().expect("blocks that are missing");
        assert!(missing.len() >= 998 && missing.last() == Some(&999.into()), "{missing:?}");
        assert!(!missing.contains(&0.into()), "the first block was over");
    }
}
