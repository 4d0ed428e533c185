//! The causes of the catalogue: for each a record that nearly shows it, and what becomes of it.

use brimful_evidence::record::Record;
use brimful_evidence::series::Series;
use brimful_loadgen_plan::outcome::{Failure, Phase};
use brimful_loadgen_plan::plan::Sources;
use brimful_loadgen_plan::probe::Outcome;
use brimful_plan::expect::{CauseName, CellOutcome, Why};
use brimful_testing::*;

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

#[test]
fn closed_connections_in_the_accept_queue_are_nobody_s_descriptors() {
    let mut record = fd_leak();
    let queued = record.evidence.server.listeners[ADDRESS].recv_q.last;
    socket(&mut record.evidence.server, "CLOSE_WAIT", PORT, from_ms(2_000, 0, queued));
    let verdict = judge(&record);
    assert_eq!(verdict.cause, Some(FdLimit));
    assert!(excludes(&verdict, FdLeak));
}

#[test]
fn a_limit_met_by_a_leak_is_a_symptom() {
    let verdict = judge(&fd_leak());
    let out = verdict.ruled_out.iter().find(|out| out.cause == FdLimit).unwrap();
    assert!(out.line.text.contains("symptom"), "{out:?}");
    assert_eq!(verdict.cure.unwrap().knob, "target.leak-one-in");
}

#[test]
fn descriptors_that_grow_with_what_is_held_are_no_leak() {
    let mut record = other_leak();
    for (i, point) in record.load.outcome.timeline.iter_mut().enumerate() {
        point.held = 200 * (i as u64 + 1);
    }
    let last = *record.load.outcome.timeline.last().unwrap();
    record.load.outcome.timeline.push(brimful_loadgen_plan::outcome::LoadPoint {
        at_ns: 1_900 * MS,
        held: 900,
        ..last
    });
    let verdict = judge(&record);
    assert_eq!(verdict.cause, Some(FdLimit));
    assert!(excludes(&verdict, FdLeak));
}

#[test]
fn a_host_with_files_to_spare_leaves_the_standstill_to_the_acceptor() {
    let mut record = file_max();
    host(&mut record, "fs.file-nr.allocated", steady(999_000));
    let verdict = judge(&record);
    assert_eq!(verdict.cause, Some(AcceptorStalled));
    assert!(excludes(&verdict, FileMax));
    let mut both = file_max();
    both.evidence.processes[0].nofile_soft = steady(12);
    assert_eq!(cause(&both), Some(FdLimit), "the process's own limit is asked first");
}

#[test]
fn ports_that_were_planned_are_the_generator_s_and_ports_left_to_the_kernel_are_not() {
    let mut record = local_error(1, "connect: cannot assign requested address");
    let failure = Failure { phase: Phase::Connect, errno: "EADDRNOTAVAIL".into(), count: 2_000 };
    record.load.outcome.failures.push(failure);
    assert_eq!(cause(&record), Some(GeneratorBound));
    record.load.plan.sources = Sources::Kernel;
    let verdict = judge(&record);
    assert_eq!((verdict.outcome, verdict.cause), (CellOutcome::Failing, Some(LocalPorts)));
    assert!(verdict.proof.iter().any(|line| line.source == "load.errors"));
    let mut well = healthy();
    well.load.plan.sources = Sources::Kernel;
    well.load.outcome.failures.push(Failure { phase: Phase::Connect, errno: "EADDRNOTAVAIL".into(), count: 2_000 });
    assert_eq!(cause(&well), Some(GeneratorBound), "the server never saw the load, and the probe met no such limit");
}

#[test]
fn a_local_error_of_another_kind_still_makes_the_cell_void() {
    let mut record = prober_fd_limit();
    record.probe.samples[9].message = "dial tcp 127.0.0.1:23380: socket: cannot allocate memory".into();
    assert_eq!((judge(&record).outcome, cause(&record)), (CellOutcome::Void, Some(GeneratorBound)));
}

#[test]
fn a_table_that_dropped_at_another_time_is_not_full_now() {
    let mut record = conntrack_full();
    count(&mut record, "nf_conntrack.drop", from_ms(1_500, 0, 900));
    let verdict = judge(&record);
    assert_eq!(verdict.cause, Some(Undetermined));
    assert!(excludes(&verdict, ConntrackFull));
}

#[test]
fn a_rule_that_was_met_is_not_one_that_drops() {
    let mut record = filtered();
    count(&mut record, "Ip.InReceives", rising(40));
    let verdict = judge(&record);
    assert_eq!(verdict.cause, Some(Undetermined));
    assert!(leaves_open(&verdict, PacketFilterDrop));
}

