//! The section of one cell: its row in the list of cells, and behind it everything that is known of it. Pure.

use std::collections::BTreeMap;

use brimful_judge::report::{BlockReport, CellReport, talk};
use brimful_judge::wording::{count, counted, time};
use brimful_plan::expect::CellOutcome;

use super::axis::LogAxis;
use super::detail::Spread;
use super::figure::{self, Density};
use super::heatmap::outcome_class;
use super::markup::Markup;
use super::{Detail, evidence, latency};
use crate::html::wording::{cause_name, outcome_mark, quantile, reading, sentence};

/// What a section draws from besides its cell.
#[derive(Clone, Copy)]
pub(super) struct Sight<'a> {
    /// The details of this cell by block; empty where no record was at hand.
    pub(super) details: &'a BTreeMap<u32, &'a Detail>,
    /// The axis of latencies, which all cells share; `None` where no detail was given.
    pub(super) latencies: Option<LogAxis>,
    /// How much is drawn.
    pub(super) density: Density,
    /// Whether there is room for figures.
    pub(super) figures: bool,
}

/// One cell. `open` says whether it lies open from the start.
pub(super) fn section(m: &mut Markup, number: usize, cell: &CellReport, sight: Sight<'_>, open: bool) {
    m.raw("<details class=\"cell ").raw(outcome_class(cell.outcome)).raw(if open { "\" open>" } else { "\">" });
    row(m, cell);
    // The anchor is within, because a browser opens what its target is hidden in.
    m.raw("<div class=\"body\" id=\"cell-").number(number as u64).raw("\" tabindex=\"-1\">\n<p class=\"verdict\">");
    m.text(&sentence(cell)).raw("</p>\n");
    numbers(m, cell);
    figures(m, cell, sight);
    m.raw("<div class=\"two\">");
    evidence::proof(m, &cell.verdict);
    if let Some(cure) = &cell.verdict.cure {
        evidence::cure(m, cure);
    }
    m.raw("</div>\n");
    evidence::undecided(m, &cell.verdict);
    evidence::ruled_out(m, &cell.verdict);
    settings(m, cell);
    if cell.blocks.len() > 1 {
        blocks(m, cell);
    }
    m.raw("<p class=\"back\"><a href=\"#matrix\">back to the matrix</a></p></div></details>\n");
}

/// The line by which a cell is found in the list.
fn row(m: &mut Markup, cell: &CellReport) {
    m.raw("<summary><span class=\"outcome\">");
    outcome_mark(m, cell.outcome);
    m.text(&cell.outcome.to_string()).raw("</span><h3>").name(&cell.id).raw("</h3><span class=\"cause\">");
    m.name(&cause_name(cell.verdict.cause, cell.verdict.why)).raw("</span>");
    let (ok, sent) = (count(cell.probe.ok), count(cell.probe.sent));
    m.raw("<span class=\"num\">").text(&format!("{ok} of {sent}")).raw(" <small>passed</small></span>");
    m.raw("<span class=\"num\"><small>p99</small> ").text(&quantile(cell.probe.latency_ns.p99)).raw("</span>");
    m.raw("<span class=\"num\">");
    if let Some(s) = cell.probe.would_restart_at_s {
        m.raw("<small>restart after</small> ").text(&format!("{s:.1} s"));
    }
    m.raw("</span></summary>\n");
}

/// The numbers that most readers want.
fn numbers(m: &mut Markup, cell: &CellReport) {
    let (probe, load) = (&cell.probe, &cell.load);
    let mut all: Vec<(&'static str, String)> = vec![
        ("probes passed", format!("{} of {}", count(probe.ok), count(probe.sent))),
        ("median", quantile(probe.latency_ns.p50)),
        ("99th percentile", quantile(probe.latency_ns.p99)),
    ];
    all.extend(probe.restricted_mean_ns.map(|ns| ("mean, a time-out counted as its deadline", time(ns))));
    all.push(match probe.would_restart_at_s {
        Some(s) => ("until liveness restarts it", format!("{s:.1} s")),
        None => ("restart by liveness", "none".to_owned()),
    });
    if load.pending > 0 && load.held == 0 {
        all.push(("half-open at the end", format!("{} of {}", count(load.pending), count(load.requested))));
    } else {
        all.push(("held at the end", format!("{} of {}", count(load.held), count(load.requested))));
    }
    all.extend(load.rate_per_s.map(|rate| ("opened", format!("{} a second", count(rate.max(0.0) as u64)))));
    all.push(("generator late, p99", time(load.lag_ns.p99)));
    m.raw("<dl class=\"numbers\">");
    for (what, number) in all {
        m.raw("<div><dt>").raw(what).raw("</dt><dd>").text(&number).raw("</dd></div>");
    }
    m.raw("</dl>\n");
    if let Some(message) = probe.first_message.as_ref().filter(|_| probe.failed > 0) {
        m.raw("<p class=\"said\">The kubelet would have said: <q>").text(message).raw("</q></p>\n");
    }
}

