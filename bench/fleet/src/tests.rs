//! Both ends by hand: what is heard goes in, what is to be done comes out.

use std::time::Duration;

use brimful_loadgen_plan::outcome::{LoadOutcome, LoadPoint};

use super::account::{Account, Fate};
use super::clock::Offset;
use super::gatherer::{Action, Event, Gatherer, Own, Peer};
use super::member::{self, End, Member};
use super::wire::{FromGatherer, FromMember, Hello, Told, VERSION};
use super::*;

const WINDOWS: Windows = Windows { register: Duration::from_secs(60), gather: Duration::from_secs(10) };

fn plan(members: u32) -> FleetPlan {
    FleetPlan {
        members,
        address: "10.0.0.1:80".parse().unwrap(),
        connections: 100 * u64::from(members),
        ramp_ns: 2 * SECOND_NS,
        hold_ns: 8 * SECOND_NS,
        behaviour: Behaviour::Idle,
        comeback: Comeback::default(),
        scenario: None,
    }
}

/// A gatherer, and everything that it did.
struct Hall {
    gatherer: Gatherer,
    did: Vec<Action>,
    now_ns: u64,
}

impl Hall {
    fn new(members: u32) -> Self {
        Self { gatherer: Gatherer::new(plan(members), WINDOWS, 0), did: Vec::new(), now_ns: 0 }
    }

    fn at(&mut self, seconds: f64) -> &mut Self {
        self.now_ns = (seconds * 1e9) as u64;
        self.event(Event::Tick)
    }

    fn event(&mut self, event: Event) -> &mut Self {
        let did = self.gatherer.hear(event, self.now_ns);
        self.did.extend(did);
        self
    }

    fn line(&mut self, peer: Peer, message: FromMember) -> &mut Self {
        self.event(Event::Line { peer, message })
    }

    fn hello(&mut self, peer: Peer, index: u32) -> &mut Self {
        let hello = Hello { version: VERSION, index, plan: self.gatherer.plan().clone() };
        self.event(Event::Came { peer, from: format!("peer {peer}") }).line(peer, FromMember::Hello(hello))
    }

    fn ready(&mut self, peer: Peer, index: u32) -> &mut Self {
        self.hello(peer, index).line(peer, FromMember::Ready { clock: Offset::default() })
    }

    fn gone(&mut self, peer: Peer) -> &mut Self {
        self.event(Event::Gone { peer, why: "the connection was closed".to_owned() })
    }

    fn done(&mut self, peer: Peer) -> &mut Self {
        let outcome = LoadOutcome { held: 100, first_attempt_ns: Some(5), ..LoadOutcome::default() };
        let told = Told { outcome, used: Offset::default(), clock: Offset::default() };
        self.line(peer, FromMember::Done(Box::new(told)))
    }

    fn own(&mut self, own: Own) -> &mut Self {
        self.event(Event::Own(own))
    }

    fn said(&self, peer: Peer) -> Vec<&FromGatherer> {
        self.did
            .iter()
            .filter_map(|action| match action {
                Action::Say(to, message) if *to == peer => Some(message),
                _ => None,
            })
            .collect()
    }

    fn refusal(&self, peer: Peer) -> (bool, &str) {
        match self.said(peer).last().copied() {
            Some(FromGatherer::Refused { late, why }) => (*late, why),
            other => panic!("peer {peer} was told {other:?}"),
        }
    }

    fn accounts(&self) -> Vec<Account> {
        self.gatherer.gathered().expect("it is over").accounts
    }
}

#[test]
fn all_start_when_all_are_ready_and_end_when_all_have_told() {
    let mut hall = Hall::new(3);
    hall.own(Own::Ready).ready(10, 2).at(3.0).ready(11, 1);
    let t0_ns = 4 * SECOND_NS;
    assert!(hall.did.contains(&Action::Start { t0_ns }));
    assert_eq!(hall.said(10).last(), Some(&&FromGatherer::Start { t0_ns }));
    assert_eq!(hall.said(11).last(), Some(&&FromGatherer::Start { t0_ns }));
    hall.at(14.1).own(Own::Done(Box::default())).done(10);
    assert_eq!(hall.gatherer.gathered(), None);
    hall.done(11);
    let accounts = hall.accounts();
    assert!(accounts.iter().all(|account| account.fate == Fate::Whole && account.share == 100));
    assert_eq!(accounts[1].began_ns, Some(5));
    assert_eq!(hall.gatherer.gathered().unwrap().waited_ns, Some(3 * SECOND_NS));
    assert!(hall.did.contains(&Action::Say(10, FromGatherer::Thanks)) && hall.did.contains(&Action::Close(10)));
}

