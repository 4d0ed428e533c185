//! The report as GitHub's Markdown: `report.md`, a step's summary (1 MiB at most), a comment on a pull request (64 KB). Pure.
//!
//! The answer comes first, then the table, then what follows from it; the evidence of each cause is folded away. What is too long
//! is cut between two pieces (never in a row, a fence or a character), and says where the whole is.

use brimful_judge::cause::{ProofLine, words};
use brimful_judge::cure::Cure;
use brimful_judge::report::Report;
use brimful_judge::wording::{count, counted, time};

use super::super::rows::{Row, Rows, short_name};
use super::super::told::{self, Told};

/// What a step's summary on GitHub may have, in bytes.
pub const SUMMARY_BYTES: usize = 1 << 20;
/// Below this there is no room for an answer.
pub const LEAST_BYTES: usize = 1 << 10;

/// How long it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit<'a> {
    /// Bytes at most; fewer than [`LEAST_BYTES`] are treated as that.
    pub bytes: usize,
    /// Where the whole is, for the last line of one that is cut.
    pub whole: &'a str,
}

/// The whole report, cut where it would be longer than the limit.
#[must_use]
pub fn render(report: &Report, limit: Limit<'_>) -> String {
    let bytes = limit.bytes.max(LEAST_BYTES);
    // A name that would fill the page itself is not given.
    let whole = if limit.whole.len() > bytes / 4 { "report.json" } else { limit.whole };
    let cut = format!("\nCut at {} bytes; the whole is in {}.\n", count(bytes as u64), code(whole));
    let mut page = Page { out: String::new(), bytes, cut, open: Vec::new(), full: false };
    page.piece(&format!("## {}\n", prose(&report.scenario.question)));
    for line in &report.headline {
        page.piece(&format!("\n{}\n", prose(line)));
    }
    page.table(report);
    let differences = told::differences(report);
    let differences = differences.iter().map(|(knob, words)| format!("{} {}", code(knob), prose(words)));
    page.list("### What made a difference", differences);
    page.list("### Smallest change in this run that cures", all_prose(&told::smallest_cures(report)));
    page.recommended(report);
    page.list("### What was changed while it ran", all_prose(&told::changes(report)));
    page.list("### Restarts by the kubelet", restarts(report));
    page.list("### What breaks the loop", all_prose(&told::breakers(report)));
    page.list("### Predicted before the run, and measured", all_prose(&told::predictions(report)));
    for told in told::causes(&report.cells) {
        page.cause(&told);
    }
    page.list("### What the connections did", all_prose(&told::talk(report)));
    page.list("### Notes", all_prose(&told::notes(report)));
    page.piece(&format!("\n{}\n", prose(&foot(report))));
    page.end()
}

/// A line for each cell: what came of it, and the picture.
fn restarts(report: &Report) -> Vec<String> {
    let all = told::restarts(report).into_iter();
    all.map(|(cell, lines)| {
        let (picture, words): (Vec<_>, Vec<_>) = lines.into_iter().enumerate().partition(|(at, _)| *at == 1);
        let words: Vec<String> = words.iter().map(|(_, line)| prose(line)).collect();
        let picture = picture.into_iter().map(|(_, line)| format!(" `{line}`")).collect::<String>();
        format!("{}: {}{picture}", prose(&cell), words.join("; "))
    })
    .collect()
}

/// What wrote it, and where it ran.
fn foot(report: &Report) -> String {
    let host = &report.host;
    let blocks = counted(u64::from(report.blocks), "block");
    let processors = counted(u64::from(host.cpus), "processor");
    format!(
        "{} {}, scenario {}, {blocks}, seed {}; Linux {} on {} with {processors}",
        report.tool.name, report.tool.version, report.scenario.name, report.seed, host.kernel, host.arch
    )
}

