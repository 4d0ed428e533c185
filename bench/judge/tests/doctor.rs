//! Each cause on a host where it is, and on one where it nearly is.

use brimful_evidence::snapshot::tally::{Destination, Outgoing};
use brimful_evidence::snapshot::*;
use brimful_judge::doctor::*;
use brimful_plan::expect::{CauseName, Why};
use brimful_testing::hosts::*;
use brimful_testing::schema;

#[test]
fn a_busy_host_with_a_past_is_accused_of_nothing() {
    let diagnosis = Pair::busy().judged();
    assert_eq!(diagnosis.causes, []);
    assert_eq!(diagnosis.undecided, []);
    // Every cause of the doctor is excluded by something that was read.
    assert_eq!(diagnosis.ruled_out.len(), 19);
    assert!(diagnosis.headline.contains("no limit is met now in the 1 s"), "{}", diagnosis.headline);
    let told: Vec<&str> = diagnosis.advice.iter().map(|advice| advice.text.as_str()).collect();
    assert!(told.iter().any(|text| text.starts_with("44 packets dropped since it began")), "{told:?}");
}

#[test]
fn descriptors_at_the_limit_come_before_the_queue_they_fill() {
    let at =
        |open: u64| Pair::busy().both(move |s| process(s).descriptors = Some(open)).after(|s| queue(s, 512, 512, 90));
    let diagnosis = at(1_024).judged();
    assert_eq!(diagnosis.causes.iter().map(|c| c.cause).collect::<Vec<_>>(), [CauseName::FdLimit]);
    let queue = diagnosis.ruled_out.iter().find(|out| out.cause == CauseName::AcceptQueue).expect("ruled out");
    assert!(queue.line.text.contains("a symptom"), "{}", queue.line.text);
    assert_ne!(at(1_023).causes(), [CauseName::FdLimit], "one is left");
}

#[test]
fn connections_that_are_over_are_a_leak_when_they_gather() {
    let gather = |before: u32, after: u32, open: u64| {
        let mut pair = Pair::busy().both(|s| process(s).descriptors = Some(open));
        process(&mut pair.before).close_wait = (1_000..1_000 + before).collect();
        process(&mut pair.after).close_wait = (1_000..1_000 + after).collect();
        pair.causes()
    };
    assert_eq!(gather(300, 340, 700), [CauseName::FdLeak]);
    assert_eq!(gather(800, 800, 1_024), [CauseName::FdLeak], "at the limit because of it");
    assert_eq!(gather(300, 300, 700), [], "none comes");
    assert_eq!(gather(40, 80, 700), [], "too few to say so");
    let mut pair = Pair::busy();
    process(&mut pair.before).close_wait = (1_000..1_300).collect();
    process(&mut pair.after).close_wait = (1_100..1_500).collect();
    assert_eq!(pair.causes(), [], "they go");
}

#[test]
fn a_queue_that_drains_is_too_small_and_one_that_does_not_is_not_served() {
    let clamped =
        Pair::busy().both(|s| listener(namespace(s)).limit = 4_096).after(|s| queue(s, 0, 4_097, 300)).judged();
    assert_eq!((clamped.causes[0].cause, clamped.causes[0].why), (CauseName::AcceptQueue, Some(Why::SomaxconnClamp)));
    let small = Pair::busy().after(|s| queue(s, 0, 512, 300)).judged();
    assert_eq!((small.causes[0].cause, small.causes[0].why), (CauseName::AcceptQueue, None));
    assert!(
        small.causes[0].cure.as_ref().is_some_and(|cure| cure.because.contains("listened before somaxconn was raised"))
    );
    let dead = |s: &mut Snapshot| {
        queue(s, 40, 45, 0);
        at_port(namespace(s)).taken = (300..800).collect();
    };
    assert_eq!(Pair::busy().after(dead).causes(), [CauseName::AcceptorStalled], "nothing is accepted");
    assert_eq!(Pair::busy().after(|s| queue(s, 40, 45, 0)).causes(), [], "150 were accepted in that second");
    assert_eq!(Pair::busy().after(|s| queue(s, 500, 512, 90)).causes(), [CauseName::AcceptorStalled], "never drained");
}

#[test]
fn a_queue_whose_owner_is_not_known_accuses_nobody() {
    for (least, most) in [(0, 512), (500, 512)] {
        let nobody = Pair::busy().both(|s| listener(namespace(s)).owners.clear()).after(|s| queue(s, least, most, 90));
        let diagnosis = nobody.judged();
        assert_eq!(diagnosis.causes, [], "{least} to {most}");
        let open: Vec<CauseName> = diagnosis.undecided.iter().map(|open| open.cause).collect();
        assert!(open.contains(&CauseName::AcceptQueue) && open.contains(&CauseName::FdLimit), "{open:?}");
    }
}

