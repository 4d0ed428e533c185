//! The matrix as a picture: one box a cell, with what became of it. Pure.

use brimful_judge::report::{CellReport, MissingCell, Report};
use brimful_judge::wording::counted;
use brimful_plan::expect::CellOutcome;

use super::grid::{Axis, Grid, Place, spans};
use super::markup::Markup;
use super::{Detail, marks};
use crate::html::wording::{knob_name, outcome_mark, quantile, value};

/// With more cells than this the boxes are small, and a box leaves its cause to its colour, its mark and its link.
const MANY: usize = 150;

/// With so many cells or fewer each box shows its probes, too.
const FEW: usize = 64;

/// Finds what can be drawn of a cell: the detail of its telling block.
pub(super) type Telling<'a> = dyn Fn(&CellReport) -> Option<&'a Detail> + 'a;

/// The whole picture.
pub(super) fn heatmap(report: &Report, telling: &Telling<'_>) -> Markup {
    let grid = Grid::of(report);
    let mut m = Markup::default();
    let boxes: usize = grid.places.values().map(Vec::len).sum();
    if boxes == 0 {
        return m;
    }
    m.raw("<p class=\"how\">").text(&told(&grid)).raw("</p>\n");
    m.raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"The matrix of cells\">\n");
    m.raw(if boxes > MANY { "<table class=\"map small\">" } else { "<table class=\"map\">" });
    m.raw("<caption>").text(&counted(boxes as u64, "cell")).raw("</caption>\n");
    head(&mut m, &grid);
    body(&mut m, &grid, report, telling);
    m.raw("</table></div>\n").add(&legend(report, report.cells.iter().any(|c| telling(c).is_some())));
    m
}

/// How to read it.
fn told(grid: &Grid) -> String {
    let names = |axes: &[Axis]| axes.iter().map(|a| a.knob.as_str()).collect::<Vec<_>>().join(", then ");
    let axes = match (grid.rows.as_slice(), grid.columns.as_slice()) {
        ([], []) => return "Nothing varies.".to_owned(),
        ([], columns) => format!("Across: {}.", names(columns)),
        (rows, columns) => format!("Across: {}. Down: {}.", names(columns), names(rows)),
    };
    format!("{axes} A box says what became of its cell, with the 99th percentile of the health check’s latency.")
}

fn head(m: &mut Markup, grid: &Grid) {
    let tops = spans(&grid.column_keys, grid.columns.len());
    if grid.columns.is_empty() {
        return;
    }
    m.raw("<thead>");
    for (level, axis) in grid.columns.iter().enumerate() {
        // The name of the axis stands above its values; names of the rows beside the values of the innermost.
        m.raw("<tr>");
        for _ in &grid.rows {
            m.raw("<td class=\"corner\"></td>");
        }
        m.raw("<th class=\"axis\" scope=\"colgroup\" colspan=\"").number(grid.column_keys.len() as u64).raw("\">");
        knob_name(m, &axis.knob);
        m.raw("</th></tr>\n<tr>");
        let innermost = level + 1 == grid.columns.len();
        for row in &grid.rows {
            if innermost {
                m.raw("<th class=\"axis\" scope=\"col\">");
                knob_name(m, &row.knob);
                m.raw("</th>");
            } else {
                m.raw("<td class=\"corner\"></td>");
            }
        }
        for (key, spans) in grid.column_keys.iter().zip(&tops) {
            if let (Some(&at), Some(Some(span))) = (key.get(level), spans.get(level)) {
                m.raw("<th scope=\"");
                m.raw(if innermost { "col\"" } else { "colgroup\"" });
                m.raw(" colspan=\"").number(*span as u64).raw("\">");
                value(m, axis.values.get(at));
                m.raw("</th>");
            }
        }
        m.raw("</tr>\n");
    }
    m.raw("</thead>\n");
}