#[test]
fn a_loss_without_a_rule_that_counts_is_left_open_with_what_was_seen() {
    let mut record = filtered();
    record.evidence.server.counters.retain(|name, _| !name.starts_with("nftables."));
    let verdict = judge(&record);
    assert_eq!(verdict.cause, Some(Undetermined));
    let open = verdict.undecided.iter().find(|open| open.cause == PacketFilterDrop).unwrap();
    assert!(open.why.contains("Ip.InReceives less Ip.InDelivers"), "{open:?}");
}

#[test]
fn a_rule_at_the_client_that_drops_answers_is_a_loss_on_the_way_back() {
    let mut record = return_path_loss();
    let client = client(&mut record);
    client.counters.insert("nftables.filter.output.0.packets".into(), rising(3));
    client.counters.insert("Ip.InReceives".into(), rising(43));
    client.counters.insert("Ip.InDelivers".into(), rising(40));
    let verdict = judge(&record);
    assert_eq!(verdict.cause, Some(ReturnPathLoss));
    assert!(excludes(&verdict, PacketFilterDrop));
}

#[test]
fn a_last_ack_that_a_rule_holds_back_is_the_filter_s_doing() {
    let mut record = across_a_link();
    fail_from(&mut record, 3, Outcome::ResponseTimeout);
    socket(&mut record.evidence.server, "SYN_RECV", PORT, from_ms(3_000, 0, 5));
    socket(&mut record.evidence.server, "SYN_RECV_RETRANS", PORT, from_ms(3_000, 0, 5));
    let client = client(&mut record);
    client.counters.insert("nftables.filter.output.0.packets".into(), rising(3));
    client.counters.insert("Ip.OutRequests".into(), rising(43));
    assert_eq!(cause(&record), Some(PacketFilterDrop));
}

#[test]
fn syns_unanswered_at_several_listeners_outweigh_one_full_queue() {
    let mut record = filtered();
    let listener = record.evidence.server.listeners.get_mut("10.88.0.1:23380").unwrap();
    (listener.limit, listener.recv_q, listener.drops) = (steady(128), steady(129), rising(5));
    for name in ["TcpExt.ListenOverflows", "TcpExt.ListenDrops"] {
        count(&mut record, name, rising(5));
    }
    let one = judge(&record);
    assert_ne!(one.cause, Some(PacketFilterDrop), "its own queue is full");
    socket(client(&mut record), "SYN_SENT", "other", from_ms(3_000, 0, 4));
    assert_eq!(cause(&record), Some(PacketFilterDrop));
}

#[test]
fn the_origin_with_everything_read_names_the_filter_and_rules_out_what_was_published() {
    let verdict = judge(&origin_with_a_filter());
    for out in [
        AcceptQueue,
        SynQueue,
        SynQueueThreeQuarterRule,
        FdLimit,
        FdLeak,
        AcceptorStalled,
        ConntrackFull,
        SoftirqBacklog,
    ] {
        assert!(excludes(&verdict, out), "{out}: {verdict:#?}");
    }
    assert!(verdict.proof.iter().any(|line| line.text.contains("several listeners at once")), "{:#?}", verdict.proof);
}

#[test]
fn the_origin_without_a_filter_s_counter_points_to_what_is_shared_and_names_nothing() {
    let mut record = origin_with_a_filter();
    record.evidence.server.counters.retain(|name, _| !name.starts_with("nftables."));
    let verdict = judge(&record);
    assert_eq!((verdict.cause, verdict.cure), (Some(Undetermined), None));
    let first = verdict.undecided.first().unwrap();
    assert!(first.why.contains("several listeners at once") && first.why.contains("what they share"), "{first:?}");
}

#[test]
fn a_missing_route_without_drops_of_the_listener_is_somebody_else_s() {
    let mut record = no_route_back();
    count(&mut record, "TcpExt.ListenDrops", flat());
    let verdict = judge(&record);
    assert_eq!(verdict.cause, Some(Undetermined));
    assert!(!leaves_open(&verdict, NoRouteBack) || excludes(&verdict, SynQueue));
}

#[test]
fn half_open_connections_without_their_counterparts_are_no_loss_on_the_way_back() {
    let mut record = return_path_loss();
    socket(client(&mut record), "SYN_SENT", PORT, from_ms(3_000, 0, 40));
    let verdict = judge(&record);
    assert_eq!(verdict.cause, Some(Undetermined));
    assert!(excludes(&verdict, ReturnPathLoss));
}

