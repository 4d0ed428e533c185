//! What a gate says of made-up runs whose truth is known, and how it looks.

use brimful_judge::compare::*;
use brimful_judge::gate::*;
use brimful_judge::metric::Value;
use brimful_judge::report::MissingCell;
use brimful_plan::gate::{Gate, Metric};
use brimful_testing::gates::*;
use brimful_testing::reports::{Made, arms, cell, noisy, report};

#[test]
fn the_three_answers() {
    for (factor, answer) in [(1.0, Answer::Pass), (1.1, Answer::Inconclusive), (1.3, Answer::Fail)] {
        let run = arms(vec![("", noisy(12, 1.0, 1))], vec![("", noisy(12, factor, 2))]);
        assert_eq!(of_arms(&run, &Gate::default()).unwrap().answer, answer, "{factor}");
    }
}

#[test]
fn answers_merge_the_worse_over_the_better() {
    let run = arms(
        vec![("a=1", noisy(12, 1.0, 1)), ("a=2", noisy(12, 1.0, 2)), ("a=3", noisy(12, 1.0, 3))],
        vec![("a=1", noisy(12, 1.0, 4)), ("a=2", noisy(12, 1.1, 5)), ("a=3", noisy(12, 1.3, 6))],
    );
    let of = |glob: &str| of_arms(&run, &Gate { cells: Some(glob.to_owned()), ..Gate::default() }).unwrap().answer;
    assert_eq!([of("a=1"), of("a=[12]"), of("a=*")], [Answer::Pass, Answer::Inconclusive, Answer::Fail]);
    let kept = with_ceiling(Metric::P99, 1e9);
    assert_eq!(of_arms(&run, &Gate { cells: Some("a=2".into()), ..kept }).unwrap().answer, Answer::Inconclusive);
}

#[test]
fn fewer_blocks_than_the_family_takes_are_refused_with_the_number() {
    let run = arms(
        vec![("a=1", noisy(10, 1.0, 1)), ("a=2", noisy(10, 1.0, 2))],
        vec![("a=1", noisy(10, 1.0, 3)), ("a=2", noisy(10, 1.0, 4))],
    );
    let refused = of_arms(&run, &Gate::default()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "2 cells by 3 metrics (failure-rate, latency.restricted-mean, latency.p99) are 6 comparisons, which take 11 blocks of each \
         side; there are 10"
    );
    assert!(refused.hint().contains("--blocks 11") && refused.hint().contains("--ceilings-only"), "{}", refused.hint());
    // One cell makes three comparisons, and those take ten.
    assert!(of_arms(&run, &Gate { cells: Some("a=1".into()), ..Gate::default() }).is_ok());
}

#[test]
fn void_blocks_do_not_refuse_the_gate_but_cannot_fail_it() {
    let mut head = noisy(10, 1.5, 2);
    head[0].void = true;
    let run = arms(vec![("", noisy(10, 1.0, 1))], vec![("", head)]);
    assert_eq!(of_arms(&run, &Gate::default()).unwrap().answer, Answer::Inconclusive);
}

#[test]
fn a_ceiling_holds_in_every_block_and_with_any_number() {
    let blocks = [Made { p99_ms: Some(40.0), ..Made::default() }, Made { p99_ms: Some(60.0), ..Made::default() }];
    let broken = alone(&blocks, &with_ceiling(Metric::P99, 50e6));
    assert_eq!(broken.answer, Answer::Fail);
    let ceiling = &broken.ceilings[0];
    assert_eq!(
        (ceiling.worst, ceiling.block, ceiling.beyond, ceiling.blocks),
        (Some(Value::Known(60e6)), Some(1), 1, 2)
    );
    assert_eq!(alone(&blocks, &with_ceiling(Metric::P99, 60e6)).answer, Answer::Pass, "it may be reached");
}

