//! Nothing survives a run, however it ends.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use super::support::{BRIMFUL, sandbox_allowed};

/// How long the kernel may take to end what was killed and to dismantle its namespaces.
const PATIENCE: Duration = Duration::from_secs(30);

const SCENARIO: &str = r#"
    question = "what survives?"
    [topology]
    path = "veth"
    [load]
    connections = 2_000
    ramp = "1s"
    hold = "1s"
    [probe]
    period = "250ms"
    timeout = "1s"
    [matrix.sysctl]
    "net.core.somaxconn" = [99]
    "net.ipv4.tcp_max_syn_backlog" = [64]
    [matrix.ulimit]
    nofile = [512, 4_096]
"#;

/// What a run could leave behind on this machine.
#[derive(Debug, PartialEq, Eq)]
struct Traces {
    workers: BTreeSet<u32>,
    namespaces: BTreeSet<String>,
    interfaces: BTreeSet<String>,
    cgroups: usize,
    sysctls: Vec<String>,
}

impl Traces {
    /// `parent` names the run whose workers are looked for: their command line carries its pid.
    fn now(parent: u32) -> Self {
        let mut workers = BTreeSet::new();
        let mut namespaces = BTreeSet::new();
        let cgroups = brimful_cgroups(parent);
        let parent = parent.to_string();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let words: Vec<&[u8]> = command.split(|&b| b == 0).collect();
            if words.get(1) == Some(&b"__worker".as_slice()) && words.contains(&parent.as_bytes()) {
                workers.insert(pid);
                if let Ok(namespace) = fs::read_link(entry.path().join("ns/net")) {
                    namespaces.insert(namespace.display().to_string());
                }
            }
        }
        let interfaces = fs::read_dir("/sys/class/net")
            .unwrap()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name.starts_with("brimful"))
            .collect();
        let sysctls = ["net/core/somaxconn", "net/ipv4/tcp_max_syn_backlog", "fs/nr_open", "fs/file-max"]
            .map(|name| fs::read_to_string(PathBuf::from("/proc/sys").join(name)).unwrap())
            .to_vec();
        Self { workers, namespaces, interfaces, cgroups, sysctls }
    }

    fn is_clean(&self, before: &Self) -> bool {
        self.workers.is_empty() && self == before
    }
}

/// Control groups that carry a run's name, in the trees that are mounted.
fn brimful_cgroups(owner: u32) -> usize {
    let name = format!("brimful-{owner}-");
    let mut found = 0;
    let mut folders = vec![(PathBuf::from("/sys/fs/cgroup"), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                found += usize::from(entry.file_name().to_string_lossy().starts_with(&name));
                if depth < 3 {
                    folders.push((entry.path(), depth + 1));
                }
            }
        }
    }
    found
}

#[test]
fn a_kill_at_any_instant_leaves_nothing() {
    if !sandbox_allowed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scenario.toml");
    fs::write(&file, SCENARIO).unwrap();
    // A small generator of our own, seeded from the clock and printed, so that a failure can be repeated.
    let mut seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos();
    println!("seed {seed}");
    for round in 0..10 {
        let before = Traces::now(u32::MAX);
        let mut run = Command::new(BRIMFUL)
            .args(["run", "--out"])
            .arg(folder.path().join(format!("out{round}")))
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // From before the first worker to the middle of the second cell; every instant is a fair one.
        thread::sleep(Duration::from_micros(u64::from(seed % 3_500_000)));
        run.kill().unwrap();
        run.wait().unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = Traces::now(run.id());
            if now.is_clean(&before) {
                break;
            }
            assert!(Instant::now() < deadline, "round {round} left {now:?}, before it was {before:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn ctrl_c_leaves_a_partial_report() {
    if !sandbox_allowed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scenario.toml");
    fs::write(&file, SCENARIO).unwrap();
    let out = folder.path().join("out");
    let run = Command::new(BRIMFUL)
        .args(["run", "--out"])
        .arg(&out)
        .arg(&file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = run.id();
    // In the first cell, as soon as all of its workers stand.
    let deadline = Instant::now() + PATIENCE;
    while Traces::now(pid).workers.len() < 4 {
        assert!(Instant::now() < deadline, "the first cell never began");
        thread::sleep(Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-INT", &pid.to_string()]).status().unwrap().success());
    let output = run.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("stopping, because of a signal"), "{said}");
    let report: serde_json::Value = serde_json::from_slice(&fs::read(out.join("report.json")).unwrap()).unwrap();
    assert_eq!(report["interrupted"], true);
    assert!(fs::read_to_string(out.join("report.md")).unwrap().contains("broken off by a signal"));
    assert!(Traces::now(pid).workers.is_empty());
}
