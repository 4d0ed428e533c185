//! The matrix as a table: which axes are columns, which are rows, and which cell stands where. Pure.

use std::collections::{BTreeMap, BTreeSet};

use brimful_evidence::record::KnobReading;
use brimful_judge::report::Report;

/// Columns before the next axis goes to the rows.
const MOST_COLUMNS: usize = 16;
/// Rows before another axis is tried among the columns.
const MANY_ROWS: usize = 16;

/// One knob that varies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Axis {
    /// Its full dotted name.
    pub(super) knob: String,
    /// The values asked for, in the scenario's order.
    pub(super) values: Vec<Value>,
}

/// One value of an axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value {
    /// As it was asked for.
    pub(super) asked: String,
    /// As it was given, where all cells were given the same other value.
    pub(super) given: Option<String>,
}

/// What stands at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The cell of this number in the report.
    Cell(usize),
    /// A cell that has no record at all, by its number among the missing.
    Missing(usize),
}

/// The matrix, ready to be drawn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Grid {
    /// The axes down the side, the outermost first.
    pub(super) rows: Vec<Axis>,
    /// The axes along the top, the outermost first: those with the most effect.
    pub(super) columns: Vec<Axis>,
    /// The combinations of row values that occur, as places on the axes, in order.
    pub(super) row_keys: Vec<Vec<usize>>,
    /// The combinations of column values that occur, likewise.
    pub(super) column_keys: Vec<Vec<usize>>,
    /// What stands where, by number of row and of column.
    pub(super) places: BTreeMap<(usize, usize), Vec<Place>>,
}

impl Grid {
    /// Lays out a report's cells, and those that are missing.
    pub(super) fn of(report: &Report) -> Self {
        let here: BTreeSet<&str> = report.cells.iter().map(|c| c.id.as_str()).collect();
        let cells = report.cells.iter().enumerate().map(|(i, c)| (Place::Cell(i), &c.knobs));
        let missing = report.missing.iter().enumerate().filter(|(_, m)| !here.contains(m.id.as_str()));
        let all: Vec<_> = cells.chain(missing.map(|(i, m)| (Place::Missing(i), &m.knobs))).collect();

        let mut axes: Vec<Axis> = Vec::new();
        for (knob, reading) in all.iter().flat_map(|(_, knobs)| knobs.iter()) {
            let at = axes.iter().position(|axis| axis.knob == *knob).unwrap_or_else(|| {
                axes.push(Axis { knob: knob.clone(), values: Vec::new() });
                axes.len() - 1
            });
            if let Some(axis) = axes.get_mut(at) {
                axis.meet(reading);
            }
        }
        axes.retain(|axis| axis.values.len() > 1);
        let (rows, columns) = split(axes, report);

        let keys = |axes: &[Axis]| -> Vec<Vec<usize>> {
            all.iter()
                .map(|(_, knobs)| axes.iter().map(|axis| axis.position(knobs.get(&axis.knob))).collect())
                .collect()
        };
        let (row_of, column_of) = (keys(&rows), keys(&columns));
        let (row_keys, column_keys) = (distinct(&row_of), distinct(&column_of));
        let mut places: BTreeMap<(usize, usize), Vec<Place>> = BTreeMap::new();
        for ((place, _), (row, column)) in all.iter().zip(row_of.iter().zip(&column_of)) {
            if let (Ok(r), Ok(c)) = (row_keys.binary_search(row), column_keys.binary_search(column)) {
                places.entry((r, c)).or_default().push(*place);
            }
        }
        Self { rows, columns, row_keys, column_keys, places }
    }
}

impl Axis {
    fn meet(&mut self, reading: &KnobReading) {
        let asked = reading.asked.to_string();
        let given = reading.given.as_ref().map(ToString::to_string).filter(|given| *given != asked);
        match self.values.iter_mut().find(|value| value.asked == asked) {
            Some(value) if value.given != given => value.given = None,
            Some(_) => {}
            None => self.values.push(Value { asked, given }),
        }
    }

    /// The place of a cell's value; after all others where it has none.
    fn position(&self, reading: Option<&KnobReading>) -> usize {
        let asked = reading.map(|r| r.asked.to_string());
        self.values.iter().position(|v| Some(&v.asked) == asked.as_ref()).unwrap_or(self.values.len())
    }
}

