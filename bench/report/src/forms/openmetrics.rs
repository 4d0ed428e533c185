//! OpenMetrics text, to keep runs in a time series database. Pure.
//!
//! A cell's samples carry the time at which the block began that tells of it, so that `promtool tsdb create-blocks-from
//! openmetrics` puts them where they belong. Written by hand: the client libraries serve live counters of a process, and know
//! neither times nor a summary whose quantiles are given.

use std::fmt::Write as _;

use brimful_evidence::record::KnobReading;
use brimful_judge::report::{At, CellReport, Report};
use brimful_judge::wording::phase_name;
use brimful_plan::expect::CellOutcome;

/// In a second.
const NANOSECONDS: f64 = 1e9;

const OUTCOMES: [CellOutcome; 4] =
    [CellOutcome::Healthy, CellOutcome::Degraded, CellOutcome::Failing, CellOutcome::Void];

/// The report as one exposition, closed by `# EOF`.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut page = Page { out: String::new(), scenario: &report.scenario.name };
    page.run(report);
    page.cells(report);
    page.probes(report);
    page.load(report);
    page.out.push_str("# EOF\n");
    page.out
}

struct Page<'a> {
    out: String,
    scenario: &'a str,
}

/// One family: its samples, each with labels, value and time.
struct Family<'a> {
    name: &'a str,
    kind: &'a str,
    unit: &'a str,
    help: &'a str,
    samples: Vec<Sample>,
}

struct Sample {
    labels: Vec<(String, String)>,
    value: f64,
    at: Option<String>,
}

impl<'a> Family<'a> {
    fn new(name: &'a str, kind: &'a str, unit: &'a str, help: &'a str) -> Self {
        Self { name, kind, unit, help, samples: Vec::new() }
    }

    /// A sample of a cell, at the cell's time.
    fn add(&mut self, cell: &CellReport, labels: &[(&str, &str)], value: f64) {
        let all = [&[("cell", cell.id.as_str())], labels].concat();
        self.add_at(telling_time(cell), owned(&all), value);
    }

    fn add_at(&mut self, at: Option<String>, labels: Vec<(String, String)>, value: f64) {
        self.samples.push(Sample { labels, value, at });
    }

    /// What the names of its samples have beyond the family's own.
    fn suffix(&self) -> &'static str {
        match self.kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        }
    }
}

