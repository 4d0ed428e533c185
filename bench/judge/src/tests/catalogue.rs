//! Every cause of the catalogue with a record that shows it, and what is left of the verdict when evidence goes missing.

use brimful_evidence::record::Record;
use brimful_evidence::series::Series;
use brimful_plan::expect::{CauseName, CellOutcome};
use brimful_testing::*;
use proptest::prelude::*;

use crate::cause::TABLE;
use crate::verdict::{Verdict, judge};
use CauseName::*;

fn cause(record: &Record) -> Option<CauseName> {
    judge(record).cause
}

fn excludes(verdict: &Verdict, cause: CauseName) -> bool {
    verdict.ruled_out.iter().any(|out| out.cause == cause)
}

fn leaves_open(verdict: &Verdict, cause: CauseName) -> bool {
    verdict.undecided.iter().any(|open| open.cause == cause)
}

/// Every truth of the catalogue with a record of it.
const TRUTHS: [(CauseName, fn() -> Record); 30] = [
    (FdLimit, fd_limit),
    (FdLeak, fd_leak),
    (FdLeak, other_leak),
    (AcceptQueue, || bursts().record()),
    (AcceptQueue, overflowing_at_the_ack),
    (AcceptorStalled, || dead(128)),
    (AcceptorThrottled, throttled),
    (AcceptorThrottled, starved),
    (AppConnectionCap, capped),
    (AppConnectionCap, turning_away),
    (InotifyLimit, inotify_limit),
    (AppConnectionCap, inotify_to_spare),
    (SlowAnswer, slow),
    (ReuseportSkew, skewed),
    (SynQueue, syn_queue),
    (SynQueueThreeQuarterRule, three_quarters),
    (DeferAccept, deferred),
    (ConntrackFull, conntrack_full),
    (PacketFilterDrop, filtered),
    (PacketFilterDrop, origin_with_a_filter),
    (ReturnPathLoss, return_path_loss),
    (NoRouteBack, no_route_back),
    (LocalPorts, || local_error(1, "connect: cannot assign requested address")),
    (ProberFdLimit, prober_fd_limit),
    (NoListener, ended),
    (SoftirqBacklog, softirq_backlog),
    (NeighbourTable, neighbour_table),
    (FileMax, file_max),
    (FileMax, || local_error(1, "socket: too many open files in system")),
    (TcpMem, tcp_mem),
];

fn truths() -> impl Iterator<Item = (CauseName, Record)> {
    TRUTHS.iter().map(|&(truth, made)| (truth, made()))
}

#[test]
fn every_truth_of_the_catalogue_is_named_with_its_cure_and_a_word_on_every_other() {
    for (i, (truth, record)) in truths().enumerate() {
        let verdict = judge(&record);
        assert_eq!(verdict.cause, Some(truth), "{i}: {verdict:#?}");
        let cure = verdict.cure.as_ref().unwrap_or_else(|| panic!("{truth} has no cure"));
        assert!(!cure.places.is_empty() && !cure.because.is_empty(), "{truth}");
        assert!(verdict.proof.len() >= 2, "{truth}: {:#?}", verdict.proof);
        for row in TABLE.iter().filter(|row| row.name != truth) {
            assert!(excludes(&verdict, row.name) ^ leaves_open(&verdict, row.name), "{truth}: {}", row.name);
        }
        for open in &verdict.undecided {
            assert!(!open.collect.is_empty(), "{truth}: {open:?}");
        }
    }
}

#[test]
fn every_row_but_those_of_a_void_or_a_healthy_cell_is_shown_by_some_record() {
    let shown: Vec<CauseName> = truths().map(|(truth, _)| truth).collect();
    let without = TABLE.iter().map(|row| row.name).filter(|name| !shown.contains(name));
    assert_eq!(without.collect::<Vec<_>>(), [GeneratorBound, SynCookies]);
}

#[test]
fn no_other_name_is_given_when_evidence_is_missing() {
    type Lose = fn(&mut Record);
    let lose: [(&str, Lose); 9] = [
        ("counters", |r| r.evidence.server.counters.clear()),
        ("listeners", |r| r.evidence.server.listeners.clear()),
        ("sockets", |r| r.evidence.server.sockets.clear()),
        ("client", |r| r.evidence.client = None),
        ("processes", |r| r.evidence.processes.clear()),
        ("host", |r| r.evidence.host.clear()),
        ("drops", |r| r.evidence.server.listeners.values_mut().for_each(|l| l.drops = Series::default())),
        ("timeline", |r| r.load.outcome.timeline.clear()),
        ("filters", |r| r.evidence.server.counters.retain(|name, _| !name.starts_with("nftables."))),
    ];
    for (i, (truth, record)) in truths().enumerate() {
        for (what, change) in lose {
            let mut less = record.clone();
            change(&mut less);
            let named = cause(&less).unwrap();
            assert!(may_be_called(truth, named), "{i}: {truth} without {what} is called {named}");
        }
    }
}

