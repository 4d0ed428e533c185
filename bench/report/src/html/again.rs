//! How to run it again, and how it was measured. Pure.

use brimful_judge::report::Report;
use brimful_judge::wording::{count, counted};
use brimful_plan::catalogue;

use super::Detail;
use super::markup::Markup;

/// Different experiments that are told; an axis may vary load or probe in more ways.
const MOST_WAYS: usize = 3;

/// The last section of the page.
pub(super) fn again(report: &Report, details: &[Detail]) -> Markup {
    let mut m = Markup::default();
    m.raw("<section id=\"again\"><h2>How to run it again</h2>\n<pre tabindex=\"0\">")
        .text(&command(report))
        .raw("</pre>\n");
    m.raw("<div class=\"two\"><div><h3>Where it ran</h3><dl class=\"facts\">");
    let host = &report.host;
    for (what, fact) in [
        ("brimful", report.tool.version.clone()),
        ("kernel", format!("{} {}", host.kernel, host.arch)),
        ("processors", count(u64::from(host.cpus))),
        ("memory", format!("{:.1} GiB", host.memory_bytes as f64 / f64::from(1 << 30))),
        ("descriptors, hard limit", count(host.nofile_hard)),
        ("sandbox", if host.user_namespace { "user namespace, without root".into() } else { "as root".to_owned() }),
        ("seed", report.seed.to_string()),
        ("blocks", count(u64::from(report.blocks))),
        ("observer", observer(report)),
    ] {
        m.raw("<div><dt>").raw(what).raw("</dt><dd>").text(&fact).raw("</dd></div>");
    }
    m.raw("</dl></div>\n<div><h3>How it was measured</h3>");
    measured(&mut m, details);
    m.raw("<ul><li>A latency counts from the instant the probe was due, not from when it was sent.</li>");
    m.raw("<li>A probe that was given up at its deadline is known from below only (≥): it is neither dropped nor averaged as an answer.</li>");
    m.raw("<li>Cells are judged from what the kernel shows from outside; the verdicts can be computed again from the saved records: <code>brimful report DIR</code>.</li></ul></div></div></section>\n");
    m
}

/// The command that makes the same cells in the same order.
fn command(report: &Report) -> String {
    let name = &report.scenario.name;
    let embedded = catalogue::list().iter().any(|scenario| scenario.name == name);
    let mut command = format!("brimful run {name}{}", if embedded { "" } else { ".toml" });
    if report.blocks > 1 {
        command += &format!(" --blocks {}", report.blocks);
    }
    // One block is run in the scenario's order unless a seed says otherwise.
    if report.seed != 0 || report.blocks > 1 {
        command += &format!(" --seed {}", report.seed);
    }
    command
}

fn observer(report: &Report) -> String {
    let most = report.cells.iter().map(|c| c.cost.observer_cpu_fraction).fold(0.0, f64::max);
    format!("{:.1} % of one processor at most", most * 100.0)
}

/// Load, probe and place, each way of measuring once.
fn measured(m: &mut Markup, details: &[Detail]) {
    type Told = fn(&Detail) -> &String;
    let ways: [(&'static str, Told); 3] =
        [("Load", |d| &d.setup.load), ("Health check", |d| &d.setup.probe), ("Place", |d| &d.setup.place)];
    m.raw("<dl class=\"causes\">");
    for (what, told) in ways {
        let mut different: Vec<&String> = details.iter().map(told).collect();
        different.sort();
        different.dedup();
        if different.is_empty() {
            continue;
        }
        m.raw("<dt>").raw(what).raw("</dt>");
        for way in different.iter().take(MOST_WAYS) {
            m.raw("<dd>").text(way).raw("</dd>");
        }
        if different.len() > MOST_WAYS {
            m.raw("<dd>and ").text(&counted((different.len() - MOST_WAYS) as u64, "other way")).raw("</dd>");
        }
    }
    let mut unavailable: Vec<&String> = details.iter().flat_map(|d| &d.setup.unavailable).collect();
    unavailable.sort();
    unavailable.dedup();
    if !unavailable.is_empty() {
        m.raw("<dt>Not available</dt>");
        for source in unavailable {
            m.raw("<dd>").text(source).raw("</dd>");
        }
    }
    m.raw("</dl>");
}
