//! The table of `brimful check`: every cell that would run, and its price.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};

use super::{Cost, Machine, asked_and_set, cost};
use crate::cell::Cell;
use crate::predict::predict;
use crate::refusal::Refusal;
use crate::wording::{bytes, grouped, time};

/// Wide enough that nothing is wrapped: a wrapped id cannot be copied.
const HEADER: [&str; 8] = ["cell", "knobs", "first limit", "time", "target fds", "load fds", "memory", "ports"];

/// The cells of a scenario with what each costs on this machine, and the time of `blocks` runs of all of them beneath.
///
/// The first limit is the one that [`predict`] says the load meets first. Descriptors are those of the busiest process; the target's stand against its limit, and `× n` is the number of processes.
///
/// # Errors
/// What [`cost`] says of the first cell that cannot be priced.
pub fn table(cells: &[Cell], machine: &Machine, blocks: u32) -> Result<String, Refusal> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(HEADER);
    let mut total = Duration::ZERO;
    for cell in cells {
        let cost = cost(cell, machine)?;
        total += cost.time;
        table.add_row(row(cell, &cost, predict(cell, machine).to_string()));
    }
    for column in table.column_iter_mut().skip(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let count = if cells.len() == 1 { "1 cell".to_owned() } else { format!("{} cells", grouped(cells.len() as u64)) };
    let blocks_said = if blocks == 1 { "1 block".to_owned() } else { format!("{blocks} blocks") };
    let total = rounded(total.saturating_mul(blocks));
    Ok(format!("{}\n\n{count}, {blocks_said}: about {}", table.trim_fmt(), time(total)))
}

fn row(cell: &Cell, cost: &Cost, first_limit: String) -> [String; 8] {
    [
        cell.id.clone(),
        knobs(cell),
        first_limit,
        time(rounded(cost.time)),
        processes(
            cost.target_processes,
            &format!("{} of {}", grouped(cost.target_descriptors), grouped(cost.target_limit)),
        ),
        processes(cost.load_processes, &grouped(cost.load_descriptors)),
        bytes(cost.memory_bytes),
        format!("{} of {}", grouped(cost.ports_used), grouped(cost.ports_available)),
    ]
}

/// What the id does not say: knobs that are fixed, and those that are set to another value than was asked.
fn knobs(cell: &Cell) -> String {
    let said: Vec<String> = cell
        .knobs
        .iter()
        .filter(|(name, setting)| setting.asked != setting.set || !in_id(&cell.id, name))
        .map(|(name, setting)| format!("{}={}", name, asked_and_set(&setting.asked, &setting.set)))
        .collect();
    if said.is_empty() { "-".to_owned() } else { said.join(", ") }
}

/// Whether an id has a pair whose name is a dotted end of this knob's.
fn in_id(id: &str, knob: &str) -> bool {
    id.split(',').filter_map(|pair| pair.split_once('=')).any(|(name, _)| {
        let file_safe = knob.replace('/', "-");
        file_safe.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with('.'))
    })
}

fn processes(count: u64, each: &str) -> String {
    if count == 1 { each.to_owned() } else { format!("{each} × {}", grouped(count)) }
}

/// To the tenth of a second, upwards: it is an estimate.
fn rounded(span: Duration) -> Duration {
    let tenths = u64::try_from(span.as_millis().div_ceil(100)).unwrap_or(u64::MAX / 100);
    Duration::from_millis(tenths * 100)
}

#[cfg(test)]
mod tests {
    use super::super::tests::machine;
    use super::*;
    use crate::catalogue;
    use crate::matrix::expand;
    use crate::scenario::Scenario;

    fn check(name: &str, blocks: u32) -> String {
        let embedded = catalogue::find(name).unwrap();
        let scenario = Scenario::parse(name, embedded.text).unwrap();
        table(&expand(&scenario, 20_000).unwrap(), &machine(), blocks).unwrap()
    }

    #[test]
    fn the_first_scenario() {
        insta::assert_snapshot!(check("origin", 1));
    }

    #[test]
    fn fixed_knobs_are_shown() {
        insta::assert_snapshot!(check("fd-soft-1024", 3));
    }
}