#[test]
fn every_fate_is_told() {
    let mut hall = Hall::new(7);
    hall.own(Own::Ready).ready(1, 1).ready(2, 2).ready(3, 3).hello(4, 4);
    // 5 never comes, 6 comes late, 4 is not ready, and the others do not wait for ever.
    hall.at(59.9);
    assert!(!hall.did.iter().any(|action| matches!(action, Action::Start { .. })));
    hall.at(60.0);
    let t0 = 61.0;
    assert_eq!(hall.refusal(4), (true, "it was not ready when the others started"));
    let point = LoadPoint { at_ns: SECOND_NS, attempted: 50, established: 49, held: 49, failed: 1, pending: 0 };
    hall.at(t0 + 1.0).line(2, FromMember::Point { point }).line(3, FromMember::Point { point });
    hall.at(t0 + 1.5).gone(2);
    hall.at(t0 + 5.0).hello(6, 6).hello(7, 2);
    assert_eq!(hall.refusal(6), (true, "the fleet has started without it, 5.0 s ago"));
    assert!(hall.refusal(7).0);
    hall.at(t0 + 10.0).own(Own::Done(Box::default())).done(1);
    hall.at(t0 + 19.9);
    assert_eq!(hall.gatherer.gathered(), None, "3 may still speak");
    hall.at(t0 + 20.0);
    let accounts = hall.accounts();
    let fates: Vec<Fate> = accounts.iter().map(|account| account.fate).collect();
    use Fate::{Late, Lost, Missing, Silent, Unready, Whole};
    assert_eq!(fates, [Whole, Whole, Lost, Silent, Unready, Missing, Late]);
    let at = |index: usize| accounts[index].at_ns.map(|ns| ns as f64 / 1e9);
    assert_eq!((at(2), at(3), at(5), at(6)), (Some(1.5), Some(1.0), None, Some(5.0)));
    assert_eq!((accounts[2].counters, accounts[3].counters, accounts[5].counters), (Some(point), Some(point), None));
    assert_eq!((accounts[2].refused, accounts[6].refused), (1, 1));
    assert_eq!(accounts[6].from.as_deref(), Some("peer 6"));
}

#[test]
fn one_that_went_before_the_start_may_come_again() {
    let mut hall = Hall::new(2);
    hall.own(Own::Ready).hello(1, 1);
    hall.line(1, FromMember::Failed { what: "10.0.0.1:80 does not consent\n".to_owned() });
    // Told twice, by the line and by the end of the connection, it is one failure.
    hall.gone(1).at(5.0).ready(2, 1).at(6.0);
    assert!(hall.said(2).iter().any(|said| matches!(said, FromGatherer::Start { .. })));
    hall.own(Own::Done(Box::default())).done(2);
    assert_eq!((hall.accounts()[1].fate, hall.accounts()[1].why.clone()), (Fate::Whole, None));

    let mut hall = Hall::new(2);
    hall.own(Own::Ready).hello(1, 1).line(1, FromMember::Failed { what: "no consent\u{1b}".to_owned() });
    hall.at(60.0).own(Own::Done(Box::default()));
    let account = &hall.accounts()[1];
    assert_eq!((account.fate, account.why.as_deref()), (Fate::Unready, Some("no consent?")));
}

#[test]
fn whoever_does_not_fit_is_turned_away_with_the_reason() {
    let mut hall = Hall::new(3);
    hall.ready(1, 1);
    let hello = |version, index, plan| FromMember::Hello(Hello { version, index, plan });
    let fewer = FleetPlan { connections: 7, hold_ns: 1, ..plan(3) };
    for (peer, message, says) in [
        (20, hello(2, 2, plan(3)), "it speaks version 2, the gatherer version 1"),
        (21, hello(1, 2, fewer), "another fleet than the gatherer: connections 7 instead of 300, hold 1 ns instead of"),
        (22, hello(1, 0, plan(3)), "there is no member 0 besides the gatherer"),
        (23, hello(1, 3, plan(3)), "there is no member 3"),
        (24, hello(1, 1, plan(3)), "member 1 has registered already, from peer 1"),
        (25, FromMember::Ping { at_ns: 1 }, "it did not say who it is"),
    ] {
        hall.event(Event::Came { peer, from: format!("peer {peer}") }).line(peer, message);
        let (late, why) = hall.refusal(peer);
        assert!(!late && why.contains(says), "{why}");
        assert_eq!(hall.did.last(), Some(&Action::Close(peer)));
        // What it says after that is not heard.
        let before = hall.did.len();
        hall.line(peer, FromMember::Ping { at_ns: 1 }).gone(peer);
        assert_eq!(hall.did.len(), before);
    }
    assert_eq!(hall.gatherer.gathered(), None);
}

