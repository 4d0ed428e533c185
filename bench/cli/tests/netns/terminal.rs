//! What a person at a terminal sees of a run, and what is left of it on the screen.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::num::NonZeroU16;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Action, Winsize, tcflow, tcsetwinsize};

use super::support::{BRIMFUL, sandbox_allowed};

const ROWS: u16 = 24;
const COLUMNS: u16 = 80;

const SCENARIO: &str = r#"
question = "what does a run look like?"
[load]
connections = 100
ramp = "200ms"
hold = "1300ms"
[probe]
period = "200ms"
timeout = "200ms"
"#;

/// A run that was watched to its end.
struct Watched {
    /// Everything that was written to the terminal.
    written: String,
    /// What was on the screen when a cell ran, with its load open; empty when that was never to be seen.
    while_held: String,
    /// What was on the screen at the end.
    at_the_end: String,
    /// Where the cursor was then: row and column.
    cursor: (u16, u16),
    /// Standard output.
    stdout: String,
    status: Option<i32>,
}

/// What is done to a run as soon as its load is open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Nothing,
    /// SIGINT, as Ctrl-C sends it.
    Interrupt,
    /// The terminal stands still, as after Ctrl-S, until the run is over.
    HoldUp,
}

/// Runs the scenario with standard error on a terminal of the given kind.
fn watch(kind: &str, options: &[&str], then: Then) -> Watched {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("scenario.toml");
    std::fs::write(&file, SCENARIO).expect("a scenario file");
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&ours).and_then(|()| unlockpt(&ours)).expect("its other end");
    let name = ptsname(&ours, Vec::new()).expect("its name");
    let theirs = open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("its other end");
    tcsetwinsize(&theirs, Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 }).expect("a size");
    let mut held_up = (then == Then::HoldUp).then(|| theirs.try_clone().expect("one more"));
    let child = Command::new(BRIMFUL)
        .args(["run", "scenario.toml", "--out", "out", "--format", "json"])
        .args(options)
        .current_dir(folder.path())
        .env("TERM", kind)
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(theirs)
        .spawn()
        .expect("brimful runs");
    let pid = Pid::from_child(&child);

    let mut screen = vt100::Parser::new(NonZeroU16::new(ROWS).unwrap(), NonZeroU16::new(COLUMNS).unwrap(), 0);
    let (mut written, mut while_held) = (Vec::new(), String::new());
    let mut terminal = File::from(ours);
    let mut buffer = [0; 4_096];
    loop {
        match terminal.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                written.extend_from_slice(&buffer[..n]);
                screen.process(&buffer[..n]);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            // The other end is closed: it is over.
            Err(_) => break,
        }
        let now = screen.screen().contents();
        if now.contains("100 of 100") && now.contains("accept queue") {
            if while_held.is_empty() && then == Then::Interrupt {
                kill_process(pid, Signal::INT).expect("it is there");
            }
            if let Some(terminal) = held_up.take() {
                tcflow(&terminal, Action::OOff).expect("it stands still");
                let report = folder.path().join("out/report.json");
                let deadline = Instant::now() + Duration::from_secs(60);
                while !report.exists() {
                    assert!(Instant::now() < deadline, "a terminal that stands still held up the run");
                    std::thread::sleep(Duration::from_millis(10));
                }
                tcflow(&terminal, Action::OOn).expect("it goes on");
            }
            while_held = now;
        }
    }
    let output = child.wait_with_output().expect("an end");
    Watched {
        written: String::from_utf8(written).expect("UTF-8"),
        while_held,
        at_the_end: screen.screen().contents(),
        cursor: screen.screen().cursor_position(),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        status: output.status.code(),
    }
}

#[test]
fn a_terminal_shows_the_cell_and_keeps_only_what_became_of_it() {
    if !sandbox_allowed() {
        return;
    }
    let seen = watch("xterm-256color", &[], Then::Nothing);
    assert_eq!(seen.status, Some(0), "{}", seen.written);
    for word in ["[1/1] base", "held", "accept queue", "descriptors", "0 dropped", "probes", "run"] {
        assert!(seen.while_held.contains(word), "{word} in:\n{}", seen.while_held);
    }
    let left: Vec<&str> = seen.at_the_end.lines().collect();
    assert_eq!(left.len(), 2, "{}", seen.at_the_end);
    assert!(left[0].starts_with("[1/1] base: ") && left[0].ends_with(" s)"), "{}", left[0]);
    assert_eq!(left[1], "saved in out");
    assert_eq!(seen.cursor, (2, 0));
    for taken in ["\u{1b}[?25l", "\u{1b}[?1049h", "\u{1b}[6n"] {
        assert!(!seen.written.contains(taken), "nothing is asked or taken: {taken:?}");
    }
    for coloured in ["\u{1b}[1m", "\u{1b}[2m", "\u{1b}[3"] {
        assert!(!seen.written.contains(coloured), "NO_COLOR is set: {coloured:?}");
    }
    assert!(!seen.stdout.contains('\u{1b}'), "data is data");
    assert!(serde_json::from_str::<serde_json::Value>(&seen.stdout).is_ok(), "{}", seen.stdout);
}

#[test]
fn an_interrupted_run_leaves_the_terminal_clean() {
    if !sandbox_allowed() {
        return;
    }
    let seen = watch("xterm-256color", &[], Then::Interrupt);
    assert_eq!(seen.status, Some(130), "{}", seen.written);
    assert!(!seen.while_held.is_empty(), "it was stopped while it ran");
    let left = &seen.at_the_end;
    assert!(!left.contains("accept queue") && left.ends_with("saved in out"), "{left}");
    assert_eq!(seen.cursor.1, 0);
}

#[test]
fn a_terminal_that_stands_still_holds_nothing_up() {
    if !sandbox_allowed() {
        return;
    }
    let seen = watch("xterm-256color", &[], Then::HoldUp);
    assert!(!seen.while_held.is_empty(), "{}", seen.written);
    assert!(seen.at_the_end.ends_with("saved in out"), "{}", seen.at_the_end);
}

#[test]
fn a_dumb_terminal_gets_lines() {
    if !sandbox_allowed() {
        return;
    }
    for (kind, options) in [("dumb", &[] as &[&str]), ("xterm-256color", &["--plain"])] {
        let seen = watch(kind, options, Then::Nothing);
        assert_eq!(seen.status, Some(0), "{}", seen.written);
        assert!(!seen.written.contains('\u{1b}'), "{:?}", seen.written);
        let lines: Vec<&str> = seen.at_the_end.lines().collect();
        assert_eq!(lines[0], "[1/1] base (1 s)");
        assert!(lines[1].starts_with("[1/1] base: "), "{}", lines[1]);
    }
}
