//! `brimful restore`, and what a run says of a host that was left changed. No test here can change the host: wherever a value could be
//! written, it is the one that stands.
#![expect(clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use serde_json::Value;

/// A setting of the host that every Linux has.
const NAME: &str = "fs.file-max";

fn standing() -> String {
    fs::read_to_string("/proc/sys/fs/file-max").unwrap().trim().to_owned()
}

/// A folder with the journal of a run that was killed, when the boot had this id and the setting these values.
fn left(boot: &str, before: &str, wrote: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("77.journal");
    let text = format!(
        "{{\"owner\":{{\"version\":1,\"pid\":77,\"boot\":\"{boot}\",\"run\":\"brimful run x\",\"since\":\"2026-11-23T18:00:00Z\"}}}}\n\
         {{\"change\":{{\"number\":1,\"name\":\"{NAME}\",\"path\":\"/proc/sys/fs/file-max\",\"before\":\"{before}\",\
         \"wrote\":\"{wrote}\",\"at\":\"2026-11-23T18:00:01Z\"}}}}\n{{\"chan"
    );
    fs::write(&file, text).unwrap();
    (folder, file)
}

fn this_boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().trim().to_owned()
}

fn brimful(journals: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_brimful"));
    command.args(words).arg("--journal").arg(journals).output().unwrap()
}

fn restore(journals: &Path, words: &[&str]) -> (Option<i32>, Value, String) {
    let output = brimful(journals, &[&["restore", "--format", "json"], words].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    (output.status.code(), value, said)
}

#[test]
fn where_no_journal_is_there_is_nothing_to_restore() {
    let folder = tempfile::tempdir().unwrap();
    let (status, value, said) = restore(&folder.path().join("none"), &["--dry-run"]);
    assert_eq!(
        (status, &value["journals"], &value["done"]),
        (Some(0), &Value::Array(Vec::new()), &Value::Bool(true)),
        "{said}"
    );
    assert!(!folder.path().join("none").exists(), "a look makes no folder");
}

#[test]
fn a_journal_from_before_the_last_boot_is_dropped() {
    let (folder, file) = left("another", "5", &standing());
    let (status, value, _) = restore(folder.path(), &["--dry-run"]);
    assert_eq!((status, &value["journals"][0]["torn"]), (Some(0), &Value::Bool(true)));
    assert!(file.exists());
    let (status, value, _) = restore(folder.path(), &[]);
    assert_eq!((status, &value["journals"][0]["changes"][0]["outcome"]), (Some(0), &Value::from("earlier-boot")));
    assert!(!file.exists());
}

#[test]
fn what_somebody_else_changed_since_is_left_and_said() {
    let before = standing();
    // Neither value stands, so nobody writes anything without --force.
    let (folder, file) = left(&this_boot(), "1", "2");
    let output = brimful(folder.path(), &["restore"]);
    let (page, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(3), "{page}{said}");
    assert!(page.contains("of process 77, since 2026-11-23T18:00:00Z: brimful run x"), "{page}");
    assert!(page.contains("fs.file-max: left, because"), "{page}");
    assert!(
        said.contains("error: not everything could be put back\nhint: `brimful restore --force --journal "),
        "{said}"
    );
    assert!(file.exists() && standing() == before);
}

/// A scenario that asks for the value that stands.
fn harmless(folder: &Path) -> String {
    let file = folder.join("harmless.toml");
    let text = format!(
        "question = \"?\"\n[load]\nconnections = 5\nramp = \"1s\"\nhold = \"1s\"\n[probe]\nperiod = \"500ms\"\n\
         [matrix.sysctl]\n\"{NAME}\" = [{}]\n",
        standing()
    );
    fs::write(&file, text).unwrap();
    file.display().to_string()
}

#[test]
fn no_run_changes_a_host_that_an_earlier_one_left_changed() {
    let (folder, file) = left(&this_boot(), "1", "2");
    let out = tempfile::tempdir().unwrap();
    let scenario = harmless(out.path());
    let into = out.path().join("out").display().to_string();
    let output = brimful(folder.path(), &["run", &scenario, "--out", &into, "--allow-host-changes"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    // An ordinary user is told before that it may not change anything here.
    let root = fs::OpenOptions::new().write(true).open("/proc/sys/fs/file-max").is_ok();
    let why = if root { "an earlier run left this host changed" } else { "`fs.file-max` cannot be changed here" };
    assert!(said.contains(why) && said.contains("hint: "), "{said}");
    assert!(!root || said.contains("hint: brimful restore"), "{said}");
    assert!(file.exists());
}

#[test]
fn without_the_flag_both_ways_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = harmless(folder.path());
    for command in ["run", "check", "knee"] {
        let output = Command::new(env!("CARGO_BIN_EXE_brimful")).args([command, &scenario]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{command}: {said}");
        assert!(said.contains("`sysctl.fs.file-max` is host-wide"), "{said}");
        assert!(said.contains("brimful vm run") && said.contains("--allow-host-changes"), "{said}");
    }
}
