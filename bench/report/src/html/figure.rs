//! What was seen of a cell over time: panels above each other on one axis. Pure.
//!
//! Lines and areas are paths in a frame that is stretched to the width there is; marks and letters are placed in per cent of
//! it, so that they keep their shape. Words stand beside the panels as text of the page, so that they stay legible on a phone.

use brimful_judge::wording::{count, counted, time};

use super::axis::TimeAxis;
use super::detail::{Detail, Growth, Level};
use super::marks;
use super::markup::{Markup, Path};
use super::thin::{coarser, straightened, thin};

/// How much is drawn of each cell; less where there are many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Density {
    /// Points of a series at most.
    pub(super) points: usize,
    /// Bars of a counter at most.
    pub(super) bars: usize,
    /// Whether each probe is a mark of its own, with its words.
    pub(super) each_probe: bool,
}

impl Density {
    /// What a page of so many cells can bear.
    pub(super) fn for_cells(cells: usize) -> Self {
        match cells {
            0..=64 => Self { points: 160, bars: 120, each_probe: true },
            65..=256 => Self { points: 80, bars: 60, each_probe: false },
            _ => Self { points: 36, bars: 40, each_probe: false },
        }
    }
}

/// What of the height of a panel stands for its limit; the rest is room above the brim.
const BRIM: f64 = 0.84;
/// Where what goes on at the end of the axis is drawn to.
const BEYOND: f64 = 1.01;
/// How far a point may be from a straight line and be left out, as a share of the height: less than the line is thick.
const STRAIGHT: f64 = 0.01;
/// Half-open connections worth a panel: a probe alone leaves none behind, a load on loopback one at a time.
const MANY_HALF_OPEN: u64 = 8;

/// The figure of one cell.
pub(super) fn figure(detail: &Detail, density: Density) -> Markup {
    let drawing = Drawing { detail, density, axis: TimeAxis::until(detail.end_ns) };
    let mut m = Markup::default();
    m.raw("<figure class=\"time\">\n<figcaption>Over time");
    m.raw(" <small>seconds from the start of the cell, block ").number(detail.block).raw("</small></figcaption>\n");
    drawing.scale(&mut m);
    drawing.probes(&mut m);
    if let Some(queue) = &detail.queue {
        drawing.level(&mut m, "accept queue", &format!("Recv-Q of {}", queue.name), queue, "queue");
    }
    if let Some(half_open) = detail.half_open.as_ref().filter(|h| h.max >= MANY_HALF_OPEN) {
        drawing.level(&mut m, "half-open", "in SYN_RECV at the probed port", half_open, "queue");
    }
    if let Some(open) = &detail.descriptors {
        drawing.level(&mut m, "descriptors", "open in the target, and its soft limit", open, "files");
    }
    for grown in &detail.grown {
        drawing.growth(&mut m, grown);
    }
    drawing.load(&mut m);
    m.add(&marks::key(detail, density.each_probe));
    if !detail.turned.is_empty() {
        let each: Vec<String> = detail.turned.iter().map(|(at_ns, what)| format!("{} {what}", time(*at_ns))).collect();
        m.raw("<p class=\"key\">Upright lines: ").text(&each.join("; ")).raw(".</p>\n");
    }
    if !detail.still.is_empty() && density.each_probe {
        m.raw("<p class=\"key\">Read, and did not move: ").text(&detail.still.join(", ")).raw(".</p>\n");
    }
    m.raw("</figure>\n");
    m
}

struct Drawing<'a> {
    detail: &'a Detail,
    density: Density,
    axis: TimeAxis,
}