/// What a truth may be called when the evidence of the root is missing: nothing, or the symptom that is left.
fn may_be_called(truth: CauseName, named: CauseName) -> bool {
    let symptom = match truth {
        FdLeak => Some(FdLimit),
        AcceptorThrottled | AppConnectionCap | FileMax | InotifyLimit | ReuseportSkew => Some(AcceptorStalled),
        DeferAccept => Some(SynQueue),
        _ => None,
    };
    named == truth || named == Undetermined || Some(named) == symptom
}

/// The counters of a kernel, by the captured text.
fn names_of(text: &str) -> Vec<String> {
    let mut log = brimful_evidence::counter_log::CounterLog::default();
    log.record(0, text).unwrap();
    log.into_series().into_keys().collect()
}

#[test]
fn the_counters_of_older_kernels_lead_to_the_same_verdict_or_to_none() {
    let kernels = [
        ("4.19", include_str!("../../../evidence/tests/fixtures/proc/netstat-4.19.txt")),
        ("5.15", include_str!("../../../evidence/tests/fixtures/proc/netstat-5.15.txt")),
        ("6.1", include_str!("../../../evidence/tests/fixtures/proc/snmp-6.1.txt")),
    ];
    for (kernel, text) in kernels {
        let known = names_of(text);
        for (i, (truth, mut record)) in truths().enumerate() {
            let group = |name: &str| name.starts_with("Tcp") || name.starts_with("Ip");
            for side in [Some(&mut record.evidence.server), record.evidence.client.as_mut()].into_iter().flatten() {
                side.counters.retain(|name, _| !group(name) || known.contains(name));
            }
            let named = cause(&record).unwrap();
            assert!(may_be_called(truth, named), "{i}: on {kernel} {truth} is called {named}");
        }
    }
}

/// Every series of a record that a verdict may read, in a fixed order.
fn every_series(record: &mut Record) -> Vec<&mut Series> {
    let evidence = &mut record.evidence;
    let mut all = Vec::new();
    for side in [Some(&mut evidence.server), evidence.client.as_mut()].into_iter().flatten() {
        all.extend(side.counters.values_mut());
        all.extend(side.sockets.values_mut().flat_map(|ports| ports.values_mut()));
        all.extend(side.listeners.values_mut().flat_map(|l| [&mut l.recv_q, &mut l.limit, &mut l.drops]));
    }
    all.extend(evidence.host.values_mut());
    for p in &mut evidence.processes {
        all.extend([&mut p.descriptors, &mut p.nofile_soft, &mut p.cpu_ns, &mut p.runqueue_wait_ns]);
        all.extend(&mut p.inotify);
    }
    all
}

fn any_series() -> impl Strategy<Value = Series> {
    let number = || prop_oneof![0_u64..200, 0..14 * SECOND, any::<u64>()];
    (number(), number(), number(), number(), prop::collection::vec((number(), number()), 0..6))
        .prop_map(|(first, last, max, reads, points)| Series { first, last, max, reads, points })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    #[test]
    fn what_was_not_read_leads_to_no_other_name((truth, made) in prop::sample::select(TRUTHS.to_vec()), lost in prop::collection::vec(any::<bool>(), 64)) {
        let mut record = made();
        for (series, lost) in every_series(&mut record).into_iter().zip(lost.iter().cycle()) {
            if *lost {
                *series = Series::default();
            }
        }
        let named = cause(&record).unwrap();
        prop_assert!(may_be_called(truth, named), "{truth} is called {named}");
    }

    #[test]
    fn judging_never_fails_whatever_stands_in_any_series((_, made) in prop::sample::select(TRUTHS.to_vec()), odd in prop::collection::vec(prop::option::of(any_series()), 64)) {
        let mut record = made();
        for (series, odd) in every_series(&mut record).into_iter().zip(odd.iter().cycle()) {
            if let Some(odd) = odd {
                *series = odd.clone();
            }
        }
        let verdict = judge(&record);
        prop_assert_eq!(verdict.cause.is_none(), verdict.outcome == CellOutcome::Healthy);
        let text = serde_json::to_string(&verdict).unwrap();
        prop_assert_eq!(serde_json::from_str::<Verdict>(&text).unwrap(), verdict);
    }

    #[test]
    fn what_was_done_to_a_cell_is_never_read((_, made) in prop::sample::select(TRUTHS.to_vec())) {
        let record = made();
        let mut told = record.clone();
        told.cell.faults.push(brimful_plan::fault::Fault::ConntrackFull);
        let plan = &mut told.cell.target.plan;
        (plan.max_connections, plan.leak_one_in, plan.reuseport, plan.reuseport_stuck) = (Some(7), 1, 4, 1);
        plan.answer_delay = std::time::Duration::from_secs(3);
        plan.accept = brimful_target_plan::Accept::Dead;
        told.cell.target.cpu_percent = Some(2);
        told.cell.probe.nofile = Some(16);
        told.load.plan.behaviour = brimful_loadgen_plan::plan::Behaviour::HalfOpen;
        prop_assert_eq!(judge(&told), judge(&record));
    }
}
