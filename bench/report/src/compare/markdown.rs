//! A comparison for a comment under a pull request: what matters above, the rest folded, never longer than a comment may be. Pure.

use brimful_judge::compare::{Answer, CellComparison, Comparison, MetricComparison};

use super::text::{legend, seen, summary};
use crate::compare::wording::{answer, because, estimate, interval, p, values};

/// Bytes of a page. A comment on GitHub holds 65,536 characters, and somebody may want to add a line.
pub const MOST_BYTES: usize = 60_000;

/// Rows of one table, until it is cut for length.
const HEAD: &str = "| cell | metric | change | interval | answer | values | p |\n|---|---|---|---|---|---|---|\n";

/// The whole comparison.
#[must_use]
pub fn render(comparison: &Comparison) -> String {
    let mut page = Page::default();
    page.line(&format!("## {} against {}", code(&comparison.head), code(&comparison.base)));
    page.line("");
    body(&mut page, comparison);
    page.finish()
}

/// Everything but the heading.
pub(crate) fn body(page: &mut Page, comparison: &Comparison) {
    page.line(&format!("{}: {}", code(&comparison.scenario.name), plain(&comparison.scenario.question)));
    page.line("");
    page.line(&plain(&summary(comparison).join(" ")));
    page.line("");
    for caveat in &comparison.caveats {
        page.line(&format!("- ⚠️ {}", plain(&caveat.words())));
    }
    for id in &comparison.missing {
        page.line(&format!(
            "- ❌ missing: {} has {}, {} has not",
            code(&comparison.base),
            code(id),
            code(&comparison.head)
        ));
    }
    for id in &comparison.new {
        page.line(&format!("- new: only {} has {}", code(&comparison.head), code(id)));
    }
    for cell in comparison.cells.iter().filter(|cell| cell.changed()) {
        page.line(&format!("- {}: {} → {}", code(&cell.id), seen(&cell.base), seen(&cell.head)));
    }
    let rows = |chosen: fn(Answer) -> bool| -> Vec<(&CellComparison, &MetricComparison)> {
        let all = comparison.cells.iter().flat_map(|cell| cell.metrics.iter().map(move |metric| (cell, metric)));
        all.filter(|(_, metric)| chosen(metric.answer)).collect()
    };
    let mut open = rows(|answer| matches!(answer, Answer::Fail | Answer::Inconclusive));
    open.sort_by_key(|(_, metric)| std::cmp::Reverse(metric.answer));
    page.table(&open);
    let settled = rows(|answer| matches!(answer, Answer::Pass | Answer::NotTested));
    if !settled.is_empty() {
        page.line("");
        page.line(&format!("<details><summary>{} that pass or are not tested</summary>", settled.len()));
        page.table(&settled);
        page.line("");
        page.line("</details>");
    }
    page.line("");
    page.line(&format!("<sub>{}</sub>", plain(&legend(comparison))));
}

/// Lines that fit a comment; what is too much is counted and left out.
#[derive(Default)]
pub(crate) struct Page {
    out: String,
    left_out: usize,
}

impl Page {
    pub(crate) fn line(&mut self, line: &str) {
        if self.out.len() + line.len() + 1 > MOST_BYTES {
            self.left_out += 1;
            return;
        }
        self.out.push_str(line);
        self.out.push('\n');
    }

    /// Rows until two thirds of the page are full, so that what comes below has room.
    fn table(&mut self, rows: &[(&CellComparison, &MetricComparison)]) {
        if rows.is_empty() {
            return;
        }
        self.out.push('\n');
        self.out.push_str(HEAD);
        let mut room = (MOST_BYTES.saturating_sub(self.out.len())) * 2 / 3;
        for (index, (cell, metric)) in rows.iter().enumerate() {
            let row = row(cell, metric);
            if row.len() > room {
                self.line(&format!(
                    "| … | and {} more: `brimful compare` shows them all | | | | | |",
                    rows.len() - index
                ));
                return;
            }
            room -= row.len();
            self.out.push_str(&row);
        }
    }

    pub(crate) fn finish(mut self) -> String {
        if self.left_out > 0 {
            self.out.push_str(&format!("\n… and {} more lines: `brimful compare` shows them all\n", self.left_out));
        }
        self.out
    }
}

fn row(cell: &CellComparison, metric: &MetricComparison) -> String {
    let effect = metric.effect.as_ref().filter(|_| metric.p_adjusted.is_some());
    let why = because(metric).map(|why| format!("<br><sub>{}</sub>", plain(&why))).unwrap_or_default();
    let sign = match metric.answer {
        Answer::Fail => "❌ ",
        Answer::Inconclusive => "❔ ",
        Answer::Pass | Answer::NotTested => "",
    };
    format!(
        "| {} | {} | {} | {} | {sign}{}{why} | {} | {} |\n",
        code(&cell.id),
        metric.metric.name(),
        effect.map(|effect| format!("**{}**", estimate(effect))).unwrap_or_default(),
        effect.map(interval).unwrap_or_default(),
        answer(metric.answer),
        values(metric),
        metric
            .p_adjusted
            .map(|adjusted| format!("<sub>{}</sub>", p(adjusted).replace('<', "&lt;")))
            .unwrap_or_default(),
    )
}

/// A name that is shown as it is, whatever is in it.
pub(crate) fn code(name: &str) -> String {
    format!("`{}`", name.replace(['`', '\n', '\r'], "'").replace('|', "\\|"))
}

/// Text in which nothing is markup, a mention or the end of a table's cell.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => out.push(' '),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '@' => out.push_str("&#64;"),
            '*' | '_' | '`' | '|' | '[' | ']' | '#' | '\\' | '!' | '~' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}