#[test]
fn drops_of_a_processor_s_backlog_elsewhere_on_the_host_are_not_this_cell_s() {
    let mut record = softirq_backlog();
    count(&mut record, "device.eth0.rx_dropped", flat());
    let verdict = judge(&record);
    assert_eq!(verdict.cause, Some(Undetermined));
    assert!(leaves_open(&verdict, SoftirqBacklog) || excludes(&verdict, SoftirqBacklog));
}

#[test]
fn loopback_has_no_neighbours_to_find_room_for() {
    let mut record = origin_replay();
    host(&mut record, "arp_cache.table_fulls", rising(2));
    assert!(excludes(&judge(&record), NeighbourTable));
}

#[test]
fn two_sockets_that_are_both_full_are_no_skew() {
    let mut record = skewed();
    let stuck = record.evidence.server.listeners[&format!("{ADDRESS}#2")].clone();
    record.evidence.server.listeners.insert(ADDRESS.into(), stuck);
    let verdict = judge(&record);
    assert_ne!(verdict.cause, Some(ReuseportSkew));
    assert!(excludes(&verdict, ReuseportSkew));
}

#[test]
fn a_slow_acceptor_with_processor_time_is_stalled_and_not_throttled() {
    let mut record = throttled();
    let mut seldom = Series::default();
    (0..110_u64).for_each(|i| seldom.push(i * 100 * MS, i / 10));
    host(&mut record, "cgroup.target.nr_throttled", seldom);
    let verdict = judge(&record);
    assert_eq!(verdict.cause, Some(AcceptorStalled));
    assert!(excludes(&verdict, AcceptorThrottled));
}

#[test]
fn throttling_while_descriptors_are_at_their_limit_is_company() {
    let mut record = fd_limit();
    host(&mut record, "cgroup.target.nr_periods", rising(1));
    host(&mut record, "cgroup.target.nr_throttled", rising(1));
    assert_eq!(cause(&record), Some(FdLimit));
}

#[test]
fn a_busy_machine_never_leads_to_a_limit_of_the_kernel() {
    for outcome in [Outcome::ResponseTimeout, Outcome::ConnectTimeout, Outcome::Reset] {
        for wait in [0, 20, 60, 95] {
            let mut record = healthy();
            fail_from(&mut record, 4, outcome);
            record.evidence.processes[0].runqueue_wait_ns = rising(wait * MS);
            let named = cause(&record).unwrap();
            assert!([Undetermined, AcceptorThrottled].contains(&named), "{outcome:?} at {wait}: {named}");
        }
    }
}

#[test]
fn a_round_number_at_a_round_instant_is_a_cap_or_a_standstill() {
    let at_two_seconds = World { pause: Some((2_000, 60_000, 60_000)), ..World::default() }.record();
    let verdict = judge(&at_two_seconds);
    assert_eq!(verdict.cause, Some(Undetermined), "{verdict:#?}");
    assert!(leaves_open(&verdict, AppConnectionCap) && leaves_open(&verdict, AcceptorStalled));
}

#[test]
fn a_standstill_at_no_particular_number_stays_the_acceptor_s_and_a_cap_is_not_excluded() {
    let record = World { pause: Some((1_337, 60_000, 60_000)), ..World::default() }.record();
    let verdict = judge(&record);
    assert_eq!(verdict.cause, Some(AcceptorStalled));
    assert!(leaves_open(&verdict, AppConnectionCap));
}

#[test]
fn a_standstill_after_everybody_was_let_in_is_no_cap() {
    for connections in [12_000, 2_000, 1_024] {
        let world = World { connections, pause: Some((4_000, 60_000, 60_000)), hold_ms: 10_000, ..World::default() };
        let verdict = judge(&world.record());
        assert_eq!(verdict.cause, Some(AcceptorStalled), "{connections}");
        assert!(excludes(&verdict, AppConnectionCap), "{connections}");
    }
}

#[test]
fn connections_all_held_and_a_probe_reset_are_no_cap() {
    let mut record = healthy();
    fail_from(&mut record, 5, Outcome::Reset);
    let verdict = judge(&record);
    assert_eq!(verdict.cause, Some(Undetermined));
    assert!(leaves_open(&verdict, AppConnectionCap));
}

