//! What holds of every verdict, whatever the record says.

use brimful_evidence::record::Record;
use brimful_evidence::series::Series;
use brimful_loadgen_plan::probe::Outcome;
use brimful_plan::expect::CellOutcome;
use brimful_testing::*;
use proptest::prelude::*;

use crate::verdict::{Verdict, judge};

fn outcomes() -> impl Strategy<Value = Outcome> {
    use Outcome::*;
    prop::sample::select(vec![Ok, ConnectTimeout, ResponseTimeout, Refused, Reset, BadStatus, LocalError])
}

fn any_series() -> impl Strategy<Value = Series> {
    let number = || prop_oneof![0_u64..200, 0..14 * SECOND, any::<u64>()];
    (number(), number(), number(), number(), prop::collection::vec((number(), number()), 0..6))
        .prop_map(|(first, last, max, reads, points)| Series { first, last, max, reads, points })
}

prop_compose! {
    /// A record of the small world with anything in any place.
    fn any_record()(
        base in 0_usize..6,
        series in prop::collection::vec(any_series(), 9),
        mask in any::<u16>(),
        ends in prop::collection::vec((outcomes(), any::<u64>(), any::<u64>()), 0..14),
        numbers in prop::collection::vec(prop_oneof![Just(0), Just(u64::MAX), any::<u64>()], 6),
    ) -> Record {
        let mut r = match base {
            0 => fd_limit(),
            1 => bursts().record(),
            2 => syn_queue(),
            3 => ended(),
            4 => dead(128),
            _ => healthy(),
        };
        let put = |i: usize, target: &mut Series| if mask & (1 << i) != 0 { *target = series[i].clone() };
        let listener = r.evidence.server.listeners.get_mut(ADDRESS).unwrap();
        put(0, &mut listener.recv_q);
        put(1, &mut listener.limit);
        put(2, &mut listener.drops);
        for (i, name) in ["TcpExt.ListenOverflows", "TcpExt.ListenDrops", "Tcp.PassiveOpens", "Tcp.OutRsts"].iter().enumerate() {
            put(3 + i, r.evidence.server.counters.get_mut(*name).unwrap());
        }
        put(7, &mut r.evidence.processes[0].descriptors);
        put(8, &mut r.evidence.processes[0].nofile_soft);
        if mask & (1 << 9) != 0 {
            r.probe.samples = ends.iter().enumerate().map(|(i, &(outcome, started, ended))| {
                let mut s = sample(i as u64, outcome);
                (s.started_ns, s.ended_ns) = (started, ended);
                s
            }).collect();
        }
        if mask & (1 << 10) != 0 {
            let o = &mut r.load.outcome;
            (o.requested, o.attempted, o.first_attempt_ns, o.last_attempt_ns) = (numbers[0], numbers[1], Some(numbers[2]), Some(numbers[3]));
        }
        if mask & (1 << 11) != 0 {
            r.duration_ns = numbers[4];
            r.probe.plan.failure_threshold = u32::try_from(numbers[5] % 3).unwrap();
            r.cell.target.shards = 0;
        }
        r
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn judging_never_fails_and_a_cause_stands_exactly_where_one_is_due(record in any_record()) {
        let verdict = judge(&record);
        prop_assert_eq!(verdict.cause.is_none(), verdict.outcome == CellOutcome::Healthy);
        if verdict.outcome == CellOutcome::Healthy {
            prop_assert!(verdict.cure.is_none() && verdict.undecided.is_empty());
        }
        if let Some(cause) = verdict.cause {
            prop_assert!(verdict.ruled_out.iter().all(|out| out.cause != cause));
        }
        let text = serde_json::to_string(&verdict).unwrap();
        prop_assert_eq!(serde_json::from_str::<Verdict>(&text).unwrap(), verdict);
    }
}
