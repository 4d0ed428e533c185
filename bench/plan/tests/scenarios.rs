//! The catalogue: every file in `scenarios/` is read, expands on small and large machines, and is compiled in.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test file: every helper here serves tests alone")]
#![expect(clippy::disallowed_methods, reason = "it reads the files of the catalogue")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use brimful_plan::cell::Cell;
use brimful_plan::cost::{Machine, feasible, table};
use brimful_plan::expect::{CauseName, CellOutcome, Expectation};
use brimful_plan::need::Need;
use brimful_plan::predict::{LimitKind, predict};
use brimful_plan::scenario::Scenario;
use brimful_plan::{catalogue, matrix, topology};

/// Name and text of every file of the catalogue that anybody may run.
fn files() -> BTreeMap<String, String> {
    let asks = |name: &str, text: &str| Scenario::parse(name, text).is_ok_and(|s| s.needs.contains(&Need::Asking));
    all_files().into_iter().filter(|(name, text)| !asks(name, text)).collect()
}

/// Name and text of every file of the catalogue.
fn all_files() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| {
            assert_eq!(path.extension().unwrap(), "toml", "{} is no scenario", path.display());
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap())
        })
        .collect()
}

fn machine(nofile_hard: u64) -> Machine {
    Machine {
        nofile_hard,
        nofile_soft: 1_024,
        memory_available_bytes: 2 << 30,
        file_max: 200_000,
        file_nr: 2_000,
        cpus: 2,
        conntrack_max: None,
        kernel: "6.18.44".to_owned(),
    }
}

fn cells(name: &str, text: &str, nofile_hard: u64) -> Vec<Cell> {
    let scenario = Scenario::parse(name, text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(scenario.name, name);
    matrix::expand(&scenario, nofile_hard).unwrap_or_else(|refusals| panic!("{name}: {refusals:?}"))
}

#[test]
fn every_file_is_read_expands_and_fits_a_laptop() {
    for (name, text) in files() {
        for nofile_hard in [20_000, 1_048_576] {
            let cells = cells(&name, &text, nofile_hard);
            assert_eq!(feasible(&cells, &machine(nofile_hard)), [], "{name}");
            table(&cells, &machine(nofile_hard), 1).unwrap();
            for cell in &cells {
                topology::resolve(cell, nofile_hard).unwrap();
            }
        }
    }
}

#[test]
fn every_file_says_what_it_asks_and_what_is_true() {
    for (name, text) in files() {
        let scenario = Scenario::parse(&name, &text).unwrap();
        assert!(scenario.question.ends_with('?'), "{name}");
        assert!(scenario.about.is_some_and(|about| about.len() > 100), "{name}");
        assert!(!scenario.expect.is_empty(), "{name}");
    }
}

/// The lines of ground truth about a cell.
fn truth<'s>(scenario: &'s Scenario, cell: &Cell) -> Vec<&'s Expectation> {
    let fits = |line: &&Expectation| {
        line.when.iter().all(|(knob, value)| cell.knobs.get(knob).is_some_and(|knob| knob.asked == *value))
    };
    scenario.expect.iter().filter(fits).collect()
}

#[test]
fn every_cell_has_a_line_of_ground_truth() {
    for (name, text) in files() {
        let scenario = Scenario::parse(&name, &text).unwrap();
        for cell in cells(&name, &text, 20_000) {
            assert_eq!(truth(&scenario, &cell).len(), 1, "{name}: {}", cell.id);
        }
    }
}

#[test]
fn every_cause_that_a_sandbox_can_provoke_is_the_truth_of_some_file() {
    use CauseName::*;
    let found: BTreeSet<CauseName> = files()
        .iter()
        .flat_map(|(name, text)| Scenario::parse(name, text).unwrap().expect)
        .filter_map(|line| line.cause)
        .collect();
    let provoked = [
        FdLimit,
        AcceptQueue,
        AcceptorStalled,
        SynQueue,
        NoListener,
        FdLeak,
        AcceptorThrottled,
        AppConnectionCap,
        SlowAnswer,
        ReuseportSkew,
        SynQueueThreeQuarterRule,
        DeferAccept,
        ConntrackFull,
        PacketFilterDrop,
        ReturnPathLoss,
        NoRouteBack,
        LocalPorts,
        ProberFdLimit,
        GeneratorBound,
        // Only in a guest.
        SoftirqBacklog,
        FileMax,
        NeighbourTable,
        SoftirqBacklog,
        InotifyLimit,
    ];
    // Of the others SynCookies is no fault. A want of TCP's memory fails no health check of one packet, which is what its scenario says.
    assert_eq!(found, provoked.into());
}

