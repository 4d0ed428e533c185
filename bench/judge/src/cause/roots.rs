//! What makes a full or slow accept queue a symptom, beside descriptors. Pure.

use super::super::view::View;
use super::app_connection_cap::{self, Sign};
use super::{ProofLine, acceptor_throttled, file_max, reuseport_skew};
use crate::wording::count;

/// The line that calls the queue a symptom of a cause that comes before it in the table; `None` where none is shown.
pub(super) fn of_the_queue(view: &View<'_>) -> Option<ProofLine> {
    let starved = view.failed.iter().filter(|s| file_max::explains(view, s)).count();
    if view.explains_most(starved) {
        return Some(ProofLine::new(
            "host.fs.file-nr.allocated",
            view.host("fs.file-nr.allocated").map_or_else(|| "ENFILE".to_owned(), |s| count(s.max)),
            "accepting stood still because the whole host was out of descriptors: a symptom",
        ));
    }
    if reuseport_skew::is_the_root(view) {
        return Some(ProofLine::new(
            view.queue.as_ref().map_or_else(|| "listener".to_owned(), |q| format!("listener.{}.recv_q", q.name)),
            view.queue.as_ref().map_or_else(String::new, |q| q.fullest()),
            "one socket of several on the port stands still while another is drained: a symptom",
        ));
    }
    if acceptor_throttled::is_the_root(view) {
        return Some(ProofLine::new(
            "target",
            "short of processor time",
            "what waits in the queue waits for a processor: a symptom",
        ));
    }
    None
}

/// Whether the program's own cap on connections explains what waits, and how surely.
pub(super) fn cap(view: &View<'_>) -> Option<Sign> {
    app_connection_cap::sign(view).map(|(_, sign)| sign)
}