fn body(m: &mut Markup, grid: &Grid, report: &Report, telling: &Telling<'_>) {
    m.raw("<tbody>");
    let sides = spans(&grid.row_keys, grid.rows.len());
    for (r, (key, spans)) in grid.row_keys.iter().zip(&sides).enumerate() {
        m.raw("<tr>");
        for ((axis, &at), span) in grid.rows.iter().zip(key).zip(spans) {
            let Some(span) = span else { continue };
            m.raw("<th scope=\"row");
            m.raw(if *span > 1 { "group\"" } else { "\"" }).raw(" rowspan=\"").number(*span as u64).raw("\"><span>");
            value(m, axis.values.get(at));
            m.raw("</span></th>");
        }
        for c in 0..grid.column_keys.len() {
            match grid.places.get(&(r, c)).map(Vec::as_slice) {
                None => {
                    m.raw("<td class=\"none\"><span>no cell</span></td>");
                }
                Some(places) => {
                    m.raw("<td>");
                    for place in places {
                        match *place {
                            Place::Cell(i) => cell(m, i, report, telling),
                            Place::Missing(i) => missing(m, report.missing.get(i)),
                        }
                    }
                    m.raw("</td>");
                }
            }
        }
        m.raw("</tr>\n");
    }
    m.raw("</tbody>");
}

fn cell(m: &mut Markup, i: usize, report: &Report, telling: &Telling<'_>) {
    let Some(cell) = report.cells.get(i) else { return };
    m.raw("<a class=\"box ").raw(outcome_class(cell.outcome)).raw("\" href=\"#cell-").number(i as u64);
    m.raw("\" aria-label=\"").text(&spoken(cell)).raw("\">");
    outcome_mark(m, cell.outcome);
    if cell.outcome == CellOutcome::Void {
        m.raw("<b>void</b>");
    } else {
        m.raw("<b>").text(&quantile(cell.probe.latency_ns.p99)).raw("</b>");
    }
    if report.cells.len() <= MANY {
        let split = cell.blocks.iter().filter(|b| b.outcome == cell.outcome).count();
        if let Some(cause) = cell.verdict.cause {
            m.raw("<i>").name(&cause.to_string()).raw("</i>");
        }
        if split < cell.blocks.len() {
            m.raw("<i>").text(&format!("{split} of {} blocks", cell.blocks.len())).raw("</i>");
        }
    }
    if let Some(detail) = telling(cell).filter(|_| report.cells.len() <= FEW) {
        marks::strip(m, detail);
    }
    m.raw("</a>");
}

fn spoken(cell: &CellReport) -> String {
    let cause = cell.verdict.cause.map(|cause| format!(", {cause}")).unwrap_or_default();
    format!("{}{cause}, p99 {}: {}", cell.outcome, quantile(cell.probe.latency_ns.p99), cell.id)
}

fn missing(m: &mut Markup, missing: Option<&MissingCell>) {
    let Some(missing) = missing else { return };
    m.raw("<span class=\"box missing\" title=\"").text(&missing.id).raw("\"><b>not run</b></span>");
}

/// The class of an outcome, which is its name.
pub(super) fn outcome_class(outcome: CellOutcome) -> &'static str {
    match outcome {
        CellOutcome::Healthy => "healthy",
        CellOutcome::Degraded => "degraded",
        CellOutcome::Failing => "failing",
        CellOutcome::Void => "void",
    }
}

/// What an outcome means, said for those that occur.
fn legend(report: &Report, with_strips: bool) -> Markup {
    let mut m = Markup::default();
    m.raw("<ul class=\"legend\">");
    for (outcome, meaning) in [
        (CellOutcome::Healthy, "no probe failed"),
        (CellOutcome::Degraded, "a probe failed, and liveness would not have restarted the container"),
        (CellOutcome::Failing, "liveness would have restarted the container"),
        (CellOutcome::Void, "the experiment itself did not work: nothing is said of the target"),
    ] {
        if report.cells.iter().any(|c| c.outcome == outcome) {
            m.raw("<li class=\"").raw(outcome_class(outcome)).raw("\">");
            outcome_mark(&mut m, outcome);
            m.raw("<b>").text(&outcome.to_string()).raw("</b> ").text(meaning).raw("</li>");
        }
    }
    if report.cells.iter().any(|c| quantile(c.probe.latency_ns.p99).starts_with('≥')) {
        m.raw("<li><b>≥</b> known from below only: the probe was given up at its deadline</li>");
    }
    if with_strips && report.cells.len() <= FEW {
        m.raw("<li>A stroke for each probe, in order: tall failed, short passed</li>");
    }
    m.raw("</ul>\n");
    m
}
