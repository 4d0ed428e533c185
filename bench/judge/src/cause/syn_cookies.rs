//! The SYN queue is full and connections are served by cookies: not a fault, and never the cause of a failed probe. Pure.
//!
//! A cookie answers the SYN that finds the queue full (`tcp_conn_request`); what happens to it then is the accept queue's business.

use super::super::view::View;
use super::{Finding, ProofLine};
use crate::wording::count;

pub(super) fn look(view: &View<'_>) -> Finding {
    let line = match sent(view) {
        Some(n) => ProofLine::new(
            "server.TcpExt.SyncookiesSent",
            format!("+{}", count(n)),
            if n > 0 { "a cookie answers a SYN, it drops none" } else { "no cookie was sent" },
        ),
        None => ProofLine::new("server.TcpExt.SyncookiesSent", "not read", "a cookie answers a SYN, it drops none"),
    };
    Finding::Excluded(line)
}

/// Cookies sent because the SYN queue was full, or always; `None` where neither counter was read.
pub(crate) fn sent(view: &View<'_>) -> Option<u64> {
    let (sent, full) = (view.grew("TcpExt.SyncookiesSent"), view.grew("TcpExt.TCPReqQFullDoCookies"));
    sent.or(full).map(|n| n.max(full.unwrap_or(0)))
}
