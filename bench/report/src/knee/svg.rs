//! The picture of the knees: one file without anything outside it, for light and dark pages, with a title and a description that
//! say the same in words. Pure.

use brimful_judge::knee::{CellKnee, KneeReport, Unit};

use super::notes;
use super::strip::{Bar, axis_end, bar, by_unit, noun, number};

/// The whole width, in pixels of its own.
const WIDTH: f64 = 800.0;
/// The left edge of the axes.
const LEFT: f64 = 300.0;
/// The right edge; what is beyond it is for the numbers at the ends of bars.
const RIGHT: f64 = 690.0;
/// From row to row.
const ROW: f64 = 30.0;
const BAR: f64 = 14.0;
/// Above the first row.
const HEAD: f64 = 46.0;
/// Below the last row of a unit: the axis and its numbers.
const AXIS: f64 = 44.0;
/// The legend.
const FOOT: f64 = 30.0;
/// Room for the number at the end of a bar.
const NUMBER: f64 = 80.0;
/// The longest name beside a bar, in characters, at seven pixels each.
const LONGEST_NAME: usize = 40;
/// Steps of an axis, at least; at most twice as many and a half.
const STEPS: f64 = 4.0;

/// Colours of both kinds of page; text and bars keep a contrast of 4.5 against either.
const STYLE: &str = "\
svg{font:13px system-ui,sans-serif}.page{fill:#fff}.ink{fill:#1f2328}.faint{fill:#59636e}.rule{stroke:#d1d9e0}\
.good{fill:#0969da}.open{fill:#0969da;fill-opacity:.3}.mark{stroke:#bc4c00;stroke-width:2}.tip{fill:#0969da}\
@media(prefers-color-scheme:dark){.page{fill:#0d1117}.ink{fill:#f0f6fc}.faint{fill:#9198a1}.rule{stroke:#3d444d}\
.good{fill:#4493f8}.open{fill:#4493f8;fill-opacity:.35}.mark{stroke:#f0883e}.tip{fill:#4493f8}}";

/// The picture.
#[must_use]
pub fn render(report: &KneeReport) -> String {
    let groups = by_unit(report);
    let rows = groups.iter().map(|(_, cells)| cells.len()).sum::<usize>() as f64;
    let height = HEAD + rows * ROW + groups.len() as f64 * AXIS + FOOT;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"knee-title knee-words\">\n\
         <title id=\"knee-title\">Knees: {}</title>\n<desc id=\"knee-words\">{}</desc>\n<style>{STYLE}</style>\n\
         <rect class=\"page\" width=\"{WIDTH}\" height=\"{height}\"/>\n\
         <text class=\"ink\" x=\"16\" y=\"26\" font-weight=\"600\">The largest load at which no probe fails</text>\n",
        escaped(&report.scenario.question),
        escaped(&in_words(report)),
    );
    let mut y = HEAD;
    for (unit, cells) in &groups {
        let end = axis_end(cells);
        let bottom = y + cells.len() as f64 * ROW;
        axis(&mut out, *unit, end, y, bottom);
        for cell in cells {
            row(&mut out, cell, bar(cell, end), y);
            y += ROW;
        }
        y += AXIS;
    }
    legend(&mut out, y + 12.0);
    out.push_str("</svg>\n");
    out
}

/// What is drawn, for who does not see it.
fn in_words(report: &KneeReport) -> String {
    let rows = report.cells.iter().map(|cell| format!("{}: {}", cell.id, notes::sentence(cell)));
    rows.collect::<Vec<_>>().join(" ")
}

fn x(share: f64) -> f64 {
    LEFT + share * (RIGHT - LEFT)
}

fn axis(out: &mut String, unit: Unit, end: f64, top: f64, bottom: f64) {
    let step = match unit {
        Unit::Connections => nice_step(end).max(1.0),
        Unit::PerSecond => nice_step(end),
    };
    let mut at = 0.0;
    while at <= end {
        let x = x(at / end);
        out.push_str(&format!(
            "<line class=\"rule\" x1=\"{x:.1}\" y1=\"{top}\" x2=\"{x:.1}\" y2=\"{bottom}\"/>\
             <text class=\"faint\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n",
            bottom + 16.0,
            number(unit, at)
        ));
        at += step;
    }
    out.push_str(&format!(
        "<text class=\"faint\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n",
        x(0.5),
        bottom + 33.0,
        noun(unit)
    ));
}

