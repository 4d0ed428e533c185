//! The three posts that the project began with, as tickets: neither published explanation may be named.

#![expect(clippy::panic, reason = "a helper of tests, which end there")]

use brimful_evidence::pasted;
use brimful_judge::doctor::*;
use brimful_plan::expect::CauseName;

fn post(text: &str) -> Diagnosis {
    let ticket = pasted::read(text);
    replay(&ticket, &Scope { words: "this ticket".into(), ..Scope::default() })
}

fn out(diagnosis: &Diagnosis) -> Vec<CauseName> {
    diagnosis.ruled_out.iter().map(|out| out.cause).collect()
}

fn only_cause(diagnosis: &Diagnosis) -> &Found {
    let [only] = diagnosis.causes.as_slice() else { panic!("one finding: {:?}", diagnosis.causes) };
    only
}

/// Something is lost, and nothing is blamed.
fn lost_before_the_socket(diagnosis: &Diagnosis) -> &Found {
    let found = only_cause(diagnosis);
    assert_eq!((found.cause, found.cure.is_none(), found.collect.is_empty()), (CauseName::Undetermined, true, false));
    assert!(found.words.contains("before"), "{}", found.words);
    found
}

#[test]
fn the_first_post_shows_a_shared_loss_and_no_accept_queue() {
    let diagnosis = post(include_str!("fixtures/tickets/post-1.txt"));
    let found = lost_before_the_socket(&diagnosis);
    assert!(found.words.contains("4 listeners at once") && found.words.contains("what they share"), "{}", found.words);
    assert!(found.proof.iter().any(|line| line.source == "requests" && line.value == "1 s, 3 s"), "{:?}", found.proof);
    // Neither shown nor excluded: no queue was in the ticket.
    let open: Vec<CauseName> = diagnosis.undecided.iter().map(|open| open.cause).collect();
    assert!(open.contains(&CauseName::AcceptQueue) && open.contains(&CauseName::ConntrackFull), "{open:?}");
    assert!(diagnosis.traps.iter().any(|trap| trap.contains("does not reach a socket that is listening")));
}

#[test]
fn the_second_post_rules_out_queues_and_descriptors() {
    let diagnosis = post(include_str!("fixtures/tickets/post-2.txt"));
    lost_before_the_socket(&diagnosis);
    for cause in [
        CauseName::AcceptQueue,
        CauseName::AcceptorStalled,
        CauseName::SynQueue,
        CauseName::SynQueueThreeQuarterRule,
        CauseName::FdLimit,
    ] {
        assert!(out(&diagnosis).contains(&cause), "{cause} is not ruled out by {:?}", diagnosis.ruled_out);
    }
    let traps = diagnosis.traps.join("\n");
    assert!(traps.contains("12,051 descriptors is not limited to the 1,024"), "{traps}");
    assert!(traps.contains("`ulimit -n 65535` cannot have cured") && traps.contains("17,974 lines"), "{traps}");
}

#[test]
fn the_third_post_shows_a_loss_before_the_socket() {
    let diagnosis = post(include_str!("fixtures/tickets/post-3.txt"));
    let found = lost_before_the_socket(&diagnosis);
    assert!(
        found.proof.iter().any(|line| line.source.ends_with(":9099.recv_q") && line.value == "0 of 32,768, 0 dropped"),
        "{:?}",
        found.proof
    );
    for cause in [CauseName::AcceptQueue, CauseName::SynQueue, CauseName::FdLimit] {
        assert!(out(&diagnosis).contains(&cause), "{cause} is not ruled out by {:?}", diagnosis.ruled_out);
    }
    let open: Vec<CauseName> = diagnosis.undecided.iter().map(|open| open.cause).collect();
    assert!(open.contains(&CauseName::PacketFilterDrop), "{open:?}");
}

#[test]
fn a_full_queue_in_a_ticket_is_a_symptom_without_a_name() {
    let diagnosis = post("$ ss -lnt\nLISTEN 129 128 0.0.0.0:80 0.0.0.0:*\n");
    assert!(diagnosis.causes.is_empty());
    let open = diagnosis.undecided.iter().find(|open| open.cause == CauseName::AcceptQueue).expect("open");
    assert!(open.why.contains("symptom") && open.collect.iter().any(|line| line.contains("/limits")), "{open:?}");
}

#[test]
fn descriptors_at_their_limit_in_a_ticket_are_the_cause() {
    let text = "$ cat /proc/812/limits\nMax open files            1024                 4096                 files\n\
                $ ls /proc/812/fd | wc -l\n1024\n\
                $ ss -lntp\nLISTEN 129 128 0.0.0.0:80 0.0.0.0:* users:((\"web\",pid=812,fd=3))\n";
    let diagnosis = post(text);
    let found = only_cause(&diagnosis);
    assert_eq!((found.cause, found.subject.pid), (CauseName::FdLimit, Some(812)));
    assert!(
        found.cure.as_ref().is_some_and(|cure| cure.places[0].text.starts_with("prlimit --pid 812")),
        "{:?}",
        found.cure
    );
}
