//! What is shown of a run on a terminal of a given size: a few lines, redrawn in place. Pure.
//!
//! One running cell is shown in full, several in a line each. Nothing here is wider or higher than it was told to be.

use std::time::Duration;

use brimful_judge::wording::{count, counted, time};

use super::history::History;
use super::line::{Line, Tone, bar, fullness, letter, span, sparkline, words};
use crate::progress::state::{Course, Overall, Probes, Running};

/// A terminal below this many columns gets short names and no second column of drawings.
const NARROW: usize = 60;

/// The most columns of a bar and of a history: beyond that they tell no more.
const LONGEST: usize = 60;

/// Columns and rows that may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    /// Columns.
    pub(super) columns: usize,
    /// Rows.
    pub(super) rows: usize,
}

/// The lines; none while no cell runs, or where there is no room.
pub(super) fn frame(course: &Course, now: Duration, size: Size) -> Vec<Line> {
    let overall = course.overall(now);
    let mut lines = match course.running() {
        [] => return Vec::new(),
        [one] => in_full(one, &overall, size.columns),
        several => in_brief(several, &overall, size),
    };
    if lines.len() > size.rows {
        lines = in_brief(course.running(), &overall, size);
    }
    lines.truncate(size.rows);
    lines.into_iter().map(|line| line.cut(size.columns)).collect()
}

/// `[3/8] `: which cell of how many.
pub(super) fn number(cell: &Running, overall: &Overall) -> String {
    format!("[{}/{}] ", cell.number, overall.cells.max(cell.number))
}

/// `, block 2 of 10`, where there are several.
pub(super) fn block(cell: &Running, overall: &Overall) -> String {
    if overall.blocks > 1 { format!(", block {} of {}", cell.block + 1, overall.blocks) } else { String::new() }
}

// ------------------------------------------------------------------------------------------------------ one cell, in full

/// Where things stand in a row: `name numbers  bar history`.
struct Columns {
    all: usize,
    narrow: bool,
    name: usize,
    numbers: usize,
    bar: usize,
    history: usize,
}

impl Columns {
    fn for_width(columns: usize, numbers: usize) -> Self {
        let narrow = columns < NARROW;
        let name = if narrow { 7 } else { 14 };
        let rest = columns.saturating_sub(name + numbers + 2);
        let (bar, history) = match rest {
            0..4 => (0, 0),
            4..24 => (rest, 0),
            _ => {
                let bar = (rest * 2 / 5).min(LONGEST);
                (bar, (rest - bar - 2).min(LONGEST))
            }
        };
        Self { all: columns, narrow, name, numbers, bar, history }
    }

    fn row(&self, name: &str, numbers: &str) -> Line {
        let blanks = self.numbers.saturating_sub(numbers.chars().count());
        let line = Line::default().with(Tone::Dim, name).to(self.name);
        line.with(Tone::Plain, format!("{}{numbers}  ", " ".repeat(blanks)))
    }
}

/// A number with its limit.
struct Gauge<'a> {
    name: (&'static str, &'static str),
    value: Option<u64>,
    limit: Option<u64>,
    tone: Tone,
    history: &'a History,
}

impl Gauge<'_> {
    fn numbers(&self) -> String {
        match (self.value, self.limit) {
            (Some(value), Some(limit)) => format!("{} of {}", count(value), count(limit)),
            (Some(value), None) => count(value),
            (None, _) => "-".to_owned(),
        }
    }

    /// Columns that its numbers may come to take: those of the limit, twice.
    fn room(&self) -> usize {
        let limit = self.limit.map_or(0, |limit| 2 * count(limit).len() + 4);
        limit.max(self.numbers().len())
    }

    fn line(&self, columns: &Columns) -> Line {
        let line = columns.row(if columns.narrow { self.name.1 } else { self.name.0 }, &self.numbers());
        let (Some(value), Some(limit)) = (self.value, self.limit) else { return line };
        let line = line.and(bar(value, limit, columns.bar, self.tone));
        if columns.history == 0 {
            return line;
        }
        line.with(Tone::Plain, "  ").and(sparkline(&self.history.columns(columns.history), limit, self.tone))
    }
}

