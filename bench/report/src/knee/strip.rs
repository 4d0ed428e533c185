//! The picture in text: one bar a cell on a common axis. Pure.

use brimful_judge::knee::{CellKnee, KneeReport, Unit, rate};
use brimful_judge::wording::count;

/// Fewer columns than this show nothing.
const NARROWEST: usize = 16;
/// More columns than this show no more.
const WIDEST: usize = 60;
/// The longest name that stands before a bar.
const LONGEST_NAME: usize = 40;

/// One row of a picture: where its parts end, as a share of the axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bar {
    /// The end of what is known to be healthy.
    pub(super) healthy: f64,
    /// The end of what is not known; as far as the first where that is all.
    pub(super) open: f64,
    /// Whether the open part goes on to an end that nobody saw.
    pub(super) endless: bool,
    /// What was foretold, where that is on the axis.
    pub(super) foretold: Option<f64>,
}

/// The end of the axis for the cells of a unit: the farthest that any of them reaches, and what was foretold where that is near.
pub(super) fn axis_end(cells: &[&CellKnee]) -> f64 {
    let reach = |cell: &&CellKnee| {
        let knee = &cell.knee;
        let ends = [knee.healthy_to, knee.unhealthy_from, knee.void_from];
        ends.into_iter().flatten().map(|load| cell.place(load)).fold(0.0, f64::max)
    };
    let reached = cells.iter().map(reach).fold(0.0, f64::max);
    let foretold = |cell: &&CellKnee| cell.foretold.as_ref()?.healthy_to.map(|load| cell.place(load));
    // A limit of another magnitude would press everything else against the wall.
    let near = cells.iter().filter_map(foretold).filter(|&at| at <= reached * 2.0);
    near.fold(reached, f64::max).max(1.0)
}

/// Where the parts of a cell's row end.
pub(super) fn bar(cell: &CellKnee, end: f64) -> Bar {
    let share = |load: u64| (cell.place(load) / end).clamp(0.0, 1.0);
    let knee = &cell.knee;
    let healthy = knee.healthy_to.map_or(0.0, share);
    let top = knee.unhealthy_from.or(knee.void_from).map(share);
    let foretold = cell.foretold.as_ref().and_then(|foretold| foretold.healthy_to);
    Bar {
        healthy,
        open: top.unwrap_or(healthy).max(healthy),
        endless: knee.unhealthy_from.is_none(),
        foretold: foretold.filter(|&load| cell.place(load) <= end).map(share),
    }
}

/// The cells of each unit that occurs.
pub(super) fn by_unit(report: &KneeReport) -> Vec<(Unit, Vec<&CellKnee>)> {
    let of = |unit: Unit| (unit, report.cells.iter().filter(|cell| cell.unit == unit).collect::<Vec<_>>());
    [of(Unit::Connections), of(Unit::PerSecond)].into_iter().filter(|(_, cells)| !cells.is_empty()).collect()
}

/// What an axis counts.
pub(super) fn noun(unit: Unit) -> &'static str {
    match unit {
        Unit::Connections => "connections",
        Unit::PerSecond => "connections a second",
    }
}

/// A place on an axis, as a number.
pub(super) fn number(unit: Unit, place: f64) -> String {
    match unit {
        Unit::Connections => count(place.round() as u64),
        Unit::PerSecond => rate(place),
    }
}

/// The bars and their axis; empty where there is nothing to draw.
pub(super) fn strips(report: &KneeReport, width: u16) -> Vec<String> {
    let mut lines = Vec::new();
    for (unit, cells) in by_unit(report) {
        let name = cells.iter().map(|cell| cell.id.chars().count()).max().unwrap_or(0).min(LONGEST_NAME);
        // The names, two blanks before and after them, one more for the arrow.
        let columns = usize::from(width).saturating_sub(name + 5).clamp(NARROWEST, WIDEST);
        let end = axis_end(&cells);
        for cell in &cells {
            let short: String = cell.id.chars().take(LONGEST_NAME).collect();
            lines.push(format!("  {short:<name$}  {}", drawn(bar(cell, end), columns)).trim_end().to_owned());
        }
        let last = format!("{} {}", number(unit, end), noun(unit));
        let rule = format!("0{last:─>rest$}", rest = columns.saturating_sub(1).max(last.chars().count()));
        lines.push(format!("  {:<name$}  {}", "", rule.replace("─", " ")).trim_end().to_owned());
    }
    lines
}

/// A bar in characters: full for healthy, light for what is open, a line at what was foretold.
fn drawn(bar: Bar, columns: usize) -> String {
    let column = |share: f64| (share * columns as f64).round() as usize;
    let (healthy, open) = (column(bar.healthy), column(bar.open));
    let mark = bar.foretold.map(|share| column(share).saturating_sub(1));
    let drawn = (0..=columns).map(|at| match at {
        _ if Some(at) == mark => '┃',
        _ if at < healthy => '█',
        _ if at < open => '░',
        _ if at == open && bar.endless => '→',
        _ => ' ',
    });
    drawn.collect()
}
