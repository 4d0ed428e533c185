//! Answers of gates, as people read them.

use brimful_plan::gate::Metric;
use brimful_testing::gates::*;
use brimful_testing::reports::Made;

use crate::gate::{markdown, text};
use crate::text::Look;

#[test]
fn a_terminal_sees_the_answer_first() {
    let page = text::render(&slower_beyond_a_ceiling(), Look { width: 100, color: false });
    assert!(page.lines().all(|line| line.chars().count() <= 100), "{page}");
    insta::assert_snapshot!(page);
}

#[test]
fn a_comment_sees_the_answer_first() {
    insta::assert_snapshot!(markdown::render(&slower_beyond_a_ceiling()));
}

#[test]
fn ceilings_alone_are_told_in_few_lines() {
    let blocks = [Made { p99_ms: Some(40.0), ..Made::default() }, Made { failed: 3, p99_ms: None, ..Made::default() }];
    let answer = alone(&blocks, &with_ceiling(Metric::P99, 50e6));
    insta::assert_snapshot!(text::render(&answer, Look { width: 100, color: false }));
    let json = serde_json::to_value(&answer).unwrap();
    assert_eq!((&json["answer"], &json["ceilings"][0]["worst"]["at_least"]), (&"fail".into(), &1e9.into()));
}