/// 1, 2 or 5 times a power of ten, so that there are four steps or more.
fn nice_step(end: f64) -> f64 {
    let power = 10_f64.powf((end / STEPS).log10().floor());
    [5.0, 2.0].into_iter().map(|factor| factor * power).find(|step| end / step >= STEPS).unwrap_or(power)
}

fn row(out: &mut String, cell: &CellKnee, bar: Bar, y: f64) {
    let (middle, top) = (y + ROW / 2.0, y + (ROW - BAR) / 2.0);
    let long = cell.id.chars().count() > LONGEST_NAME;
    let mut name: String = cell.id.chars().take(if long { LONGEST_NAME - 1 } else { LONGEST_NAME }).collect();
    if long {
        name.push('…');
    }
    let (healthy, open) = (x(bar.healthy), x(bar.open));
    out.push_str(&format!(
        "<g><title>{}</title><text class=\"ink\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
        escaped(&notes::sentence(cell)),
        LEFT - 10.0,
        middle + 4.5,
        escaped(&name)
    ));
    out.push_str(&format!(
        "<rect class=\"good\" x=\"{LEFT}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{BAR}\"/>\
         <rect class=\"open\" x=\"{healthy:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{BAR}\"/>",
        healthy - LEFT,
        open - healthy
    ));
    if let Some(share) = bar.foretold {
        let at = x(share);
        out.push_str(&format!(
            "<line class=\"mark\" x1=\"{at:.1}\" y1=\"{:.1}\" x2=\"{at:.1}\" y2=\"{:.1}\"/>",
            top - 4.0,
            top + BAR + 4.0
        ));
    }
    let mut end = open;
    if bar.endless && cell.knee.healthy_to.is_some() {
        out.push_str(&arrow(open + 3.0, middle));
        end += 12.0;
    }
    // Beyond a mark that would cross the number, but beside the bar where the mark is far away.
    let crossed = bar.foretold.map(x).filter(|mark| (end..end + NUMBER).contains(mark));
    let end = crossed.unwrap_or(end) + 8.0;
    out.push_str(&format!(
        "<text class=\"ink\" x=\"{end:.1}\" y=\"{:.1}\">{}</text></g>\n",
        middle + 4.5,
        escaped(&notes::knee(cell))
    ));
}

fn arrow(x: f64, middle: f64) -> String {
    let (tip, top, bottom) = (x + 9.0, middle - 5.0, middle + 5.0);
    format!("<path class=\"tip\" d=\"M{x:.1} {top:.1} L{tip:.1} {middle:.1} L{x:.1} {bottom:.1} Z\"/>")
}

fn legend(out: &mut String, y: f64) {
    let text = |x: f64, words: &str| format!("<text class=\"faint\" x=\"{x}\" y=\"{y:.1}\">{words}</text>");
    let rect = |x: f64, class: &str| {
        format!("<rect class=\"{class}\" x=\"{x}\" y=\"{:.1}\" width=\"18\" height=\"10\"/>", y - 9.0)
    };
    out.push_str(&format!(
        "{}{}{}{}<line class=\"mark\" x1=\"492\" y1=\"{:.1}\" x2=\"492\" y2=\"{:.1}\"/>{}{}{}\n",
        rect(16.0, "good"),
        text(40.0, "healthy"),
        rect(110.0, "open"),
        text(134.0, "from the last healthy try to the first unhealthy"),
        y - 12.0,
        y + 3.0,
        text(500.0, "foretold"),
        arrow(580.0, y - 4.0),
        text(597.0, "no end was found")
    ));
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::nice_step;

    #[test]
    fn an_axis_has_four_steps_or_more_and_not_too_many() {
        for (end, step) in
            [(1_016.0, 200.0), (24_000.0, 5_000.0), (5.0, 1.0), (400.0, 100.0), (1.0, 0.2), (7_999.0, 1_000.0)]
        {
            assert!((nice_step(end) - step).abs() < 1e-9, "{end}: {}", nice_step(end));
        }
    }
}
