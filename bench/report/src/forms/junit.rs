//! JUnit's XML, for the test view of a CI system: a suite for the scenario, a case for each cell. Pure.
//!
//! A healthy cell passes. `failing` and `degraded` are a `<failure>` whose type is the cause: the target did not hold. `void`, and
//! a cell without a record, are an `<error>`: the experiment did not work, which is neither a pass nor the target's fault.
//! A scenario that *wants* a cell to fail says so in `[expect]`, and is held to it by `brimful run --verify`, not by this form.

use brimful_evidence::record::KnobReading;
use brimful_judge::cause::words;
use brimful_judge::report::{CellReport, MissingCell, Report};
use brimful_judge::wording::{counted, listed};
use brimful_plan::expect::{CauseName, CellOutcome};
use quick_junit::{NonSuccessKind, Report as Xml, TestCase, TestCaseStatus, TestSuite};

use super::super::told;
use super::FormError;

/// The report as XML.
///
/// # Errors
/// [`FormError::Junit`] when the writer fails.
pub fn render(report: &Report) -> Result<String, FormError> {
    let mut suite = TestSuite::new(&*report.scenario.name);
    suite.add_property(("question", &*report.scenario.question));
    suite.add_property(("brimful", &*report.tool.version));
    suite.add_property(("kernel", &*report.host.kernel));
    suite.add_property(("seed", &*report.seed.to_string()));
    for cell in &report.cells {
        suite.add_test_case(case(report, cell));
    }
    for missing in &report.missing {
        suite.add_test_case(not_run(report, missing));
    }
    suite.set_system_out(report.headline.join("\n"));
    let mut xml = Xml::new("brimful");
    xml.add_test_suite(suite);
    xml.to_string().map_err(FormError::Junit)
}

fn case(report: &Report, cell: &CellReport) -> TestCase {
    let status = match cell.outcome {
        CellOutcome::Healthy => TestCaseStatus::success(),
        CellOutcome::Degraded | CellOutcome::Failing => told_of(NonSuccessKind::Failure, cell),
        CellOutcome::Void => told_of(NonSuccessKind::Error, cell),
    };
    let mut case = TestCase::new(&*cell.id, status);
    case.set_classname(&*report.scenario.name);
    for (name, KnobReading { asked, given, .. }) in &cell.knobs {
        let given = given.as_ref().map_or_else(|| format!("{asked}, not read back"), ToString::to_string);
        case.add_property((&**name, &*given));
    }
    case
}

/// Type and message for the list of cases, the evidence for whoever opens one.
fn told_of(kind: NonSuccessKind, cell: &CellReport) -> TestCaseStatus {
    let verdict = &cell.verdict;
    let cause = verdict.cause.unwrap_or(CauseName::Undetermined);
    let probes = format!("{} of {} failed", cell.probe.failed, counted(cell.probe.sent, "probe"));
    let restart = cell.probe.would_restart_at_s.map(|s| format!(", liveness restarts it after {s:.1} s"));
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(cause.to_string());
    status.set_message(format!("{}: {}; {probes}{}", cell.outcome, words(cause), restart.unwrap_or_default()));
    let mut lines: Vec<String> =
        verdict.proof.iter().map(|line| format!("{}: {} ({})", line.source, line.value, line.text)).collect();
    lines.extend(told::undecided(verdict).iter().map(|open| format!("not decided: {}: {}", open.name, open.why)));
    lines.extend(verdict.cure.as_ref().map(|cure| format!("to change: {}", told::change(cure))));
    status.set_description(lines.join("\n"));
    status
}

fn not_run(report: &Report, missing: &MissingCell) -> TestCase {
    let blocks: Vec<String> = missing.blocks.iter().map(ToString::to_string).collect();
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_type("missing");
    let noun = if blocks.len() == 1 { "block" } else { "blocks" };
    status.set_message(format!("no record of {noun} {}", listed(&blocks)));
    // A cell of which some blocks were run has a case of its own.
    let begun = report.cells.iter().any(|cell| cell.id == missing.id);
    let name = if begun { format!("{} (missing blocks)", missing.id) } else { missing.id.clone() };
    let mut case = TestCase::new(name, status);
    case.set_classname(&*report.scenario.name);
    case
}