/// Rows and columns: the axis with the most effect is the columns, the last of equals; the next ones join it while the rows
/// are many and the columns few. The rows stay in the scenario's order.
fn split(axes: Vec<Axis>, report: &Report) -> (Vec<Axis>, Vec<Axis>) {
    let effect = |axis: &Axis| {
        let effect = report.knob_effects.iter().find(|e| e.knob == axis.knob);
        effect.map_or(0, |e| e.changed.saturating_mul(1_000).checked_div(e.pairs).unwrap_or(0))
    };
    let mut by_effect: Vec<usize> = (0..axes.len()).rev().collect();
    by_effect.sort_by_key(|&i| std::cmp::Reverse(axes.get(i).map(effect)));
    let length = |i: usize| axes.get(i).map_or(1, |axis| axis.values.len());
    let mut chosen: Vec<usize> = Vec::new();
    let (mut rows, mut columns) = ((0..axes.len()).map(length).fold(1, usize::saturating_mul), 1_usize);
    for i in by_effect {
        let wanted = chosen.is_empty() || (rows > MANY_ROWS && columns.saturating_mul(length(i)) <= MOST_COLUMNS);
        if wanted {
            chosen.push(i);
            columns = columns.saturating_mul(length(i));
            rows /= length(i).max(1);
        }
    }
    let mut axes: Vec<Option<Axis>> = axes.into_iter().map(Some).collect();
    let columns = chosen.iter().filter_map(|&i| axes.get_mut(i).and_then(Option::take)).collect();
    (axes.into_iter().flatten().collect(), columns)
}

fn distinct(keys: &[Vec<usize>]) -> Vec<Vec<usize>> {
    keys.iter().collect::<BTreeSet<_>>().into_iter().cloned().collect()
}

/// For each key, whether its value on each axis begins a group, and how long that is: the rowspan or colspan of its heading.
pub(super) fn spans(keys: &[Vec<usize>], axes: usize) -> Vec<Vec<Option<usize>>> {
    let begins = |at: usize, axis: usize| {
        let before = at.checked_sub(1).and_then(|i| keys.get(i));
        before.is_none_or(|before| before.get(..=axis) != keys.get(at).and_then(|key| key.get(..=axis)))
    };
    let length = |at: usize, axis: usize| (at + 1..keys.len()).take_while(|&later| !begins(later, axis)).count() + 1;
    let of_key = |at| (0..axes).map(|axis| begins(at, axis).then(|| length(at, axis))).collect();
    (0..keys.len()).map(of_key).collect()
}

#[cfg(test)]
mod tests {
    use brimful_evidence::record::Record;
    use brimful_judge::report::RunInfo;
    use brimful_plan::cell::Cell;
    use brimful_testing;

    use super::*;

    pub(super) fn report(records: &[Record], planned: &[Cell]) -> Report {
        let info = RunInfo {
            scenario: "origin".into(),
            question: "Which?".into(),
            tool_version: "0.1.0".into(),
            host: brimful_testing::healthy().host,
            seed: 7,
            blocks: 1,
            interrupted: false,
            arms: Vec::new(),
            gate: None,
            notes: Vec::new(),
        };
        Report::build(info, records, planned)
    }

    fn planned(records: &[Record]) -> Vec<Cell> {
        records.iter().map(|r| r.cell.clone()).collect()
    }

    #[test]
    fn the_knob_that_decides_is_the_columns() {
        let mut records = brimful_testing::origin_run();
        for record in &mut records {
            record.knobs.move_index(2, 0);
        }
        let grid = Grid::of(&report(&records, &planned(&records)));
        let names = |axes: &[Axis]| axes.iter().map(|a| a.knob.clone()).collect::<Vec<_>>();
        assert_eq!(names(&grid.columns), ["ulimit.nofile"]);
        assert_eq!(names(&grid.rows), ["sysctl.net.core.somaxconn", "sysctl.net.ipv4.tcp_max_syn_backlog"]);
        assert_eq!(grid.columns[0].values[1], Value { asked: "65535".into(), given: Some("20000".into()) });
        assert_eq!((grid.row_keys.len(), grid.column_keys.len(), grid.places.len()), (4, 2, 8));
        assert_eq!(
            spans(&grid.row_keys, 2),
            [[Some(2), Some(1)], [None, Some(1)], [Some(2), Some(1)], [None, Some(1)]].map(Vec::from)
        );
    }

    #[test]
    fn a_cell_that_was_not_run_has_its_place() {
        let records = brimful_testing::origin_run();
        let grid = Grid::of(&report(&records[..7], &planned(&records)));
        let missing: Vec<_> = grid.places.values().flatten().filter(|p| matches!(p, Place::Missing(_))).collect();
        assert_eq!((grid.places.len(), missing.len()), (8, 1));
    }

    #[test]
    fn one_cell_and_none_are_tables_too() {
        let one = Grid::of(&report(&[brimful_testing::healthy()], &planned(&[brimful_testing::healthy()])));
        assert_eq!((one.rows.len(), one.columns.len(), one.places.len()), (0, 0, 1));
        assert_eq!(Grid::of(&report(&[], &[])), Grid::default());
    }
}
