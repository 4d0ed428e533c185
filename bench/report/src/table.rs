//! The table of cells. Pure: its width is given, never asked of a terminal.

use brimful_judge::report::Report;
use brimful_judge::wording::count;
use brimful_plan::expect::CellOutcome;
use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

use super::rows::{Row, Rows, short_name};
use super::text::Look;
use crate::style::{Style, painted, plain, styled};

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
    let roomy = LAYOUTS.into_iter().map(|layout| built(report, layout).trim_fmt()).find(fits);
    let text = roomy.unwrap_or_else(|| {
        let mut table = built(report, Layout { gap: 0, median: false });
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(look.width);
        table.trim_fmt()
    });
    if look.color { painted(&text) } else { plain(&text) }
}

/// The longest line in columns, without the rule below the header.
pub(super) fn plain_width(text: &str) -> usize {
    plain(text).lines().map(|line| line.trim_end_matches('─').chars().count()).max().unwrap_or(0)
}

fn built(report: &Report, layout: Layout) -> Table {
    let Rows { knobs, requested, rows } = Rows::of(report);
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Disabled);
    let mut header: Vec<String> = knobs.iter().map(|name| heading(name, &knobs)).collect();
    header.extend(["outcome", "cause", "probes\npassed", "first\nfailure"].map(str::to_owned));
    header.extend(layout.median.then(|| "p50".to_owned()));
    header.extend(["p99", "restart\nafter"].map(str::to_owned));
    header.push(requested.map_or_else(|| "held".to_owned(), |n| format!("held/\n{}", count(n))));
    table.set_header(header.into_iter().map(|text| styled(&text, Style::Bold)));
    for row in rows {
        table.add_row(cells(row, layout));
    }
    let words = [knobs.len(), knobs.len() + 1, knobs.len() + 3];
    let last = table.column_count().saturating_sub(1);
    for (i, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if i == last { 0 } else { layout.gap }));
        column.set_cell_alignment(if words.contains(&i) { CellAlignment::Left } else { CellAlignment::Right });
    }
    table
}

fn cells(row: Row, layout: Layout) -> Vec<String> {
    let cause = match row.why {
        Some(why) => format!("{}\n{why}", row.cause),
        None => jointed(row.cause, LONGEST_CAUSE),
    };
    let mut cells = row.knobs;
    cells.push(outcome(row.outcome));
    cells.extend([cause, row.passed, row.first_failure]);
    cells.extend(layout.median.then_some(row.p50));
    cells.extend([row.p99, row.restart, row.held]);
    cells
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

fn outcome(outcome: CellOutcome) -> String {
    let style = match outcome {
        CellOutcome::Healthy => Style::Green,
        CellOutcome::Degraded => Style::Yellow,
        CellOutcome::Failing => Style::Red,
        CellOutcome::Void => Style::Magenta,
    };
    styled(&outcome.to_string(), style)
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
