//! A comparison for a terminal: the effect first, p in small print. Pure: width and colour are given.

use brimful_judge::compare::{Answer, CellComparison, Comparison, MetricComparison, Question, Seen};
use brimful_judge::wording::{counted, listed};

use super::super::page::Page;
use crate::compare::wording;
use crate::compare::wording::{because, estimate, interval, p, strip, tolerance, values};
use crate::text::Look;

/// Columns of a line besides its strip: metric, estimate, interval, answer, p and what is between them.
const WITHOUT_STRIP: usize = 2 + 23 + 2 + 8 + 2 + 18 + 2 + 12 + 2 + 2 + 9;
/// A strip shorter than this shows nothing.
const SHORTEST_STRIP: usize = 6;

/// The whole comparison.
#[must_use]
pub fn render(comparison: &Comparison, look: Look) -> String {
    let mut page = Page::new(look);
    page.heading(&format!("{} against {}", comparison.head, comparison.base));
    body(&mut page, comparison);
    page.out
}

/// Everything but the heading: what is said of the whole, then every cell.
pub(crate) fn body(page: &mut Page, comparison: &Comparison) {
    page.wrapped(&format!("{}: {}", comparison.scenario.name, comparison.scenario.question), 0, 0);
    page.gap();
    for line in summary(comparison) {
        page.wrapped(&line, 0, 0);
    }
    for caveat in &comparison.caveats {
        page.wrapped(&format!("! {}", caveat.words()), 0, 2);
    }
    for id in &comparison.missing {
        page.wrapped(&format!("missing  {id}: {} has it, {} has not", comparison.base, comparison.head), 0, 9);
    }
    for id in &comparison.new {
        page.wrapped(&format!("new      {id}: only {} has it", comparison.head), 0, 9);
    }
    for cell in &comparison.cells {
        page.gap();
        page.heading(&cell_heading(cell));
        for metric in &cell.metrics {
            page.metric(metric);
        }
    }
    page.gap();
    page.wrapped(&legend(comparison), 0, 0);
}

/// What is compared, by how many blocks, and how many answers of each kind there are.
pub(crate) fn summary(comparison: &Comparison) -> Vec<String> {
    let family = &comparison.family;
    let metrics: Vec<&str> = family.metrics.iter().map(|metric| metric.name()).collect();
    let turns = if comparison.interleaved { "in turns" } else { "one run after the other" };
    let mut lines = vec![format!(
        "{} of each side, {turns}; {} by {}: {}, which take {} blocks.",
        counted(comparison.blocks.into(), "block"),
        counted(family.cells.into(), "cell"),
        listed(&metrics),
        counted(family.comparisons.into(), "comparison"),
        family.blocks_needed
    )];
    let all: Vec<Answer> = comparison.cells.iter().flat_map(|cell| &cell.metrics).map(|m| m.answer).collect();
    let counts: Vec<String> = [Answer::Fail, Answer::Inconclusive, Answer::Pass, Answer::NotTested]
        .into_iter()
        .map(|answer| (answer, all.iter().filter(|&&other| other == answer).count()))
        .filter(|(_, n)| *n > 0)
        .map(|(answer, n)| format!("{n} {}", wording::answer(answer)))
        .collect();
    if !counts.is_empty() {
        lines.push(format!("{}.", listed(&counts)));
    }
    if comparison.blocks < family.blocks_needed && family.comparisons > 0 {
        lines.push(format!(
            "With {} none of them can fail: the smallest p there is does not reach {} in a family of {}.",
            counted(comparison.blocks.into(), "block"),
            comparison.alpha,
            family.comparisons
        ));
    }
    let changed: Vec<&CellComparison> = comparison.cells.iter().filter(|cell| cell.changed()).collect();
    if !changed.is_empty() {
        lines.push(format!(
            "{} another outcome or cause.",
            match changed.len() {
                1 => "1 cell has".to_owned(),
                n => format!("{n} cells have"),
            }
        ));
    }
    lines
}

fn cell_heading(cell: &CellComparison) -> String {
    match (cell.changed(), cell.base.outcome == cell.head.outcome && cell.head.cause.is_none()) {
        (true, _) => format!("{}: {} → {}", cell.id, seen(&cell.base), seen(&cell.head)),
        (false, true) => format!("{}: {}", cell.id, cell.head.outcome),
        (false, false) => format!("{}: {} on both sides", cell.id, seen(&cell.head)),
    }
}

/// Outcome and cause: `failing (fd-limit)`.
pub(crate) fn seen(seen: &Seen) -> String {
    seen.cause.map_or_else(|| seen.outcome.to_string(), |cause| format!("{} ({cause})", seen.outcome))
}

/// What the columns are, and what the answers mean.
pub(crate) fn legend(comparison: &Comparison) -> String {
    let mut tolerances: Vec<String> = Vec::new();
    for metric in comparison.cells.iter().take(1).flat_map(|cell| &cell.metrics) {
        tolerances.push(format!("{} {}", metric.metric, tolerance(metric.metric, metric.tolerance)));
    }
    let asked = match comparison.question {
        Question::Worse => "for the worse",
        Question::Same => "in either direction",
    };
    format!(
        "Ratios and differences are {head} to {base}, with intervals of {confidence} % each; one sign a block, in the middle for no \
         difference. pass: the whole interval within the tolerance {asked} ({tolerances}). fail: the whole interval beyond it, and p at \
         most {alpha} over all {n} (exact sign-flip over the blocks, Holm).",
        head = comparison.head,
        base = comparison.base,
        confidence = 100.0 * (1.0 - comparison.alpha),
        tolerances = listed(&tolerances),
        alpha = comparison.alpha,
        n = counted(comparison.family.comparisons.into(), "comparison"),
    )
}

impl Page {
    /// One line for what was found, and one below it for what stands in the way of an answer or what lies behind a failure.
    fn metric(&mut self, comparison: &MetricComparison) {
        let (estimate, interval) = match (&comparison.effect, comparison.p_adjusted) {
            (Some(effect), Some(_)) => (estimate(effect), interval(effect)),
            _ => (String::new(), String::new()),
        };
        let room = self.width().saturating_sub(WITHOUT_STRIP);
        let strip = if room < SHORTEST_STRIP { String::new() } else { strip(comparison, room) };
        let p = comparison.p_adjusted.map(p).unwrap_or_default();
        let answer = self.coloured(comparison.answer);
        let name = comparison.metric.name();
        self.raw(&format!("  {name:<23}  {estimate:>8}  {interval:<18}  {answer}  {strip}  {p}"));
        let why = because(comparison);
        if why.is_some() || comparison.answer == Answer::Fail {
            let why = why.map(|why| format!("; {why}")).unwrap_or_default();
            self.wrapped(&format!("{}{why}", values(comparison)), 27, 27);
        }
    }

    /// An answer in its colour, as wide as the widest.
    pub(crate) fn coloured(&self, answer: Answer) -> String {
        let plain = format!("{:<12}", wording::answer(answer));
        let colour = match answer {
            Answer::Pass => "32",
            Answer::Fail => "31",
            Answer::Inconclusive => "33",
            Answer::NotTested => "2",
        };
        if self.color() { format!("\u{1b}[{colour}m{plain}\u{1b}[0m") } else { plain }
    }
}
