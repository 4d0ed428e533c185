//! What is said of made-up runs whose truth is known, and how it looks.

#![expect(clippy::unwrap_used, reason = "a helper of tests, which end there")]

use brimful_judge::compare::*;
use brimful_judge::metric::Value;
use brimful_plan::gate::{Gate, Metric};
use brimful_testing::comparisons::of_arms;
use brimful_testing::reports::{Made, arms, cell, noisy, report};

fn one(comparison: &Comparison, metric: Metric) -> &MetricComparison {
    comparison.cells[0].metrics.iter().find(|m| m.metric == metric).unwrap()
}

#[test]
fn the_json_keeps_its_paths() {
    let comparison = of_arms(
        vec![("", noisy(9, 1.0, 1))],
        vec![("", noisy(9, 1.3, 2))],
        &Gate { metrics: vec![], ..Gate::default() },
    );
    let json = serde_json::to_string_pretty(&comparison).unwrap();
    insta::assert_snapshot!(json);
    // Reading floats back is exact to the last bit but one; what is decided by them is saved with them.
    let back: Comparison = serde_json::from_str(&json).unwrap();
    assert_eq!((back.answer, back.family, back.cells.len()), (comparison.answer, comparison.family, 1));
}

#[test]
fn an_aa_is_wrong_in_either_direction() {
    let run = arms(vec![("", noisy(12, 1.3, 1))], vec![("", noisy(12, 1.0, 2))]);
    let (base, head) = (Side::arm(&run, "base").unwrap(), Side::arm(&run, "head").unwrap());
    assert_eq!(compare(&base, &head, &Gate::default(), Question::Same).unwrap().answer, Answer::Fail);
}

#[test]
fn eight_blocks_are_too_few_for_a_family_of_three() {
    let family = of_arms(vec![("", noisy(8, 1.0, 1))], vec![("", noisy(8, 9.0, 1))], &Gate::default());
    assert_eq!((family.family.blocks_needed, family.answer), (10, Answer::Inconclusive));
    assert!(one(&family, Metric::P99).p.unwrap() <= 0.01 && one(&family, Metric::P99).p_adjusted.unwrap() > 0.01);
}

#[test]
fn blocks_without_any_difference_pass() {
    let same = of_arms(vec![("", noisy(8, 1.0, 1))], vec![("", noisy(8, 1.0, 1))], &Gate::default());
    assert_eq!(same.answer, Answer::Pass);
    let effect = one(&same, Metric::FailureRate).effect.unwrap();
    assert_eq!((effect.estimate, effect.low, effect.high), (0.0, Some(0.0), Some(0.0)));
}

#[test]
fn a_censored_quantile_is_not_tested_and_what_stands_for_it_is() {
    let mut head = noisy(12, 1.0, 2);
    head[4] = Made { failed: 2, p99_ms: None, ..head[4] };
    let lenient = Gate { tolerance: [(Metric::FailureRate, 0.02)].into(), ..Gate::default() };
    let censored = of_arms(vec![("", noisy(12, 1.0, 1))], vec![("", head)], &lenient);
    let p99 = one(&censored, Metric::P99);
    assert_eq!((p99.answer, p99.reason), (Answer::NotTested, Some(Reason::Censored { base: 0, head: 1, of: 12 })));
    assert_eq!((p99.p, p99.effect, p99.weight()), (None, None, Answer::NotTested));
    assert_eq!(censored.answer, Answer::Pass);
    assert_eq!(censored.family.comparisons, 3, "it was meant to be tested, and counts");
    let all: Vec<Made> =
        (0..12).map(|_| Made { failed: 90, p99_ms: None, mean_ms: 900.0, ..Made::default() }).collect();
    let gone = of_arms(vec![("", noisy(12, 1.0, 1))], vec![("", all)], &Gate::default());
    assert_eq!(
        (one(&gone, Metric::P99).answer, one(&gone, Metric::FailureRate).answer),
        (Answer::NotTested, Answer::Fail)
    );
    assert_eq!(one(&gone, Metric::P99).head, Some(Value::AtLeast { at_least: 1e9 }));
}

#[test]
fn void_blocks_and_their_partners_are_no_data() {
    let mut base = noisy(12, 1.0, 1);
    base[3].void = true;
    let mut head = noisy(12, 1.0, 2);
    head[5] = Made { void: true, mean_ms: 1e3, ..head[5] };
    let few = of_arms(vec![("", base)], vec![("", head)], &Gate::default());
    assert_eq!(few.answer, Answer::Pass);
    assert_eq!(
        (few.blocks, one(&few, Metric::P99).blocks.iter().filter(|p| p.base.is_some() && p.head.is_some()).count()),
        (12, 10)
    );
    assert_eq!(few.caveats.len(), 2);
    let all_void: Vec<Made> = noisy(12, 1.0, 2).into_iter().map(|made| Made { void: true, ..made }).collect();
    let nothing = of_arms(vec![("", noisy(12, 1.0, 1))], vec![("", all_void)], &Gate::default());
    assert_eq!((one(&nothing, Metric::P99).reason, nothing.answer), (Some(Reason::NoPairs), Answer::Inconclusive));
}

