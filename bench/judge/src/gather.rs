//! Several runs of one scenario as one run: from several generators, or from several occasions. Pure.
//!
//! A block stays a block: what was run together keeps a number together, so that pairs made within a block are pairs of one run.

use brimful_evidence::record::{Host, Record};
use brimful_plan::cell::{Cell, KnobSetting};
use indexmap::{IndexMap, IndexSet};

use super::report::{MissingCell, Report, RunInfo};
use crate::wording::listed;

/// A run that was saved.
#[derive(Clone, Debug)]
pub struct Part {
    /// How the reader knows it: its folder.
    pub name: String,
    /// Its report, as it was judged then.
    pub report: Report,
    /// Its records.
    pub records: Vec<Record>,
}

/// Several runs as one.
#[derive(Clone, Debug)]
pub struct Gathered {
    /// The records with their new blocks.
    pub records: Vec<Record>,
    /// All of them judged.
    pub report: Report,
    /// Where each record is from, one line each.
    pub origins: Vec<String>,
}

/// Why runs do not belong together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Apart {
    /// What differs, and in which of them.
    pub what: String,
    /// What to do about it.
    pub hint: String,
}

/// Gathers runs in the order given. `any_machine` takes runs from different machines as well, and notes which are.
///
/// # Errors
/// [`Apart`] when they ask different questions, vary different knobs, run different arms or cells, when one is there twice, or
/// when they are from different machines and that was not asked for.
pub fn gather(parts: &[Part], any_machine: bool, tool_version: &str) -> Result<Gathered, Apart> {
    let [first, others @ ..] = parts else {
        return Err(apart("there is no run to merge", "name at least two folders that `brimful run` wrote"));
    };
    for other in others {
        same_question(first, other)?;
        if !any_machine && machine(&first.report.host) != machine(&other.report.host) {
            let what = format!(
                "`{}` is from {}, and `{}` from {}",
                first.name,
                machine(&first.report.host),
                other.name,
                machine(&other.report.host)
            );
            return Err(apart(
                what,
                "numbers of different machines are not alike; add --force to merge them all the same",
            ));
        }
    }
    same_cells(parts)?;
    once_each(parts)?;
    let (mut records, mut origins, mut blocks) = (Vec::new(), Vec::new(), 0);
    let mut notes: IndexSet<String> = IndexSet::new();
    for part in parts {
        notes.extend(part.report.notes.iter().cloned());
        notes.extend(from_elsewhere(first, part, blocks));
        for record in &part.records {
            let block = blocks + record.block;
            origins.push(format!("{}: block {block} is block {} of `{}`", record.cell.id, record.block, part.name));
            records.push(Record { block, ..record.clone() });
        }
        blocks += blocks_of(part);
    }
    notes.extend(differences(parts));
    let info = RunInfo {
        scenario: first.report.scenario.name.clone(),
        question: first.report.scenario.question.clone(),
        tool_version: tool_version.to_owned(),
        host: first.report.host.clone(),
        seed: first.report.seed,
        blocks,
        interrupted: parts.iter().any(|part| part.report.interrupted),
        arms: first.report.arms.clone(),
        gate: first.report.gate.clone(),
        notes: notes.into_iter().collect(),
    };
    let planned = planned(parts);
    let mut report = Report::build(info, &records, &planned);
    report.missing.extend(never_run(parts, &planned, blocks));
    Ok(Gathered { records, report, origins })
}

fn apart(what: impl Into<String>, hint: impl Into<String>) -> Apart {
    Apart { what: what.into(), hint: hint.into() }
}

fn same_question(first: &Part, other: &Part) -> Result<(), Apart> {
    let hint = "only runs of one scenario can be merged";
    let (a, b) = (&first.report, &other.report);
    if a.scenario.name != b.scenario.name {
        let (a, b) = (&a.scenario.name, &b.scenario.name);
        return Err(apart(format!("`{}` is a run of `{a}`, and `{}` one of `{b}`", first.name, other.name), hint));
    }
    if a.scenario.question != b.scenario.question {
        let what = format!("`{}` and `{}` ask different questions under one name", first.name, other.name);
        return Err(apart(what, hint));
    }
    if let (Some(a), Some(b)) = (axes(a), axes(b))
        && a != b
    {
        let what = format!("`{}` varies {}, and `{}` {}", first.name, listed(&a), other.name, listed(&b));
        return Err(apart(what, "only runs of the same matrix can be merged"));
    }
    if a.arms != b.arms {
        let what = format!("`{}` and `{}` were run with different arms", first.name, other.name);
        return Err(apart(what, "only runs of the same arms can be merged"));
    }
    Ok(())
}