#[test]
fn strangers_have_no_room_and_no_time() {
    let mut hall = Hall::new(2);
    for peer in 0..100 {
        hall.event(Event::Came { peer, from: String::new() });
    }
    let closed = |hall: &Hall| hall.did.iter().filter(|action| matches!(action, Action::Close(_))).count();
    assert_eq!(closed(&hall), 100 - 66);
    assert_eq!(hall.gatherer.wakes_at_ns(), 5 * SECOND_NS);
    hall.at(5.0);
    assert_eq!(closed(&hall), 100);
}

#[test]
fn a_gatherer_without_its_own_share_ends_the_fleet() {
    let mut hall = Hall::new(2);
    hall.ready(1, 1).own(Own::Failed("no consent".to_owned()));
    assert_eq!(hall.refusal(1), (false, "the gatherer has ended without a start"));
    let gathered = hall.gatherer.gathered().unwrap();
    assert_eq!((gathered.waited_ns, gathered.accounts[0].fate), (None, Fate::Unready));

    // Nor does it start without being ready itself.
    let mut hall = Hall::new(2);
    hall.ready(1, 1).at(60.0);
    assert_eq!(hall.gatherer.gathered().unwrap().waited_ns, None);
}

#[test]
fn a_signal_stops_everybody_and_is_waited_for_briefly() {
    let mut hall = Hall::new(3);
    hall.own(Own::Ready).ready(1, 1).ready(2, 2).at(3.0).event(Event::Signal("SIGTERM".to_owned()));
    assert!(hall.did.contains(&Action::Stop));
    assert_eq!((hall.said(1).last(), hall.said(2).last()), (Some(&&FromGatherer::Stop), Some(&&FromGatherer::Stop)));
    hall.own(Own::Done(Box::default())).done(1).at(5.9);
    assert_eq!(hall.gatherer.gathered(), None);
    hall.at(6.0);
    let gathered = hall.gatherer.gathered().unwrap();
    assert_eq!(gathered.stopped.as_deref(), Some("SIGTERM"));
    assert_eq!(gathered.accounts.iter().map(|a| a.fate).collect::<Vec<_>>(), [Fate::Whole, Fate::Whole, Fate::Silent]);
}

/// A member that has registered and asks for the time.
fn registered() -> (Member, Vec<member::Action>) {
    let (mut member, first) = Member::new(1, plan(2), WINDOWS, 0);
    assert_eq!(first, [member::Action::Connect { at_ns: 0 }]);
    let said = member.hear(member::Event::Connected, 1);
    assert!(matches!(&said[..], [member::Action::Say(FromMember::Hello(hello))] if hello.index == 1));
    let asks = member.hear(member::Event::Line(FromGatherer::Welcome { waits_ns: SECOND_NS }), 2);
    (member, asks)
}

/// Answers its questions by a clock that is `ahead_ns` ahead, a microsecond after each; returns the instant of the last, and what it did.
fn answered(member: &mut Member, mut todo: Vec<member::Action>, ahead_ns: u64) -> (u64, Vec<member::Action>) {
    let (mut now_ns, mut did) = (2, Vec::new());
    while let Some(action) = todo.pop() {
        if let member::Action::Say(FromMember::Ping { at_ns }) = action {
            now_ns = at_ns + 1_000;
            let pong = FromGatherer::Pong { at_ns, gatherer_ns: at_ns + 500 + ahead_ns };
            todo.extend(member.hear(member::Event::Line(pong), now_ns));
        } else {
            did.push(action);
        }
    }
    (now_ns, did)
}

