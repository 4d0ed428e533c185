//! How the latencies of a cell's probes are spread, with those that were never answered on a shelf at the deadline. Pure.

use brimful_judge::report::{At, ProbeReport};
use brimful_judge::wording::{count, counted, listed, time};

use super::axis::{LogAxis, TimeAxis};
use super::detail::Spread;
use super::markup::Markup;
use crate::html::wording::quantile;

/// The part of the width that the axis has where there is a shelf beside it.
const BESIDE_SHELF: f64 = 0.86;
/// Heights in the drawing, in pixels: the words above, the bars, and the whole.
const BARS_FROM: f64 = 18.0;
const BARS_HIGH: f64 = 56.0;

/// The figure of one cell, on an axis that all cells share.
pub(super) fn figure(spread: &Spread, probe: &ProbeReport, axis: LogAxis, syn_again_ns: &[u64]) -> Markup {
    let mut m = Markup::default();
    if spread.probes() == 0 {
        return m;
    }
    let width = if spread.unanswered > 0 { BESIDE_SHELF } else { 1.0 };
    let most = spread.bars.values().copied().max().unwrap_or(0).max(spread.unanswered).max(1);
    m.raw(
        "<figure class=\"spread\">\n<figcaption>Latency of the health check <small>from the instant a probe was due; ",
    );
    m.text(&counted(spread.probes(), "probe")).raw("</small></figcaption>\n");
    m.raw("<svg height=\"120\" role=\"img\" aria-label=\"").text(&spoken(spread, probe)).raw("\">");
    m.raw(if spread.unanswered > 0 { "<use href=\"#axis-beside\"/>" } else { "<use href=\"#axis-alone\"/>" });
    again(&mut m, axis, width, probe.timeout_ns, syn_again_ns);
    deadline(&mut m, axis.at(probe.timeout_ns) * width, probe.timeout_ns);
    for (&bar, &n) in &spread.bars {
        let (from, wide) = axis.bar(bar);
        column(&mut m, "answered", (from * width, wide * width * 0.9), n, most);
    }
    if spread.unanswered > 0 {
        column(&mut m, "shelf", (BESIDE_SHELF + 0.03, 1.0 - BESIDE_SHELF - 0.04), spread.unanswered, most);
        m.raw("<text class=\"shelf\" y=\"88\" x=\"").percent(BESIDE_SHELF + 0.08).raw("\">");
        m.text(&format!("≥ {}", time(probe.timeout_ns))).raw("</text>");
    }
    for (name, at, y) in [("p50", probe.latency_ns.p50, "103"), ("p99", probe.latency_ns.p99, "117")] {
        quantile_mark(&mut m, axis, width, name, at, y);
    }
    m.raw("</svg>\n");
    remark(&mut m, spread, probe, syn_again_ns);
    m.raw("</figure>\n");
    m
}

fn spoken(spread: &Spread, probe: &ProbeReport) -> String {
    let answered: u64 = spread.bars.values().sum();
    let (p50, p99) = (quantile(probe.latency_ns.p50), quantile(probe.latency_ns.p99));
    let never = match spread.unanswered {
        0 => String::new(),
        n => format!(", {} never", count(n)),
    };
    format!("{} answered{never}; median {p50}, 99th percentile {p99}", count(answered))
}

/// The axis of all cells, drawn once: beside a shelf, and alone.
pub(super) fn axes(axis: LogAxis) -> Markup {
    let mut m = Markup::default();
    m.raw("<svg class=\"defs\" width=\"0\" height=\"0\" aria-hidden=\"true\"><defs>");
    m.raw("<g id=\"axis-beside\" class=\"latencies\">");
    ticks(&mut m, axis, BESIDE_SHELF);
    m.raw("</g><g id=\"axis-alone\" class=\"latencies\">");
    ticks(&mut m, axis, 1.0);
    m.raw("</g></defs></svg>\n");
    m
}