/// The knobs that a run varies; `None` for a run without any cell.
fn axes(report: &Report) -> Option<Vec<String>> {
    let knobs =
        report.cells.first().map(|cell| &cell.knobs).or_else(|| report.missing.first().map(|cell| &cell.knobs))?;
    let names: Vec<String> = knobs.keys().cloned().collect();
    Some(if names.is_empty() { vec!["nothing".to_owned()] } else { names })
}

/// A cell of one name must be one cell: the scenario may have been edited between two runs, or one of them was a quick one. A descriptor
/// limit that was lowered to what a machine gives is a matter of the machine.
fn same_cells(parts: &[Part]) -> Result<(), Apart> {
    let mut seen: IndexMap<&str, (&str, Cell)> = IndexMap::new();
    for part in parts {
        for record in &part.records {
            let cell = as_asked(&record.cell);
            let (other, known) = seen.entry(&record.cell.id).or_insert_with(|| (&part.name, cell.clone()));
            if *known != cell {
                return Err(apart(
                    format!("the cell `{}` is not the same in `{other}` and in `{}`", record.cell.id, part.name),
                    "the scenario was changed between the runs, or one of them was run with --quick: run them alike",
                ));
            }
        }
    }
    Ok(())
}

fn as_asked(cell: &Cell) -> Cell {
    let mut cell = Cell { nofile: None, ..cell.clone() };
    for setting in cell.knobs.values_mut() {
        *setting = KnobSetting { set: setting.asked.clone(), clamped_because: None, ..setting.clone() };
    }
    cell
}

fn once_each(parts: &[Part]) -> Result<(), Apart> {
    let mut seen: IndexMap<(&str, &str), &str> = IndexMap::new();
    for part in parts {
        for record in &part.records {
            if let Some(other) = seen.insert((&record.cell.id, &record.started_at), &part.name) {
                let what = format!("`{other}` and `{}` have the same record of `{}`", part.name, record.cell.id);
                return Err(apart(what, "name each run once"));
            }
        }
    }
    Ok(())
}

fn blocks_of(part: &Part) -> u32 {
    let last = part.records.iter().map(|record| record.block + 1).max().unwrap_or(0);
    part.report.blocks.max(last)
}

/// What of a machine its numbers depend on, in words.
fn machine(host: &Host) -> String {
    let namespaces = if host.user_namespace { ", in a user namespace" } else { "" };
    format!(
        "Linux {}, {}, {} processors, {} MiB, at most {} descriptors{namespaces}",
        host.kernel,
        host.arch,
        host.cpus,
        host.memory_bytes >> 20,
        host.nofile_hard
    )
}

fn from_elsewhere(first: &Part, part: &Part, blocks: u32) -> Option<String> {
    let (here, there) = (machine(&first.report.host), machine(&part.report.host));
    let last = (blocks + blocks_of(part)).saturating_sub(1);
    let which = if last == blocks { format!("block {blocks} is") } else { format!("blocks {blocks} to {last} are") };
    (here != there).then(|| format!("{which} from another machine: {there}; the first are from {here}"))
}

/// What may differ, and should be known.
fn differences(parts: &[Part]) -> Vec<String> {
    let distinct = |of: fn(&Part) -> String| parts.iter().map(of).collect::<IndexSet<String>>();
    let mut notes = vec![format!("merged from {} runs; run.log says where each record is from", parts.len())];
    let seeds = distinct(|part| part.report.seed.to_string());
    if seeds.len() > 1 {
        notes.push(format!("the seeds are {}", listed(&seeds.into_iter().collect::<Vec<_>>())));
    }
    let versions = distinct(|part| part.report.tool.version.clone());
    if versions.len() > 1 {
        notes.push(format!("recorded by brimful {}", listed(&versions.into_iter().collect::<Vec<_>>())));
    }
    if parts.iter().any(|part| Some(&part.report.gate) != parts.first().map(|first| &first.report.gate)) {
        notes.push("the runs do not have the same gate; that of the first is kept".to_owned());
    }
    notes
}

/// Every cell that has a record somewhere, in the order of the first report that has it.
fn planned(parts: &[Part]) -> Vec<Cell> {
    let mut cells: IndexMap<&str, &Cell> = IndexMap::new();
    for part in parts {
        for told in &part.report.cells {
            if let Some(record) = part.records.iter().find(|record| record.cell.id == told.id) {
                cells.entry(&record.cell.id).or_insert(&record.cell);
            }
        }
        for record in &part.records {
            cells.entry(&record.cell.id).or_insert(&record.cell);
        }
    }
    cells.into_values().cloned().collect()
}

