//! `exec`: commands that pass, fail, take too long, say too much, or are not there.

use std::fs;

use brimful_loadgen_plan::probe::{Action, Exec, Outcome, Sample};

use super::*;

fn exec(command: &[&str], timeout_ms: u64) -> Sample {
    let command = command.iter().map(|&word| word.to_owned()).collect();
    one(Action::Exec(Exec::of(command)), SocketAddr::from(([0, 0, 0, 0], 0)), Duration::from_millis(timeout_ms))
}

const LONG: u64 = 30_000;

#[test]
fn the_exit_status_decides_and_what_was_said_is_the_message() {
    let passed = exec(&["sh", "-c", "echo well"], LONG);
    assert_eq!((passed.outcome, passed.status, passed.message.as_str()), (Outcome::Ok, Some(0), ""));
    assert_eq!((passed.connect_ns, passed.first_byte_ns), (None, None));
    let failed = exec(&["sh", "-c", "echo b >&2; echo a; exit 3"], LONG);
    assert_eq!((failed.outcome, failed.status, failed.discarded), (Outcome::BadStatus, Some(3), false));
    assert_eq!(failed.message, "a\nb\n");
    let killed = exec(&["sh", "-c", "kill -9 $$"], LONG);
    assert_eq!((killed.outcome, killed.status), (Outcome::BadStatus, Some(137)));
}

#[test]
fn there_is_no_shell_unless_one_is_asked_for() {
    let sample = exec(&["echo", "$HOME; exit 1"], LONG);
    assert_eq!(sample.outcome, Outcome::Ok);
}

#[test]
fn a_command_that_takes_too_long_fails_and_is_killed_with_its_children() {
    let mark = format!("30.{}", std::process::id());
    let sample = exec(&["sh", "-c", &format!("sleep {mark} & wait")], 300);
    assert_eq!((sample.outcome, sample.discarded), (Outcome::ResponseTimeout, false));
    assert_eq!(sample.message, format!("command \"sh -c sleep {mark} & wait\" timed out"));
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while running(&mark) {
        assert!(std::time::Instant::now() < deadline, "a child is left");
        std::thread::yield_now();
    }
}

/// Whether a process has this word among its arguments, and is more than a corpse.
fn running(word: &str) -> bool {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let mut commands = entries.filter_map(|entry| fs::read_to_string(entry.path().join("cmdline")).ok());
    commands.any(|command| command.split('\0').any(|argument| argument == word))
}

#[test]
fn what_cannot_be_run_is_tried_three_times_and_thrown_away() {
    let sample = exec(&["brimful-no-such-program"], LONG);
    assert_eq!((sample.outcome, sample.status, sample.discarded), (Outcome::LocalError, None, true));
    assert_eq!(sample.message, "exec: \"brimful-no-such-program\": executable file not found in $PATH");
    let sample = exec(&["/proc/self/status"], LONG);
    assert_eq!(sample.message, "fork/exec /proc/self/status: permission denied");
}

#[test]
fn more_than_is_kept_is_read_all_the_same() {
    // A pipe holds 64 KiB: a command whose words nobody reads would stand still.
    let sample = exec(&["sh", "-c", "head -c 200000 /dev/zero | tr '\\0' x; exit 1"], LONG);
    assert_eq!(sample.outcome, Outcome::BadStatus);
    assert_eq!(sample.message.len(), 1_024);
}