struct Page {
    out: String,
    bytes: usize,
    /// The last line of a page that is cut; room is kept for it.
    cut: String,
    /// What closes what is open, the innermost last; room is kept for it.
    open: Vec<&'static str>,
    /// Whether something was left out; then nothing more is added.
    full: bool,
}

impl Page {
    /// Adds a piece as a whole, or nothing from here on.
    fn piece(&mut self, text: &str) -> bool {
        let kept = self.cut.len() + self.open.iter().map(|closer| closer.len()).sum::<usize>();
        self.full |= self.out.len() + text.len() + kept > self.bytes;
        if !self.full {
            self.out.push_str(text);
        }
        !self.full
    }

    /// Adds what must be closed again. Returns whether it was added.
    fn open(&mut self, text: &str, closer: &'static str) -> bool {
        self.open.push(closer);
        let added = self.piece(text);
        if !added {
            self.open.pop();
        }
        added
    }

    fn close(&mut self) {
        self.out.extend(self.open.pop());
    }

    fn end(mut self) -> String {
        if self.full {
            self.out.push_str(&self.cut);
        }
        self.out
    }

    /// A heading and its lines; neither where there is no line.
    fn list(&mut self, heading: &str, lines: impl IntoIterator<Item = String>) {
        let mut before = format!("\n{heading}\n\n");
        for line in lines {
            self.piece(&format!("{before}- {line}\n"));
            before.clear();
        }
    }

    /// One row a cell, in half of the room at most, so that what follows from them is told too.
    fn table(&mut self, report: &Report) {
        let Rows { knobs, requested, rows } = Rows::of(report);
        if rows.is_empty() {
            return;
        }
        let held = requested.map_or_else(|| "held".to_owned(), |n| format!("held of {}", count(n)));
        let mut names: Vec<String> = knobs.iter().map(|name| short_name(name, &knobs)).collect();
        names.extend(
            ["outcome", "cause", "probes passed", "first failure", "p50", "p99", "restart after"].map(Into::into),
        );
        names.push(held);
        let words = [knobs.len(), knobs.len() + 1, knobs.len() + 3];
        let rules: Vec<&str> = (0..names.len()).map(|i| if words.contains(&i) { ":--" } else { "--:" }).collect();
        self.piece(&format!("\n{}|{}|\n", line(&names), rules.join("|")));
        let (all, room) = (rows.len(), self.bytes / 2);
        let begin = self.out.len();
        for (shown, row) in rows.into_iter().enumerate() {
            let row = line(&cells(row));
            if self.out.len() - begin + row.len() > room {
                let left = counted((all - shown) as u64, "more cell");
                self.piece(&format!("\nand {left}, for which there is no room here.\n"));
                return;
            }
            self.piece(&row);
        }
    }

    /// The order of the cells, where that says more than their table, and the tuning to take.
    fn recommended(&mut self, report: &Report) {
        if let Some((heading, classes)) = told::ranking(report) {
            self.list(
                &format!("### {heading}"),
                classes.iter().map(|(rank, words)| format!("{rank}: {}", prose(words))),
            );
        }
        let none = report.nothing_recommended.iter().map(|reason| prose(&format!("none: {reason}")));
        let tuning = report.recommended.iter();
        let changes = tuning.clone().flat_map(|t| &t.changes).map(|change| prose(&told::tuned(change)));
        let advice = tuning.clone().flat_map(told::advice).map(|(label, words)| prose(&format!("{label}: {words}")));
        self.list("### Recommended tuning", none.chain(changes).chain(advice));
        for paste in tuning.flat_map(|t| &t.pastes) {
            self.piece(&pasted(&told::paste(paste), &paste.text));
        }
    }

