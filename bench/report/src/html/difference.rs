//! What made a difference, and what was predicted beside what was measured. Pure.

use brimful_judge::knobs::{Change, CureByKnobs, KnobEffect};
use brimful_judge::predicted::Foretold;
use brimful_judge::report::Report;
use brimful_judge::wording::{count, counted};
use brimful_plan::cell::KnobValue;

use super::super::told;
use super::markup::{Markup, Path};
use crate::html::wording::{knob_name, typed};

/// Pairs that are drawn one by one; more are a bar.
const MOST_PAIRS: u64 = 24;
/// Changes that are listed for a knob; the rest is in `report.json`.
const MOST_CHANGES: usize = 12;
/// Ways to a healthy cell that are shown.
const MOST_WAYS: usize = 4;

/// The smallest changes that cure, the one for most cells first.
pub(super) fn cures(report: &Report) -> Markup {
    let mut m = Markup::default();
    let sick = report.smallest_cures.len() as u64;
    if sick == 0 || report.cells.len() < 2 {
        return m;
    }
    let mut ways: Vec<Way<'_>> = Vec::new();
    for cure in report.smallest_cures.iter().flat_map(|c| &c.cures) {
        match ways.iter_mut().find(|way| way.is(cure)) {
            Some(way) => way.also(cure),
            None => ways.push(Way::of(cure)),
        }
    }
    ways.sort_by_key(|way| (std::cmp::Reverse(way.cells), way.size()));
    let all = ways.len();
    let mut smallest: Vec<Way<'_>> = Vec::new();
    for way in ways {
        if !smallest.iter().any(|less| way.is_more_of(less)) {
            smallest.push(way);
        }
    }
    let shown = smallest.len().min(MOST_WAYS);
    m.raw("<div class=\"cures\"><h2>Smallest change that cures</h2>");
    if smallest.is_empty() {
        m.raw("<p>None in this run: no other cell is healthy.</p></div>\n");
        return m;
    }
    m.raw("<ul>");
    for way in smallest.iter().take(MOST_WAYS) {
        m.raw("<li>");
        way.draw(&mut m);
        m.raw(" <small>cures ").text(&format!("{} of {}", count(way.cells), counted(sick, "cell")));
        m.raw("</small></li>");
    }
    m.raw("</ul>");
    if all > shown {
        m.raw("<p><small>").text(&format!("and {}, in report.json", counted((all - shown) as u64, "other way")));
        m.raw("</small></p>");
    }
    let hopeless = report.smallest_cures.iter().filter(|c| c.cures.is_empty()).count() as u64;
    if hopeless > 0 {
        m.raw("<p><small>none for ").text(&counted(hopeless, "cell")).raw("</small></p>");
    }
    m.raw("</div>\n");
    m
}

/// A knob, the values it was turned from, and the one it is turned to.
type Turned<'a> = (&'a str, Vec<&'a KnobValue>, &'a KnobValue);

/// The same knobs turned to the same values, from whatever they were.
struct Way<'a> {
    turned: Vec<Turned<'a>>,
    /// Cells that it cures.
    cells: u64,
}

impl<'a> Way<'a> {
    fn of(cure: &'a CureByKnobs) -> Self {
        let turned = cure.changes.iter().map(|c| (c.knob.as_str(), vec![&c.from], &c.to));
        Self { turned: turned.collect(), cells: 1 }
    }

    fn is(&self, cure: &CureByKnobs) -> bool {
        let to = self.turned.iter().map(|&(knob, _, to)| (knob, to));
        to.eq(cure.changes.iter().map(|c| (c.knob.as_str(), &c.to)))
    }

    fn also(&mut self, cure: &'a CureByKnobs) {
        self.cells += 1;
        for ((_, from, _), change) in self.turned.iter_mut().zip(&cure.changes) {
            if !from.contains(&&change.from) {
                from.push(&change.from);
            }
        }
    }

    /// Whether it only turns the same knobs further, for no more cells.
    fn is_more_of(&self, less: &Self) -> bool {
        let further = |(a, b): (&Turned<'_>, &Turned<'_>)| {
            let (Some((up, far)), Some((also_up, less_far))) = (distance(a), distance(b)) else { return false };
            a.0 == b.0 && up == also_up && far >= less_far
        };
        let alike = self.turned.len() == less.turned.len() && self.cells <= less.cells;
        alike && self.turned.iter().zip(&less.turned).all(further)
    }

