//! A search for a knee on a real kernel: the number that descriptors give, its files, and what a signal leaves.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use brimful_judge::knee::KneeReport;
use brimful_plan::cell::RampUntil;
use brimful_plan::expect::CauseName;

use super::support::{BRIMFUL, Run, sandbox_allowed};

/// 64 descriptors less the 11 of the server itself are 53 for the load and the probe.
const SCENARIO: &str = r#"
question = "how many does a server of 64 descriptors hold?"
[target]
on-emfile = "sleep"
[load]
connections = 100
ramp = "200ms"
hold = "1200ms"
[probe]
period = "300ms"
timeout = "300ms"
[matrix.ulimit]
nofile = [64]
"#;
const KNEE: u64 = 52;
/// A server's own descriptors are not the same in every version of its runtime.
const SLACK: u64 = 2;

fn command(folder: &Path) -> Command {
    let file = folder.join("small.toml");
    fs::write(&file, SCENARIO).unwrap();
    let mut command = Command::new(BRIMFUL);
    command.arg("knee").arg(&file).arg("--out").arg(folder.join("out")).args(["--within", "5%"]);
    command
}

fn knees(folder: &Path) -> KneeReport {
    serde_json::from_slice(&fs::read(folder.join("out/knee.json")).expect("knee.json")).expect("a report")
}

#[test]
fn a_small_knee_is_found_where_arithmetic_puts_it() {
    if !sandbox_allowed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let Output { status, stdout, stderr } = command(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&stderr);
    assert_eq!(status.code(), Some(0), "{said}");
    let report = knees(folder.path());
    let cell = &report.cells[0];
    let (low, top) = (cell.knee.healthy_to.unwrap(), cell.knee.unhealthy_from.unwrap());
    assert_eq!(cell.foretold.as_ref().and_then(|foretold| foretold.healthy_to), Some(KNEE));
    assert!(low <= KNEE + SLACK && top > KNEE - SLACK, "between {low} and {top}: {said}");
    // Whatever a busy machine does to single tries, a knee that is said to be steady is a narrow one.
    assert!(!cell.knee.unsteady.is_empty() || top - low <= 2, "between {low} and {top}: {said}");
    assert_eq!(cell.breaks.as_ref().and_then(|broke| broke.verdict.cause), Some(CauseName::FdLimit), "{said}");
    for tried in &cell.tries {
        let record = fs::read(folder.path().join("out").join(&tried.record)).expect("the record of a try");
        let record: brimful_evidence::record::Record = serde_json::from_slice(&record).unwrap();
        assert_eq!((record.cell.load.connections, record.load.stopped_rising_at_ns), (tried.load, None));
    }
    assert!(fs::read_to_string(folder.path().join("out/knee.svg")).unwrap().starts_with("<svg "));
    assert!(fs::read_to_string(folder.path().join("out/knee.md")).unwrap().contains("fd-limit"));
    assert!(String::from_utf8_lossy(&stdout).contains("no probe fails; at"), "{}", String::from_utf8_lossy(&stdout));
    // A folder of tries is no run, and says so.
    let report = Command::new(BRIMFUL).arg("report").arg(folder.path().join("out")).output().unwrap();
    assert_eq!(report.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&report.stderr).contains("hint: its answer is in knee.json"));
}

#[test]
fn a_signal_leaves_what_is_known() {
    if !sandbox_allowed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut child = command(folder.path()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let first = lines.find(|line| line.starts_with("  1. ")).expect("a first try");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let rest: Vec<String> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{first}\n{}", rest.join("\n"));
    let report = knees(folder.path());
    assert!(report.interrupted);
    assert!(!report.cells[0].tries.is_empty() && !report.cells[0].knee.settled);
}

#[test]
fn a_load_rises_until_the_health_check_fails_and_is_not_called_the_generators_fault() {
    if !sandbox_allowed() {
        return;
    }
    let rising = SCENARIO
        .replace("connections = 100", "connections = 400\nramp-until = \"unhealthy\"")
        .replace("ramp = \"200ms\"", "ramp = \"10s\"");
    let run = Run::of(&rising, &[]);
    assert_eq!(run.status(), Some(0), "{}", run.stderr());
    let record = run.record();
    let load = &record.load;
    assert_eq!(record.cell.load.ramp_until, Some(RampUntil::Unhealthy));
    let stopped_ns = load.stopped_rising_at_ns.expect("it was told");
    assert!((KNEE - SLACK..400).contains(&load.outcome.attempted), "{}", load.outcome.attempted);
    // Forty a second: not many more can have been opened than were due by then.
    assert!(load.outcome.attempted <= stopped_ns / 25_000_000 + 20, "{} by {stopped_ns}", load.outcome.attempted);
    assert!(record.duration_ns < 11_000_000_000, "the hold counts from where it stopped");
    let report = run.report();
    assert_eq!(report["cells"][0]["outcome"], "failing");
    assert_eq!(report["cells"][0]["verdict"]["cause"], "fd-limit");
}
