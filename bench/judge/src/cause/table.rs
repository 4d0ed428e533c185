//! The rows, in the order of precedence. Pure.
//!
//! 1. The generator: an experiment that did not work says nothing. Then what the client lacked itself, so that nothing was sent.
//! 2. Descriptors, the wider limit before the narrower and the leak before the limit that it meets: an acceptor without descriptors leaves a full
//!    queue and a standstill behind. Then a missing listener.
//! 3. What the path loses. Each row counts only probes whose own listener had room and dropped nothing, or that share their fate with other
//!    listeners; so it comes before the queues without ever taking a probe from a full one. What has a counter of its own comes before what is inferred.
//! 4. Why accepting is slow, the limit that can be read before the program's own that cannot, before the standstill it leads to, and the standstill before the too small queue: a larger queue before
//!    an acceptor that stands still only lets clients wait longer.
//! 5. The SYN queue, what fills it before the queue itself.
//! 6. What happens after a connection was accepted, last because everything before it must be excluded first.

use brimful_plan::expect::CauseName;

use super::super::cure;
use super::{
    Row, accept_queue, acceptor_stalled, acceptor_throttled, app_connection_cap, conntrack_full, defer_accept, fd_leak,
    fd_limit, file_max, generator_bound, inotify_limit, local_ports, neighbour_table, no_listener, no_route_back,
    packet_filter, prober_fd_limit, return_path, reuseport_skew, slow_answer, softirq_backlog, syn_cookies, syn_queue,
    tcp_mem, three_quarter_rule,
};

