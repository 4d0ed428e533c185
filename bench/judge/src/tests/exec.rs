//! Records of a health check that is a command: what may be said of the server, and what must not.

use brimful_evidence::record::Record;
use brimful_loadgen_plan::probe::{Action, Exec, Outcome};
use brimful_plan::expect::{CauseName, CellOutcome};
use brimful_testing::*;

use crate::verdict::judge;
use CauseName::*;

/// The same, asked by a command: every connection of a probe is one of it, and what a probe was told is its exit status.
fn by_command(mut record: Record) -> Record {
    record.probe.plan.action = Action::Exec(Exec::of(vec!["ping".into()]));
    record.cell.probe.action = record.probe.plan.action.clone();
    for sample in &mut record.probe.samples {
        (sample.connect_ns, sample.first_byte_ns) = (None, None);
        (sample.outcome, sample.status, sample.message) = match sample.outcome {
            Outcome::Ok => (Outcome::Ok, Some(0), String::new()),
            Outcome::Reset | Outcome::BadStatus | Outcome::Refused => {
                (Outcome::BadStatus, Some(1), "ERR max number of clients reached\n".into())
            }
            other => (other, None, "command \"ping\" timed out".into()),
        };
    }
    // In a cell the first reading is taken before anything begins.
    let opens = record.evidence.server.counters.get_mut("Tcp.PassiveOpens").unwrap();
    opens.first = 0;
    opens.points.first_mut().unwrap().1 = 0;
    record
}

/// Lowers what was counted, as if so many of the connections had never been.
fn fewer_connections(record: &mut Record, by: u64) {
    let opens = record.evidence.server.counters.get_mut("Tcp.PassiveOpens").unwrap();
    opens.last -= by;
    opens.max -= by;
    opens.points.last_mut().unwrap().1 -= by;
}

#[test]
fn a_command_that_is_turned_away_with_the_others_shows_the_cap() {
    let record = by_command(turning_away());
    let verdict = judge(&record);
    assert_eq!((verdict.outcome, verdict.cause), (CellOutcome::Failing, Some(AppConnectionCap)), "{verdict:#?}");
    let said = verdict.proof.iter().find(|line| line.source == "probe.message").unwrap();
    assert_eq!(said.text, "said by the command: ERR max number of clients reached");
    assert_eq!(said.value, "exit status 1");
}

#[test]
fn a_command_that_made_no_connection_was_not_turned_away() {
    let mut record = by_command(turning_away());
    let probes = record.probe.samples.len() as u64;
    fewer_connections(&mut record, probes);
    let verdict = judge(&record);
    assert_eq!(verdict.cause, Some(Undetermined), "{verdict:#?}");
}

#[test]
fn more_connections_than_commands_make_are_somebody_elses() {
    let mut record = by_command(turning_away());
    record.load.outcome.established -= 1_000;
    assert_eq!(judge(&record).cause, Some(Undetermined));
}

#[test]
fn a_command_that_never_passed_may_fail_for_a_reason_of_its_own() {
    let mut record = by_command(turning_away());
    let first = record.probe.samples.iter_mut().find(|sample| sample.outcome.passed()).unwrap();
    (first.outcome, first.status) = (Outcome::BadStatus, Some(1));
    assert!(record.probe.samples.iter().all(|sample| !sample.outcome.passed()));
    assert_eq!(judge(&record).cause, Some(Undetermined));
}

#[test]
fn a_command_that_is_served_meanwhile_is_not_turned_away() {
    let mut record = by_command(turning_away());
    let last = record.probe.samples.last_mut().unwrap();
    (last.outcome, last.status) = (Outcome::Ok, Some(0));
    assert_eq!(judge(&record).cause, Some(Undetermined));
}

#[test]
fn a_server_out_of_inotify_instances_turns_commands_away_as_a_cap_does() {
    let verdict = judge(&by_command(inotify_limit()));
    assert_eq!(verdict.cause, Some(Undetermined), "{verdict:#?}");
    assert!(verdict.undecided.iter().any(|open| open.cause == InotifyLimit), "{:#?}", verdict.undecided);
    assert_eq!(judge(&by_command(inotify_to_spare())).cause, Some(AppConnectionCap));
}

#[test]
fn what_was_not_counted_proves_nothing() {
    for counter in ["Tcp.PassiveOpens", "TcpExt.ListenOverflows"] {
        let record = without_counters(by_command(turning_away()), &[counter]);
        assert_eq!(judge(&record).cause, Some(Undetermined), "{counter}");
    }
}

#[test]
fn no_other_cause_is_named_for_a_command_and_its_signs_are_told() {
    for record in [fd_limit(), fd_limit_behind_full_queue(), dead(32_768), slow(), capped()] {
        let named = judge(&record).cause;
        let verdict = judge(&by_command(record));
        assert_eq!((verdict.outcome, verdict.cause), (CellOutcome::Failing, Some(Undetermined)), "{named:?}");
    }
}
