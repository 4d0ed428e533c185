//! The table of cells. Pure: its width is given, never asked of a terminal.

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, LineStyle, Table, TableStyle};

use super::super::words::{count, short_time};
use super::text::Look;
use super::{At, CellReport, LoadReport, ProbeReport, Report};
use crate::evidence::record::KnobReading;
use crate::plan::expect::CellOutcome;

/// No borders, one rule below the header.
pub(super) const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// A heading longer than this is broken at a hyphen, underscore or dot.
const LONGEST_HEADING: usize = 10;

/// So is the name of a cause, at a hyphen.
const LONGEST_CAUSE: usize = 20;

/// What may be given up for width, in this order.
#[derive(Clone, Copy)]
struct Layout {
    /// Blanks between two columns, besides the one that stands for the line between them.
    gap: u16,
    /// Whether the median is shown beside the 99th percentile.
    median: bool,
}

const LAYOUTS: [Layout; 3] =
    [Layout { gap: 1, median: true }, Layout { gap: 0, median: true }, Layout { gap: 0, median: false }];

/// One row a cell: the knobs that vary, then what became of it. The roomiest layout that fits; where none does, words are broken.
pub(crate) fn table(report: &Report, look: Look) -> String {
    let fits = |text: &String| plain_width(text) <= usize::from(look.width);
    let roomy = LAYOUTS.into_iter().map(|layout| built(report, look.color, layout).trim_fmt()).find(fits);
    roomy.unwrap_or_else(|| {
        let mut table = built(report, look.color, Layout { gap: 0, median: false });
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(look.width);
        table.trim_fmt()
    })
}

/// The longest line, without the escape sequences of colours.
pub(super) fn plain_width(text: &str) -> usize {
    let plain = |line: &str| {
        let mut escaped = false;
        let visible = |&c: &char| match c {
            '\u{1b}' => {
                escaped = true;
                false
            }
            'm' if escaped => {
                escaped = false;
                false
            }
            _ => !escaped,
        };
        line.chars().filter(visible).count()
    };
    text.lines().map(|line| plain(line.trim_end_matches('─'))).max().unwrap_or(0)
}

fn built(report: &Report, color: bool, layout: Layout) -> Table {
    let knobs = varying(report);
    let requested = same(report.cells.iter().map(|c| c.load.requested));
    let mut table = Table::new();
    table.force_no_tty().load_style(STYLE).set_content_arrangement(ContentArrangement::Disabled);
    if color {
        table.enforce_styling();
    }
    let mut header: Vec<String> = knobs.iter().map(|name| heading(name, &knobs)).collect();
    header.extend(["outcome", "cause", "probes\npassed", "first\nfailure"].map(str::to_owned));
    header.extend(layout.median.then(|| "p50".to_owned()));
    header.extend(["p99", "restart\nafter"].map(str::to_owned));
    header.push(requested.map_or_else(|| "held".to_owned(), |n| format!("held/\n{}", count(n))));
    table.set_header(header.into_iter().map(|text| bold(Cell::new(text), color)));
    for cell in &report.cells {
        let mut row: Vec<Cell> = knobs.iter().map(|name| Cell::new(knob(cell.knobs.get(*name)))).collect();
        row.extend(findings(cell, requested.is_none(), color, layout));
        table.add_row(row);
    }
    let words = [knobs.len(), knobs.len() + 1, knobs.len() + 3];
    let last = table.column_count().saturating_sub(1);
    for (i, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if i == last { 0 } else { layout.gap }));
        column.set_cell_alignment(if words.contains(&i) { CellAlignment::Left } else { CellAlignment::Right });
    }
    table
}

fn findings(cell: &CellReport, with_requested: bool, color: bool, layout: Layout) -> Vec<Cell> {
    let cause = match (cell.verdict.cause, cell.verdict.why) {
        (None, _) => String::new(),
        (Some(cause), None) => jointed(cause.to_string(), LONGEST_CAUSE),
        (Some(cause), Some(why)) => format!("{cause}\n{why}"),
    };
    let held = held(&cell.load);
    let mut row = vec![
        outcome(cell.outcome, color),
        Cell::new(cause),
        Cell::new(format!("{}/{}", cell.probe.ok, cell.probe.sent)),
        Cell::new(first_failure(&cell.probe)),
    ];
    row.extend(layout.median.then(|| Cell::new(at(cell.probe.latency_ns.p50))));
    row.push(Cell::new(at(cell.probe.latency_ns.p99)));
    row.push(Cell::new(cell.probe.would_restart_at_s.map_or_else(String::new, |s| format!("{s:.1}s"))));
    row.push(Cell::new(if with_requested { format!("{held}/{}", count(cell.load.requested)) } else { held }));
    row
}