#[test]
fn a_member_is_ready_when_its_share_is_and_it_knows_the_time() {
    let (mut member, asks) = registered();
    let (now_ns, did) = answered(&mut member, asks, 7 * SECOND_NS);
    assert!(did.is_empty(), "{did:?}");
    let ready = member.hear(member::Event::Own(Own::Ready), now_ns);
    let clock = Offset { offset_ns: 7_000_000_000, error_ns: 500 };
    assert!(
        matches!(ready[..], [member::Action::Say(FromMember::Ready { clock: said })] if said.offset_ns == clock.offset_ns && said.error_ns < 600)
    );
    let start = member.hear(member::Event::Line(FromGatherer::Start { t0_ns: 9 * SECOND_NS }), now_ns);
    assert_eq!(start, [member::Action::Start { t0_ns: 2 * SECOND_NS }]);
    // A point goes out each second, and not more often.
    let point = LoadPoint { held: 4, ..LoadPoint::default() };
    assert!(member.hear(member::Event::Own(Own::Point(point)), now_ns + 1).is_empty());
    let told = member.hear(member::Event::Tick, now_ns + SECOND_NS);
    assert!(told.contains(&member::Action::Say(FromMember::Point { point })), "{told:?}");
    let outcome = LoadOutcome { held: 4, ..LoadOutcome::default() };
    let told = member.hear(member::Event::Own(Own::Done(Box::new(outcome))), 12 * SECOND_NS);
    assert!(matches!(&told[..], [member::Action::Say(FromMember::Done(told))] if told.outcome.held == 4));
    let last = member.hear(member::Event::Line(FromGatherer::Thanks), 12 * SECOND_NS + 1);
    assert_eq!((last, member.end()), (vec![member::Action::Stop], Some(&End::Gathered)));
    assert!(member.hear(member::Event::Tick, u64::MAX).is_empty());
}

#[test]
fn a_member_calls_again_until_its_window_ends() {
    let (mut member, _) = registered();
    let again = member.hear(member::Event::Gone("reset".to_owned()), 10);
    assert_eq!(again, [member::Action::Connect { at_ns: 10 + SECOND_NS / 2 }]);
    assert!(matches!(
        member.hear(member::Event::Connected, SECOND_NS)[..],
        [member::Action::Say(FromMember::Hello(_))]
    ));
    let again = member.hear(member::Event::Gone("refused".to_owned()), 59 * SECOND_NS);
    assert!(matches!(again[..], [member::Action::Connect { .. }]));
    assert_eq!(member.wakes_at_ns(), 60 * SECOND_NS);
    member.hear(member::Event::Tick, 60 * SECOND_NS);
    assert_eq!(member.end(), Some(&End::NotReached { why: "refused".to_owned() }));
}

#[test]
fn every_wait_of_a_member_ends() {
    // For the start: what the gatherer said it would wait, and a margin.
    let (mut member, _) = registered();
    let mut now_ns = 2;
    while member.end().is_none() {
        assert!(now_ns < 13 * SECOND_NS);
        now_ns = member.wakes_at_ns();
        member.hear(member::Event::Tick, now_ns);
    }
    assert_eq!(member.end(), Some(&End::NotReached { why: "it did not say when to start".to_owned() }));

    // For the gatherer in the middle of the load, and for its thanks.
    for (done, ends) in [
        (false, End::Orphaned { why: "reset".to_owned() }),
        (true, End::Untold { why: "it did not say so in time".to_owned() }),
    ] {
        let (mut member, asks) = registered();
        let (now_ns, _) = answered(&mut member, asks, 0);
        member.hear(member::Event::Own(Own::Ready), now_ns);
        member.hear(member::Event::Line(FromGatherer::Start { t0_ns: SECOND_NS }), now_ns);
        let last = if done {
            member.hear(member::Event::Own(Own::Done(Box::default())), SECOND_NS);
            assert_eq!(member.wakes_at_ns(), 11 * SECOND_NS);
            member.hear(member::Event::Tick, 11 * SECOND_NS)
        } else {
            member.hear(member::Event::Gone("reset".to_owned()), 2 * SECOND_NS)
        };
        assert_eq!((last, member.end()), (vec![member::Action::Stop], Some(&ends)));
    }
}

#[test]
fn a_timeline_that_is_sent_has_few_points_whatever_the_length() {
    for (hold_s, step_s) in [(1, 1), (598, 1), (599, 2), (86_400, 145)] {
        assert_eq!(FleetPlan { hold_ns: hold_s * SECOND_NS, ..plan(2) }.step_ns(), step_s * SECOND_NS, "{hold_s}");
    }
}