#[test]
fn what_is_open_for_a_moment_until_it_is_closed_stands_out_of_a_cap() {
    for (one_in, named) in [(25, AppConnectionCap), (8, Undetermined)] {
        let mut record = turning_away();
        let open = &mut record.evidence.processes[0].descriptors;
        let ((at_ns, _), level) = (*open.points.last().unwrap(), open.last);
        open.push(at_ns + 100 * MS, level + level / one_in);
        open.push(at_ns + 200 * MS, level);
        assert_eq!(cause(&record), Some(named), "one in {one_in}");
    }
}

#[test]
fn answers_that_were_fast_and_then_never_came_are_not_called_slow() {
    let mut record = slow();
    record.probe.samples[0] = sample(0, Outcome::Ok);
    let verdict = judge(&record);
    assert_eq!(verdict.cause, Some(Undetermined));
    assert!(leaves_open(&verdict, SlowAnswer));
    record.probe.samples[0].first_byte_ns = Some(700 * MS);
    assert_eq!(cause(&record), Some(SlowAnswer), "some came late");
}

#[test]
fn a_slow_answer_of_a_program_without_a_processor_is_not_its_own() {
    let mut record = slow();
    record.evidence.processes[0].runqueue_wait_ns = rising(80 * MS);
    assert_eq!(cause(&record), Some(AcceptorThrottled));
}

#[test]
fn half_open_connections_that_never_answered_are_not_deferred() {
    let mut record = deferred();
    count(&mut record, "TcpExt.TCPDeferAcceptDrop", from_ms(500, 0, 3));
    let verdict = judge(&record);
    assert_eq!(verdict.cause, Some(SynQueue));
    assert!(leaves_open(&verdict, DeferAccept));
}

#[test]
fn memory_pressure_without_an_abort_is_left_open() {
    let mut record = tcp_mem();
    count(&mut record, "TcpExt.TCPAbortOnMemory", flat());
    let verdict = judge(&record);
    assert_eq!(verdict.cause, Some(Undetermined));
    assert!(leaves_open(&verdict, TcpMem));
}

#[test]
fn a_handshake_turned_away_at_its_last_ack_is_the_accept_queue_s_also_as_a_reset() {
    let verdict = judge(&overflowing_at_the_ack());
    assert_eq!((verdict.cause, verdict.why), (Some(AcceptQueue), Some(Why::AppBacklog)), "{verdict:#?}");
    let mut aborted = overflowing_at_the_ack();
    fail_from(&mut aborted, 2, Outcome::Reset);
    aborted.evidence.server.sockets.clear();
    assert_eq!(cause(&aborted), Some(Undetermined), "a reset alone says nothing of the queue");
    count(&mut aborted, "TcpExt.EmbryonicRsts", rising(2));
    assert_eq!(cause(&aborted), Some(AcceptQueue));
}

#[test]
fn an_overflow_at_an_ack_that_came_late_counts_for_the_probe_that_waits() {
    let mut record = overflowing_at_the_ack();
    let mut waiting = Series::default();
    (0..110_u64).for_each(|i| waiting.push(i * 100 * MS, if (5..8).contains(&(i % 10)) { 5 } else { 0 }));
    record.evidence.server.listeners.get_mut(ADDRESS).unwrap().recv_q = waiting;
    assert_eq!(cause(&record), Some(AcceptQueue));
    socket(&mut record.evidence.server, "SYN_RECV_RETRANS", PORT, steady(0));
    assert_ne!(cause(&record), Some(AcceptQueue), "nothing says that the server did not take it");
}

#[test]
fn cookies_are_a_note_on_a_healthy_cell_and_no_cause_of_a_sick_one() {
    let mut record = healthy();
    count(&mut record, "TcpExt.SyncookiesSent", rising(5));
    record.cell.sysctls.insert("net.ipv4.tcp_syncookies".into(), "1".into());
    record.cell.sysctls.insert("net.ipv4.tcp_max_syn_backlog".into(), "16".into());
    let verdict = judge(&record);
    assert_eq!((verdict.outcome, verdict.cause), (CellOutcome::Healthy, None));
    assert!(
        verdict.notes.iter().any(|n| n.contains("545 SYNs were answered with cookies: served")),
        "{:?}",
        verdict.notes
    );
    assert!(verdict.notes.iter().any(|n| n == "tcp_max_syn_backlog is not read while cookies are on"));
    record.cell.sysctls.insert("net.ipv4.tcp_syncookies".into(), "0".into());
    assert!(!judge(&record).notes.iter().any(|n| n.contains("not read while cookies")));
    fail_from(&mut record, 2, Outcome::ConnectTimeout);
    assert!(excludes(&judge(&record), SynCookies));
}