/// Every cause brimful can name, in the order of precedence.
pub static TABLE: [Row; 25] = [
    Row {
        name: CauseName::GeneratorBound,
        words: "the generator did not keep its plan, so the cell says nothing about the target",
        shown_by: "late, failed or missing connections or probes on the generator's own side",
        excluded_by: "every connection attempted on time, no local error",
        look: generator_bound::look,
        cure: cure::generator::cure,
    },
    Row {
        name: CauseName::ProberFdLimit,
        words: "the prober itself is out of descriptors, and never asks the target",
        shown_by: "most failed probes could not make a socket (EMFILE)",
        excluded_by: "the prober made its sockets",
        look: prober_fd_limit::look,
        cure: cure::node::prober,
    },
    Row {
        name: CauseName::LocalPorts,
        words: "the client has no source port left, and nothing is sent",
        shown_by: "most failed probes found no source port (EADDRNOTAVAIL)",
        excluded_by: "the prober found its source ports",
        look: local_ports::look,
        cure: cure::node::ports,
    },
    Row {
        name: CauseName::FileMax,
        words: "the whole host is out of descriptors",
        shown_by: "as many files open as fs.file-max allows, and room in the process, while probes wait to be accepted",
        excluded_by: "files to spare on the host",
        look: file_max::look,
        cure: cure::node::files,
    },
    Row {
        name: CauseName::FdLeak,
        words: "the target is out of descriptors because it keeps connections that nobody holds any more",
        shown_by: "descriptors at the limit, most of them in CLOSE_WAIT, or the second half of them come without more connections held",
        excluded_by: "descriptors below the limit, or connections that are held",
        look: fd_leak::look,
        cure: cure::program::leak,
    },
    Row {
        name: CauseName::FdLimit,
        words: "the target is out of descriptors",
        shown_by: "open descriptors at the soft limit while probes fail: they wait in the accept queue, or the full queue drops them",
        excluded_by: "descriptors below the limit at every reading while probes fail",
        look: fd_limit::look,
        cure: cure::nofile::cure,
    },
    Row {
        name: CauseName::NoListener,
        words: "nothing listens where the probe connects",
        shown_by: "probes refused, and resets sent by the server's namespace",
        excluded_by: "no probe was refused",
        look: no_listener::look,
        cure: cure::listener::cure,
    },
    Row {
        name: CauseName::ConntrackFull,
        words: "the connection-tracking table is full, and drops what would need an entry",
        shown_by: "`drop` of nf_conntrack grew when failed probes began, and their listener dropped nothing",
        excluded_by: "`drop` did not grow, or the listener itself dropped the SYNs",
        look: conntrack_full::look,
        cure: cure::node::conntrack,
    },
    Row {
        name: CauseName::PacketFilterDrop,
        words: "a packet filter drops what should reach the listener",
        shown_by: "a rule that counts was met when failed probes began, and the same namespace lost packets between network and sockets",
        excluded_by: "no rule was met, or the listener itself dropped the SYNs",
        look: packet_filter::look,
        cure: cure::node::filter,
    },
    Row {
        name: CauseName::NoRouteBack,
        words: "the server has no route to the client, so it drops the SYN that it cannot answer",
        shown_by: "Ip.OutNoRoutes grew when failed probes began, with drops of the listener that no full queue explains",
        excluded_by: "every answer found a route",
        look: no_route_back::look,
        cure: cure::node::route,
    },
    Row {
        name: CauseName::SoftirqBacklog,
        words: "a processor's receive backlog is full, and packets are dropped before IP sees them",
        shown_by: "column 2 of softnet_stat and a device's rx_dropped grew when failed probes began",
        excluded_by: "neither grew",
        look: softirq_backlog::look,
        cure: cure::node::softirq,
    },
    Row {
        name: CauseName::NeighbourTable,
        words: "the host's neighbour table is full, and packets to new neighbours are dropped",
        shown_by: "`table_fulls` grew when failed probes began",
        excluded_by: "`table_fulls` did not grow, or the path is loopback",
        look: neighbour_table::look,
        cure: cure::node::neighbours,
    },
    Row {
        name: CauseName::ReturnPathLoss,
        words: "the server's answers are lost on the way back",
        shown_by: "SYNs that wait half-open at the server, as many as wait unanswered at the client, and answers sent again",
        excluded_by: "no SYN of the failed probes was half-open at the server",
        look: return_path::look,
        cure: cure::node::return_path,
    },
    Row {
        name: CauseName::ReuseportSkew,
        words: "one of several sockets on the same port is not accepted from",
        shown_by: "one socket of the group stood still for as long as failed probes waited, while another was drained",
        excluded_by: "one socket only, or none that stood still by itself",
        look: reuseport_skew::look,
        cure: cure::program::skew,
    },
    Row {
        name: CauseName::AcceptorThrottled,
        words: "the acceptor gets too little processor time",
        shown_by: "throttled in most periods, or waiting for a processor most of the time, while probes wait for it",
        excluded_by: "processor time while probes failed",
        look: acceptor_throttled::look,
        cure: cure::program::processor,
    },
    Row {
        name: CauseName::InotifyLimit,
        words: "the target's user is out of inotify instances, though the process has descriptors left",
        shown_by: "as many inotify instances as fs.inotify.max_user_instances allows while probes are turned away or wait",
        excluded_by: "inotify instances to spare, or probes that were neither turned away nor left to wait",
        look: inotify_limit::look,
        cure: cure::node::inotify,
    },
    Row {
        name: CauseName::AppConnectionCap,
        words: "the program allows no more connections, though it has descriptors left",
        shown_by: "descriptors that rise to a number and stay there, far below the limit, while connections wait or are turned away",
        excluded_by: "descriptors that go on changing, or are at their limit",
        look: app_connection_cap::look,
        cure: cure::program::cap,
    },
    Row {
        name: CauseName::AcceptorStalled,
        words: "the acceptor takes too little from its queue, though it has descriptors",
        shown_by: "the queue backed up for longer than the probe waits, and less taken from it than came",
        excluded_by: "an accept queue drained within the probe's time-out, or no descriptors to accept with",
        look: acceptor_stalled::look,
        cure: cure::acceptor::cure,
    },
    Row {
        name: CauseName::AcceptQueue,
        words: "the accept queue is too small for the bursts it meets",
        shown_by: "the queue full when the probe's SYN came, and drained again within the probe's time-out",
        excluded_by: "no overflow at the probed listener, or a full queue that is the symptom of another cause",
        look: accept_queue::look,
        cure: cure::backlog::cure,
    },
    Row {
        name: CauseName::DeferAccept,
        words: "handshakes are kept in the SYN queue until data comes, and silent clients fill it",
        shown_by: "TCPDeferAcceptDrop, SYN_RECV, and SYNs dropped for want of room when failed probes began",
        excluded_by: "TCPDeferAcceptDrop did not grow",
        look: defer_accept::look,
        cure: cure::program::defer,
    },
    Row {
        name: CauseName::SynQueue,
        words: "the SYN queue is full and cookies are off",
        shown_by: "TCPReqQFullDrop grew when failed probes began",
        excluded_by: "every listen drop was an accept-queue overflow, or there was none",
        look: syn_queue::look,
        cure: cure::syn::cure,
    },
    Row {
        name: CauseName::SynQueueThreeQuarterRule,
        words: "cookies are off, and the last quarter of tcp_max_syn_backlog is kept for peers that are known",
        shown_by: "drops that no other counter explains, with SYN_RECV above three quarters of tcp_max_syn_backlog",
        excluded_by: "every listen drop has another counter, or cookies are on",
        look: three_quarter_rule::look,
        cure: cure::syn::three_quarters,
    },
    Row {
        name: CauseName::TcpMem,
        words: "TCP is out of memory, and connections are aborted or stand still",
        shown_by: "TCPAbortOnMemory grew while failed probes were connected",
        excluded_by: "TCPAbortOnMemory did not grow, or the probes did not connect",
        look: tcp_mem::look,
        cure: cure::node::tcp_memory,
    },
    Row {
        name: CauseName::SlowAnswer,
        words: "the connection is accepted in time, and the answer comes too late",
        shown_by: "connected and accepted at once, with nothing exhausted, and answers that come late or were never fast",
        excluded_by: "most failed probes did not wait for an answer, or not after being accepted",
        look: slow_answer::look,
        cure: cure::program::slow,
    },
    Row {
        name: CauseName::SynCookies,
        words: "connections are served by cookies, which is not a fault",
        shown_by: "nothing: it never fails a probe",
        excluded_by: "always: a cookie answers a SYN",
        look: syn_cookies::look,
        cure: cure::none,
    },
];
