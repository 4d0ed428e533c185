//! The page as a whole: what comes in which order. Pure.

use std::collections::{BTreeMap, HashMap};

use brimful_judge::report::{CellReport, Report};
use brimful_judge::wording::{count, counted, listed};
use brimful_plan::expect::CellOutcome;

use super::super::told;
use super::again::again;
use super::axis::LogAxis;
use super::cell::{Sight, section};
use super::figure::Density;
use super::heatmap::{heatmap, outcome_class};
use super::markup::Markup;
use super::{Detail, difference, latency};
use crate::html::wording::outcome_mark;

/// Sections that lie open from the start at most: the first of each cause.
const MOST_OPEN: usize = 3;
/// From so many cells on the list can be narrowed to one outcome.
const MANY: usize = 12;
/// When the sections of the cells are this long together, in bytes, the next ones go without figures.
const ROOM_FOR_FIGURES: usize = 8_500_000;

const STYLE: &str = include_str!("style.css");
/// Shapes that are used again and again.
const SHAPES: &str = include_str!("shapes.svg");

/// The page.
pub(super) fn page(report: &Report, details: &[Detail]) -> String {
    let mut m = Markup::default();
    m.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>");
    m.text(&report.scenario.question).raw(" · brimful</title>\n");
    m.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n");
    // Nothing is fetched and nothing is executed, whatever a record holds.
    m.raw("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n");
    m.raw("<link rel=\"icon\" href=\"data:,\">\n<style>\n").raw(STYLE).raw("</style>\n</head>\n");
    m.raw(if report.cells.len() > MANY { "<body class=\"many\">\n" } else { "<body>\n" });
    m.raw("<a class=\"skip\" href=\"#matrix\">To the matrix</a>\n").raw(SHAPES);
    head(&mut m, report);
    m.raw("<main>\n<section id=\"matrix\"><h2>").raw(if report.cells.len() == 1 { "The cell" } else { "The matrix" });
    let by_cell = by_cell(details);
    let telling = |cell: &CellReport| by_cell.get(cell.id.as_str())?.get(&cell.told_by_block).copied();
    m.raw("</h2>\n").add(&heatmap(report, &telling)).raw("</section>\n");
    let numbers: HashMap<&str, usize> = report.cells.iter().enumerate().map(|(i, c)| (c.id.as_str(), i)).collect();
    m.add(&difference::effects(report, &|id| numbers.get(id).copied()))
        .add(&difference::in_time(report))
        .add(&difference::predictions(report));
    cells(&mut m, report, details, &by_cell);
    m.add(&again(report, details)).raw("</main>\n</body>\n</html>\n");
    m.finish()
}

/// The question, and the answer first.
fn head(m: &mut Markup, report: &Report) {
    m.raw("<header>\n<p class=\"kicker\"><svg class=\"logo\" aria-hidden=\"true\"><use href=\"#k-brim\"/></svg>brimful <span>");
    m.text(&report.scenario.name).raw("</span></p>\n<h1>").text(&report.scenario.question).raw("</h1>\n");
    for (i, line) in report.headline.iter().enumerate() {
        m.raw(if i == 0 { "<p class=\"answer\">" } else { "<p class=\"then\">" }).text(line).raw("</p>\n");
    }
    m.add(&difference::cures(report));
    tally(m, report);
    to_know(m, report);
    m.raw("<nav aria-label=\"On this page\"><a href=\"#matrix\">");
    m.raw(if report.cells.len() == 1 { "The cell</a>" } else { "Matrix</a>" });
    if report.knob_effects.iter().any(|e| e.pairs + e.given_alike > 0) {
        m.raw("<a href=\"#difference\">What made a difference</a>");
    }
    if report.cells.iter().any(|c| c.prediction.is_some()) {
        m.raw("<a href=\"#predicted\">Predicted, and measured</a>");
    }
    if !report.cells.is_empty() {
        m.raw("<a href=\"#cells\">Cells</a>");
    }
    m.raw("<a href=\"#again\">How to run it again</a></nav>\n</header>\n");
}

const OUTCOMES: [CellOutcome; 4] =
    [CellOutcome::Failing, CellOutcome::Degraded, CellOutcome::Healthy, CellOutcome::Void];

fn of(report: &Report, outcome: CellOutcome) -> usize {
    report.cells.iter().filter(|c| c.outcome == outcome).count()
}

/// How many cells came to what.
fn tally(m: &mut Markup, report: &Report) {
    if report.cells.len() < 2 {
        return;
    }
    m.raw("<ul class=\"tally\">");
    for outcome in OUTCOMES.into_iter().filter(|&o| of(report, o) > 0) {
        m.raw("<li class=\"").raw(outcome_class(outcome)).raw("\">");
        outcome_mark(m, outcome);
        m.raw("<b>").text(&count(of(report, outcome) as u64)).raw("</b> ").text(&outcome.to_string()).raw("</li>");
    }
    m.raw("</ul>\n");
}

