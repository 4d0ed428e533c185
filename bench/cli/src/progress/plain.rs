//! The same as lines, for where nothing can be drawn over: a pipe, a log, a terminal that is asked to be plain. Pure.

use std::time::Duration;

use brimful_judge::wording::count;

use super::frame::{block, number};
use super::line::{Line, Tone};
use crate::progress::state::{Overall, Running, STOPPING};

/// How often a long cell gives a sign of life.
pub(super) const EVERY: Duration = Duration::from_secs(5);

/// A cell begins.
pub(super) fn begins(cell: &Running, overall: &Overall) -> String {
    let (number, block) = (number(cell, overall), block(cell, overall));
    format!("{number}{}{block} ({} s)", cell.id, cell.planned.as_secs())
}

/// Where a cell stands.
pub(super) fn stands(cell: &Running, overall: &Overall) -> String {
    let number = number(cell, overall);
    if cell.clock().is_zero() {
        return format!("{number}{}", cell.doing());
    }
    let mut line = format!(
        "{number}{:.0} s: held {} of {}",
        cell.clock().as_secs_f64(),
        count(cell.load.held),
        count(cell.requested)
    );
    let mut add = |text: String| {
        line.push_str(", ");
        line.push_str(&text);
    };
    if cell.load.pending > 0 {
        add(format!("{} in handshake", count(cell.load.pending)));
    }
    if cell.load.failed > 0 {
        add(format!("{} failed", count(cell.load.failed)));
    }
    let table = &cell.table;
    for (name, value, limit) in
        [("queue", table.recv_q, table.limit), ("descriptors", table.target_descriptors, table.target_nofile_soft)]
    {
        if let (Some(value), Some(limit)) = (value, limit) {
            add(format!("{name} {} of {}", count(value), count(limit)));
        }
    }
    if let Some(drops) = table.drops.filter(|&drops| drops > 0) {
        add(format!("{} dropped", count(drops)));
    }
    add(format!("probes passed {} of {}", count(cell.probes.passed), count(cell.probes.sent)));
    line
}

/// A signal has asked for its end.
pub(super) fn stopping(cell: &str) -> String {
    format!("{cell}: {STOPPING}; once more ends it at once")
}

/// A cell ended as `became` says, after so long. Also what stays of it above a display.
pub(super) fn ended(cell: &Running, overall: &Overall, became: &str, took: Duration) -> Line {
    let tone = match became.split(',').next() {
        Some("healthy") => Tone::Good,
        Some("degraded") => Tone::Warn,
        Some("failing") => Tone::Bad,
        _ => Tone::Void,
    };
    let name = format!("{}{}{}: ", number(cell, overall), cell.id, block(cell, overall));
    let took = format!(" ({:.1} s)", took.as_secs_f64());
    Line::default().with(Tone::Plain, name).with(tone, became).with(Tone::Dim, took)
}

#[cfg(test)]
mod tests {
    use brimful_live::cell::Live;
    use brimful_live::observe::Glance;
    use brimful_loadgen_plan::outcome::LoadPoint;

    use super::*;
    use crate::progress::state::Course;

    #[test]
    fn lines_read_well() {
        let mut course = Course::new(8, Duration::from_secs(88));
        course.block(1, 10);
        course.begin("nofile=1024", 12_000, Duration::from_secs(11), Duration::ZERO);
        let now = Duration::from_secs(5);
        let mut lines = vec![begins(&course.running()[0], &course.overall(now))];
        course.live(None, Live::Step("making the sandbox"));
        lines.push(stands(&course.running()[0], &course.overall(now)));
        let at_ns = 5_000_000_000;
        course.live(None, Live::Load(LoadPoint { at_ns, held: 1_142, pending: 10_858, ..LoadPoint::default() }));
        lines.push(stands(&course.running()[0], &course.overall(now)));
        course.live(
            None,
            Live::Table(Glance {
                at_ns,
                recv_q: Some(129),
                limit: Some(128),
                drops: Some(7_000),
                target_descriptors: Some(1_024),
                target_nofile_soft: Some(1_024),
            }),
        );
        lines.push(stands(&course.running()[0], &course.overall(now)));
        let (cell, took) = course.end("nofile=1024", Duration::from_millis(11_570)).unwrap();
        lines.push(ended(&cell, &course.overall(now), "failing, fd-limit", took).painted(false));
        insta::assert_snapshot!(lines.join("\n"));
    }
}
