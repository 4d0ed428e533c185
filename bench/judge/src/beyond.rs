//! Failed probes that no row of the cause table explains: what is left, and what to collect. Pure.
//!
//! Nothing is named here. What is left is told by where the probe stopped: before it was connected, the loss lies outside the
//! listener's queues; after it, in the program.

use brimful_evidence::series::Series;
use brimful_loadgen_plan::probe::Outcome;
use brimful_plan::expect::CauseName;

use super::spans::known;
use super::syn_sent;
use super::verdict::Undecided;
use super::view::View;
use crate::wording::count;

/// What an undetermined verdict leaves open, by the commonest end of the failed probes.
pub(crate) fn left_open(view: &View<'_>) -> Option<Undecided> {
    let kind = commonest(view)?;
    let (why, collect): (String, &[&str]) = match kind {
        Outcome::ConnectTimeout => (
            before_the_socket(view),
            &[
                "`ss -nt state syn-sent`: several listeners at once mean something shared, not one queue",
                "`drop` in /proc/net/stat/nf_conntrack, in the client's and in the server's namespace",
                "column 2 of /proc/net/softnet_stat, and `table_fulls` in /proc/net/stat/arp_cache",
                "packet filters and security agents on the path, switched off and on again",
            ],
        ),
        Outcome::ResponseTimeout => (
            "connected, and taken from the queue as far as is known, but not answered in time: the program itself"
                .into(),
            &[
                "what the server does between accept and answer: stacks, locks, a blocked event loop",
                "its processor time and run-queue wait, and nr_throttled in cpu.stat",
                "the same cell with a longer probe time-out",
            ],
        ),
        Outcome::Reset => (
            "connected, then reset or closed before the answer: the program closed it, or something between".into(),
            &["the server's own log at that instant", "`Tcp.OutRsts`, `TcpExt.TCPAbortOn*`, `tcp_abort_on_overflow`"],
        ),
        Outcome::BadStatus => (
            "answered, but not with a status from 200 to 399: the program's own word".into(),
            &["the body of the answer, and the server's log"],
        ),
        Outcome::Refused => (
            "refused, and what was read does not say by whom".into(),
            &["`ss -lnt` in the server's namespace while it happens", "a capture that shows who sends the reset"],
        ),
        Outcome::Ok | Outcome::LocalError => return None,
    };
    Some(Undecided { cause: CauseName::Undetermined, why, collect: collect.iter().map(|&s| s.to_owned()).collect() })
}

/// Where packets vanish before a socket sees them, and the counter that says so (`facts`: rows 8, 10, 13 and 14 of the diagnosis table).
const BEFORE_THE_SOCKET: [(&str, &str); 4] = [
    ("nf_conntrack.drop", "the connection-tracking table dropped"),
    ("arp_cache.table_fulls", "the neighbour table was full"),
    ("softnet.dropped", "a per-CPU backlog of this host dropped"),
    ("Ip.OutNoRoutes", "no route led back for"),
];

fn before_the_socket(view: &View<'_>) -> String {
    let evidence = &view.record.evidence;
    let sides = [Some(&evidence.server), evidence.client.as_ref()];
    let tables = sides.into_iter().flatten().map(|side| &side.counters).chain([&evidence.host]);
    let mut seen = Vec::new();
    for table in tables {
        for (name, words) in BEFORE_THE_SOCKET {
            let grew = table.get(name).and_then(known).map_or(0, Series::delta);
            if grew > 0 {
                seen.push(format!("{words} {} times ({name})", count(grew)));
            }
        }
    }
    if let (Some(received), Some(delivered)) = (view.grew("Ip.InReceives"), view.grew("Ip.InDelivers"))
        && received.saturating_sub(delivered) >= view.failed.len() as u64
    {
        seen.push(format!(
            "{} packets reached the server's namespace and were not delivered (Ip.InReceives less Ip.InDelivers)",
            count(received - delivered)
        ));
    }
    let text = "the handshake was not completed: the SYN or its answer was lost before the socket (conntrack, a packet filter, a per-CPU backlog, the neighbour table)";
    let text = match syn_sent::several(view) {
        Some(ports) => format!(
            "{text}; SYNs went unanswered at several listeners at once ({ports}), so look for what they share, not for one listener's queue"
        ),
        None => text.to_owned(),
    };
    if seen.is_empty() { text } else { format!("{text}; a hint: {}", seen.join("; ")) }
}

fn commonest(view: &View<'_>) -> Option<Outcome> {
    let times = |outcome: Outcome| view.failed.iter().filter(|s| s.outcome == outcome).count();
    view.failed.iter().map(|s| s.outcome).max_by_key(|&outcome| times(outcome))
}