#[test]
fn what_binds_first_is_what_the_truth_says() {
    use CauseName::*;
    for (name, text) in files() {
        let scenario = Scenario::parse(&name, &text).unwrap();
        for cell in cells(&name, &text, 20_000) {
            let line = truth(&scenario, &cell)[0];
            // A server that is worn down by its own restarts meets no limit that could be foretold.
            if cell.restart.is_some() && line.cause != Some(FdLimit) {
                continue;
            }
            let binding = predict(&cell, &machine(20_000)).binding.map(|limit| limit.kind);
            // What is foretold is the cell as it begins: one that is brought into trouble by a change begins without.
            if binding.is_none() && !cell.changes.is_empty() {
                continue;
            }
            // Of a command nothing is known beforehand but its descriptor limit, and it may raise that by itself.
            if cell.target.command.is_some() && line.cause != Some(FdLimit) {
                continue;
            }
            let expected = match line.cause {
                // The one peer that is known from before is let in all the same.
                None if name == "synq-three-quarter" => Some(LimitKind::SynQueueThreeQuarterRule),
                // A command sees nothing of the queue, which fills all the same.
                None if name == "exec-blind" && cell.target.plan.backlog == 8 => Some(LimitKind::AcceptQueue),
                None => None,
                Some(FdLimit | FdLeak) => Some(LimitKind::Descriptors),
                Some(AcceptQueue | ReuseportSkew) => Some(LimitKind::AcceptQueue),
                Some(AppConnectionCap) => Some(LimitKind::AppConnectionCap),
                // What a change brings about cannot be foretold.
                Some(SynQueue) if binding.is_none() && !cell.changes.is_empty() => None,
                Some(SynQueue | DeferAccept) => Some(LimitKind::SynQueue),
                Some(SynQueueThreeQuarterRule) => Some(LimitKind::SynQueueThreeQuarterRule),
                Some(ConntrackFull) => Some(LimitKind::Conntrack),
                Some(LocalPorts | GeneratorBound) => Some(LimitKind::SourcePorts),
                // The queue of an acceptor that stands still may fill, or be long enough.
                Some(AcceptorStalled) if binding.is_some() => Some(LimitKind::AcceptQueue),
                // No limit is the cause.
                Some(_) => None,
            };
            assert_eq!(binding, expected, "{name}: {}", cell.id);
        }
    }
}

#[test]
fn a_file_that_needs_a_privilege_says_so() {
    for (name, text) in files() {
        let scenario = Scenario::parse(&name, &text).unwrap();
        let quota = cells(&name, &text, 20_000).iter().any(|cell| cell.target.cpu_percent.is_some());
        // A command that changes its own user needs it too, which only its author knows.
        let command = scenario.target.command.is_some();
        assert!(scenario.needs.contains(&Need::Root) == quota || command && !quota, "{name}");
    }
}

#[test]
fn no_healthy_cell_is_given_a_cause() {
    for (name, text) in files() {
        for line in Scenario::parse(&name, &text).unwrap().expect {
            assert_eq!(line.cause.is_none(), line.outcome == [CellOutcome::Healthy], "{name}");
            assert!(!line.must_not_claim.is_empty(), "{name}");
        }
    }
}

#[test]
fn every_file_is_compiled_in_and_nothing_else_is() {
    let embedded: BTreeMap<String, String> =
        catalogue::list().iter().map(|one| (one.name.to_owned(), one.text.to_owned())).collect();
    assert_eq!(embedded.len(), catalogue::list().len(), "a name is there twice");
    assert_eq!(embedded, all_files());
}

#[test]
fn the_catalogue_is_over_in_minutes() {
    for (name, text) in files() {
        let cells = cells(&name, &text, 20_000);
        let seconds: u64 = cells.iter().map(|cell| cell.duration().as_secs()).sum();
        assert!(seconds <= 120, "{name} takes {seconds} s");
        // A loop has to go round a few times, and a change to have a time before and a time after it.
        let in_time = |cell: &Cell| cell.restart.is_some() || !cell.changes.is_empty();
        let most = |cell: &Cell| if in_time(cell) { 30 } else { 12 };
        assert!(cells.iter().all(|cell| cell.duration().as_secs() <= most(cell)), "{name}");
        // Those that compare whole tunings, or make a table of knobs, are larger than those that show one thing.
        let large = ["origin", "synq-saturation"];
        let large = large.contains(&name.as_str()) || name.starts_with("what-takes-effect");
        assert!(cells.len() <= 4 || large, "{name}");
    }
}

#[test]
fn the_first_scenario_is_clamped_and_says_so() {
    let cells = cells("origin", catalogue::find(catalogue::DEFAULT).unwrap().text, 20_000);
    assert_eq!(cells.len(), 8);
    assert_eq!(cells[0].id, "somaxconn=128,tcp_max_syn_backlog=1024,nofile=1024");
    assert_eq!(cells[7].id, "somaxconn=32768,tcp_max_syn_backlog=32768,nofile=65535");
    let setting = &cells[7].knobs["ulimit.nofile"];
    assert_eq!(setting.set.to_string(), "20000");
    assert!(setting.clamped_because.as_deref().unwrap().contains("20,000"));
}

#[test]
fn a_million_fits_a_machine_of_24_gib_and_is_refused_on_a_smaller_one_with_what_would_fit() {
    let text = &all_files()["million"];
    let cells = cells("million", text, 20_000);
    let large = Machine { memory_available_bytes: 20 << 30, file_max: 4_000_000, ..machine(20_000) };
    assert_eq!(feasible(&cells, &large), []);
    let refusals = feasible(&cells, &machine(20_000));
    let said: Vec<String> = refusals.iter().map(|refusal| format!("{} {}", refusal.what, refusal.hint)).collect();
    assert!(said.iter().any(|said| said.contains("connections") && said.contains("at most")), "{said:?}");
}
