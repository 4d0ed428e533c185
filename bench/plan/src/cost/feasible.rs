//! Refuses before anything starts what would only end in an error of the machine, or in a finding about it.

use super::{
    BYTES_PER_PROCESS, Cost, Machine, OWN_DESCRIPTORS, asked_and_set, bytes_each, cost, files_each, target_files_each,
};
use crate::cell::{Cell, SourceChoice};
use crate::refusal::Refusal;
use crate::wording::{bytes, grouped};

/// The share of the available memory that a cell may take, in percent: page tables, logs and the rest of the world need some.
const MEMORY_SHARE: u64 = 90;
/// The most worker processes of a cell; what starts them keeps a pipe to each.
pub(super) const PROCESSES_MOST: u64 = 512;

/// Every reason why these cells cannot be run on this machine; empty when they can. Each says the arithmetic, and the largest number that would fit.
#[must_use]
pub fn feasible(cells: &[Cell], machine: &Machine) -> Vec<Refusal> {
    cells.iter().flat_map(|cell| cell_refusals(cell, machine)).collect()
}

fn cell_refusals(cell: &Cell, machine: &Machine) -> Vec<Refusal> {
    match cost(cell, machine) {
        Err(refusal) => vec![refusal],
        Ok(cost) => [limit_above, unplanned_limit, memory, files, ports, processes]
            .iter()
            .filter_map(|check| check(cell, &cost, machine))
            .map(|refusal| refusal.in_cell(&cell.id))
            .collect(),
    }
}

/// A hard limit that the machine cannot give. [`crate::matrix::expand`] says so first; this holds for cells that were expanded elsewhere.
fn limit_above(cell: &Cell, _: &Cost, machine: &Machine) -> Option<Refusal> {
    let limits = cell.nofile.filter(|limits| limits.hard > machine.nofile_hard)?;
    let asked = cell.knobs.get("ulimit.nofile").map(|knob| asked_and_set(&knob.asked, &knob.set));
    let asked = asked.unwrap_or_else(|| grouped(limits.hard));
    Some(
        Refusal::machine(
            format!(
                "`ulimit.nofile` = {asked} is above the hard limit of this machine, at most {} would fit",
                grouped(machine.nofile_hard)
            ),
            "raise the hard limit (LimitNOFILE=, ulimit -Hn), or add clamp = [\"ulimit.nofile\"] to [matrix]",
        )
        .about("ulimit.nofile"),
    )
}

/// A descriptor limit that the scenario does not speak of, but would run into: the answer would be about this shell.
fn unplanned_limit(cell: &Cell, cost: &Cost, _: &Machine) -> Option<Refusal> {
    if cell.nofile.is_some() || cost.target_descriptors <= cost.target_limit {
        return None;
    }
    let plan = &cell.target.plan;
    let each = target_files_each(cell);
    let fits = cost.target_limit.saturating_sub(OWN_DESCRIPTORS) / each * cost.target_processes;
    let how = if plan.raise_nofile { "raised to the hard limit, would still have" } else { "would be born with" };
    let own = if plan.raise_nofile { "" } else { ", brimful's own soft limit" };
    Some(
        Refusal::machine(
            format!(
                "a target process needs {} descriptors and {how} {}{own}, which the scenario does not speak of; at most {} \
                 connections would fit",
                grouped(cost.target_descriptors),
                grouped(cost.target_limit),
                grouped(fits)
            ),
            "set the limit in the scenario, [matrix.ulimit] nofile = [...], or raise-nofile = true in [target]",
        )
        .about("ulimit.nofile"),
    )
}

/// How many connections at once fit into a machine's memory; `None` for a cell that cannot be priced.
pub(crate) fn memory_fits(cell: &Cell, machine: &Machine) -> Option<u64> {
    let cost = cost(cell, machine).ok()?;
    let each = bytes_each(cell);
    let fixed = cost.memory_bytes.saturating_sub(cost.open_at_once * each);
    Some(memory_allowed(machine).saturating_sub(fixed) / each)
}

/// How many connections at once a machine has open files for; `None` for a cell that cannot be priced.
pub(crate) fn files_fit(cell: &Cell, machine: &Machine) -> Option<u64> {
    let cost = cost(cell, machine).ok()?;
    let each = files_each(cell);
    let fixed = cost.files.saturating_sub(cost.open_at_once * each);
    Some(machine.file_max.saturating_sub(machine.file_nr).saturating_sub(fixed) / each)
}