impl Page<'_> {
    /// A family without a sample is left out.
    fn family(&mut self, family: &Family<'_>) {
        let Family { name, kind, unit, help, samples } = family;
        if samples.is_empty() {
            return;
        }
        // Writing to a String cannot fail.
        let out = &mut self.out;
        writeln!(out, "# TYPE {name} {kind}").ok();
        if !unit.is_empty() {
            writeln!(out, "# UNIT {name} {unit}").ok();
        }
        writeln!(out, "# HELP {name} {}", escaped(help)).ok();
        for Sample { labels, value, at } in samples {
            write!(out, "{name}{}{{scenario=\"{}\"", family.suffix(), escaped(self.scenario)).ok();
            for (label, text) in labels {
                write!(out, ",{label}=\"{}\"", escaped(text)).ok();
            }
            let at = at.as_ref().map(|at| format!(" {at}")).unwrap_or_default();
            writeln!(out, "}} {value}{at}").ok();
        }
    }

    fn run(&mut self, report: &Report) {
        let at = report.cells.iter().filter_map(|cell| cell.blocks.first()).map(|block| &block.started_at).min();
        let at = at.and_then(|at| seconds_since_epoch(at));
        let mut run = Family::new("brimful_run", "info", "", "What was run, and where.");
        let labels: [(&str, &str); 5] = [
            ("question", &report.scenario.question),
            ("brimful", &report.tool.version),
            ("kernel", &report.host.kernel),
            ("arch", &report.host.arch),
            ("seed", &report.seed.to_string()),
        ];
        run.add_at(at.clone(), owned(&labels), 1.0);
        self.family(&run);
        let mut interrupted =
            Family::new("brimful_run_interrupted", "gauge", "", "1 for a run broken off by a signal.");
        interrupted.add_at(at.clone(), Vec::new(), f64::from(u8::from(report.interrupted)));
        self.family(&interrupted);
        let mut missing =
            Family::new("brimful_cell_missing_blocks", "gauge", "", "Blocks that were planned and have no record.");
        for cell in &report.missing {
            missing.add_at(at.clone(), owned(&[("cell", &cell.id)]), cell.blocks.len() as f64);
        }
        self.family(&missing);
    }

    fn cells(&mut self, report: &Report) {
        let mut info = Family::new("brimful_cell", "info", "", "The knobs of a cell as given, and its cause.");
        for cell in &report.cells {
            let mut labels = vec![("cell".to_owned(), cell.id.clone())];
            labels.extend(cell.verdict.cause.map(|cause| ("cause".to_owned(), cause.to_string())));
            labels.extend(cell.verdict.why.map(|why| ("why".to_owned(), why.to_string())));
            let given = |knob: &KnobReading| knob.given.as_ref().unwrap_or(&knob.asked).to_string();
            labels.extend(cell.knobs.iter().map(|(name, knob)| (label_name(name), given(knob))));
            info.add_at(telling_time(cell), labels, 1.0);
        }
        self.family(&info);
        let mut outcome = Family::new("brimful_cell_outcome", "stateset", "", "What became of a cell.");
        let mut blocks = Family::new("brimful_cell_blocks", "gauge", "", "Blocks of a cell by what became of them.");
        for cell in &report.cells {
            for one in OUTCOMES {
                let is = f64::from(u8::from(cell.outcome == one));
                outcome.add(cell, &[("brimful_cell_outcome", &one.to_string())], is);
                let n = cell.blocks.iter().filter(|block| block.outcome == one).count();
                blocks.add(cell, &[("outcome", &one.to_string())], n as f64);
            }
        }
        self.family(&outcome);
        self.family(&blocks);
    }

    /// What the health check saw, of the cells that are not void.
    fn probes(&mut self, report: &Report) {
        let mut ended = Family::new("brimful_probes", "counter", "", "Health checks by how they ended.");
        let mut ratio = Family::new("brimful_probe_failure_ratio", "gauge", "ratio", "Failed health checks over all.");
        let mut latency = Family::new(
            "brimful_probe_latency_seconds",
            "summary",
            "seconds",
            "From the intended instant to the passing answer; a quantile among the unanswered is not here.",
        );
        let mut bound = Family::new(
            "brimful_probe_latency_at_least_seconds",
            "gauge",
            "seconds",
            "The quantiles that are known only from below.",
        );
        let mut mean = Family::new(
            "brimful_probe_restricted_mean_seconds",
            "gauge",
            "seconds",
            "The mean of min(latency, time-out) over all health checks.",
        );
        let mut restart = Family::new(
            "brimful_probe_restart_after_seconds",
            "gauge",
            "seconds",
            "When liveness would have restarted the container; no sample where it would not.",
        );
        for cell in report.cells.iter().filter(|cell| cell.outcome != CellOutcome::Void) {
            let probe = &cell.probe;
            for (outcome, n) in &probe.outcomes {
                ended.add(cell, &[("outcome", outcome)], *n as f64);
            }
            probe.failure_rate.into_iter().for_each(|rate| ratio.add(cell, &[], rate));
            let quantiles = &probe.latency_ns;
            for (q, at) in
                [("0.5", quantiles.p50), ("0.9", quantiles.p90), ("0.99", quantiles.p99), ("1", quantiles.max)]
            {
                let labels = [("quantile", q)];
                match at {
                    Some(At::Exact(ns)) => latency.add(cell, &labels, seconds(ns)),
                    Some(At::AtLeast { at_least_ns }) => bound.add(cell, &labels, seconds(at_least_ns)),
                    None => {}
                }
            }
            probe.restricted_mean_ns.into_iter().for_each(|ns| mean.add(cell, &[], seconds(ns)));
            probe.would_restart_at_s.into_iter().for_each(|s| restart.add(cell, &[], s));
        }
        [ended, ratio, latency, bound, mean, restart].iter().for_each(|family| self.family(family));
    }

    fn load(&mut self, report: &Report) {
        let mut connections =
            Family::new("brimful_load_connections", "gauge", "", "Connections of the load, at the end of the cell.");
        let mut errors = Family::new("brimful_load_errors", "counter", "", "Failures of the load by step and errno.");
        let mut lag = Family::new("brimful_load_lag_seconds", "summary", "seconds", "How late the load was.");
        for cell in &report.cells {
            let load = &cell.load;
            for (state, n) in [
                ("requested", load.requested),
                ("attempted", load.attempted),
                ("established", load.established),
                ("held", load.held),
                ("pending", load.pending),
            ] {
                connections.add(cell, &[("state", state)], n as f64);
            }
            for error in &load.errors {
                let labels = [("phase", phase_name(error.phase)), ("errno", error.errno.as_str())];
                errors.add(cell, &labels, error.count as f64);
            }
            lag.add(cell, &[("quantile", "0.99")], seconds(load.lag_ns.p99));
        }
        [connections, errors, lag].iter().for_each(|family| self.family(family));
    }
}

fn owned(labels: &[(&str, &str)]) -> Vec<(String, String)> {
    labels.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect()
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / NANOSECONDS
}

/// When the block began that tells of the cell.
fn telling_time(cell: &CellReport) -> Option<String> {
    let block = cell.blocks.iter().find(|block| block.block == cell.told_by_block)?;
    seconds_since_epoch(&block.started_at)
}

/// An RFC 3339 time as seconds since 1970, to the millisecond.
fn seconds_since_epoch(time: &str) -> Option<String> {
    let time: jiff::Timestamp = time.parse().ok()?;
    let ms = time.as_millisecond();
    Some(format!("{}.{:03}", ms.div_euclid(1_000), ms.rem_euclid(1_000)))
}

/// A knob's name as a label: letters, digits and underscores.
fn label_name(knob: &str) -> String {
    knob.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// As it stands between quotes, or in a help text.
fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}