fn gauges(cell: &Running) -> [Gauge<'_>; 3] {
    let table = &cell.table;
    let tone = |value: Option<u64>, limit: Option<u64>| value.zip(limit).map_or(Tone::Calm, |(v, l)| fullness(v, l));
    [
        Gauge {
            name: ("held", "held"),
            value: Some(cell.load.held),
            limit: Some(cell.requested),
            tone: if cell.load.held >= cell.requested { Tone::Good } else { Tone::Calm },
            history: &cell.held,
        },
        Gauge {
            name: ("accept queue", "queue"),
            value: table.recv_q,
            limit: table.limit,
            tone: tone(table.recv_q, table.limit),
            history: &cell.queue,
        },
        Gauge {
            name: ("descriptors", "fds"),
            value: table.target_descriptors,
            limit: table.target_nofile_soft,
            tone: tone(table.target_descriptors, table.target_nofile_soft),
            history: &cell.descriptors,
        },
    ]
}

fn in_full(cell: &Running, overall: &Overall, width: usize) -> Vec<Line> {
    let gauges = gauges(cell);
    let columns = Columns::for_width(width, gauges.iter().map(Gauge::room).max().unwrap_or(0));
    let mut lines = headline(cell, overall, width);
    lines.extend(gauges.iter().map(|gauge| gauge.line(&columns)));
    lines.push(counted_so_far(cell, &columns));
    lines.push(probes(&cell.probes, &columns));
    lines.push(the_run(overall, &columns));
    lines
}

/// The cell and its time, in one line where both fit and in two otherwise.
fn headline(cell: &Running, overall: &Overall, width: usize) -> Vec<Line> {
    let name = Line::default().with(Tone::Dim, number(cell, overall)).with(Tone::Bold, &*cell.id);
    let name = name.with(Tone::Dim, block(cell, overall));
    let time = Line::default().with(Tone::Plain, stage(cell));
    let column = width.saturating_sub(time.width());
    if name.width() + 2 <= column { vec![name.to(column).and(time)] } else { vec![name, time] }
}

/// What is being done, or how long the cell has run of how long.
fn stage(cell: &Running) -> String {
    let (clock, planned) = (cell.clock(), cell.planned);
    let of = format!("{:.1} s of {}", clock.min(planned).as_secs_f64(), span(planned));
    if clock.is_zero() {
        cell.doing()
    } else if clock >= planned {
        format!("{of}, ending")
    } else {
        of
    }
}

/// What only ever grows, and what waits for the server.
fn counted_so_far(cell: &Running, columns: &Columns) -> Line {
    let [name, dropped, pending] =
        if columns.narrow { ["count", "drops", "opening"] } else { ["counted", "dropped", "in handshake"] };
    let (load, drops) = (&cell.load, cell.table.drops);
    let some = |n: u64, tone: Tone| if n > 0 { tone } else { Tone::Plain };
    let line = Line::default().with(Tone::Dim, name).to(columns.name);
    let line = line
        .with(some(drops.unwrap_or(0), Tone::Bad), format!("{} {dropped}", drops.map_or_else(|| "-".to_owned(), count)))
        .with(Tone::Plain, ", ")
        .with(some(load.pending, Tone::Warn), format!("{} {pending}", count(load.pending)));
    let failed = Line::default().with(Tone::Plain, ", ");
    let failed = failed.with(some(load.failed, Tone::Bad), format!("{} failed", count(load.failed)));
    fitting(line, [failed], columns.all)
}

fn probes(probes: &Probes, columns: &Columns) -> Line {
    let numbers = format!("{} of {} ok", count(probes.passed), count(probes.sent));
    let line = columns.row(if columns.narrow { "probe" } else { "probes" }, &numbers);
    let line = line.and(strip(probes, columns.bar.max(8)));
    let Some((outcome, latency_ns)) = probes.last else { return line };
    let before = if columns.narrow { "  " } else { "  last " };
    let last = Line::default().with(Tone::Plain, before).and(last(outcome, latency_ns));
    // The letters of the strip, spelt out.
    let legend = probes.failures.iter().map(|&(outcome, n)| {
        let (tone, letter) = letter(outcome);
        let line = Line::default().with(Tone::Plain, "  ").with(tone, letter);
        line.with(Tone::Plain, format!(" {} {}", words(outcome), count(n)))
    });
    fitting(line, std::iter::once(last).chain(legend), columns.all)
}

