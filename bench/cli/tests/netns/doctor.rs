//! The doctor at the bedside: a scenario goes on in a sandbox with something wrong, and the doctor looks at its target from outside.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::support::{BRIMFUL, Reachable, sandbox_allowed};

/// How long a fault may take to show itself: the longest is a table that is filled first, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether the doctor may look into a sandbox: only root enters another's network namespace.
fn may_look() -> bool {
    if !sandbox_allowed() {
        return false;
    }
    let root = fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0);
    if !root {
        eprintln!("NOT RUN: only root may enter the network namespace of another process");
    }
    root
}

/// A run that goes on until this is dropped, and the process of its target.
struct Patient {
    child: Child,
    pid: u32,
    _folder: tempfile::TempDir,
}

impl Patient {
    fn of(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("scenario.toml");
        fs::write(&file, text).expect("a scenario file");
        let child = Command::new(BRIMFUL)
            .args(["run", "--plain", "--out"])
            .arg(folder.path().join("out"))
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("said")).expect("a file"))
            .spawn()
            .expect("brimful runs");
        let mut patient = Self { child, pid: 0, _folder: folder };
        let deadline = Instant::now() + PATIENCE;
        while patient.pid == 0 {
            let ended = patient.child.try_wait().expect("it can be waited for");
            let said = || fs::read_to_string(patient._folder.path().join("said")).unwrap_or_default();
            assert!(ended.is_none() && Instant::now() < deadline, "no target was started: {ended:?}\n{}", said());
            patient.pid = target_of(patient.child.id()).unwrap_or(0);
            std::thread::sleep(Duration::from_millis(20));
        }
        patient
    }

    /// What the doctor says of it.
    fn examined(&self) -> Value {
        doctor(&["--pid", &self.pid.to_string()])
    }

    /// What the doctor says as soon as it says anything; nothing else may come first.
    fn first_said(&self) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let diagnosis = self.examined();
            if !causes(&diagnosis).is_empty() {
                return diagnosis;
            }
            assert!(Instant::now() < deadline, "nothing was found: {diagnosis:#}");
        }
    }
}

impl Drop for Patient {
    fn drop(&mut self) {
        // Its workers die with it.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The target's worker of a run, by the words that it was started with.
fn target_of(run: u32) -> Option<u32> {
    let run = run.to_string();
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid = entry.file_name().to_string_lossy().parse().ok()?;
        let words = fs::read(entry.path().join("cmdline")).ok()?;
        let words: Vec<&[u8]> = words.split(|&byte| byte == 0).collect();
        let is_target = words.get(1..4) == Some(&[b"__worker".as_slice(), b"target", run.as_bytes()]);
        is_target.then_some(pid)
    })
}

