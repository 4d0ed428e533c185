//! The table of what each knob does to each metric. Pure.

use brimful_judge::knobs::KnobEffect;
use brimful_judge::report::Report;
use brimful_plan::gate::Metric;
use comfy_table::{CellAlignment, ContentArrangement, Table};

use super::super::rows::short_name;
use super::super::table::{STYLE, plain_width};
use super::Look;
use crate::page::Page;
use crate::style::{Style, painted, plain, styled};

/// What may be given up for width, in this order.
#[derive(Clone, Copy)]
struct Layout {
    /// Whether the range over pairs stands below the median.
    ranges: bool,
    /// Whether the median and the 90th percentile are shown beside the 99th.
    quantiles: bool,
}

const LAYOUTS: [Layout; 3] = [
    Layout { ranges: true, quantiles: true },
    Layout { ranges: false, quantiles: true },
    Layout { ranges: false, quantiles: false },
];

impl Page {
    /// One row a knob, one column a metric that at least one knob moves; nothing where none moves any.
    pub(super) fn effects(&mut self, report: &Report) {
        let metrics: Vec<Metric> = Metric::ALL
            .into_iter()
            .filter(|metric| report.knob_effects.iter().filter_map(|e| e.metrics.get(metric)).any(|m| m.moves()))
            .collect();
        if metrics.is_empty() {
            return;
        }
        self.gap();
        self.raw(&table(report, &metrics, self.look()));
        self.wrapped(
            "Over those pairs, from the smaller value to the larger: the median, and the range (pp: percentage points). ~ is no more than noise; ≤ and ≥ are \
             all that is known where one of two cells timed out.",
            2,
            2,
        );
    }
}

/// The roomiest layout that fits; where none does, words are broken.
fn table(report: &Report, metrics: &[Metric], look: Look) -> String {
    let fits = |text: &String| plain_width(text) <= usize::from(look.width);
    let mut all = LAYOUTS.into_iter().map(|layout| built(report, metrics, layout).trim_fmt());
    let text = all.find(fits).unwrap_or_else(|| {
        let mut table = built(report, metrics, Layout { ranges: false, quantiles: false });
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(look.width);
        table.trim_fmt()
    });
    if look.color { painted(&text) } else { plain(&text) }
}

fn built(report: &Report, metrics: &[Metric], layout: Layout) -> Table {
    let effects: Vec<&KnobEffect> = report.knob_effects.iter().filter(|e| e.pairs > 0).collect();
    let names: Vec<&str> = effects.iter().map(|e| e.knob.as_str()).collect();
    let shown = |metric: &Metric| layout.quantiles || !matches!(metric, Metric::P50 | Metric::P90);
    let metrics: Vec<Metric> = metrics.iter().copied().filter(shown).collect();
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Disabled);
    let header = std::iter::once("").chain(metrics.iter().map(|metric| label(*metric)));
    table.set_header(header.map(|text| styled(text, Style::Bold)));
    for effect in effects {
        let mut row = vec![format!("  {}\n  {}", short_name(&effect.knob, &names), values(effect))];
        row.extend(metrics.iter().map(|metric| match effect.metrics.get(metric) {
            None => String::new(),
            Some(m) => match m.range(*metric).filter(|_| layout.ranges) {
                Some(range) => format!("{}\n{range}", m.shown(*metric)),
                None => m.shown(*metric),
            },
        }));
        table.add_row(row);
    }
    for (i, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 1));
        column.set_cell_alignment(if i == 0 { CellAlignment::Left } else { CellAlignment::Right });
    }
    table
}

/// `1024 → 20000`; of more than three values the first and the last.
fn values(effect: &KnobEffect) -> String {
    let texts: Vec<String> = effect.values.iter().map(ToString::to_string).collect();
    match texts.as_slice() {
        [first, .., last] if texts.len() > 3 => format!("{first} … {last}"),
        few => few.join(" → "),
    }
}

const fn label(metric: Metric) -> &'static str {
    match metric {
        Metric::FailureRate => "failed",
        Metric::RestrictedMean => "mean",
        Metric::P50 => "p50",
        Metric::P90 => "p90",
        Metric::P99 => "p99",
        Metric::LoadRate => "opened/s",
        Metric::LoadHeld => "held",
    }
}