impl Drawing<'_> {
    /// The labels of the axis, and the one instant that matters most.
    fn scale(&self, m: &mut Markup) {
        m.raw("<div class=\"row scale\"><div></div><svg height=\"");
        m.raw(if self.detail.restart_ns.is_some() { "34" } else { "16" }).raw("\" aria-hidden=\"true\">");
        if let Some(at) = self.detail.restart_ns {
            let x = self.axis.at(at);
            // The words stand on the side with more room.
            let aside = if x > 0.5 { "end\" dx=\"-9" } else { "start\" dx=\"9" };
            m.raw("<text class=\"restart\" text-anchor=\"").raw(aside).raw("\" x=\"").percent(x);
            m.raw("\" y=\"12\">liveness restarts it at ")
                .text(&TimeAxis::label(at))
                .raw(" s</text><use href=\"#k-restart\" y=\"5\" x=\"")
                .percent(x)
                .raw("\"/>");
        }
        let ticks = self.axis.ticks();
        let y = if self.detail.restart_ns.is_some() { "30" } else { "12" };
        for (i, &tick) in ticks.iter().enumerate() {
            m.raw("<text x=\"").percent(self.axis.at(tick)).raw("\" y=\"").raw(y);
            m.raw(match i {
                0 => "\" text-anchor=\"start\">",
                _ if self.axis.at(tick) > 0.97 => "\" text-anchor=\"end\">",
                _ => "\">",
            });
            m.text(&TimeAxis::label(tick)).raw(if i + 1 == ticks.len() { " s</text>" } else { "</text>" });
        }
        m.raw("</svg><div></div></div>\n");
    }

    fn probes(&self, m: &mut Markup) {
        let passed: u64 = self.detail.spread.bars.values().sum();
        let sent = self.detail.spread.probes();
        label(m, "health check", &self.detail.setup.rhythm);
        m.raw("<svg class=\"plot probes\" role=\"img\" aria-label=\"");
        m.text(&format!("Health check: {} of {} passed", count(passed), counted(sent, "probe")));
        m.raw("\"><svg viewBox=\"0 0 1000 100\" preserveAspectRatio=\"none\" width=\"100%\" height=\"100%\">");
        self.frame(m);
        if self.density.each_probe {
            marks::budgets(m, self.detail, self.axis);
        } else {
            marks::together(m, self.detail, self.axis);
        }
        self.restart(m);
        m.raw("</svg>");
        if self.density.each_probe {
            marks::each(m, self.detail, self.axis);
        }
        m.raw("</svg>");
        end_of_row(m, &[("", count(passed), format!("of {} passed", count(sent)))]);
    }

    /// A quantity as an area below its limit, the brim.
    fn level(&self, m: &mut Markup, title: &str, note: &str, level: &Level, class: &'static str) {
        let full = level.full() as f64;
        let y = |value: u64| 1.0 - BRIM * value as f64 / full;
        let (most, limit) = level.fullest();
        let of = limit.map(|limit| format!("of {limit}")).unwrap_or_default();
        label(m, title, note);
        panel(m, class, &format!("{title}: peak {most} {of}"));
        self.frame(m);
        let points = thin(&level.points, self.detail.end_ns, self.density.points);
        m.path("area", &self.steps(&points, y, true));
        m.path("limit", &self.steps(&level.limit, y, false));
        self.restart(m);
        m.raw("</svg>");
        end_of_row(m, &[("peak", most, of)]);
    }

    /// A counter by how much it grew.
    fn growth(&self, m: &mut Markup, growth: &Growth) {
        let each = coarser(&growth.each, self.density.bars);
        let most = each.iter().copied().max().unwrap_or(0).max(1) as f64;
        let names = growth.names.join(", ");
        let each_of = if growth.names.len() > 1 { "each" } else { "in all" };
        label(m, counter_title(&growth.names), &names);
        panel(m, "growth", &format!("{names}: grew by {} {each_of}", count(growth.total)));
        self.frame(m);
        let mut path = Path::default();
        path.go(0.0, 1.0);
        for (i, &n) in each.iter().enumerate() {
            // What grew at all is seen.
            let high = if n > 0 { 0.05 + 0.9 * n as f64 / most } else { 0.0 };
            path.down(1.0 - high).across((i + 1) as f64 / each.len() as f64);
        }
        path.down(1.0).close();
        m.path("bars", &path);
        self.restart(m);
        m.raw("</svg>");
        end_of_row(m, &[("", format!("+{}", count(growth.total)), each_of.to_owned())]);
    }

    /// The load as it grew.
    fn load(&self, m: &mut Markup) {
        let Some(last) = self.detail.load.last() else { return };
        let every = self.detail.load.len().div_ceil(self.density.points).max(1);
        let mut points: Vec<_> = self.detail.load.iter().step_by(every).collect();
        if points.last() != Some(&last) {
            points.push(last);
        }
        let full = points.iter().map(|p| p.attempted.max(p.held).max(p.pending)).max().unwrap_or(0).max(1) as f64;
        let y = |n: u64| 1.0 - BRIM * n as f64 / full;
        let line = |of: &dyn Fn(usize) -> u64, area: bool| {
            let mut path = Path::default();
            path.go(0.0, 1.0);
            let places: Vec<(f64, f64)> =
                points.iter().enumerate().map(|(i, point)| (self.axis.at(point.at_ns), y(of(i)))).collect();
            for (x, y) in straightened(&places, STRAIGHT) {
                path.line(x, y);
            }
            if area {
                path.across(BEYOND).down(1.0).close();
            }
            path
        };
        let of = |f: fn(&brimful_loadgen_plan::outcome::LoadPoint) -> u64| {
            let values: Vec<u64> = points.iter().map(|p| f(p)).collect();
            move |i: usize| values.get(i).copied().unwrap_or(0)
        };
        label(m, "load", "connections of the client");
        let beside = [
            ("", count(last.attempted), "attempted".to_owned()),
            ("", count(last.established), "established".to_owned()),
            if last.held == 0 && last.pending > 0 {
                ("", count(last.pending), "half-open".to_owned())
            } else {
                ("", count(last.held), "held at the end".to_owned())
            },
        ];
        let words: Vec<String> = beside.iter().map(|(_, n, what)| format!("{n} {what}")).collect();
        panel(m, "load", &format!("Load: {}", words.join(", ")));
        self.frame(m);
        let waiting = last.held == 0 && last.pending > 0;
        m.path("area", &line(&of(if waiting { |p| p.pending } else { |p| p.held }), true));
        m.path("established", &line(&of(|p| p.established), false));
        m.path("attempted", &line(&of(|p| p.attempted), false));
        self.restart(m);
        m.raw("</svg>");
        end_of_row(m, &beside);
    }

    /// Lines that all panels have in common: the labelled instants.
    fn frame(&self, m: &mut Markup) {
        let mut grid = Path::default();
        for tick in self.axis.ticks() {
            grid.go(self.axis.at(tick), 0.0).down(1.0);
        }
        m.path("grid", &grid);
    }

    /// The instants at which something was changed and the one that matters most, above everything else in a panel.
    fn restart(&self, m: &mut Markup) {
        if !self.detail.turned.is_empty() {
            let mut lines = Path::default();
            for (at_ns, _) in &self.detail.turned {
                lines.go(self.axis.at(*at_ns), 0.0).down(1.0);
            }
            m.path("changed", &lines);
        }
        if let Some(at) = self.detail.restart_ns {
            let mut line = Path::default();
            line.go(self.axis.at(at), 0.0).down(1.0);
            m.path("restart", &line);
        }
    }

    /// A step function up to the end of the axis, as a line or as the area below it.
    fn steps(&self, points: &[(u64, u64)], y: impl Fn(u64) -> f64, area: bool) -> Path {
        let mut path = Path::default();
        let Some(&(first_ns, first)) = points.first() else { return path };
        let from = self.axis.at(first_ns);
        if area {
            path.go(from, 1.0).down(y(first));
        } else {
            path.go(from, y(first));
        }
        for &(at, value) in points.iter().skip(1) {
            path.across(self.axis.at(at)).down(y(value));
        }
        // A little beyond the frame, so that its end is no edge.
        path.across(BEYOND);
        if area {
            path.down(1.0).close();
        }
        path
    }
}

