//! Searches over worlds with a limit.

use brimful_judge::knee::*;
use brimful_judge::report::{ScenarioName, Tool};
use brimful_judge::verdict::judge;
use brimful_plan::cell::Cell;
use brimful_plan::cost::Machine;
use brimful_plan::knee::*;

use crate::{World, healthy};

pub fn machine() -> Machine {
    Machine {
        nofile_hard: 20_000,
        nofile_soft: 1_024,
        memory_available_bytes: 24 << 30,
        file_max: 2_000_000,
        file_nr: 1_000,
        cpus: 2,
        conntrack_max: None,
        kernel: "6.18.44".to_owned(),
    }
}

/// The knee of a world, as a search finds it.
pub fn knee_of(world: World, id: &str, highest: u64, generator: u64) -> CellKnee {
    let mut search = Search::new(highest, Within::DEFAULT);
    let mut seen = Vec::new();
    let first = world.record();
    while let Some(load) = search.next() {
        let mut record = World { connections: load, ..world }.record();
        record.load.outcome.attempted = load.min(generator);
        record.load.outcome.requested = load;
        let tried = Seen { load, verdict: judge(&record), record: format!("cells/{id}/tries/{:02}.json", seen.len()) };
        search.saw(load, tried.answer());
        seen.push(tried);
    }
    let cell = Cell { id: id.to_owned(), ..try_at(&first.cell, highest) };
    CellKnee::gather(&cell, first.knobs, highest, search.knee(), foretold(&cell, &machine()), &seen)
}

pub fn descriptors(soft: u64) -> World {
    World { nofile: (soft, 20_000), connections: 2_000, ramp_ms: 2_000, hold_ms: 5_000, ..World::default() }
}

pub fn report(cells: Vec<CellKnee>) -> KneeReport {
    KneeReport {
        schema_version: KNEE_VERSION,
        tool: Tool { name: "brimful".into(), version: "0.1.0".into() },
        host: healthy().host,
        scenario: ScenarioName {
            name: "origin".into(),
            question: "How many connections can a server hold <before> its health check fails & why?".into(),
        },
        within: Within::DEFAULT,
        interrupted: false,
        cells,
    }
}

/// Two that break, one that does not, one whose generator ends, one that was never healthy, one whose answers differ.
pub fn many() -> KneeReport {
    let small = knee_of(descriptors(1_024), "nofile=1024", 2_000, 9_999);
    let larger = knee_of(descriptors(2_048), "nofile=2048", 4_000, 9_999);
    let never = knee_of(World { accepts_per_s: 0, ..descriptors(4_096) }, "accept=dead", 2_000, 9_999);
    let enough = knee_of(descriptors(4_096), "nofile=4096", 3_000, 9_999);
    let ends = knee_of(descriptors(4_096), "nofile=4096,source=kernel", 3_000, 1_500);
    let mut odd = CellKnee { id: "nofile=1024,machine=busy".into(), ..small.clone() };
    odd.knee.healthy_to = Some(700);
    odd.knee.unsteady.push(brimful_plan::knee::Unsteady { load: 750, healthy: 1, unhealthy: 1 });
    odd.ratio = None;
    report(vec![small, larger, never, enough, ends, odd])
}