#[test]
fn two_runs_are_the_weaker_evidence_and_what_else_differs_is_listed() {
    let a = report(vec![cell("base", &noisy(12, 1.0, 1))]);
    let mut b = report(vec![cell("base", &noisy(12, 1.0, 2))]);
    b.host.kernel = "6.1.0".into();
    b.host.cpus += 2;
    b.tool.version = "0.2.0".into();
    b.gate = Some(Gate::default());
    b.interrupted = true;
    let both = compare(&Side::run("a", &a), &Side::run("b", &b), &Gate::default(), Question::Worse).unwrap();
    assert!(!both.interleaved);
    insta::assert_snapshot!(both.caveats.iter().map(Caveat::words).collect::<Vec<_>>().join("\n"));
}

#[test]
fn latencies_under_different_time_outs_are_refused() {
    let other: Vec<Made> =
        noisy(12, 1.0, 2).into_iter().map(|made| Made { timeout_ns: 2_000_000_000, ..made }).collect();
    let both = of_arms(
        vec![("", noisy(12, 1.0, 1))],
        vec![("", other)],
        &Gate { metrics: Metric::ALL.to_vec(), ..Gate::default() },
    );
    for metric in &both.cells[0].metrics {
        let refused = matches!(metric.reason, Some(Reason::OtherTimeout { base_ns: 1_000_000_000, .. }));
        assert_eq!(refused, metric.metric.name().starts_with("latency."), "{}", metric.metric);
        assert_eq!(metric.weight(), if refused { Answer::Inconclusive } else { Answer::Pass });
    }
    assert!(matches!(both.caveats.as_slice(), [Caveat::Timeout { .. }]));
}

#[test]
fn durations_of_a_translated_guest_are_refused() {
    let run = |virtual_machine: Option<&str>, salt| {
        let mut run = report(vec![cell("a=1", &noisy(12, 1.0, salt))]);
        run.host.virtual_machine = virtual_machine.map(str::to_owned);
        run
    };
    let rules = Gate { metrics: Metric::ALL.to_vec(), ..Gate::default() };
    for (name, refused) in [("qemu-tcg", true), ("qemu-kvm", false)] {
        let (base, head) = (run(None, 1), run(Some(name), 2));
        let both = compare(&Side::run("base", &base), &Side::run("head", &head), &rules, Question::Worse).unwrap();
        for metric in &both.cells[0].metrics {
            let timed = metric.metric.name().starts_with("latency.") || metric.metric == Metric::LoadRate;
            assert_eq!(metric.reason == Some(Reason::Translated), refused && timed, "{name}: {}", metric.metric);
        }
        let told = |c: &Caveat| matches!(c, Caveat::Run { what, head, .. } if what == "host.virtual" && head == name);
        assert!(both.caveats.iter().any(told), "{:?}", both.caveats);
    }
}

#[test]
fn missing_cells_fail_and_new_ones_are_listed() {
    let both = of_arms(
        vec![("a=1", noisy(12, 1.0, 1)), ("a=2", noisy(12, 1.0, 1))],
        vec![("a=1", noisy(12, 1.0, 2)), ("a=3", noisy(12, 1.0, 1))],
        &Gate::default(),
    );
    assert_eq!((both.answer, both.missing, both.new), (Answer::Fail, vec!["a=2".to_owned()], vec!["a=3".to_owned()]));
    assert_eq!(both.family.cells, 1);
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let run = arms(vec![("a=1", noisy(8, 1.0, 1))], vec![("a=1", noisy(8, 1.0, 2))]);
    let base = Side::arm(&run, "base").unwrap();
    assert!(matches!(Side::arm(&run, "tail"), Err(Refused::NoSuchArm { known, .. }) if known == ["base", "head"]));
    assert!(matches!(compare(&base, &base, &Gate::default(), Question::Worse), Err(Refused::SameArm { .. })));
    let empty = report(vec![]);
    let against_nothing = compare(&Side::run("empty", &empty), &base, &Gate::default(), Question::Worse);
    assert!(matches!(against_nothing, Err(Refused::Empty { side }) if side == "empty"));
    let rules = |glob: &str| Gate { cells: Some(glob.to_owned()), ..Gate::default() };
    let head = Side::arm(&run, "head").unwrap();
    assert!(matches!(compare(&base, &head, &rules("a=["), Question::Worse), Err(Refused::Glob { .. })));
    let unfit = compare(&base, &head, &rules("b=*"), Question::Worse).unwrap_err();
    assert_eq!(unfit.hint(), "the cells are `a=1`");
    let other = report(vec![cell("b=1", &noisy(8, 1.0, 1))]);
    let strangers = compare(&Side::run("other", &other), &head, &Gate::default(), Question::Worse);
    assert!(matches!(strangers, Err(Refused::NothingInCommon { .. })));
}
