//! The report as one page: no network, no script, no font of its own. Pure.
//!
//! `detail` reduces each record to what is drawn of it, `page` says what comes in which order, and every other file draws one
//! part. Text from a record reaches the page through `markup`, which escapes it; there is no other way.

mod again;
mod axis;
mod cell;
mod detail;
mod difference;
mod evidence;
mod figure;
mod grid;
mod heatmap;
mod ladder;
mod latency;
mod marks;
mod markup;
mod page;
mod setup;
mod thin;
mod wording;

pub use detail::Detail;

use brimful_evidence::record::Record;
use brimful_judge::report::Report;

/// The whole page, with what can be drawn of the records.
#[must_use]
pub fn from_records(report: &Report, records: &[Record]) -> String {
    let details: Vec<Detail> = records.iter().map(Detail::of).collect();
    render(report, &details)
}

/// The whole page. Details are matched to cells by id and block; a cell without one shows what the report alone knows.
#[must_use]
pub fn render(report: &Report, details: &[Detail]) -> String {
    page::page(report, details)
}