/// Cells that were planned somewhere, and have a record nowhere.
fn never_run(parts: &[Part], planned: &[Cell], blocks: u32) -> Vec<MissingCell> {
    let missing = parts.iter().flat_map(|part| &part.report.missing);
    let unseen = missing.filter(|missing| planned.iter().all(|cell| cell.id != missing.id));
    let by_id: IndexMap<&str, &MissingCell> = unseen.map(|missing| (missing.id.as_str(), missing)).collect();
    by_id.into_values().map(|missing| MissingCell { blocks: (0..blocks).collect(), ..missing.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use brimful_plan::arm::Arm;
    use brimful_testing::*;

    use super::*;

    fn info(blocks: u32) -> RunInfo {
        RunInfo {
            scenario: "origin".into(),
            question: "Which limit?".into(),
            tool_version: "0.1.0".into(),
            host: healthy().host,
            seed: 7,
            blocks,
            interrupted: false,
            arms: Vec::new(),
            gate: None,
            notes: Vec::new(),
        }
    }

    /// A run of these records, told apart from others by when it began.
    fn part(name: &str, mut records: Vec<Record>, info: RunInfo) -> Part {
        for (index, record) in records.iter_mut().enumerate() {
            record.started_at = format!("{name} {index}");
        }
        let mut cells: Vec<Cell> = records.iter().map(|record| record.cell.clone()).collect();
        cells.dedup_by(|a, b| a.id == b.id);
        Part { name: name.into(), report: Report::build(info, &records, &cells), records }
    }

    fn twice(name: &str) -> Part {
        let block = |block| Record { block, ..healthy() };
        part(name, vec![block(0), block(1)], info(2))
    }

    #[test]
    fn blocks_of_the_second_follow_those_of_the_first() {
        let mut second = twice("b");
        second.records.remove(0);
        let gathered = gather(&[twice("a"), second], false, "0.2.0").unwrap();
        let blocks: Vec<u32> = gathered.records.iter().map(|record| record.block).collect();
        assert_eq!(blocks, [0, 1, 3]);
        assert_eq!((gathered.report.blocks, gathered.report.missing[0].blocks.as_slice()), (4, [2].as_slice()));
        assert!(gathered.origins[2].ends_with("block 3 is block 1 of `b`"), "{:?}", gathered.origins);
        assert_eq!(gathered.report.tool.version, "0.2.0");
        assert_eq!(gathered.report.notes, ["merged from 2 runs; run.log says where each record is from"]);
        assert_eq!(gathered.report.cells[0].blocks.len(), 3);
    }

    #[test]
    fn a_cell_that_was_run_nowhere_is_missing_in_every_block() {
        let mut second = twice("b");
        let lost = MissingCell { id: "lost".into(), knobs: IndexMap::new(), blocks: vec![0, 1] };
        second.report.missing.push(lost);
        let gathered = gather(&[twice("a"), second], false, "0.2.0").unwrap();
        assert_eq!(gathered.report.missing[0].id, "lost");
        assert_eq!(gathered.report.missing[0].blocks, [0, 1, 2, 3]);
    }

    type Change = fn(&mut Part);

    #[test]
    fn what_does_not_belong_together_is_refused_with_what_differs() {
        let table: [(Change, &str); 7] = [
            (|p| p.report.scenario.name = "null".into(), "`a` is a run of `origin`, and `b` one of `null`"),
            (|p| p.report.scenario.question = "Why?".into(), "different questions"),
            (|p| drop(p.report.cells[0].knobs.shift_remove("ulimit.nofile")), "`b` "),
            (|p| p.report.arms = vec![Arm { name: "x".into(), set: Vec::new() }], "different arms"),
            (|p| p.records[1].cell.load.connections += 1, "is not the same in `a` and in `b`"),
            (|p| p.records[1].started_at = "a 0".into(), "have the same record"),
            (|p| p.report.host.kernel = "5.4.0".into(), "from Linux 5.4.0"),
        ];
        for (change, says) in table {
            let mut second = twice("b");
            change(&mut second);
            let refused = gather(&[twice("a"), second], false, "0.2.0").expect_err(says);
            assert!(refused.what.contains(says), "{says}: {refused}");
            assert!(!refused.hint.is_empty());
        }
        assert!(gather(&[], false, "0.2.0").is_err());
    }

    #[test]
    fn another_machine_is_taken_when_asked_for_and_noted() {
        let mut second = twice("b");
        second.report.host.kernel = "5.4.0".into();
        second.report.seed = 9;
        for record in &mut second.records {
            record.cell.nofile = None;
            record.cell.knobs.values_mut().for_each(|knob| knob.clamped_because = Some("a smaller machine".into()));
        }
        let gathered = gather(&[twice("a"), second], true, "0.2.0").unwrap();
        let notes = gathered.report.notes.join("\n");
        assert!(notes.contains("blocks 2 to 3 are from another machine: Linux 5.4.0"), "{notes}");
        assert!(notes.contains("the seeds are 7"), "{notes}");
    }
}
