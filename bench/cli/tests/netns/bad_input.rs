//! Bad input: a clear message with place and hint, the documented exit status, and nothing left behind.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Output};

use super::support::{BRIMFUL, Run, sandbox_allowed};

/// A scenario that is good as it is, to be spoilt.
const GOOD: &str = r#"question = "is it good?"
[load]
connections = 10
ramp = "100ms"
hold = "300ms"
[probe]
period = "100ms"
timeout = "100ms"
"#;

struct Bad {
    name: &'static str,
    text: String,
    status: i32,
    says: &'static [&'static str],
}

fn bad(name: &'static str, text: String, status: i32, says: &'static [&'static str]) -> Bad {
    Bad { name, text, status, says }
}

fn table() -> Vec<Bad> {
    let many: Vec<String> = (1..=100).map(|n| n.to_string()).collect();
    let many = many.join(", ");
    vec![
        bad(
            "a misspelt key",
            GOOD.replace("connections", "connectons"),
            2,
            &["scenario.toml", "connectons", "^", "connections", "hint:"],
        ),
        bad("a missing unit", GOOD.replace("\"300ms\"", "300"), 2, &["scenario.toml", "hold", "^", "hint:"]),
        bad("a unit nobody knows", GOOD.replace("300ms", "300 parsecs"), 2, &["parsecs", "^"]),
        bad("a negative count", GOOD.replace("= 10", "= -10"), 2, &["-10", "^", "hint:"]),
        bad(
            "an unknown sysctl",
            format!("{GOOD}[matrix.sysctl]\n\"net.core.somaxcon\" = [1, 2]\n"),
            2,
            &["net.core.somaxcon", "did you mean", "net.core.somaxconn"],
        ),
        bad(
            "a host-wide sysctl of the network",
            format!("{GOOD}[matrix.sysctl]\n\"net.core.netdev_max_backlog\" = [1_000, 2_000]\n"),
            3,
            &["scenario.toml", "^", "net.core.netdev_max_backlog", "host-wide", "hint:"],
        ),
        bad(
            "a host-wide sysctl of the file system",
            format!("{GOOD}[matrix.sysctl]\n\"fs.file-max\" = [1_000, 2_000]\n"),
            3,
            &["scenario.toml", "^", "fs.file-max", "host-wide", "hint:"],
        ),
        bad(
            "a value that the kernel refuses",
            format!("{GOOD}[matrix.sysctl]\n\"net.ipv4.tcp_synack_retries\" = [1, 9_999]\n"),
            2,
            &["net.ipv4.tcp_synack_retries", "9,999", "^"],
        ),
        bad(
            "a matrix of 10,000 cells",
            format!("{GOOD}[matrix.target]\nbacklog = [{many}]\n[matrix.sysctl]\n\"net.core.somaxconn\" = [{many}]\n"),
            2,
            &["10,000", "4,096", "hint:"],
        ),
        bad(
            "a limit above the hard one",
            format!("{GOOD}[matrix.ulimit]\nnofile = [1_024, 900_000_000]\n"),
            3,
            &["ulimit.nofile", "900000000", "clamp"],
        ),
        bad("no question", GOOD.replace("question = \"is it good?\"", ""), 2, &["question"]),
        bad("no TOML at all", "}{".to_owned(), 2, &["scenario.toml", "^"]),
    ]
}

/// The folder of a run that was refused must not exist.
fn wrote_nothing(run: &Run) -> bool {
    !run.folder.path().join("out").exists()
}

#[test]
fn bad_scenarios_are_refused_before_anything_runs() {
    if !sandbox_allowed() {
        return;
    }
    for Bad { name, text, status, says } in table() {
        let run = Run::of(&text, &[]);
        let said = run.stderr();
        assert_eq!(run.status(), Some(status), "{name}: {said}");
        assert!(said.starts_with("error: "), "{name}: {said}");
        for expected in says {
            assert!(said.contains(expected), "{name}: `{expected}` is not in\n{said}");
        }
        assert!(wrote_nothing(&run), "{name}");
    }
}

fn brimful(arguments: &[&str]) -> Output {
    Command::new(BRIMFUL).args(arguments).output().expect("brimful runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_port_in_use_is_the_targets_failure() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = brimful(&["serve", "--listen", &address]);
    assert_eq!(output.status.code(), Some(7), "{}", said(&output));
    assert!(said(&output).contains(&address) && said(&output).contains("hint:"), "{}", said(&output));
}

#[test]
fn a_target_that_cannot_start_in_its_cell_is_told() {
    if !sandbox_allowed() {
        return;
    }
    // Without IPv6 on lo there is no [::1] to listen on: one cell's target dies at start, the other one runs.
    let text = format!(
        "{GOOD}[target]\nlisten = \"[::1]:23380\"\n[matrix.sysctl]\n\"net.ipv6.conf.lo.disable_ipv6\" = [1, 0]\n"
    );
    let run = Run::of(&text, &[]);
    assert_eq!(run.status(), Some(7), "{}", run.stderr());
    assert!(run.stderr().contains("did not start") && run.stderr().contains("disable_ipv6=1"), "{}", run.stderr());
    let report = run.report();
    assert_eq!(report["cells"].as_array().map(Vec::len), Some(1), "{}", run.stderr());
    assert_eq!(report["missing"][0]["id"], "disable_ipv6=1");
}

#[test]
fn a_server_that_exits_at_emfile_is_a_finding() {
    if !sandbox_allowed() {
        return;
    }
    let text = format!("{GOOD}[target]\non-emfile = \"exit\"\n[matrix.ulimit]\nnofile = [32]\n");
    let run = Run::of(&text.replace("connections = 10", "connections = 100"), &[]);
    assert_eq!(run.status(), Some(0), "{}", run.stderr());
    let record = run.record();
    assert_eq!(record.target.early_ends.len(), 1, "{:?}", record.target);
}

#[test]
fn what_is_not_there_is_named_with_what_is() {
    let output = brimful(&["run", "orign"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("did you mean `origin`?"), "{}", said(&output));

    let output = brimful(&["run", "no/such/file.toml"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("no/such/file.toml"), "{}", said(&output));

    let output = brimful(&["run", "origin", "--only", "nofile=7"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("nofile=1024"), "{}", said(&output));

    let output = brimful(&["runn"]);
    assert_eq!(output.status.code(), Some(2));

    let output = brimful(&["report", "no-such-folder"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
}

#[test]
fn a_folder_that_is_not_empty_is_refused_without_force() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine"), "precious").unwrap();
    let output = brimful(&["run", "null", "--out", &folder.path().display().to_string()]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("--force"), "{}", said(&output));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn load_and_probe_leave_a_server_alone_that_does_not_consent() {
    if !sandbox_allowed() {
        return;
    }
    for command in ["load", "probe"] {
        // Without a network, so that nobody is asked either.
        let output =
            Command::new("unshare").args(["-Urn", BRIMFUL, command, "192.0.2.1:80"]).output().expect("unshare");
        assert_eq!(output.status.code(), Some(3), "{}", said(&output));
        assert!(said(&output).contains("consent") && said(&output).contains("hint:"), "{}", said(&output));
    }
}

#[test]
fn an_expectation_that_does_not_hold_is_told() {
    if !sandbox_allowed() {
        return;
    }
    let text = format!("{GOOD}[expect]\ncells = [{{ outcome = \"failing\", cause = \"fd-limit\" }}]\n");
    let run = Run::of(&text, &["--verify"]);
    assert_eq!(run.status(), Some(4), "{}", run.stderr());
    assert!(run.stderr().contains("verify:"), "{}", run.stderr());
}

#[test]
fn a_host_that_forbids_user_namespaces_is_told_with_what_to_do() {
    if !sandbox_allowed() {
        return;
    }
    // A user namespace in which no further one may be made, entered without any capability: an unprivileged user on such a host.
    let script = format!(
        "echo 0 > /proc/sys/user/max_user_namespaces && \
         exec setpriv --bounding-set=-all --inh-caps=-all {BRIMFUL} run null --out /nonexistent/out"
    );
    let output = Command::new("unshare").args(["-Ur", "sh", "-c", &script]).output().expect("unshare runs");
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("user.max_user_namespaces") && said(&output).contains("hint:"), "{}", said(&output));
}

#[test]
fn built_in_scenarios_are_listed_shown_and_checked() {
    let list = brimful(&["scenarios"]);
    assert_eq!(list.status.code(), Some(0));
    let names = String::from_utf8(list.stdout).unwrap();
    for name in
        ["origin", "fd-soft-1024", "fd-soft-raised-control", "backlog-app-small", "backlog-sysctl-ignored", "null"]
    {
        assert!(names.lines().any(|line| line.split_whitespace().next() == Some(name)), "{name} is not in\n{names}");
        let shown = brimful(&["scenarios", "show", name]);
        assert!(String::from_utf8(shown.stdout).unwrap().contains("question"));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new.toml");
    fs::write(&file, brimful(&["scenarios", "new"]).stdout).unwrap();
    let checked = brimful(&["check", "--syntax", &file.display().to_string()]);
    assert_eq!(checked.status.code(), Some(0), "{}", said(&checked));
}
