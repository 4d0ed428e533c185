//! What the tests that run the binary share.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use brimful_evidence::record::Record;

/// How long processes may take to come and to go.
const PATIENCE: Duration = Duration::from_secs(30);

/// The binary under test.
pub(super) const BRIMFUL: &str = env!("CARGO_BIN_EXE_brimful");

/// A copy of the binary where an ordinary user can reach it, gone when this is dropped.
pub(super) struct Reachable {
    folder: tempfile::TempDir,
}

impl Reachable {
    /// Made by another process: what this one has open for writing, a child of another test's thread may have as well for a moment, and it could not
    /// be executed then (`ETXTBSY`).
    pub(super) fn copy() -> Self {
        let copy = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        fs::set_permissions(copy.folder.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
        assert!(Command::new("cp").arg(BRIMFUL).arg(copy.path()).status().expect("cp runs").success());
        copy
    }

    /// Where it is.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("brimful")
    }
}

/// Whether a sandbox can be made here. In CI its absence is a failure; at a desk the test says so and returns.
pub(super) fn sandbox_allowed() -> bool {
    let allowed = Command::new("unshare").args(["-Urn", "true"]).output().is_ok_and(|o| o.status.success())
        || Command::new("unshare").args(["-n", "true"]).output().is_ok_and(|o| o.status.success());
    let required = std::env::var_os("BRIMFUL_REQUIRE_PRIVILEGES").is_some_and(|value| value == "1");
    assert!(
        allowed || !required,
        "no network namespace can be made here, and BRIMFUL_REQUIRE_PRIVILEGES=1 asks for it"
    );
    if !allowed {
        eprintln!("NOT RUN: no network namespace can be made here");
    }
    allowed
}

/// Processes with this word on their command line.
pub(super) fn processes_with(word: &str) -> usize {
    let commands = fs::read_dir("/proc").unwrap().flatten().filter_map(|e| fs::read(e.path().join("cmdline")).ok());
    commands.filter(|command| command.split(|&byte| byte == 0).any(|part| part == word.as_bytes())).count()
}

/// Runs a scenario that starts processes with a mark on their command lines, kills brimful once they are there, and waits until they are gone.
pub(super) fn killed_leaves_nothing_with(mark: &str, scenario: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scenario.toml");
    fs::write(&file, scenario).unwrap();
    let mut run = Command::new(BRIMFUL)
        .arg("run")
        .arg(&file)
        .arg("--out")
        .arg(folder.path().join("out"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let until = |there: bool| {
        let deadline = Instant::now() + PATIENCE;
        while (processes_with(mark) > 0) != there {
            assert!(Instant::now() < deadline, "waited for {there}: {} processes have the mark", processes_with(mark));
            thread::sleep(Duration::from_millis(20));
        }
    };
    until(true);
    run.kill().unwrap();
    run.wait().unwrap();
    until(false);
}

/// A finished `brimful run`.
pub(super) struct Run {
    /// Where it wrote, as long as this lives.
    pub(super) folder: tempfile::TempDir,
    /// What it printed, and its status.
    pub(super) output: Output,
}

impl Run {
    /// Runs a scenario given as text.
    pub(super) fn of(text: &str, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("scenario.toml");
        fs::write(&file, text).expect("a scenario file");
        let output = Command::new(BRIMFUL)
            .arg("run")
            .arg(&file)
            .arg("--out")
            .arg(folder.path().join("out"))
            .args(options)
            .output()
            .expect("brimful runs");
        Self { folder, output }
    }

    /// The exit status.
    pub(super) fn status(&self) -> Option<i32> {
        self.output.status.code()
    }

    /// Standard error as text.
    pub(super) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// Every record that counts, in the order of cell ids.
    pub(super) fn records(&self) -> Vec<Record> {
        let mut paths = Vec::new();
        collect(&self.folder.path().join("out/cells"), &mut paths);
        paths.sort();
        let records: Vec<Record> =
            paths.iter().map(|path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap()).collect();
        assert!(!records.is_empty(), "no record was written; it said:\n{}", self.stderr());
        records
    }

    /// The only record.
    pub(super) fn record(&self) -> Record {
        let mut records = self.records();
        assert_eq!(records.len(), 1, "one cell was expected");
        records.remove(0)
    }

    /// `report.json`.
    pub(super) fn report(&self) -> serde_json::Value {
        let path = self.folder.path().join("out/report.json");
        serde_json::from_slice(&fs::read(path).expect("report.json")).expect("JSON")
    }
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            // What a busy machine spoilt and was repeated is kept there.
            if path.file_name().is_some_and(|name| name != "void") {
                collect(&path, into);
            }
        } else if path.extension().is_some_and(|ending| ending == "json") {
            into.push(path);
        }
    }
}