#[test]
fn a_floor_is_a_ceiling_where_more_is_better() {
    let blocks = [Made { held: 12_000, ..Made::default() }, Made { held: 1_000, ..Made::default() }];
    let broken = alone(&blocks, &with_ceiling(Metric::LoadHeld, 10_000.0));
    assert_eq!((broken.answer, broken.ceilings[0].worst), (Answer::Fail, Some(Value::Known(1_000.0))));
    assert_eq!(alone(&blocks[..1], &with_ceiling(Metric::LoadHeld, 10_000.0)).answer, Answer::Pass);
}

#[test]
fn what_cannot_be_known_is_no_pass() {
    let censored = [Made { failed: 5, p99_ms: None, ..Made::default() }];
    assert_eq!(alone(&censored, &with_ceiling(Metric::P99, 50e6)).answer, Answer::Fail);
    assert_eq!(alone(&censored, &with_ceiling(Metric::P99, 1e9)).answer, Answer::Fail, "longer than the time-out");
    assert_eq!(alone(&censored, &with_ceiling(Metric::P99, 2e9)).answer, Answer::Inconclusive);
    let void = [Made { void: true, ..Made::default() }];
    assert_eq!(alone(&void, &with_ceiling(Metric::P99, 50e6)).answer, Answer::Inconclusive);
}

#[test]
fn a_cell_that_was_planned_and_not_run_fails() {
    let mut run = report(vec![cell("a=1", &[Made::default()])]);
    run.missing.push(MissingCell { id: "a=2".into(), knobs: indexmap::IndexMap::new(), blocks: vec![0] });
    let rules = with_ceiling(Metric::P99, 50e6);
    let answer = ceilings_only(&Side::run("mine", &run), &rules).unwrap();
    assert_eq!((answer.answer, answer.not_run.as_slice()), (Answer::Fail, &["a=2".to_owned()][..]));
    // A side of which nothing was run at all is missing, too.
    let mut nothing = run.clone();
    nothing.cells.clear();
    let base = report(vec![cell("a=1", &noisy(10, 1.0, 1))]);
    let both = gate(&Side::run("a", &base), &Side::run("b", &nothing), &Gate::default(), Question::Worse);
    assert_eq!(both.unwrap().answer, Answer::Fail);
}

#[test]
fn without_a_ceiling_there_is_nothing_to_judge_alone() {
    let run = report(vec![cell("base", &[Made::default()])]);
    let side = Side::run("mine", &run);
    assert_eq!(ceilings_only(&side, &Gate::default()), Err(Refused::NoCeiling));
    let empty = report(vec![]);
    let of_nothing = ceilings_only(&Side::run("empty", &empty), &with_ceiling(Metric::P99, 1.0));
    assert!(matches!(of_nothing, Err(Refused::Empty { .. })));
    let nowhere = Gate { cells: Some("b=*".into()), ..with_ceiling(Metric::P99, 1.0) };
    assert!(matches!(ceilings_only(&side, &nowhere), Err(Refused::NoCellFits { .. })));
}

#[test]
fn a_baseline_that_tells_equals_apart_is_not_used() {
    let aa = |factor| {
        let run = arms(vec![("", noisy(12, 1.0, 1))], vec![("", noisy(12, factor, 2))]);
        gate(&Side::arm(&run, "base").unwrap(), &Side::arm(&run, "head").unwrap(), &Gate::default(), Question::Same)
            .unwrap()
    };
    assert_eq!(trusted(&aa(1.0)), Ok(()));
    assert_eq!(trusted(&aa(0.7)), Err(Refused::BaselineFailedAa));
}

#[test]
fn the_second_scenarios_gate_is_used_or_else_the_firsts() {
    let mut base = report(vec![]);
    let mut head = report(vec![]);
    assert_eq!(rules_of(Some(&base), &head), Gate::default());
    base.gate = Some(with_ceiling(Metric::P50, 1.0));
    assert_eq!(rules_of(Some(&base), &head), with_ceiling(Metric::P50, 1.0));
    head.gate = Some(with_ceiling(Metric::P90, 2.0));
    assert_eq!(rules_of(Some(&base), &head), with_ceiling(Metric::P90, 2.0));
}