fn doctor(options: &[&str]) -> Value {
    let output =
        Command::new(BRIMFUL).args(["doctor", "--format", "json"]).args(options).output().expect("brimful runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn causes(diagnosis: &Value) -> Vec<&str> {
    diagnosis["causes"]
        .as_array()
        .expect("causes")
        .iter()
        .map(|found| found["cause"].as_str().expect("a name"))
        .collect()
}

fn ruled_out(diagnosis: &Value) -> Vec<&str> {
    diagnosis["ruled_out"]
        .as_array()
        .expect("ruled out")
        .iter()
        .map(|out| out["cause"].as_str().expect("a name"))
        .collect()
}

/// The tail that every scenario here has.
const PROBE: &str = "[probe]\nperiod = \"1s\"\ntimeout = \"1s\"\n";

/// Connections that come and go, so many a second, for a minute.
fn churn(a_second: u32) -> String {
    format!(
        "[load]\nbehaviour = \"churn\"\nlifetime = \"100ms\"\nconnections = {}\nramp = \"60s\"\nhold = \"10s\"\n{PROBE}",
        a_second * 60
    )
}

#[test]
fn descriptors_at_the_limit() {
    if !may_look() {
        return;
    }
    let patient = Patient::of(&format!(
        "question = \"?\"\n[target]\nbacklog = 4_096\non-emfile = \"sleep\"\n[load]\nconnections = 600\nramp = \"1s\"\nhold = \"60s\"\n\
         {PROBE}[matrix.ulimit]\nnofile = [\"256:4096\"]\n"
    ));
    let diagnosis = patient.first_said();
    assert_eq!(causes(&diagnosis), ["fd-limit"], "{diagnosis:#}");
    assert!(ruled_out(&diagnosis).contains(&"acceptor-stalled"), "{diagnosis:#}");
    assert_eq!(diagnosis["binds_first"][0]["limit"], "ulimit.nofile");
    assert_eq!(diagnosis["binds_first"][0]["room"], 0);
    let process = &diagnosis["processes"][0];
    assert_eq!((&process["descriptors"], &process["nofile_soft"]), (&256.into(), &256.into()));
    assert!(process["limit_from"].as_str().is_some_and(|from| from.contains("not its parent's")), "{process}");
}

/// Pauses of 700 ms in each second, and 500 connections a second.
fn paused(backlog: u32, somaxconn: u32) -> String {
    format!(
        "question = \"?\"\n[target]\nbacklog = {backlog}\naccept-pause = {{ first = \"500ms\", every = \"1s\", length = \"700ms\" }}\n{}\
         [matrix.sysctl]\n\"net.core.somaxconn\" = [{somaxconn}]\n[matrix.ulimit]\nnofile = [4_096]\n",
        churn(500)
    )
}

#[test]
fn a_small_backlog() {
    if !may_look() {
        return;
    }
    let patient = Patient::of(&paused(16, 4_096));
    let diagnosis = patient.first_said();
    assert_eq!(causes(&diagnosis)[0], "accept-queue", "{diagnosis:#}");
    let cure = &diagnosis["causes"][0]["cure"];
    assert_eq!(cure["knob"], "target.backlog", "{cure}");
    assert!(ruled_out(&diagnosis).contains(&"fd-limit"));
}

#[test]
fn a_somaxconn_that_was_raised_after_listen() {
    if !may_look() {
        return;
    }
    let patient = Patient::of(&paused(4_096, 16));
    let raised = Command::new("nsenter")
        .arg(format!("--net=/proc/{}/ns/net", patient.pid))
        .args(["sh", "-c", "echo 4096 > /proc/sys/net/core/somaxconn"])
        .status()
        .expect("nsenter runs");
    assert!(raised.success());
    let diagnosis = patient.first_said();
    assert_eq!(causes(&diagnosis)[0], "accept-queue", "{diagnosis:#}");
    let found = &diagnosis["causes"][0];
    let because = found["cure"]["because"].as_str().expect("why");
    assert!(because.contains("listened before somaxconn was raised"), "{because}");
    let listener = &diagnosis["listeners"][0];
    assert_eq!((&listener["send_q"], &listener["somaxconn"]), (&16.into(), &4_096.into()));
    let traps = diagnosis["traps"].to_string();
    assert!(traps.contains("does not reach a socket that is listening already"), "{traps}");
}

#[test]
fn a_full_tracking_table() {
    if !may_look() {
        return;
    }
    let patient = Patient::of(&format!(
        "question = \"?\"\n[[fault]]\nkind = \"conntrack-full\"\n[load]\nconnections = 50\nramp = \"1s\"\nhold = \"60s\"\n\
         {PROBE}[matrix.ulimit]\nnofile = [1_024]\n"
    ));
    let diagnosis = patient.first_said();
    assert_eq!(causes(&diagnosis), ["conntrack-full"], "{diagnosis:#}");
    assert!(ruled_out(&diagnosis).contains(&"accept-queue"), "{diagnosis:#}");
}

#[test]
fn ports_that_are_used_up() {
    if !may_look() {
        return;
    }
    let patient = Patient::of(
        "question = \"?\"\n[load]\nbehaviour = \"churn\"\nlifetime = \"100ms\"\nconnections = 200\nramp = \"1s\"\nhold = \"50s\"\n\
         source = \"kernel\"\n[probe]\nperiod = \"1s\"\ntimeout = \"1s\"\ninitial-delay = \"3s\"\n\
         [matrix.sysctl]\n\"net.ipv4.tcp_tw_reuse\" = [0]\n\"net.ipv4.ip_local_port_range\" = [\"40000 40199\"]\n\
         [matrix.ulimit]\nnofile = [4_096]\n",
    );
    let diagnosis = patient.first_said();
    assert_eq!(causes(&diagnosis), ["local-ports"], "{diagnosis:#}");
}

#[test]
fn a_quota_that_stops_the_acceptor() {
    if !may_look() {
        return;
    }
    let patient = Patient::of(&format!(
        "question = \"?\"\nneeds = [\"root\"]\n[target]\nbacklog = 32_768\n{}[matrix.target]\ncpu = [1]\n\
         [matrix.sysctl]\n\"net.core.somaxconn\" = [32_768]\n[matrix.ulimit]\nnofile = [16_384]\n",
        churn(1_000)
    ));
    let diagnosis = patient.first_said();
    assert_eq!(causes(&diagnosis), ["acceptor-throttled"], "{diagnosis:#}");
    assert!(ruled_out(&diagnosis).contains(&"acceptor-stalled"), "{diagnosis:#}");
}

#[test]
fn connections_that_are_never_closed() {
    if !may_look() {
        return;
    }
    let patient = Patient::of(&format!(
        "question = \"?\"\n[target]\nbacklog = 4_096\non-emfile = \"sleep\"\nleak-one-in = 2\n{}[matrix.ulimit]\nnofile = [512]\n",
        churn(200)
    ));
    let diagnosis = patient.first_said();
    assert_eq!(causes(&diagnosis), ["fd-leak"], "{diagnosis:#}");
    // And when the limit is met, it is still the leak.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let diagnosis = patient.examined();
        assert_eq!(causes(&diagnosis), ["fd-leak"], "{diagnosis:#}");
        let process = &diagnosis["processes"][0];
        if process["descriptors"] == process["nofile_soft"] {
            break;
        }
        assert!(Instant::now() < deadline, "{process}");
    }
}