pub(super) fn memory_allowed(machine: &Machine) -> u64 {
    // Divided first: the product of a terabyte and a percentage still fits, but nothing says how much memory there is.
    machine.memory_available_bytes / 100 * MEMORY_SHARE
}

fn memory(cell: &Cell, cost: &Cost, machine: &Machine) -> Option<Refusal> {
    let allowed = memory_allowed(machine);
    if cost.memory_bytes <= allowed {
        return None;
    }
    let each = bytes_each(cell);
    let fixed = cost.memory_bytes.saturating_sub(cost.open_at_once * each);
    Some(
        Refusal::machine(
            format!(
                "needs {} of memory ({} connections × {} bytes + {} besides), and {MEMORY_SHARE} % of the {} available \
                 are {}; at most {} connections would fit",
                bytes(cost.memory_bytes),
                grouped(cost.open_at_once),
                grouped(each),
                bytes(fixed),
                bytes(machine.memory_available_bytes),
                bytes(allowed),
                grouped(allowed.saturating_sub(fixed) / each)
            ),
            "ask for fewer connections, or free memory; a process without connections is counted with a few MiB",
        )
        .about("load.connections"),
    )
}

fn files(cell: &Cell, cost: &Cost, machine: &Machine) -> Option<Refusal> {
    let free = machine.file_max.saturating_sub(machine.file_nr);
    if cost.files <= free {
        return None;
    }
    let each = files_each(cell);
    let fixed = cost.files.saturating_sub(cost.open_at_once * each);
    Some(
        Refusal::machine(
            format!(
                "needs {} open files ({} connections × {each} + {} besides), and fs.file-max {} less {} already open \
                 leaves {}; at most {} connections would fit",
                grouped(cost.files),
                grouped(cost.open_at_once),
                grouped(fixed),
                grouped(machine.file_max),
                grouped(machine.file_nr),
                grouped(free),
                grouped(free.saturating_sub(fixed) / each)
            ),
            "ask for fewer connections, or raise fs.file-max on this machine",
        )
        .about("load.connections"),
    )
}

/// The kernel's range is the namespace's own default, so no machine would do, unless the scenario narrows it on purpose.
fn ports(cell: &Cell, cost: &Cost, _: &Machine) -> Option<Refusal> {
    let on_purpose = cell.sysctls.contains_key("net.ipv4.ip_local_port_range");
    if cell.load.source != SourceChoice::Kernel || on_purpose || cost.ports_used <= cost.ports_available {
        return None;
    }
    Some(
        Refusal::scenario(
            format!(
                "{} connections need as many source ports, and the kernel chooses among {}; that many connections would fit",
                grouped(cost.ports_used),
                grouped(cost.ports_available)
            ),
            "write source = \"auto\" in [load], or widen sysctl.\"net.ipv4.ip_local_port_range\" in the matrix",
        )
        .about("load.source"),
    )
}