    /// Of ways that cure as many, the one that turns fewer knobs, and those less far, comes first.
    fn size(&self) -> (usize, u64) {
        let far = self.turned.iter().filter_map(distance).map(|(_, far)| far);
        (self.turned.len(), far.fold(0, u64::saturating_add))
    }

    fn draw(&self, m: &mut Markup) {
        for (i, (knob, from, to)) in self.turned.iter().enumerate() {
            m.raw(if i == 0 { "" } else { " <span class=\"and\">and</span> " });
            knob_name(m, knob);
            let from: Vec<String> = from.iter().map(|value| typed(value)).collect();
            m.raw(" <b>").text(&from.join(", ")).raw(" <span class=\"to\">→</span> ").text(&typed(to)).raw("</b>");
        }
    }
}

/// Whether a number was raised or lowered, and how far at least; none for what is no number or went both ways.
fn distance((_, from, to): &Turned<'_>) -> Option<(bool, u64)> {
    let number = |value: &KnobValue| if let KnobValue::Number(n) = value { Some(*n) } else { None };
    let to = number(to)?;
    let from: Vec<u64> = from.iter().map(|value| number(value)).collect::<Option<_>>()?;
    let up = from.iter().all(|&n| n < to);
    (up || from.iter().all(|&n| n > to)).then(|| (up, from.iter().map(|n| n.abs_diff(to)).min().unwrap_or(0)))
}

/// What each knob made of the run.
pub(super) fn effects(report: &Report, number_of: &dyn Fn(&str) -> Option<usize>) -> Markup {
    let mut m = Markup::default();
    let mut effects: Vec<&KnobEffect> = report.knob_effects.iter().filter(|e| e.pairs + e.given_alike > 0).collect();
    if effects.is_empty() {
        return m;
    }
    effects.sort_by_key(|e| std::cmp::Reverse(e.changed.saturating_mul(1_000).checked_div(e.pairs).unwrap_or(0)));
    m.raw("<section id=\"difference\"><h2>What made a difference</h2>\n<p class=\"how\">For each knob, every pair of cells ");
    m.raw(
        "that differ in nothing else: a full box where outcome or cause changed with it.</p>\n<div class=\"effects\">",
    );
    let told = told::differences(report);
    for effect in effects {
        m.raw("<div class=\"effect\"><h3>");
        knob_name(&mut m, &effect.knob);
        m.raw("</h3>").add(&pairs(effect)).raw("<p>");
        let words =
            told.iter().find(|(knob, _)| *knob == effect.knob).map_or(String::new(), |(_, words)| words.clone());
        m.text(&words).raw("</p>");
        changes(&mut m, effect, number_of);
        m.raw("</div>\n");
    }
    m.raw("</div></section>\n");
    m
}

fn pairs(effect: &KnobEffect) -> Markup {
    let mut m = Markup::default();
    let share = |n: u64| n as f64 / effect.pairs.max(1) as f64;
    m.raw("<svg class=\"pairs\" viewBox=\"0 0 1000 100\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"");
    m.text(&format!("{} of {} changed", effect.changed, counted(effect.pairs, "pair"))).raw("\">");
    let (mut yes, mut no) = (Path::default(), Path::default());
    if effect.pairs <= MOST_PAIRS {
        // Boxes of one size in all rows, so that few pairs look like few.
        let wide = 1.0 / MOST_PAIRS as f64;
        for i in 0..effect.pairs {
            let from = i as f64 * wide;
            let path = if i < effect.changed { &mut yes } else { &mut no };
            path.go(from + 0.002, 0.08).across(from + wide * 0.78).down(0.92).across(from + 0.002).close();
        }
    } else {
        yes.go(0.0, 0.08).across(share(effect.changed)).down(0.92).across(0.0).close();
        no.go(share(effect.changed), 0.08).across(1.0).down(0.92).across(share(effect.changed)).close();
    }
    m.path("yes", &yes).path("no", &no).raw("</svg>");
    m
}

fn changes(m: &mut Markup, effect: &KnobEffect, number_of: &dyn Fn(&str) -> Option<usize>) {
    if effect.changes.is_empty() {
        return;
    }
    m.raw("<details><summary>").text(&counted(effect.changes.len() as u64, "pair")).raw(" that changed</summary>");
    m.raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Pairs that changed\">");
    m.raw("<table><caption>Pairs of cells that differ in this knob alone</caption>");
    m.raw("<thead><tr><th>from</th><th>became</th><th>to</th><th>became</th></tr></thead><tbody>");
    for change in effect.changes.iter().take(MOST_CHANGES) {
        let Change { from, to, from_value, to_value, before, after } = change;
        m.raw("<tr><td>");
        link(m, &typed(from_value), number_of(from));
        m.raw("</td><td>").name(before).raw("</td><td>");
        link(m, &typed(to_value), number_of(to));
        m.raw("</td><td>").name(after).raw("</td></tr>");
    }
    m.raw("</tbody></table></div>");
    if effect.changes.len() > MOST_CHANGES {
        m.raw("<p><small>and ").text(&count((effect.changes.len() - MOST_CHANGES) as u64));
        m.raw(" more, in report.json</small></p>");
    }
    m.raw("</details>");
}