fn ticks(m: &mut Markup, axis: LogAxis, width: f64) {
    m.raw("<line class=\"base\" x1=\"0\" y1=\"74\" y2=\"74\" x2=\"").percent(width).raw("\"/>");
    let ticks = axis.ticks();
    for (i, &tick) in ticks.iter().enumerate() {
        let x = axis.at(tick) * width;
        m.raw("<line class=\"grid\" y1=\"18\" y2=\"78\" x1=\"").percent(x).raw("\" x2=\"").percent(x).raw("\"/>");
        m.raw("<text y=\"88\" x=\"").percent(x);
        m.raw(match i {
            0 => "\" text-anchor=\"start\">",
            _ if i + 1 == ticks.len() => "\" text-anchor=\"end\">",
            _ => "\">",
        });
        m.text(&LogAxis::label(tick)).raw("</text>");
    }
}

/// When a lost SYN is sent again, as far as that is before the deadline.
fn again(m: &mut Markup, axis: LogAxis, width: f64, timeout_ns: u64, syn_again_ns: &[u64]) {
    for (i, &at) in syn_again_ns.iter().filter(|&&at| at < timeout_ns).enumerate() {
        let x = axis.at(at) * width;
        m.raw("<line class=\"again\" y1=\"12\" y2=\"74\" x1=\"").percent(x).raw("\" x2=\"").percent(x).raw("\"/>");
        if i == 0 {
            m.raw("<text class=\"again\" text-anchor=\"end\" y=\"28\" x=\"").percent(x - 0.008);
            m.raw("\">SYN sent again</text>");
        }
    }
}

fn deadline(m: &mut Markup, x: f64, timeout_ns: u64) {
    m.raw("<line class=\"deadline\" y1=\"4\" y2=\"74\" x1=\"").percent(x).raw("\" x2=\"").percent(x);
    m.raw("\"/><text class=\"deadline\" text-anchor=\"end\" y=\"12\" x=\"").percent(x - 0.008).raw("\">deadline ");
    m.text(&time(timeout_ns)).raw("</text>");
}

fn column(m: &mut Markup, class: &'static str, (from, wide): (f64, f64), n: u64, most: u64) {
    let high = (BARS_HIGH * n as f64 / most as f64).max(2.0).round() as u64;
    let top = (BARS_FROM + BARS_HIGH) as u64 - high;
    m.raw("<rect class=\"").raw(class).raw("\" y=\"").number(top).raw("\" height=\"").number(high).raw("\" x=\"");
    m.percent(from).raw("\" width=\"").percent(wide).raw("\"/>");
    if n == most || class == "shelf" {
        m.raw("<text class=\"n\" y=\"").number(top - 4).raw("\" x=\"").percent(from + wide / 2.0).raw("\">");
        m.text(&count(n)).raw("</text>");
    }
}

fn quantile_mark(m: &mut Markup, axis: LogAxis, width: f64, name: &'static str, at: Option<At>, y: &'static str) {
    let x = match at {
        None => return,
        Some(At::Exact(ns)) => axis.at(ns) * width,
        Some(At::AtLeast { .. }) => BESIDE_SHELF + 0.08,
    };
    m.raw("<text class=\"q\" y=\"").raw(y).raw("\" x=\"").percent(x);
    m.raw(match x {
        x if x < 0.1 => "\" text-anchor=\"start\">",
        x if x > 0.9 => "\" text-anchor=\"end\">",
        _ => "\">",
    });
    m.raw("▴ ").raw(name).raw(" ").text(&quantile(at)).raw("</text>");
}

/// What the ladder of SYNs means for this deadline, where probes were lost before they were connected.
fn remark(m: &mut Markup, spread: &Spread, probe: &ProbeReport, syn_again_ns: &[u64]) {
    let lost = probe.outcomes.get("connect-timeout").copied().unwrap_or(0);
    let Some(&first) = syn_again_ns.first() else { return };
    if lost == 0 || spread.unanswered == 0 {
        return;
    }
    let within: Vec<String> =
        syn_again_ns.iter().filter(|&&at| at < probe.timeout_ns).map(|&at| TimeAxis::label(at)).collect();
    m.raw("<p class=\"key\">");
    if within.is_empty() {
        m.text(&format!(
            "A SYN that is dropped is sent again after {} at the earliest: too late for a deadline of {}.",
            time(first),
            time(probe.timeout_ns)
        ));
    } else {
        m.text(&format!(
            "A SYN that is dropped is sent again after {} s, within the deadline of {}.",
            listed(&within),
            time(probe.timeout_ns)
        ));
    }
    m.raw("</p>\n");
}
