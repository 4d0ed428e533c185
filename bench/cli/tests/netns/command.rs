//! Any server as target: brimful's own, started as if it were a stranger's and judged from outside only.

use std::fs;

use brimful_judge::judge;
use brimful_plan::expect::{CauseName, CellOutcome};

use super::support::{BRIMFUL, Run, killed_leaves_nothing_with, sandbox_allowed};

/// A scenario whose command is `argv`, with 200 connections against 64 descriptors.
fn scenario(argv: &[&str], more: &str) -> String {
    format!(
        r#"
        question = "what does a stranger do?"
        [target]
        kind = "command"
        argv = {argv:?}
        listen = "127.0.0.1:8080"
        start-timeout = "15s"
        {more}
        [load]
        connections = 200
        ramp = "200ms"
        hold = "1800ms"
        [probe]
        http-get = "/healthz"
        period = "400ms"
        timeout = "400ms"
        [matrix.ulimit]
        nofile = [64]
        "#
    )
}

/// A server that a shell has started: the shell keeps its descriptors, the server runs out of its own.
const BEHIND_A_SHELL: &str =
    "echo here I am; \"$0\" serve --listen {{listen}} --backlog {{queue}} --on-emfile sleep & wait";

#[test]
fn a_command_is_judged_by_the_descriptors_of_its_whole_tree() {
    if !sandbox_allowed() {
        return;
    }
    let run = Run::of(&scenario(&["sh", "-c", BEHIND_A_SHELL, BRIMFUL], "arg = { queue = 300 }"), &[]);
    assert_eq!(run.status(), Some(0), "{}", run.stderr());
    let record = run.record();
    assert!(record.target.ready.is_empty() && record.target.outcomes.is_empty(), "a stranger gives no account");
    let members: Vec<(String, u64, u64)> = record
        .evidence
        .processes
        .iter()
        .filter_map(|p| Some((p.member.as_ref()?.name.clone(), p.descriptors.max, p.nofile_soft.last)))
        .collect();
    assert!(members.iter().any(|(name, most, soft)| name == "sh" && *most < 20 && *soft == 64), "{members:?}");
    assert!(members.iter().any(|(name, most, soft)| name == "brimful" && *most == 64 && *soft == 64), "{members:?}");
    let verdict = judge(&record);
    assert_eq!((verdict.outcome, verdict.cause), (CellOutcome::Failing, Some(CauseName::FdLimit)), "{verdict:#?}");
    // It was asked to end, which a shell does at once; what it had started goes with the namespace.
    let command = &record.target.commands[0];
    assert_eq!(command.ended.as_deref(), Some("signal 15"));
    assert_eq!(command.words.messages[0].text, "here I am");
    let log = run.folder.path().join("out/cells/base/0.target.log");
    assert!(fs::read_to_string(log).unwrap().starts_with("here I am\n"));
}

#[test]
fn a_command_that_ends_by_itself_is_told_with_how_and_when() {
    if !sandbox_allowed() {
        return;
    }
    let run = Run::of(&scenario(&[BRIMFUL, "serve", "--listen", "{{listen}}", "--on-emfile", "exit"], ""), &[]);
    assert_eq!(run.status(), Some(7), "{}", run.stderr());
    let record = run.record();
    assert!(record.target.early_ends[0].how.starts_with("exit status"), "{:?}", record.target.early_ends);
    assert_eq!(judge(&record).outcome, CellOutcome::Failing);
}

#[test]
fn a_command_that_is_not_ready_is_told_with_its_last_words() {
    if !sandbox_allowed() {
        return;
    }
    for (argv, more, says) in [
        (&["sh", "-c", "echo no such thing >&2; exit 3"][..], "", &["exit status 3", "no such thing"][..]),
        (&["sleep", "60"], "ready = \"tcp:8081\"", &["nothing took a connection at 127.0.0.1:8081 within 0.3 s"]),
        (&["sh", "-c", "exec /dev/null/x"], "", &["it ended with"]),
    ] {
        let text = scenario(argv, more).replace("15s", "300ms");
        let run = Run::of(&text, &[]);
        assert_eq!(run.status(), Some(7), "{argv:?}: {}", run.stderr());
        for part in says {
            assert!(run.stderr().contains(part), "{argv:?}: `{part}` is not said in {}", run.stderr());
        }
    }
    let run = Run::of(&scenario(&["no-such-program-anywhere"], ""), &[]);
    assert_eq!(run.status(), Some(3), "{}", run.stderr());
    assert!(run.stderr().contains("there is no program `no-such-program-anywhere`"), "{}", run.stderr());
}

#[test]
fn nothing_of_a_command_is_left_when_brimful_is_killed() {
    if !sandbox_allowed() {
        return;
    }
    // A child that has left its session and its parent, as a daemon does; the number is a mark to find it by.
    let mark = format!("{}", 700_000 + std::process::id());
    let script = "(setsid sleep MARK &) ; exec \"$0\" serve --listen {{listen}}".replace("MARK", &mark);
    killed_leaves_nothing_with(&mark, &scenario(&["sh", "-c", &script, BRIMFUL], "").replace("1800ms", "30s"));
}