#[test]
fn every_path_that_is_documented_is_there() {
    let full = Pair::busy().both(|s| process(s).descriptors = Some(1_024)).after(|s| queue(s, 512, 512, 90)).judged();
    let mut unseen = Pair::busy().both(|s| s.host.clear());
    unseen.after.not_seen.push(brimful_evidence::snapshot::NotSeen { what: "a".into(), because: "b".into() });
    let lost = Pair::busy().after(|s| {
        let to = Destination { to: "10.0.0.1:8080".parse().expect("an address"), sockets: 4, again: 3 };
        namespace(s).sockets.as_mut().expect("sockets").syn_sent = vec![to];
    });
    let all: Vec<serde_json::Value> = [full, unseen.judged(), Pair::busy().judged(), lost.judged()]
        .iter()
        .map(|d| serde_json::to_value(d).expect("JSON"))
        .collect();
    let page = include_str!("../../../docs/doctor.md");
    let rows = page.lines().skip_while(|line| *line != "## The JSON").filter_map(|line| line.strip_prefix("| `"));
    let mut seen = 0;
    for cell in rows.filter_map(|row| row.split('|').next()) {
        for path in cell.split('`').filter(|word| !word.trim().is_empty() && !word.starts_with(',')) {
            let (head, fields) = path.trim_end_matches('}').split_once(".{").unwrap_or((path, ""));
            for field in fields.split(',') {
                let path = if field.is_empty() { head.to_owned() } else { format!("{head}.{field}") };
                let pointer = format!("/{}", path.replace("[]", "/0").replace('.', "/").replace("//", "/"));
                assert!(all.iter().any(|json| json.pointer(&pointer).is_some()), "{path} is not in any answer");
                seen += 1;
            }
        }
    }
    assert!(seen > 60, "only {seen} paths were found in the page");
}

#[test]
fn a_quota_is_a_cause_only_while_somebody_waits() {
    let stopped = |s: &mut Snapshot| {
        let throttle = process(s).throttle.as_mut().expect("a quota");
        (throttle.periods, throttle.throttled) = (throttle.periods + 10, throttle.throttled + 9);
    };
    let waited = |s: &mut Snapshot| {
        stopped(s);
        queue(s, 100, 512, 90);
    };
    assert_eq!(Pair::busy().after(waited).causes(), [CauseName::AcceptorThrottled]);
    let idle = Pair::busy().after(|s| {
        stopped(s);
        queue(s, 0, 0, 0);
    });
    assert_eq!(idle.causes(), []);
    assert!(idle.judged().advice.iter().any(|advice| advice.cause == CauseName::AcceptorThrottled));
}

#[test]
fn tables_are_full_now_or_drop_now() {
    let drops = Pair::busy().after(|s| count(s, "nf_conntrack.drop", 30));
    assert_eq!(drops.causes(), [CauseName::ConntrackFull]);
    let full = Pair::busy().both(|s| count(s, "nf_conntrack.entries", 262_144 - 900));
    assert_eq!(full.causes(), [CauseName::ConntrackFull]);
    let nearly = Pair::busy().both(|s| count(s, "nf_conntrack.entries", 262_143 - 900));
    assert_eq!(nearly.causes(), []);
    assert!(nearly.judged().advice.iter().any(|advice| advice.cause == CauseName::ConntrackFull));
    let neighbours = Pair::busy().after(|s| *s.host.get_mut("arp_cache.table_fulls").expect("counted") += 3);
    assert_eq!(neighbours.causes(), [CauseName::NeighbourTable]);
    let files = Pair::busy().both(|s| *s.host.get_mut(names::FILES).expect("counted") = 1_000_000);
    assert_eq!(files.causes(), [CauseName::FileMax]);
    let memory = Pair::busy().after(|s| count(s, "TcpExt.TCPAbortOnMemory", 3));
    assert_eq!(memory.causes(), [CauseName::TcpMem]);
}

#[test]
fn ports_in_time_wait_count_where_they_may_not_be_taken_again() {
    let out = |to: &'static str, reuse: &'static str, ports: u64| {
        Pair::busy().both(move |s| {
            namespace(s).sysctls.insert(names::TW_REUSE.into(), reuse.into());
            let from = if to.starts_with("127") { ip("127.0.0.1") } else { ip("10.0.0.1") };
            let outgoing = Outgoing { from, to: to.parse().expect("an address"), ports, time_wait: 28_000 };
            namespace(s).sockets.as_mut().expect("sockets").outgoing = vec![outgoing];
        })
    };
    assert_eq!(out("10.0.0.9:443", "2", 28_232).causes(), [CauseName::LocalPorts]);
    for (to, reuse, ports) in
        [("10.0.0.9:443", "2", 28_231), ("10.0.0.9:443", "1", 28_232), ("127.0.0.1:80", "2", 28_232)]
    {
        assert_eq!(out(to, reuse, ports).causes(), [], "{to} {reuse} {ports}");
    }
}

