//! Comparisons, as people read them.

use brimful_judge::compare::*;
use brimful_plan::gate::{Gate, Metric};
use brimful_testing::comparisons::{of_arms, slower_and_out};
use brimful_testing::reports::{Made, cell, noisy, report};

use crate::compare::{markdown, text};
use crate::text::Look;

const LOOK: Look = Look { width: 100, color: false };

fn one(comparison: &Comparison, metric: Metric) -> &MetricComparison {
    comparison.cells[0].metrics.iter().find(|m| m.metric == metric).unwrap()
}

#[test]
fn a_terminal_sees_the_effect_first() {
    let page = text::render(&slower_and_out(), LOOK);
    assert!(page.lines().all(|line| line.chars().count() <= 100), "{page}");
    insta::assert_snapshot!(page);
}

#[test]
fn a_comment_has_what_matters_above() {
    insta::assert_snapshot!(markdown::render(&slower_and_out()));
}

#[test]
fn equals_pass_and_a_slower_one_fails() {
    let rules = Gate::default();
    let equals = of_arms(vec![("", noisy(12, 1.0, 1))], vec![("", noisy(12, 1.0, 2))], &rules);
    assert_eq!(equals.answer, Answer::Pass, "{}", text::render(&equals, LOOK));
    assert_eq!(equals.family.comparisons, 3);
    assert!(equals.interleaved && equals.caveats.is_empty());
    let slower = of_arms(vec![("", noisy(12, 1.0, 1))], vec![("", noisy(12, 1.3, 2))], &rules);
    assert_eq!(slower.answer, Answer::Fail);
    let p99 = one(&slower, Metric::P99);
    let effect = p99.effect.unwrap();
    assert!(
        effect.low.unwrap() < 1.3 && 1.3 < effect.high.unwrap() && (effect.estimate - 1.3).abs() < 0.03,
        "{effect:?}"
    );
    assert!(p99.p_adjusted.unwrap() >= p99.p.unwrap());
    let faster = of_arms(vec![("", noisy(12, 1.3, 1))], vec![("", noisy(12, 1.0, 2))], &rules);
    assert_eq!(faster.answer, Answer::Pass, "better is never wrong");
}

#[test]
fn fewer_than_eight_blocks_never_fail_nor_pass_and_say_so() {
    for blocks in 1..8 {
        let few = of_arms(vec![("", noisy(blocks, 1.0, 1))], vec![("", noisy(blocks, 9.0, 1))], &Gate::default());
        assert_eq!(few.answer, Answer::Inconclusive);
        let p99 = one(&few, Metric::P99);
        assert_eq!(p99.reason, Some(Reason::TooFewBlocks { blocks, least: 8 }));
        assert_eq!((p99.effect.unwrap().low, p99.effect.unwrap().high, p99.smallest_effect), (None, None, None));
        assert!(text::render(&few, LOOK).contains("none of them can fail"));
    }
}

#[test]
fn a_comment_is_never_too_long() {
    let many = |salt: u64| -> Vec<(String, Vec<Made>)> {
        (0..400).map(|n| (format!("sysctl.net.core.somaxconn={n},nofile=1024"), noisy(8, 1.0, salt + n))).collect()
    };
    let (a, b) = (many(1), many(1_000));
    let by_id = |all: &[(String, Vec<Made>)]| report(all.iter().map(|(id, blocks)| cell(id, blocks)).collect());
    let (a, b) = (by_id(&a), by_id(&b));
    let both = compare(&Side::run("a", &a), &Side::run("b", &b), &Gate::default(), Question::Worse).unwrap();
    let page = markdown::render(&both);
    assert!(page.len() < 64 * 1024, "{}", page.len());
    assert!(page.contains("more: `brimful compare` shows them all"));
    assert!(page.ends_with("</sub>\n"), "{}", &page[page.len() - 300..]);
}

#[test]
fn nothing_in_a_name_is_markup() {
    assert_eq!(markdown::plain("<b>@all | *x*"), "&lt;b&gt;&#64;all \\| \\*x\\*");
    assert_eq!(markdown::code("a`|b"), "`a'\\|b`");
}
