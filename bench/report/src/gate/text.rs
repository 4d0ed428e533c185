//! The answer of a gate for a terminal. Pure: width and colour are given.

use brimful_judge::compare::Answer;
use brimful_judge::gate::{CeilingAnswer, GateAnswer};
use brimful_judge::metric::Value;
use brimful_judge::wording::{counted, listed};

use super::super::compare::text as comparison;
use super::super::page::Page;
use crate::compare::wording::{self, value};
use crate::text::Look;

/// The whole answer.
#[must_use]
pub fn render(answer: &GateAnswer, look: Look) -> String {
    let mut page = Page::new(look);
    page.heading(&title(answer));
    for line in reasons(answer) {
        page.wrapped(&line, 0, 0);
    }
    let telling: Vec<&CeilingAnswer> = answer.ceilings.iter().filter(|c| c.answer != Answer::Pass).collect();
    if !telling.is_empty() {
        page.gap();
        page.heading("Ceilings");
        for ceiling in telling {
            let name = wording::answer(ceiling.answer);
            page.wrapped(&format!("{name:<12}  {}: {}", ceiling.cell, sentence(ceiling)), 2, 16);
        }
    }
    if let Some(of_both) = &answer.comparison {
        page.gap();
        comparison::body(&mut page, of_both);
    }
    page.out
}

/// The answer in a line.
pub(crate) fn title(answer: &GateAnswer) -> String {
    let against = answer.comparison.as_ref().map(|both| format!(" against {}", both.base)).unwrap_or_default();
    format!("gate: {}: {}{against}", wording::answer(answer.answer), answer.head)
}

/// What made the answer what it is, one sentence for each kind.
pub(crate) fn reasons(answer: &GateAnswer) -> Vec<String> {
    let mut lines = Vec::new();
    let both = answer.comparison.as_ref();
    for kind in [Answer::Fail, Answer::Inconclusive] {
        let metrics = both.iter().flat_map(|both| &both.cells).flat_map(|cell| &cell.metrics);
        let comparisons = metrics.filter(|metric| metric.weight() == kind).count() as u64;
        let ceilings = answer.ceilings.iter().filter(|ceiling| ceiling.answer == kind).count() as u64;
        let missing = both.map_or(answer.not_run.len(), |both| both.missing.len()) as u64;
        let mut parts = Vec::new();
        parts.extend((comparisons > 0).then(|| counted(comparisons, "comparison")));
        parts.extend((ceilings > 0).then(|| counted(ceilings, "ceiling")));
        parts.extend((kind == Answer::Fail && missing > 0).then(|| counted(missing, "missing cell")));
        if !parts.is_empty() {
            lines.push(format!("{}: {}.", wording::answer(kind), listed(&parts)));
        }
    }
    if both.is_none() {
        lines.extend(answer.not_run.iter().map(|id| format!("missing: {id} was planned and not run.")));
    }
    let kept = answer.ceilings.iter().filter(|ceiling| ceiling.answer == Answer::Pass).count() as u64;
    if kept > 0 {
        lines.push(format!("{} kept.", counted(kept, "ceiling")));
    }
    lines
}

/// What became of a ceiling: `latency.p99 may be 50ms at most, is ≥1s in block 3; 4 of 15 blocks beyond`.
pub(crate) fn sentence(ceiling: &CeilingAnswer) -> String {
    let CeilingAnswer { metric, beyond, blocks, .. } = ceiling;
    let most = if metric.more_is_better() { "least" } else { "most" };
    let may = format!("{metric} may be {} at {most}", value(*metric, Value::Known(ceiling.ceiling)));
    match ceiling.worst.zip(ceiling.block) {
        None => format!("{may}, and has no value in any block"),
        Some((worst, block)) => {
            format!(
                "{may}, is {} in block {block}; {beyond} of {} beyond",
                value(*metric, worst),
                counted((*blocks).into(), "block")
            )
        }
    }
}
