//! Holds `docs/schema/report-1.json` to the types it is of, and the paths that scripts rely on to the schema.

use std::collections::BTreeSet;

use brimful_judge::report::{Report, SCHEMA_VERSION};
use brimful_plan::arm::Arm;
use brimful_plan::cell::KnobValue;
use brimful_plan::gate::{Gate, Metric};
use brimful_plan::predict::{Limit, LimitKind, Prediction};
use brimful_testing::runs::{ORIGIN, blocked, cells, info, mixed, report};
use brimful_testing::{bursts, healthy, origin_run, out_of_ports, schema};
use serde_json::Value;

/// The paths of `report.json` that are always there, whatever came of the run; `[]` for an element of a list, `*` for any key.
const ALWAYS: [&str; 51] = [
    "schema_version",
    "tool.version",
    "host.kernel",
    "scenario.name",
    "scenario.question",
    "seed",
    "cells[].id",
    "cells[].knobs.*.asked",
    "cells[].knobs.*.given",
    "cells[].blocks[].block",
    "cells[].blocks[].outcome",
    "cells[].blocks[].verdict",
    "cells[].blocks[].probe",
    "cells[].blocks[].load",
    "cells[].blocks[].cost",
    "cells[].outcome",
    "cells[].verdict.cause",
    "cells[].verdict.proof[].source",
    "cells[].verdict.proof[].value",
    "cells[].verdict.proof[].at_ns",
    "cells[].verdict.ruled_out[].cause",
    "cells[].verdict.undecided[].cause",
    "cells[].verdict.cure.knob",
    "cells[].verdict.cure.value",
    "cells[].verdict.cure.takes_effect",
    "cells[].verdict.cure.where[].text",
    "cells[].probe.sent",
    "cells[].probe.ok",
    "cells[].probe.failed",
    "cells[].probe.outcomes.*",
    "cells[].probe.failure_rate",
    "cells[].probe.restricted_mean_ns",
    "cells[].probe.latency_ns.p50",
    "cells[].probe.latency_ns.p90",
    "cells[].probe.latency_ns.p99",
    "cells[].probe.latency_ns.max",
    "cells[].probe.would_restart_at_s",
    "cells[].load.requested",
    "cells[].load.attempted",
    "cells[].load.established",
    "cells[].load.held",
    "cells[].load.errors[].phase",
    "cells[].load.errors[].errno",
    "cells[].load.errors[].count",
    "cells[].load.rate_per_s",
    "cells[].load.lag_ns.p99",
    "cells[].evidence.*.first",
    "cells[].evidence.*.last",
    "cells[].evidence.*.max",
    "cells[].cost.setup_ms",
    "missing[].id",
];

fn generated() -> Value {
    schema::of::<Report>("report", "report.json of brimful", SCHEMA_VERSION)
}

#[test]
fn the_committed_schema_is_that_of_the_types() {
    schema::is_committed("report", SCHEMA_VERSION, &generated());
}

/// What a schema says of a value, with references followed and `null` set aside.
fn followed<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    if let Some(name) = schema["$ref"].as_str() {
        return followed(root, root.pointer(name.trim_start_matches('#')).unwrap());
    }
    let options = schema["anyOf"].as_array();
    match options.and_then(|all| all.iter().find(|one| one.get("$ref").is_some())) {
        Some(reference) => followed(root, reference),
        None => schema,
    }
}

/// The schema at a path; whether it is always there as well.
fn at<'a>(root: &'a Value, path: &str) -> Option<(&'a Value, bool)> {
    let (mut schema, mut always) = (root, true);
    for step in path.replace("[]", ".[]").split('.') {
        schema = followed(root, schema);
        schema = match step {
            "[]" => schema.get("items")?,
            "*" => schema.get("additionalProperties").filter(|any| any.is_object())?,
            name => {
                let required = schema["required"].as_array();
                always &= required.is_some_and(|all| all.iter().any(|one| one == name));
                schema.get("properties")?.get(name)?
            }
        };
    }
    Some((schema, always))
}

#[test]
fn every_path_that_scripts_rely_on_is_in_the_schema_and_required() {
    let schema = generated();
    for path in ALWAYS {
        let (_, always) = at(&schema, path).unwrap_or_else(|| panic!("{path} is not in the schema"));
        assert!(always, "{path} may be absent");
    }
}

/// Reports with everything in them that a report can have: every outcome, blocks, missing ones, arms, a gate, predictions, effects.
fn worlds() -> Vec<(&'static str, Report)> {
    let mut armed = info(ORIGIN, 2);
    armed.interrupted = true;
    armed.arms = vec![Arm { name: "head".into(), set: vec![("target.backlog".into(), KnobValue::Number(128))] }];
    let some = [(Metric::P99, 0.2)].into_iter().collect();
    armed.gate = Some(Gate { tolerance: some, ..Gate::default() });
    let mut foretold = bursts().record();
    let kind = LimitKind::AcceptQueue;
    let limit = Limit { kind, at_connections: 129, formula: "128 + 1".into() };
    foretold.prediction = Some(Prediction { binding: Some(limit.clone()), all: vec![limit] });
    vec![
        ("origin", report(ORIGIN, &origin_run())),
        ("outcomes", mixed()),
        ("blocks", blocked()),
        ("void", report(ORIGIN, &[out_of_ports()])),
        ("foretold", report(ORIGIN, &[foretold])),
        ("none", Report::build(armed, &[], &cells(&[healthy()]))),
    ]
}

/// Whether a path is there in what a report has of it: a list may be empty, and a part may be `null`.
fn is_there(value: &Value, steps: &[&str]) -> bool {
    let Some((step, rest)) = steps.split_first() else { return true };
    match (*step, value) {
        (_, Value::Null) => true,
        ("[]", Value::Array(list)) => list.iter().all(|one| is_there(one, rest)),
        ("*", Value::Object(map)) => map.values().all(|one| is_there(one, rest)),
        (name, Value::Object(map)) => map.get(name).is_some_and(|one| is_there(one, rest)),
        _ => false,
    }
}

#[test]
fn every_report_has_the_paths_that_scripts_rely_on() {
    for (name, report) in worlds() {
        let json = serde_json::to_value(&report).unwrap();
        for path in ALWAYS {
            let spread = path.replace("[]", ".[]");
            assert!(is_there(&json, &spread.split('.').collect::<Vec<_>>()), "{name}: {path}");
        }
        schema::hand_over("report", name, &report);
    }
}

#[test]
fn the_reference_names_no_path_that_is_not_there_and_every_one_that_is_promised() {
    let text = include_str!("../../../../docs/report.md");
    let schema = generated();
    let (_, table) = text.split_once("| path | what |").expect("the table of paths");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let named: BTreeSet<&str> = rows.flat_map(|(paths, _)| paths.split("`, `")).collect();
    for path in &named {
        assert!(at(&schema, path).is_some(), "docs/report.md: {path} is not in the schema");
    }
    for path in ALWAYS {
        assert!(named.contains(path), "docs/report.md does not name {path}");
    }
}