    fn cause(&mut self, told: &Told<'_>) {
        let summary = format!("{}: {} ({})", told.name(), words(told.cause), counted(told.others + 1, "cell"));
        if !self.open(&format!("\n<details><summary>{}</summary>\n", html(&summary)), "\n</details>\n") {
            return;
        }
        let verdict = &told.first.verdict;
        self.piece(&format!("\nSeen in {}{}.\n\n", code(&told.first.id), told.also()));
        for line in &verdict.proof {
            self.piece(&proof(line));
        }
        if told.first_of_its_cause {
            let lines = told::ruled_out(verdict);
            self.list("**Ruled out**", lines.iter().map(|(causes, line)| prose(&format!("{causes}: {line}"))));
        }
        let open = told::undecided(verdict);
        let open = open.iter().map(|open| {
            let collect: Vec<String> =
                open.collect.iter().map(|item| format!("\n  - collect: {}", prose(item))).collect();
            format!("{}: {}{}", prose(&open.name), prose(open.why), collect.concat())
        });
        self.list("**Not decided**", open);
        if let Some(cure) = &verdict.cure {
            self.cure(cure);
        }
        self.close();
    }

    fn cure(&mut self, cure: &Cure) {
        self.piece(&format!("\n**What to change**\n\n{}\n\n{}\n", prose(&told::change(cure)), prose(&cure.because)));
        for place in &cure.places {
            self.piece(&pasted(&told::place(place), &place.text));
        }
    }
}

/// One row of a table, from its cells in Markdown.
fn line(cells: &[String]) -> String {
    format!("|{}|\n", cells.iter().map(|cell| format!(" {cell} ")).collect::<Vec<_>>().join("|"))
}

fn cells(row: Row) -> Vec<String> {
    let cause = row.why.map_or(row.cause.clone(), |why| format!("{} ({why})", row.cause));
    let plain =
        [row.outcome.to_string(), cause, row.passed, row.first_failure, row.p50, row.p99, row.restart, row.held];
    row.knobs.iter().chain(&plain).map(|text| escaped(text)).collect()
}

fn proof(line: &ProofLine) -> String {
    let at = line.at_ns.map(|ns| format!("at {}, ", time(ns))).unwrap_or_default();
    let value = if line.value.is_empty() { String::new() } else { format!(" **{}**", escaped(&line.value)) };
    format!("- {at}{}{value}: {}\n", code(&line.source), prose(&line.text))
}

/// A place and the text to paste there.
fn pasted(place: &str, text: &str) -> String {
    let fence = "`".repeat(longest_run(text, '`').max(2) + 1);
    format!("\n{}:\n\n{fence}\n{text}\n{fence}\n", prose(place))
}

fn all_prose(lines: &[String]) -> Vec<String> {
    lines.iter().map(|line| prose(line)).collect()
}

/// A sentence: what stands between backticks is code, as its writer meant it; the rest reads as it is written.
fn prose(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) || parts.iter().skip(1).step_by(2).any(|part| part.trim().is_empty()) {
        return escaped(text);
    }
    let written = |(i, part): (usize, &&str)| if i % 2 == 1 { code(part) } else { escaped(part) };
    parts.iter().enumerate().map(written).collect()
}

/// Text that reads as it is written: nothing in it becomes a table's border, emphasis, code, a link, mathematics or HTML.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let after = letters.peek().copied().unwrap_or(' ');
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // Within a word it is no emphasis, and the names of sysctls stay readable.
            '_' if before.is_alphanumeric() && after.is_alphanumeric() => out.push('_'),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' => out.extend(['\\', letter]),
            '\n' | '\r' => out.push(' '),
            _ => out.push(letter),
        }
        before = letter;
    }
    out
}

/// A name as code, whatever is in it.
fn code(text: &str) -> String {
    let fence = "`".repeat(longest_run(text, '`') + 1);
    // A blank keeps a backtick at either end from joining the fence.
    let blank = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{blank}{}{blank}{fence}", text.replace(['\n', '\r'], " "))
}

/// Text within an element.
fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The most of a character in a row.
fn longest_run(text: &str, of: char) -> usize {
    text.split(|c| c != of).map(str::len).max().unwrap_or(0)
}