/// What a reader must know of the run: how it differs from its file, void blocks, cells that were not run.
fn to_know(m: &mut Markup, report: &Report) {
    let blocks = || report.cells.iter().flat_map(|c| &c.blocks);
    let void = blocks().filter(|b| b.outcome == CellOutcome::Void).count();
    let mut lines = report.notes.clone();
    match (void as u64, blocks().count() as u64) {
        (0, _) => {}
        (_, 1) => lines.push("The only block is void: the experiment itself did not work, and says nothing of the target.".to_owned()),
        (n, all) => lines.push(format!(
            "{} of {} void: there the experiment itself did not work. Void blocks say nothing of the target and are left out of the numbers.",
            count(n),
            if n == 1 { format!("{} is", counted(all, "block")) } else { format!("{} are", counted(all, "block")) }
        )),
    }
    if lines.is_empty() && report.missing.is_empty() {
        return;
    }
    m.raw("<aside class=\"warning\" aria-label=\"What to know about this run\"><h2>What to know about this run</h2>");
    for line in lines {
        m.raw("<p>").text(&line).raw("</p>");
    }
    if !report.missing.is_empty() {
        m.raw("<details><summary>").text(&counted(report.missing.len() as u64, "cell"));
        m.raw(" not run to the end</summary><ul>");
        for missing in &report.missing {
            let blocks: Vec<String> = missing.blocks.iter().map(ToString::to_string).collect();
            m.raw("<li><code>").name(&missing.id).raw("</code> block ").text(&listed(&blocks)).raw("</li>");
        }
        m.raw("</ul></details>");
    }
    m.raw("</aside>\n");
}

/// The details of each cell by block.
type ByCell<'a> = HashMap<&'a str, BTreeMap<u32, &'a Detail>>;

fn by_cell(details: &[Detail]) -> ByCell<'_> {
    let mut by_cell = ByCell::new();
    for detail in details {
        by_cell.entry(detail.id.as_str()).or_default().insert(detail.block, detail);
    }
    by_cell
}

/// Every cell, the first of each cause open.
fn cells(m: &mut Markup, report: &Report, details: &[Detail], by_cell: &ByCell<'_>) {
    if report.cells.is_empty() {
        return;
    }
    let none = BTreeMap::new();
    let (latencies, density) = (latencies(details), Density::for_cells(report.cells.len()));
    m.raw("<section id=\"cells\"><h2>").raw(if report.cells.len() == 1 { "What was seen" } else { "Every cell" });
    m.raw("</h2>\n");
    if let Some(axis) = latencies {
        m.add(&latency::axes(axis));
    }
    narrow(m, report);
    let open = open(&report.cells);
    let before = m.len();
    for (i, cell) in report.cells.iter().enumerate() {
        let figures = m.len() - before < ROOM_FOR_FIGURES;
        let details = by_cell.get(cell.id.as_str()).unwrap_or(&none);
        section(m, i, cell, Sight { details, latencies, density, figures }, open.contains(&i));
    }
    m.raw("</section>\n");
}

/// The sections that lie open: the first of each cause, and of a run without any the first.
fn open(cells: &[CellReport]) -> Vec<usize> {
    let number = |told: told::Told<'_>| cells.iter().position(|cell| std::ptr::eq(cell, told.first));
    let open: Vec<usize> = told::causes(cells).into_iter().filter_map(number).take(MOST_OPEN).collect();
    if open.is_empty() { vec![0] } else { open }
}

/// Buttons that narrow the list to one outcome. They need no script: the style looks at which is chosen.
fn narrow(m: &mut Markup, report: &Report) {
    let outcomes: Vec<CellOutcome> = OUTCOMES.into_iter().filter(|&o| of(report, o) > 0).collect();
    if report.cells.len() <= MANY || outcomes.len() < 2 {
        return;
    }
    // Siblings of the cells, because a style that looks for them from above is slow on a page of a thousand.
    m.raw("<input type=\"radio\" name=\"show\" id=\"show-all\" checked><label for=\"show-all\">show all</label>");
    for outcome in outcomes {
        let class = outcome_class(outcome);
        m.raw("<input type=\"radio\" name=\"show\" id=\"show-").raw(class).raw("\"><label for=\"show-").raw(class);
        m.raw("\">only ")
            .text(&outcome.to_string())
            .raw(" (")
            .text(&count(of(report, outcome) as u64))
            .raw(")</label>");
    }
    m.raw("\n");
}

/// One axis of latencies for all cells, so that they can be compared by eye.
fn latencies(details: &[Detail]) -> Option<LogAxis> {
    let ranges = || details.iter().filter_map(|d| d.spread.range_ns);
    let most = details.iter().map(|d| d.timeout_ns).chain(ranges().map(|r| r.1)).max()?;
    Some(LogAxis::over(ranges().map(|r| r.0).min().unwrap_or(1_000_000).min(most), most))
}
