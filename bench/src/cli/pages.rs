//! The pages of a report, for those who would rather look than read.

use crate::evidence::record::Record;
use crate::judge::report::Report;
use crate::judge::report::html::{self, Detail};

/// `report.html`: a report with what can be drawn of its records.
pub(super) fn html(report: &Report, records: &[Record]) -> String {
    let details: Vec<Detail> = records.iter().map(Detail::of).collect();
    html::render(report, &details)
}