/// The line and those of the parts, in their order, for which there is room.
fn fitting(line: Line, parts: impl IntoIterator<Item = Line>, columns: usize) -> Line {
    parts
        .into_iter()
        .fold(line, |line, part| if line.width() + part.width() <= columns { line.and(part) } else { line })
}

/// The latest outcomes, one letter each.
fn strip(probes: &Probes, most: usize) -> Line {
    let latest = probes.strip.iter().skip(probes.strip.len().saturating_sub(most));
    latest.fold(Line::default(), |line, &outcome| {
        let (tone, letter) = letter(outcome);
        line.with(tone, letter)
    })
}

/// How long the last probe took: at least so long, where its time ran out.
fn last(outcome: brimful_loadgen_plan::probe::Outcome, latency_ns: u64) -> Line {
    use brimful_loadgen_plan::probe::Outcome;
    let censored = matches!(outcome, Outcome::ConnectTimeout | Outcome::ResponseTimeout);
    let tone = if outcome.passed() { Tone::Good } else { Tone::Bad };
    Line::default().with(tone, format!("{}{}", if censored { "≥" } else { "" }, time(latency_ns)))
}

fn the_run(overall: &Overall, columns: &Columns) -> Line {
    let done = format!("{} of {}", count(overall.done), counted(overall.cells, "cell"));
    // Rounded up: nothing is left only when it is over.
    let left = span(overall.left + Duration::from_millis(999));
    if columns.narrow {
        return Line::default()
            .with(Tone::Dim, "run")
            .to(columns.name)
            .with(Tone::Plain, format!("{done}, {left} left"));
    }
    let line = columns.row("run", &done);
    let left = format!("about {left} left");
    let both = format!("{} gone, {left}", span(overall.gone));
    let times = if line.width() + both.len() <= columns.all { both } else { left };
    let room = columns.all.saturating_sub(line.width() + times.len() + 2).min(columns.bar);
    let share = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let bars = bar(share(overall.gone), share(overall.gone + overall.left), room, Tone::Plain);
    let gap = if room > 0 { "  " } else { "" };
    line.and(bars).with(Tone::Plain, gap).with(Tone::Plain, times)
}

// ------------------------------------------------------------------------------------------------------ a line for a cell

/// A line for each cell that runs, and one for the run; what there is no room for is counted.
fn in_brief(running: &[Running], overall: &Overall, size: Size) -> Vec<Line> {
    let room = size.rows.saturating_sub(1).max(1);
    let shown = if running.len() > room { room.saturating_sub(1).max(1) } else { running.len() };
    let mut lines: Vec<Line> = running.iter().take(shown).map(|cell| brief(cell, overall, size.columns)).collect();
    if running.len() > shown {
        lines.push(Line::default().with(Tone::Dim, format!("and {} more", running.len() - shown)));
    }
    let name = Columns::for_width(size.columns, 0);
    lines.push(the_run(overall, &Columns { bar: name.bar.min(20), history: 0, ..name }));
    lines
}

/// The name, and as many of the other things as fit beside a third of the line for it.
fn brief(cell: &Running, overall: &Overall, width: usize) -> Line {
    let name = Line::default().with(Tone::Dim, number(cell, overall)).with(Tone::Bold, &*cell.id);
    let mut parts = vec![Line::default().with(Tone::Plain, stage(cell))];
    let pairs = gauges(cell).into_iter().filter(|gauge| gauge.value.is_some() && gauge.limit.is_some());
    parts.extend(pairs.map(|gauge| {
        let numbers = gauge.numbers().replace(" of ", "/");
        Line::default().with(Tone::Dim, gauge.name.1).with(Tone::Plain, " ").with(gauge.tone, numbers)
    }));
    // The strip goes first of all, because it is what the run is about.
    parts.insert(1, strip(&cell.probes, 8));
    let least = name.width().min(width / 3);
    let parts = parts.into_iter().filter(|part| part.width() > 0);
    let spaced = parts.map(|part| Line::default().with(Tone::Plain, "  ").and(part));
    let facts = fitting(Line::default(), spaced, width - least);
    name.cut(width.saturating_sub(facts.width())).and(facts)
}

#[cfg(test)]
mod tests;