#[test]
fn a_healthy_and_busy_server_is_accused_of_nothing() {
    if !may_look() {
        return;
    }
    let patient = Patient::of(&format!("question = \"?\"\n{}[matrix.ulimit]\nnofile = [4_096]\n", churn(500)));
    let mut held = 0;
    let deadline = Instant::now() + PATIENCE;
    // Three looks at it, with the load on.
    while held < 3 {
        let diagnosis = patient.examined();
        assert_eq!(causes(&diagnosis), Vec::<&str>::new(), "{diagnosis:#}");
        assert_eq!(diagnosis["undecided"], serde_json::json!([]), "{diagnosis:#}");
        let listener = &diagnosis["listeners"][0];
        held += u32::from(listener["held"].as_u64() > Some(0));
        assert!(Instant::now() < deadline, "{listener}");
    }
}

#[test]
fn whoever_may_not_look_is_told_so() {
    if !may_look() {
        return;
    }
    let copy = Reachable::copy();
    let as_nobody = |options: &[&str]| {
        let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups", "--"];
        Command::new("setpriv")
            .args(nobody)
            .arg(copy.path())
            .arg("doctor")
            .args(options)
            .output()
            .expect("setpriv runs")
    };
    let me = std::process::id().to_string();
    let refused = as_nobody(&["--pid", &me]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("may not be read") && said.contains("hint: run it as root"), "{said}");
    let whole = as_nobody(&["--format", "json", "--window", "100ms"]);
    assert_eq!(whole.status.code(), Some(0));
    let diagnosis: Value = serde_json::from_slice(&whole.stdout).expect("JSON");
    assert!(diagnosis["not_seen"].to_string().contains("of other users"), "{}", diagnosis["not_seen"]);
}