fn processes(cell: &Cell, cost: &Cost, machine: &Machine) -> Option<Refusal> {
    let count = cost.target_processes + cost.load_processes;
    if count <= PROCESSES_MOST {
        return None;
    }
    let each = machine.nofile_hard.saturating_sub(brimful_loadgen_plan::plan::OWN_DESCRIPTORS);
    let fits = PROCESSES_MOST.saturating_sub(cost.target_processes) * each;
    Some(
        Refusal::machine(
            format!(
                "{} connections need {} processes of at most {} descriptors ({} of memory for the processes alone), and {} are \
                 allowed; at most {} connections would fit",
                grouped(cell.load.connections),
                grouped(count),
                grouped(machine.nofile_hard),
                bytes(count * BYTES_PER_PROCESS),
                grouped(PROCESSES_MOST),
                grouped(fits)
            ),
            "raise the hard descriptor limit (LimitNOFILE=, ulimit -Hn): fewer processes then hold as many connections",
        )
        .about("load.connections"),
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::{cells, machine};
    use super::*;
    use crate::refusal::Class;

    const ENOUGH: &str = "matrix.ulimit.nofile = [1_024]";

    fn one(cells: &[Cell], machine: &Machine) -> Refusal {
        let refusals = feasible(cells, machine);
        assert_eq!(refusals.len(), 1, "{refusals:#?}");
        refusals[0].clone()
    }

    #[test]
    fn the_first_scenario_fits_a_small_machine() {
        assert_eq!(feasible(&cells(ENOUGH, 12_000), &machine()), []);
    }

    #[test]
    fn too_little_memory_is_said_with_what_would_fit() {
        let small = Machine { memory_available_bytes: 100 << 20, ..machine() };
        let refusal = one(&cells(ENOUGH, 12_000), &small);
        assert_eq!(refusal.class, Class::Machine);
        insta::assert_snapshot!(refusal, @"cell `base`: needs 129.1 MiB of memory (12,000 connections × 8,492 bytes + 32.0 MiB besides), and 90 % of the 100.0 MiB available are 90.0 MiB; at most 7,161 connections would fit");
        assert!(feasible(&cells(ENOUGH, 7_161), &small).is_empty());
        assert!(!feasible(&cells(ENOUGH, 7_162), &small).is_empty());
    }

    #[test]
    fn too_few_files_are_said_with_what_would_fit() {
        let small = Machine { file_max: 20_000, ..machine() };
        let refusal = one(&cells(ENOUGH, 12_000), &small);
        assert!(refusal.what.contains("leaves 19,000; at most 9,468 connections would fit"), "{refusal}");
        assert!(feasible(&cells(ENOUGH, 9_468), &small).is_empty());
        assert!(!feasible(&cells(ENOUGH, 9_469), &small).is_empty());
    }

    #[test]
    fn a_limit_nobody_spoke_of_is_no_finding() {
        let refusal = one(&cells("", 2_000), &machine());
        assert_eq!(refusal.knob.as_deref(), Some("ulimit.nofile"));
        assert!(refusal.what.contains("needs 2,016 descriptors and would be born with 1,024"), "{refusal}");
        assert!(refusal.what.contains("at most 1,008 connections"), "{refusal}");
        assert!(feasible(&cells("", 1_008), &machine()).is_empty());
        assert!(feasible(&cells("target.raise-nofile = true", 19_000), &machine()).is_empty());
        let raised = one(&cells("target.raise-nofile = true", 19_990), &machine());
        assert!(raised.what.contains("raised to the hard limit, would still have 20,000"), "{raised}");
    }

    #[test]
    fn the_kernels_ports_run_out_unless_that_is_the_question() {
        let kernel = format!("{ENOUGH}\nmatrix.load.source = [\"kernel\"]");
        let refusal = one(&cells(&kernel, 30_000), &machine());
        assert_eq!(refusal.class, Class::Scenario);
        assert!(refusal.what.contains("among 28,232"), "{refusal}");
        let narrow = format!("{kernel}\nmatrix.sysctl.\"net.ipv4.ip_local_port_range\" = [\"40000 40009\"]");
        assert!(feasible(&cells(&narrow, 30_000), &machine()).is_empty());
    }

    #[test]
    fn a_machine_of_tiny_limits_would_need_too_many_processes() {
        let tiny = Machine { nofile_hard: 1_024, ..machine() };
        let refusal = one(&cells(ENOUGH, 1_000_000), &Machine { file_max: 1 << 40, ..tiny });
        assert!(refusal.what.contains("1,043 processes"), "{refusal}");
    }

    #[test]
    fn a_million_fits_a_machine_that_has_the_files_and_the_memory_for_it() {
        let million = format!(
            "target.listen = \"127.0.0.1:1100\"\ntarget.shards = 53\nload.behaviour = \"heartbeat\"\nload.heartbeat-share = 1\n{}",
            "matrix.ulimit.nofile = [19_900]"
        );
        let large = Machine { file_max: 2_466_183, ..machine() };
        assert_eq!(feasible(&cells(&million, 1_000_000), &large), []);
        let price = cost(&cells(&million, 1_000_000)[0], &large).unwrap();
        assert_eq!((price.target_processes, price.load_processes, price.target_descriptors), (53, 51, 18_884));
        // Each of the two that lack names the largest number that fits, and that one does.
        let lacking = Machine { memory_available_bytes: 6 << 30, ..machine() };
        let said: Vec<String> =
            feasible(&cells(&million, 1_000_000), &lacking).iter().map(|r| r.what.clone()).collect();
        assert!(
            said[0].contains("at most 578,075 connections") && said[1].contains("at most 998,652 connections"),
            "{said:#?}"
        );
        assert_eq!(feasible(&cells(&million, 578_075), &lacking), []);
    }

    #[test]
    fn a_clamped_cell_from_a_larger_machine_is_refused_on_a_smaller() {
        let refusal =
            one(&cells("matrix.ulimit.nofile = [\"1024:20_000\"]", 10), &Machine { nofile_hard: 4_096, ..machine() });
        assert_eq!(refusal.class, Class::Machine);
        assert!(refusal.what.contains("at most 4,096"), "{refusal}");
    }
}
