//! A fleet of eight on eight machines that share a bridge, and a server on a ninth: `brimful load --fleet` as it is typed, with one member
//! killed, one late, one that was never reached, and one that is cut off.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use brimful_fleet::account::Fate;
use brimful_fleet::report::FleetReport;
use brimful_loadgen_plan::outcome::LoadOutcome;
use rustix::process::{Pid, Signal, kill_process};

use super::bridge::{Bridge, is_root_here};
use super::support::{BRIMFUL, sandbox_allowed};

/// How long anybody may be silent.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process on a machine; it goes with this.
struct Running {
    child: Child,
    heard: Receiver<String>,
    out: Option<ChildStdout>,
    said: Vec<String>,
}

impl Running {
    fn start(bridge: &Bridge, machine: usize, words: &[String]) -> Self {
        let mut child = bridge.on(machine, || {
            let mut command = Command::new(BRIMFUL);
            command.args(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("brimful starts")
        });
        let lines = BufReader::new(child.stderr.take().expect("its words"));
        let (mouth, heard) = channel();
        // Read to its end, so that nobody waits for a reader.
        std::thread::spawn(move || lines.lines().map_while(Result::ok).for_each(|line| drop(mouth.send(line))));
        let out = child.stdout.take();
        Self { child, heard, out, said: Vec::new() }
    }

    /// Waits until it says something.
    #[track_caller]
    fn says(&mut self, what: &str) {
        loop {
            let line = self.heard.recv_timeout(PATIENCE).unwrap_or_else(|error| {
                panic!("it never said `{what}` ({error}), only:\n{}", self.said.join("\n"));
            });
            self.said.push(line);
            if self.said.last().is_some_and(|line| line.contains(what)) {
                return;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("its number");
        kill_process(pid, signal).expect("a signal");
    }

    /// Its exit status, what it printed, and what it said.
    fn end(mut self) -> (Option<i32>, String, String) {
        let mut printed = String::new();
        self.out.take().expect("its output").read_to_string(&mut printed).expect("text");
        let status = self.child.wait().expect("it ends");
        self.said.extend(self.heard.iter());
        (status.code(), printed, self.said.join("\n"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn serve(bridge: &Bridge, machine: usize) -> Running {
    let listen = Bridge::address(machine);
    let mut server = Running::start(bridge, machine, &words(&format!("serve --listen {listen}:8080 --consent")));
    server.says("listening on");
    server
}

/// A member of a fleet of so many, with the server on the machine after the last; all are told the same.
fn member(bridge: &Bridge, index: usize, members: usize, more: &str) -> Running {
    let (server, gatherer) = (Bridge::address(members), Bridge::address(0));
    let line = format!("load {server}:8080 --fleet {index}/{members} --gatherer {gatherer}:23390 {more} --format json");
    Running::start(bridge, index, &words(&line))
}

const MEMBERS: usize = 8;
/// Who fails how.
const KILLED: usize = 3;
const LATE: usize = 5;
const NEVER_REACHED: usize = 6;
const CUT_OFF: usize = 7;

#[test]
fn four_of_eight_are_whole_and_the_others_are_named() {
    if !sandbox_allowed() || !is_root_here("fleet::four_of_eight_are_whole_and_the_others_are_named") {
        return;
    }
    let bridge = Bridge::new(9);
    let _server = serve(&bridge, MEMBERS);
    bridge.unplug(NEVER_REACHED);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("fleet.json");
    let plan = "--connections 800 --ramp 3s --hold 2s --register-within 5s --gather-within 2s";

    // The gatherer comes last but one: the others wait for it.
    let start = |index| member(&bridge, index, MEMBERS, plan);
    let mut others: Vec<(usize, Running)> =
        (1..MEMBERS).filter(|index| *index != LATE).map(|index| (index, start(index))).collect();
    let mut gatherer = member(&bridge, 0, MEMBERS, &format!("{plan} --out {}", file.display()));
    gatherer.says("start in 1.0 s: 6 of 8 members");
    let late = start(LATE);
    // Two seconds into a ramp of three.
    let killed = others.iter_mut().find(|(index, _)| *index == KILLED).map(|(_, member)| member).expect("it runs");
    killed.says("   2 s: attempted");
    killed.signal(Signal::KILL);
    bridge.unplug(CUT_OFF);

    let (status, printed, said) = gatherer.end();
    assert_eq!(status, Some(6), "{said}");
    assert!(
        said.contains(
            "4 of 8 members gave no account (missing 6; late 5; lost 3; silent 7): 400 of 800 connections are missing"
        ),
        "{said}"
    );
    let report: FleetReport = serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"));
    assert_eq!(std::fs::read_to_string(&file).expect("the file"), printed);
    use Fate::{Late, Lost, Missing, Silent, Whole};
    let fates: Vec<Fate> = report.members.iter().map(|member| member.fate).collect();
    assert_eq!(fates, [Whole, Whole, Whole, Lost, Whole, Late, Missing, Silent], "{said}");
    assert_eq!((report.connections.planned, report.connections.missing), (800, 400));

    // What the dead one had reached is known to a second, and when it died.
    let lost = &report.members[KILLED];
    let last = lost.counters.expect("its last word");
    assert!((10..100).contains(&last.attempted), "{lost:?}");
    assert!((1_500_000_000..3_500_000_000).contains(&lost.at_ns.expect("when")), "{lost:?}");
    let from = lost.from.as_deref().unwrap_or_default();
    assert!(from.starts_with("10.99.0.4:"), "{from}");
    let silent = &report.members[CUT_OFF];
    assert!(silent.counters.is_some() && silent.at_ns.expect("when") < 3_500_000_000, "{silent:?}");
    let never = &report.members[NEVER_REACHED];
    assert_eq!((never.counters, never.at_ns, never.from.as_deref()), (None, None, None));

    // All of them have one clock here, so what is said of their clocks can be checked.
    let began = report.start.expect("a start");
    assert_eq!((began.members, began.known), (6, 4));
    for member in report.with(Whole) {
        let clock = member.clock.expect("its clock");
        assert!(clock.offset_ns.unsigned_abs() <= clock.error_ns, "{member:?}");
    }
    let skew = Duration::from_nanos(began.skew_ns.expect("a skew"));
    assert!(skew < Duration::from_millis(500), "{skew:?} for processes of one machine");

    // One histogram of all: without those of the members that printed theirs, the gatherer's own are left.
    let mut rest = report.load.connect_latency.histogram().clone();
    assert_eq!((rest.len(), report.load.held), (400, 400));
    for (index, member) in others {
        let (status, printed, said) = member.end();
        let expected = match index {
            KILLED => None,
            NEVER_REACHED => Some(3),
            CUT_OFF => Some(6),
            _ => Some(0),
        };
        assert_eq!(status, expected, "member {index}: {said}");
        if fates[index] == Whole {
            let own: LoadOutcome = serde_json::from_str(&printed).expect("its own account");
            rest.subtract(own.connect_latency.histogram()).expect("all of it is in the sum");
        }
    }
    assert_eq!(rest.len(), 100);
    let (status, printed, said) = late.end();
    assert_eq!((status, printed.as_str()), (Some(6), ""), "{said}");
    assert!(said.contains("too late for the fleet") && said.contains("nothing was opened"), "{said}");
}

#[test]
fn a_signal_to_the_gatherer_ends_the_fleet_with_what_there_is() {
    if !sandbox_allowed() || !is_root_here("fleet::a_signal_to_the_gatherer_ends_the_fleet_with_what_there_is") {
        return;
    }
    let bridge = Bridge::new(4);
    let _server = serve(&bridge, 3);
    let start = |index| member(&bridge, index, 3, "--connections 30 --ramp 200ms --hold 60s");
    let mut gatherer = start(0);
    let others = [start(1), start(2)];
    gatherer.says("   1 s: attempted");
    gatherer.signal(Signal::TERM);
    let (status, printed, said) = gatherer.end();
    assert_eq!(status, Some(143), "{said}");
    let report: FleetReport = serde_json::from_str(&printed).expect("a report");
    assert_eq!((report.stopped.as_deref(), report.load.held, report.connections.missing), (Some("SIGTERM"), 30, 0));
    for member in others {
        let (status, _, said) = member.end();
        assert_eq!(status, Some(0), "{said}");
    }
}

#[test]
fn a_member_that_gets_no_consent_is_named_with_the_reason() {
    if !sandbox_allowed() || !is_root_here("fleet::a_member_that_gets_no_consent_is_named_with_the_reason") {
        return;
    }
    let bridge = Bridge::new(3);
    // The server consents to ten connections of one generator; member 0 has eleven.
    let listen = Bridge::address(2);
    let consent = format!("serve --listen {listen}:8080 --consent --consent-connections 10");
    let mut server = Running::start(&bridge, 2, &words(&consent));
    server.says("listening on");
    let start = |index, more| member(&bridge, index, 2, more);
    let gatherer = start(0, "--connections 21 --hold 1s --register-within 3s");
    let other = start(1, "--connections 21 --hold 1s --register-within 3s");
    let (status, printed, said) = gatherer.end();
    assert_eq!((status, printed.as_str()), (Some(3), ""), "{said}");
    assert!(said.contains("it consents to 10 connections, not to 11"), "{said}");
    let (status, _, said) = other.end();
    assert_eq!(status, Some(3), "{said}");
    assert!(said.contains("the gatherer has ended without a start") || said.contains("was not reached"), "{said}");
}
