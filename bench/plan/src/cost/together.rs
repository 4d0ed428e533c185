//! Whether a machine can pay for several cells at once.

use super::feasible::{PROCESSES_MOST, memory_allowed};
use super::{Cost, Machine, cost};
use crate::cell::Cell;
use crate::refusal::Refusal;
use crate::wording::{bytes, grouped};

/// Why these cells cannot be run so many at a time on this machine, with how many could; `None` when they can. Which of them will
/// meet is not known before they run, so the dearest are counted.
#[must_use]
pub fn together(cells: &[Cell], machine: &Machine, jobs: usize) -> Option<Refusal> {
    // One that cannot be priced at all is refused for itself.
    let costs: Vec<Cost> = cells.iter().filter_map(|cell| cost(cell, machine).ok()).collect();
    let what = too_dear(&costs, machine, jobs)?;
    let fits = (1..jobs).rev().find(|&fewer| too_dear(&costs, machine, fewer).is_none());
    let hint = match fits {
        Some(fewer @ 2..) => format!("--jobs {fewer} would fit"),
        Some(_) | None => "run one cell at a time: leave out --jobs".to_owned(),
    };
    Some(Refusal::machine(what, hint))
}

fn too_dear(costs: &[Cost], machine: &Machine, jobs: usize) -> Option<String> {
    let dearest = |of: fn(&Cost) -> u64| {
        let mut all: Vec<u64> = costs.iter().map(of).collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        all.into_iter().take(jobs).fold(0, u64::saturating_add)
    };
    let (memory, allowed) = (dearest(|cost| cost.memory_bytes), memory_allowed(machine));
    if memory > allowed {
        return Some(format!(
            "{jobs} cells at once need {} of memory, and {} can be had",
            bytes(memory),
            bytes(allowed)
        ));
    }
    let (files, free) = (dearest(|cost| cost.files), machine.file_max.saturating_sub(machine.file_nr));
    if files > free {
        return Some(format!(
            "{jobs} cells at once need {} open files, and {} can be had",
            grouped(files),
            grouped(free)
        ));
    }
    let processes = dearest(|cost| cost.target_processes + cost.load_processes);
    (processes > PROCESSES_MOST).then(|| {
        format!(
            "{jobs} cells at once need {} processes, and {} are allowed",
            grouped(processes),
            grouped(PROCESSES_MOST)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{cells, machine};
    use super::*;
    use crate::refusal::Class;

    #[test]
    fn what_one_cell_can_have_several_may_not() {
        // 129.1 MiB each, as the arithmetic of a single cell has it.
        let cells = cells("[matrix]\nulimit.nofile = [1_024]\ntarget.backlog = [1, 2, 3, 4]", 12_000);
        assert_eq!(together(&cells, &machine(), 4), None);
        let small = Machine { memory_available_bytes: 300 << 20, ..machine() };
        let refusal = together(&cells, &small, 4).unwrap();
        assert_eq!(refusal.class, Class::Machine);
        assert!(refusal.what.contains("4 cells at once need 516.7 MiB"), "{refusal}");
        assert_eq!(refusal.hint, "--jobs 2 would fit");
        assert_eq!((together(&cells, &small, 2), together(&cells[..2], &small, 4)), (None, None));
        let one = Machine { file_max: 26_000, ..machine() };
        let refusal = together(&cells, &one, 4).unwrap();
        assert!(refusal.what.contains("96,256 open files, and 25,000"), "{refusal}");
        assert!(refusal.hint.contains("leave out --jobs"), "{refusal}");
    }

    #[test]
    fn processes_are_counted_as_well() {
        let tiny = Machine { nofile_hard: 1_024, file_max: 1 << 40, memory_available_bytes: 1 << 50, ..machine() };
        let cells = cells("[matrix]\nulimit.nofile = [1_024]\ntarget.backlog = [1, 2]", 300_000);
        assert!(together(&cells, &tiny, 2).unwrap().what.contains("processes, and 512 are allowed"));
    }
}