/// Connections held at the end; of a load of which none was established, those that stood in SYN_SENT.
fn held(load: &LoadReport) -> String {
    if load.established == 0 && load.pending > 0 {
        return format!("{} SYN", count(load.pending));
    }
    count(load.held)
}

/// The knobs whose values differ between cells, under their full names.
fn varying(report: &Report) -> Vec<&str> {
    let Some(first) = report.cells.first() else { return Vec::new() };
    let differs = |name: &str| same(report.cells.iter().map(|c| c.knobs.get(name).map(|k| &k.asked))).is_none();
    first.knobs.keys().map(String::as_str).filter(|name| differs(name)).collect()
}

/// The one value of all, if they are alike.
fn same<T: PartialEq>(mut values: impl Iterator<Item = T>) -> Option<T> {
    let first = values.next()?;
    values.all(|v| v == first).then_some(first)
}

/// The last part of a knob's name where it stays unique among them.
pub(super) fn short_name(name: &str, all: &[&str]) -> String {
    let last = |n: &str| n.rsplit('.').next().unwrap_or_default().to_owned();
    let short = last(name);
    let unique = all.iter().filter(|other| last(other) == short).count() == 1;
    if unique { short } else { name.to_owned() }
}

/// A knob's name as short as it stays unique, broken into two lines where it is long.
fn heading(name: &str, all: &[&str]) -> String {
    jointed(short_name(name, all), LONGEST_HEADING)
}

/// A text longer than that, broken into two lines at the joint nearest to its middle.
fn jointed(text: String, longest: usize) -> String {
    if text.len() <= longest {
        return text;
    }
    let middle = text.len() / 2;
    let breaks = text.match_indices(['_', '-', '.']).map(|(i, _)| i + 1);
    match breaks.min_by_key(|i| i.abs_diff(middle)).and_then(|i| text.split_at_checked(i)) {
        Some((upper, lower)) => format!("{upper}\n{lower}"),
        None => text,
    }
}

/// What the kernel gave, with a star where that is not what was asked.
fn knob(reading: Option<&KnobReading>) -> String {
    match reading {
        None => String::new(),
        Some(KnobReading { asked, given: Some(given), .. }) if asked == given => given.to_string(),
        Some(KnobReading { given: Some(given), .. }) => format!("{given}*"),
        Some(KnobReading { asked, given: None, .. }) => format!("{asked}?"),
    }
}

fn first_failure(probe: &ProbeReport) -> String {
    match probe.first_failure.as_deref() {
        None => String::new(),
        Some("connect-timeout") => "no connect".into(),
        Some("response-timeout") => "no answer".into(),
        Some("local-error") => "prober".into(),
        Some(other) => other.replace('-', " "),
    }
}

fn at(quantile: Option<At>) -> String {
    match quantile {
        None => String::new(),
        Some(At::Exact(ns)) => short_time(ns),
        Some(At::AtLeast { at_least_ns }) => format!("≥{}", short_time(at_least_ns)),
    }
}

fn outcome(outcome: CellOutcome, color: bool) -> Cell {
    let cell = Cell::new(outcome);
    if !color {
        return cell;
    }
    cell.fg(match outcome {
        CellOutcome::Healthy => Color::Green,
        CellOutcome::Degraded => Color::Yellow,
        CellOutcome::Failing => Color::Red,
        CellOutcome::Void => Color::Magenta,
    })
}

pub(super) fn bold(cell: Cell, color: bool) -> Cell {
    if color { cell.add_attribute(Attribute::Bold) } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_headings_are_broken_where_they_have_a_joint() {
        let all = ["sysctl.net.ipv4.tcp_max_syn_backlog", "ulimit.nofile", "target.backlog", "other.backlog"];
        assert_eq!(heading(all[0], &all), "tcp_max_\nsyn_backlog");
        assert_eq!(heading(all[1], &all), "nofile");
        assert_eq!(heading(all[2], &all), "target.\nbacklog");
    }
}