#[test]
fn syn_queues_are_told_by_their_own_counters() {
    assert_eq!(Pair::busy().after(|s| count(s, "TcpExt.TCPReqQFullDrop", 9)).causes(), [CauseName::SynQueue]);
    let deferred = |s: &mut Snapshot| {
        count(s, "TcpExt.TCPDeferAcceptDrop", 9);
        count(s, "TcpExt.TCPReqQFullDrop", 9);
    };
    assert_eq!(Pair::busy().after(deferred).causes(), [CauseName::DeferAccept]);
    let quarter = |half_open: u64| {
        Pair::busy().both(|s| drop(namespace(s).sysctls.insert(names::SYNCOOKIES.into(), "0".into()))).after(move |s| {
            count(s, "TcpExt.ListenDrops", 9);
            at_port(namespace(s)).syn_recv = half_open;
        })
    };
    assert_eq!(quarter(1_536).causes(), [CauseName::SynQueueThreeQuarterRule]);
    assert_eq!(quarter(1_535).causes(), []);
    let route = |s: &mut Snapshot| {
        count(s, "TcpExt.ListenDrops", 9);
        count(s, "Ip.OutNoRoutes", 9);
    };
    assert_eq!(Pair::busy().after(route).causes(), [CauseName::NoRouteBack]);
}

#[test]
fn syns_that_a_listener_with_room_never_saw_are_lost_before_it() {
    let waiting = |to: &'static str| {
        Pair::busy().after(move |s| {
            let to = Destination { to: to.parse().expect("an address"), sockets: 4, again: 3 };
            namespace(s).sockets.as_mut().expect("sockets").syn_sent = vec![to];
        })
    };
    let diagnosis = waiting("10.0.0.1:8080").judged();
    assert_eq!(diagnosis.causes[0].cause, CauseName::Undetermined);
    assert!(diagnosis.undecided.iter().any(|open| open.cause == CauseName::PacketFilterDrop));
    assert_eq!(waiting("10.0.0.9:8443").causes(), [], "who listens there is not seen from here");
    let softirq = |s: &mut Snapshot| {
        *s.host.get_mut(names::SOFTNET_DROPPED).expect("counted") += 20;
        let to = Destination { to: "10.0.0.9:443".parse().expect("an address"), sockets: 4, again: 3 };
        namespace(s).sockets.as_mut().expect("sockets").syn_sent = vec![to];
    };
    assert_eq!(Pair::busy().after(softirq).causes(), [CauseName::SoftirqBacklog]);
    let dropped = |s: &mut Snapshot| *s.host.get_mut(names::SOFTNET_DROPPED).expect("counted") += 20;
    assert_eq!(Pair::busy().after(dropped).causes(), [], "no SYN among them");
}

#[test]
fn one_stuck_socket_of_several_is_told_from_a_full_group() {
    let group = |other: u32| {
        Pair::busy().after(move |s| {
            queue(s, 512, 512, 90);
            let all = namespace(s).listeners.as_mut().expect("listeners");
            let mut second = all[0].clone();
            second.inode = 78;
            second.watched = Some(Watched { readings: 50, full: 0, least: other, most: other });
            all.push(second);
        })
    };
    assert_eq!(group(0).causes(), [CauseName::ReuseportSkew]);
    assert!(!group(400).causes().contains(&CauseName::ReuseportSkew), "the other is not drained either");
}

#[test]
fn the_narrowest_limit_binds_first() {
    let diagnosis = Pair::busy().judged();
    let first = &diagnosis.binds_first[0];
    assert_eq!((first.limit.as_str(), first.room, first.at_connections), ("ulimit.nofile", 494, 994));
    let proxy = Pair::busy().both(|s| process(s).descriptors = Some(1_010)).judged();
    assert_eq!((proxy.binds_first[0].room, proxy.binds_first[0].at_connections), (7, 507), "two descriptors each");
}

#[test]
fn a_port_without_a_listener_is_told() {
    let pair = Pair::busy();
    let at = |port| {
        diagnose(&pair.before, &pair.after, &Scope { words: "a port".into(), port: Some(port), ..Scope::default() })
    };
    assert_eq!(at(PORT).causes, []);
    assert_eq!(at(PORT).processes[0].pid, PID);
    assert_eq!(at(9).causes[0].cause, CauseName::NoListener);
}

#[test]
fn what_was_not_read_is_open_and_never_zero() {
    let blind = Pair::busy().both(|s| {
        s.host.clear();
        let namespace = namespace(s);
        (namespace.listeners, namespace.sockets) = (None, None);
        namespace.counters.clear();
        process(s).descriptors = None;
    });
    let diagnosis = blind.judged();
    assert_eq!(diagnosis.causes, []);
    let open: Vec<CauseName> = diagnosis.undecided.iter().map(|open| open.cause).collect();
    for cause in
        [CauseName::FileMax, CauseName::FdLimit, CauseName::AcceptQueue, CauseName::SynQueue, CauseName::SoftirqBacklog]
    {
        assert!(open.contains(&cause), "{cause} in {open:?}");
    }
    assert!(diagnosis.undecided.iter().all(|open| !open.collect.is_empty()));
}

#[test]
fn the_json_is_of_the_committed_schema() {
    let types = schema::of::<Diagnosis>("doctor", "brimful doctor --format json", SCHEMA_VERSION);
    schema::is_committed("doctor", SCHEMA_VERSION, &types);
    let mut stuck = Pair::busy();
    queue(&mut stuck.after, 129, 129, 40);
    for (which, pair) in [("busy", Pair::busy()), ("stuck", stuck)] {
        schema::hand_over("doctor", which, &pair.judged());
    }
}