fn link(m: &mut Markup, text: &str, cell: Option<usize>) {
    match cell {
        Some(i) => m.raw("<a href=\"#cell-").number(i as u64).raw("\">").text(text).raw("</a>"),
        None => m.text(text),
    };
}

/// What was turned while cells ran, and what the kubelet's restarts came to.
pub(super) fn in_time(report: &Report) -> Markup {
    let mut m = Markup::default();
    list(&mut m, "What was changed while it ran", &told::changes(report));
    let restarts = told::restarts(report);
    if !restarts.is_empty() {
        m.raw("<section><h2>Restarts by the kubelet</h2>\n<p class=\"how\">= well, x failing, - not asked yet, . not there</p>\n");
        for (cell, lines) in restarts {
            m.raw("<p><b>").text(&cell).raw("</b></p>\n<pre>").text(&lines.join("\n")).raw("</pre>\n");
        }
        m.raw("</section>\n");
    }
    list(&mut m, "What breaks the loop", &told::breakers(report));
    m
}

fn list(m: &mut Markup, heading: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    m.raw("<section><h2>").text(heading).raw("</h2>\n<ul>\n");
    for line in lines {
        m.raw("<li>").text(line).raw("</li>\n");
    }
    m.raw("</ul></section>\n");
}

/// What was predicted before the run and where it was met, once for cells that say the same.
pub(super) fn predictions(report: &Report) -> Markup {
    let mut m = Markup::default();
    let mut lines: Vec<(&Foretold, u64)> = Vec::new();
    for foretold in report.cells.iter().filter_map(|cell| cell.prediction.as_ref()) {
        match lines.iter_mut().find(|(line, _)| *line == foretold) {
            Some((_, cells)) => *cells += 1,
            None => lines.push((foretold, 1)),
        }
    }
    if lines.is_empty() {
        return m;
    }
    let asked = report.cells.iter().map(|c| c.load.requested).max().unwrap_or(0);
    let most = lines.iter().map(|(f, _)| f.predicted.at_connections.max(f.met_between.map_or(0, |b| b.1)));
    let end = most.max().unwrap_or(0).max(asked).max(1);
    m.raw("<section id=\"predicted\"><h2>Predicted, and measured</h2>\n<p class=\"how\">Computed from the knobs before the run: ");
    m.raw("the connection that meets the first limit (<b class=\"diamond\"></b>). Measured: between which two readings it was met ");
    m.raw("(<b class=\"span\"></b>). The line is the load, from none to ")
        .text(&counted(end, "connection"))
        .raw(".</p>\n");
    for (foretold, cells) in lines {
        m.raw("<div class=\"foretold\">").add(&ruler(foretold, end)).raw("<p>");
        m.raw(match foretold.agrees {
            Some(true) => "<b class=\"agrees\">As predicted.</b> ",
            Some(false) => "<b class=\"differs\">Not as predicted.</b> ",
            None => "<b>Not told.</b> ",
        });
        m.text(&foretold.words()).text(&format!(", in {}", counted(cells, "cell"))).raw("</p></div>\n");
    }
    m.raw("</section>\n");
    m
}

fn ruler(foretold: &Foretold, end: u64) -> Markup {
    let mut m = Markup::default();
    let at = |n: u64| n as f64 / end as f64;
    m.raw("<svg class=\"ruler\" role=\"img\" aria-label=\"").text(&foretold.words()).raw("\">");
    m.raw("<line class=\"base\" x1=\"0\" x2=\"100%\" y1=\"50%\" y2=\"50%\"/>");
    if let Some((from, to)) = foretold.met_between {
        let from = at(from);
        m.raw("<rect class=\"met\" y=\"25%\" height=\"50%\" x=\"").percent(from).raw("\" width=\"");
        m.percent((at(to) - from).max(0.004)).raw("\"/>");
    }
    m.raw("<use href=\"#k-diamond\" y=\"50%\" x=\"").percent(at(foretold.predicted.at_connections)).raw("\"/></svg>");
    m
}
