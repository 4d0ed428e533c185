use proptest::prelude::*;
use serde::de::value::MapDeserializer;

use super::*;

fn latency() -> impl Strategy<Value = Latency> {
    proptest::collection::vec(1_u64..10_000_000_000, 0..8).prop_map(|values| {
        let mut latency = Latency::new();
        for value in values {
            latency.record(value);
        }
        latency
    })
}

/// A timeline in time order, from steps of time and of the counts.
fn timeline() -> impl Strategy<Value = Vec<LoadPoint>> {
    proptest::collection::vec((1_u64..5, 0_u64..9, 0_u64..9, 0_u64..9, 0_u64..3, 0_u64..5), 0..8).prop_map(|steps| {
        let mut point = LoadPoint::default();
        let mut grow = |(time, attempted, established, held, failed, pending): (u64, u64, u64, u64, u64, u64)| {
            point.at_ns += time;
            point.attempted += attempted;
            point.established += established;
            point.failed += failed;
            (point.held, point.pending) = (held, pending);
            point
        };
        steps.into_iter().map(&mut grow).collect()
    })
}

fn outcome() -> impl Strategy<Value = LoadOutcome> {
    let counts = proptest::array::uniform7(prop_oneof![0_u64..20_000, Just(u64::MAX)]);
    let phase = prop_oneof![Just(Phase::Socket), Just(Phase::Bind), Just(Phase::Connect), Just(Phase::Hold)];
    let errno = prop_oneof![Just("EMFILE"), Just("ECONNREFUSED"), Just("EOF")];
    let failures = proptest::collection::vec((phase, errno, 0_u64..50), 0..6);
    let instants = proptest::array::uniform3(proptest::option::of(0_u64..1_000_000));
    (counts, failures, (latency(), latency()), instants, timeline()).prop_map(
        |(counts, failures, (connect_latency, lag), instants, timeline)| {
            let [requested, attempted, established, held, pending, closed, renewed] = counts;
            let [first_attempt_ns, last_attempt_ns, last_established_ns] = instants;
            let mut outcome = LoadOutcome {
                requested,
                attempted,
                established,
                held,
                pending,
                closed,
                renewed,
                failures: Vec::new(),
                connect_latency,
                lag: lag.clone(),
                first_attempt_ns,
                last_attempt_ns,
                last_established_ns,
                timeline,
                heartbeats: Heartbeats { sent: requested, missed: closed, ..Heartbeats::default() },
                heartbeat_latency: lag.clone(),
                reconnects: Reconnects { attempted, back: held, given_up: pending },
                ..LoadOutcome::default()
            };
            for (phase, errno, count) in failures {
                outcome.add_failure(phase, errno, count);
            }
            outcome
        },
    )
}

fn merged(a: &LoadOutcome, b: &LoadOutcome) -> LoadOutcome {
    let mut sum = a.clone();
    sum.merge(b);
    sum
}

/// The value of a timeline at an instant, as the step function that it is.
fn at(timeline: &[LoadPoint], at_ns: u64) -> LoadPoint {
    let point = timeline.iter().take_while(|p| p.at_ns <= at_ns).last().copied().unwrap_or_default();
    LoadPoint { at_ns, ..point }
}

proptest! {
    #[test]
    fn merging_is_associative_and_commutative_with_a_neutral_element(a in outcome(), b in outcome(), c in outcome()) {
        prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
        prop_assert_eq!(merged(&a, &b), merged(&b, &a));
        prop_assert_eq!(merged(&a, &LoadOutcome::default()), a);
    }

    #[test]
    fn a_merged_timeline_is_the_sum_at_every_instant(a in timeline(), b in timeline()) {
        let sum = sum_of_steps(&a, &b);
        for at_ns in 0..50 {
            prop_assert_eq!(at(&sum, at_ns), at(&a, at_ns).plus(&at(&b, at_ns)));
        }
        prop_assert!(sum.is_sorted_by(|p, q| p.at_ns < q.at_ns));
    }

    #[test]
    fn failures_are_sorted_rows_that_lose_no_count(outcome in outcome(), count in 1_u64..9) {
        let total = |o: &LoadOutcome| o.failures.iter().map(|f| f.count).sum::<u64>();
        let mut more = outcome.clone();
        more.add_failure(Phase::Connect, "ETIMEDOUT", count);
        prop_assert_eq!(total(&more), total(&outcome) + count);
        let sorted = more.failures.is_sorted_by(|a, b| (a.phase, &a.errno) < (b.phase, &b.errno));
        prop_assert!(sorted, "not sorted, or a kind has two rows: {:?}", more.failures);
        prop_assert!(more.failures.iter().all(|f| f.count > 0));
    }

    #[test]
    fn a_thinned_timeline_keeps_its_end_and_its_bound(timeline in timeline(), most in 0_usize..12) {
        let mut outcome = LoadOutcome { timeline: timeline.clone(), ..LoadOutcome::default() };
        outcome.thin_timeline(most);
        prop_assert!(outcome.timeline.len() <= most.max(2));
        prop_assert_eq!(outcome.timeline.last(), timeline.last());
        prop_assert!(outcome.timeline.iter().all(|p| timeline.contains(p)));
    }

    #[test]
    fn a_sampled_timeline_is_the_same_step_function_at_its_instants(timeline in timeline(), step in 1_u64..40) {
        let value = |timeline: &[LoadPoint], at_ns| timeline.iter().rfind(|p| p.at_ns <= at_ns).map(|p| p.held);
        let mut outcome = LoadOutcome { timeline: timeline.clone(), ..LoadOutcome::default() };
        outcome.sample_timeline(step);
        let end = timeline.last().map_or(0, |p| p.at_ns);
        for at_ns in (0..=end.next_multiple_of(step)).step_by(usize::try_from(step).unwrap()) {
            prop_assert_eq!(value(&outcome.timeline, at_ns), value(&timeline, at_ns));
        }
        prop_assert!(outcome.timeline.iter().all(|p| p.at_ns % step == 0));
        prop_assert!(outcome.timeline.len() as u64 <= end.div_ceil(step) + 1);
    }
}

#[test]
fn a_point_written_before_pending_was_kept_is_still_read() {
    let old = [("at_ns", 7_u64), ("attempted", 3), ("established", 2), ("held", 1), ("failed", 1)];
    let read = LoadPoint::deserialize(MapDeserializer::<_, serde::de::value::Error>::new(old.into_iter())).unwrap();
    assert_eq!(read, LoadPoint { at_ns: 7, attempted: 3, established: 2, held: 1, failed: 1, pending: 0 });
}

#[test]
fn the_rate_spans_first_attempt_to_last_handshake() {
    let mut outcome = LoadOutcome { established: 12_000, ..LoadOutcome::default() };
    assert_eq!(outcome.rate_per_s(), None);
    outcome.first_attempt_ns = Some(1_000_000_000);
    outcome.last_established_ns = Some(1_000_000_000);
    assert_eq!(outcome.rate_per_s(), None);
    outcome.last_established_ns = Some(4_000_000_000);
    assert_eq!(outcome.rate_per_s(), Some(4_000.0));
}