fn figures(m: &mut Markup, cell: &CellReport, sight: Sight<'_>) {
    let Some(detail) = sight.details.get(&cell.told_by_block) else {
        m.raw("<p class=\"key\">No record of this cell was at hand: what is here is from report.json alone.</p>\n");
        return;
    };
    if !sight.figures {
        m.raw("<p class=\"key\">No figures here, to keep the page small; the record is in the run’s folder, below cells.</p>\n");
        return;
    }
    m.add(&figure::figure(detail, sight.density));
    let Some(axis) = sight.latencies else { return };
    let sound = |b: &&BlockReport| b.outcome != CellOutcome::Void || cell.outcome == CellOutcome::Void;
    let mut spread = Spread::default();
    for detail in cell.blocks.iter().filter(sound).filter_map(|b| sight.details.get(&b.block)) {
        spread.add(&detail.spread);
    }
    m.add(&latency::figure(&spread, &cell.probe, axis, &detail.syn_again_ns));
}

/// The knobs, the failures of the load and the notes.
fn settings(m: &mut Markup, cell: &CellReport) {
    m.raw("<div class=\"two\">");
    if !cell.knobs.is_empty() {
        m.raw(
            "<div><h4>Settings</h4><table class=\"plain\"><caption>Each knob, as the kernel gave it</caption><tbody>",
        );
        for (knob, value) in &cell.knobs {
            m.raw("<tr><th scope=\"row\">").text(knob).raw("</th><td>");
            reading(m, value);
            m.raw("</td></tr>");
        }
        m.raw("</tbody></table></div>");
    }
    if !cell.load.errors.is_empty() {
        m.raw("<div><h4>Failures of the load</h4><table class=\"plain\"><caption>Connections by phase and errno</caption><tbody>");
        for error in &cell.load.errors {
            let phase = format!("{:?}", error.phase).to_lowercase();
            m.raw("<tr><th scope=\"row\">").text(&phase).raw(" ").text(&error.errno).raw("</th><td>");
            m.text(&count(error.count)).raw("</td></tr>");
        }
        m.raw("</tbody></table></div>");
    }
    if let Some(words) = talk::words(&cell.load) {
        m.raw("<div><h4>What the connections did</h4><p>").text(&words).raw("</p></div>");
    }
    if !cell.verdict.notes.is_empty() {
        m.raw("<div><h4>Notes</h4><ul>");
        for note in &cell.verdict.notes {
            m.raw("<li>").text(note).raw("</li>");
        }
        m.raw("</ul></div>");
    }
    m.raw("</div>\n");
}

fn blocks(m: &mut Markup, cell: &CellReport) {
    m.raw("<h4>").text(&counted(cell.blocks.len() as u64, "block")).raw("</h4>\n");
    m.raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Blocks\"><table class=\"blocks\">");
    m.raw("<caption>The cell, run again and again; the figures show block ").number(cell.told_by_block);
    m.raw(
        "</caption><thead><tr><th scope=\"col\">block</th><th scope=\"col\">outcome</th><th scope=\"col\">cause</th>",
    );
    m.raw("<th scope=\"col\">passed</th><th scope=\"col\">median</th><th scope=\"col\">p99</th>");
    m.raw("<th scope=\"col\">restart</th><th scope=\"col\">held</th><th scope=\"col\">began</th></tr></thead><tbody>");
    for block in &cell.blocks {
        m.raw("<tr><th scope=\"row\">").number(block.block).raw("</th><td class=\"outcome\">");
        outcome_mark(m, block.outcome);
        m.text(&block.outcome.to_string()).raw("</td><td>");
        m.text(&cause_name(block.verdict.cause, block.verdict.why)).raw("</td><td>");
        m.text(&format!("{} of {}", count(block.probe.ok), count(block.probe.sent))).raw("</td><td>");
        m.text(&quantile(block.probe.latency_ns.p50)).raw("</td><td>").text(&quantile(block.probe.latency_ns.p99));
        m.raw("</td><td>").text(&block.probe.would_restart_at_s.map_or_else(String::new, |s| format!("{s:.1} s")));
        m.raw("</td><td>").text(&count(block.load.held)).raw("</td><td>").text(&block.started_at).raw("</td></tr>");
    }
    m.raw("</tbody></table></div>\n");
}
