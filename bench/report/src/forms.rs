//! The forms of a report for other programs and other readers, one small file each. Pure: a report goes in, text comes out.
//!
//! A form says what a report says and no more. A quantile that is known only from below is left out where a form has no way to
//! say so, and is never written as the time-out; a void cell gives no number about its target.

mod measure;

pub mod benchstat;
pub mod bmf;
pub mod github_action_benchmark;
pub mod hgrm;
pub mod hlog;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod openmetrics;

/// A report that cannot be put into a form. Nothing in a record leads here; it is a bug.
#[derive(Debug, thiserror::Error)]
pub enum FormError {
    /// As JUnit's XML.
    #[error("the report cannot be written as XML")]
    Junit(#[source] quick_junit::SerializeError),
    /// As an interval log.
    #[error("a histogram cannot be written as an interval log")]
    Histogram(#[source] Box<dyn std::error::Error + Send + Sync>),
}