/// What a counter, or several that count the same, tell.
fn counter_title(names: &[String]) -> &'static str {
    match names.first().map(String::as_str) {
        Some("sk_drops") if names.len() == 1 => "drops, listener",
        Some("ListenOverflows" | "ListenDrops" | "TCPReqQFullDrop") => "drops, namespace",
        Some("sk_drops") => "drops",
        Some("TCPReqQFullDoCookies" | "SyncookiesSent") => "cookies",
        Some("TCPSynRetrans") => "sent again",
        Some("OutRsts") => "resets sent",
        Some("OutNoRoutes") => "no route",
        Some("nf_conntrack.drop") => "conntrack drops",
        Some("TCPDeferAcceptDrop") => "deferred",
        Some(name) if name.starts_with("nftables.") => "packet filter",
        _ => "counter",
    }
}

fn label(m: &mut Markup, title: &str, note: &str) {
    m.raw("<div class=\"row\"><div class=\"lab\"><b>").text(title).raw("</b> <small>").text(note);
    m.raw("</small></div>");
}

fn panel(m: &mut Markup, class: &'static str, words: &str) {
    m.raw("<svg class=\"plot ").raw(class).raw("\" viewBox=\"0 0 1000 100\" preserveAspectRatio=\"none\" role=\"img\"");
    m.raw(" aria-label=\"").text(words).raw("\">");
}

/// The numbers beside a panel, each with a word before and words after it.
fn end_of_row(m: &mut Markup, beside: &[(&'static str, String, String)]) {
    m.raw("<div class=\"val\">");
    for (before, number, what) in beside {
        m.raw("<span>").raw(before).raw(" <b>").text(number).raw("</b> ").text(what).raw("</span> ");
    }
    m.raw("</div></div>\n");
}
