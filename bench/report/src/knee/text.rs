//! The knees for a terminal. Pure: width and colour are given.

use brimful_judge::knee::KneeReport;
use comfy_table::{CellAlignment, ContentArrangement, Table};

use super::{notes, strip};
use crate::style::{Style, painted, plain, styled};
use crate::table::{STYLE, plain_width};
use crate::text::Look;

/// Question, answer, table, picture, and what limits the answer.
#[must_use]
pub fn render(report: &KneeReport, look: Look) -> String {
    let look = Look { width: look.width.max(60), ..look };
    let mut out = String::new();
    let mut raw = |line: &str| {
        out.push_str(line);
        out.push('\n');
    };
    wrapped(&report.scenario.question, 0, look, &mut |line: &str| raw(&bold(line, look)));
    raw("");
    for line in notes::headline(report) {
        wrapped(&line, 0, look, &mut raw);
    }
    if report.cells.is_empty() {
        return out;
    }
    raw("");
    raw(&table(report, look));
    raw("");
    for line in strip::strips(report, look.width) {
        raw(&line);
    }
    raw("");
    wrapped(
        "█ healthy, ░ between the last healthy try and the first unhealthy one, ┃ foretold, → no end was found",
        2,
        look,
        &mut raw,
    );
    let causes = notes::causes(report);
    if !causes.is_empty() {
        raw("");
        raw(&bold("Why it breaks", look));
        for (name, words) in causes {
            wrapped(&format!("{name}: {words}"), 2, look, &mut raw);
        }
    }
    let said: Vec<String> = report
        .cells
        .iter()
        .flat_map(|cell| {
            notes::notes(cell)
                .into_iter()
                .map(|note| if report.cells.len() > 1 { format!("{}: {note}", cell.id) } else { note })
        })
        .collect();
    if !said.is_empty() {
        raw("");
        raw(&bold("Notes", look));
        for note in said {
            wrapped(&note, 2, look, &mut raw);
        }
    }
    out
}

fn bold(text: &str, look: Look) -> String {
    if look.color { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// Words broken at the width; lines after the first are indented two more.
fn wrapped(text: &str, indent: usize, look: Look, raw: &mut impl FnMut(&str)) {
    let width = usize::from(look.width);
    let mut line = " ".repeat(indent);
    let mut empty = true;
    for word in text.split_whitespace() {
        if !empty && line.chars().count() + 1 + word.chars().count() > width {
            raw(&line);
            line = " ".repeat(indent + 2);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    raw(&line);
}

/// The roomiest table that fits; where none does, words are broken.
fn table(report: &KneeReport, look: Look) -> String {
    let narrow = plain_width(&built(report, false).trim_fmt()) > usize::from(look.width);
    let mut table = built(report, narrow);
    if narrow && plain_width(&table.trim_fmt()) > usize::from(look.width) {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(look.width);
    }
    let text = table.trim_fmt();
    if look.color { painted(&text) } else { plain(&text) }
}

/// One row a cell. A `narrow` one breaks words at their joints, and does without the number of tries.
fn built(report: &KneeReport, narrow: bool) -> Table {
    let varying = notes::varying(report);
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Disabled);
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let joint = |text: String, at: char| {
        if narrow { text.replacen(at, &format!("{}\n", at.to_string().trim()), 1) } else { text }
    };
    let mut header: Vec<String> = varying.iter().map(|knob| last(knob.name)).collect();
    header.extend(["knee", "breaks\nat", "foretold", "measured/\nforetold", "cause"].map(str::to_owned));
    header.extend((!narrow).then(|| "tries".to_owned()));
    table.set_header(header.into_iter().map(|text| styled(&text, Style::Bold)));
    for (index, cell) in report.cells.iter().enumerate() {
        let mut row: Vec<String> =
            varying.iter().map(|knob| knob.values.get(index).cloned().unwrap_or_default()).collect();
        row.push(styled(&notes::knee(cell), Style::Green));
        row.push(notes::breaks_at(cell));
        row.push(joint(notes::foretold(cell), ' '));
        row.push(notes::ratio(cell));
        row.push(joint(notes::cause(cell).map_or_else(String::new, |name| name.to_string()), '-'));
        row.extend((!narrow).then(|| cell.tries.len().to_string()));
        table.add_row(row);
    }
    let words = [varying.len() + 2, varying.len() + 4];
    for (i, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 1));
        column.set_cell_alignment(if words.contains(&i) { CellAlignment::Left } else { CellAlignment::Right });
    }
    table
}
