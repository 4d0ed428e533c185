//! The rows. Scopes and Kubernetes' opinion were measured and read on Linux 6.18 and Kubernetes 1.30 to 1.36; what each
//! kernel reads when is in `Documentation/networking/ip-sysctl.rst` and the functions named in the rows.

use std::time::Duration;

use super::{Knob, Kubernetes, Scope, TakesEffect, Values};
use crate::expect::CauseName::{
    self, AcceptQueue, AcceptorStalled, AcceptorThrottled, AppConnectionCap, ConntrackFull, DeferAccept, FdLeak,
    FdLimit, FileMax, GeneratorBound, InotifyLimit, LocalPorts, NeighbourTable, ReuseportSkew, SlowAnswer,
    SoftirqBacklog, SynQueue, SynQueueThreeQuarterRule, TcpMem,
};
use TakesEffect::{Live, NextConnection, NextListen, ProcessStart};

/// The largest `backlog` that `listen(2)` takes as what it says: it is an `int`.
pub(crate) const BACKLOG_MOST: u64 = i32::MAX as u64;
/// The most connections one scenario can ask for; at 6 KiB each that is 24 GiB of kernel memory.
pub(crate) const CONNECTIONS_MOST: u64 = 4_000_000;
/// The most descriptors a connection can cost besides its socket.
pub(crate) const EXTRA_FDS_MOST: u64 = 64;
/// Words of `target.on-emfile`.
pub(crate) const ON_EMFILE: &[&str] = &["spin", "sleep", "reserve-fd", "exit", "stop-accepting"];
/// Words of `target.extra-fd-kind`.
pub(crate) const EXTRA_FD_KIND: &[&str] = &["file", "inotify"];
/// Words of `target.accept`.
pub(crate) const ACCEPT: &[&str] = &["drain", "one-per-wakeup", "dead"];
/// Words of `target.at-max`.
pub(crate) const AT_MAX: &[&str] = &["wait", "close", "ignore"];
/// The most connections a second that a throttled acceptor can be asked for; one core accepts about a fifth of it.
pub(crate) const ACCEPT_RATE_MOST: u64 = 1_000_000;
/// The rarest leak: one in a million closed connections.
pub(crate) const LEAK_MOST: u64 = 1_000_000;
/// The longest time an answer can be held back.
pub(crate) const DELAY_MOST: Duration = Duration::from_secs(24 * 3600);
/// The longest deferral; the kernel counts it in retransmissions of two minutes at most (`net/ipv4/tcp.c`, `secs_to_retrans`).
pub(crate) const DEFER_MOST: Duration = Duration::from_secs(3600);
/// The most sockets that share a port.
pub(crate) const REUSEPORT_MOST: u64 = 64;
/// The most processor time, in per cent of one: 64 of them.
pub(crate) const CPU_MOST: u64 = 6_400;
/// Words of `load.behaviour`.
pub(crate) const BEHAVIOUR: &[&str] = &["idle", "half-open", "churn", "heartbeat", "slow-reader", "reconnect"];
/// Words of `load.reconnect`.
pub(crate) const RECONNECT: &[&str] = &["none", "linear", "exponential", "jittered"];
/// Shares of a load, in per cent.
pub(crate) const SHARE: std::ops::RangeInclusive<u64> = 1..=100;
/// The shortest interval of a heartbeat: ten ticks of the generator's timers, and a hundred requests a second of each connection.
pub(crate) const HEARTBEAT_LEAST: Duration = Duration::from_millis(10);
/// The shortest pause before a connection comes back: a tick of the generator's timers.
pub(crate) const PAUSE_LEAST: Duration = Duration::from_millis(1);
/// The fastest slow reader, in bytes a second: 64 KiB ten times a second are what the generator reads at most.
pub(crate) const READ_RATE_MOST: u64 = 640 * 1_024;
/// Words of `load.source`.
pub(crate) const SOURCE: &[&str] = &["auto", "kernel"];

const INT: Values = Values::Count { least: 0, most: i32::MAX as u64 };
const FLAG: Values = Values::Count { least: 0, most: 1 };
const PORTS: Values = Values::Counts { how_many: 2, most: 65_535 };
const PERCENT: Values = Values::Count { least: *SHARE.start(), most: *SHARE.end() };
const TRIPLE: Values = Values::Counts { how_many: 3, most: i32::MAX as u64 };

const SAFE_IN: &str = "sysctl.d on a machine; securityContext.sysctls in a pod";
const UNSAFE_IN: &str = "sysctl.d on a machine; securityContext.sysctls in a pod whose kubelet has it in \
                         --allowed-unsafe-sysctls (a node's sysctl.d does not reach a pod's namespace)";
const NODE_IN: &str = "sysctl.d on the node";

const fn netns(
    name: &'static str,
    kubernetes: Kubernetes,
    takes_effect: TakesEffect,
    values: Values,
    answers: &'static [CauseName],
    clamp: &'static str,
) -> Knob {
    let set_in = if matches!(kubernetes, Kubernetes::Safe) { SAFE_IN } else { UNSAFE_IN };
    Knob { name, scope: Scope::NetworkNamespace, takes_effect, values, clamp, kubernetes, answers, set_in, usual: "" }
}

/// A sysctl of the namespace that a pod may set.
const fn safe(name: &'static str, when: TakesEffect, values: Values, answers: &'static [CauseName]) -> Knob {
    netns(name, Kubernetes::Safe, when, values, answers, "")
}

/// A sysctl of the namespace that needs the kubelet's leave.
const fn restricted(name: &'static str, when: TakesEffect, values: Values) -> Knob {
    netns(name, Kubernetes::Unsafe, when, values, &[], "")
}

/// A sysctl that holds for the whole machine.
const fn host(name: &'static str, remark: &'static str) -> Knob {
    Knob {
        name,
        scope: Scope::HostWide,
        takes_effect: Live,
        values: Values::Any,
        clamp: remark,
        kubernetes: Kubernetes::NodeOnly,
        answers: &[],
        set_in: NODE_IN,
        usual: "",
    }
}

/// A setting of the program under test.
const fn program(
    name: &'static str,
    takes_effect: TakesEffect,
    values: Values,
    answers: &'static [CauseName],
    clamp: &'static str,
    set_in: &'static str,
) -> Knob {
    let kubernetes = Kubernetes::NotApplicable;
    Knob { name, scope: Scope::Program, takes_effect, values, clamp, kubernetes, answers, set_in, usual: "" }
}

/// A setting of the load.
const fn load(name: &'static str, values: Values, answers: &'static [CauseName], clamp: &'static str) -> Knob {
    Knob {
        name,
        scope: Scope::Load,
        takes_effect: ProcessStart,
        values,
        clamp,
        kubernetes: Kubernetes::NotApplicable,
        answers,
        set_in: "the clients, or how many of them there are",
        usual: "",
    }
}

impl Knob {
    /// With the value that it has where nobody has set it: a kernel's since 5.4 (`ip-sysctl.rst`), systemd's soft descriptor limit,
    /// a program that accepts until nothing is left and answers at once.
    const fn usually(self, usual: &'static str) -> Self {
        Self { usual, ..self }
    }
}

/// A duration of a load, up to a day.
const fn span(least: Duration) -> Values {
    Values::Time { least, most: DELAY_MOST, whole_seconds: false }
}

/// Every knob. The order is that of the guide.
pub(super) const KNOBS: &[Knob] = &[
    Knob {
        name: "ulimit.nofile",
        scope: Scope::Process,
        takes_effect: ProcessStart,
        values: Values::Nofile,
        clamp: "soft at most hard, hard at most fs.nr_open; raising hard needs CAP_SYS_RESOURCE in the initial user \
                namespace; a running process is reached by prlimit(1), never by a shell's ulimit",
        kubernetes: Kubernetes::NodeOnly,
        answers: &[FdLimit],
        set_in: "LimitNOFILE= of the unit (for pods: of the container runtime), or setrlimit(2) in the program's start",
        usual: "1024",
    },
    program(
        "target.backlog",
        NextListen,
        Values::Count { least: 0, most: BACKLOG_MOST },
        &[AcceptQueue, SynQueue],
        "the kernel keeps min(backlog, net.core.somaxconn), fixed at listen(2), and holds one more; it bounds the SYN \
         queue as well",
        "the backlog the program passes to listen(2); calling listen(2) again on the live socket changes it at once",
    ),
    program(
        "target.on-emfile",
        ProcessStart,
        Values::Words(ON_EMFILE),
        &[],
        "",
        "the program's accept loop; it decides what the limit looks like, not whether it is met",
    ),
    program("target.accept", ProcessStart, Values::Words(ACCEPT), &[AcceptorStalled], "", "the program's accept loop")
        .usually("drain"),
    program(
        "target.accept-rate",
        ProcessStart,
        Values::Count { least: 1, most: ACCEPT_RATE_MOST },
        &[AcceptorStalled],
        "",
        "the program: whatever each accepted connection is made to wait for (a lock, a log, a look-up)",
    ),
    program(
        "target.max-connections",
        ProcessStart,
        Values::Count { least: 1, most: CONNECTIONS_MOST },
        &[AppConnectionCap],
        "health checks count as well",
        "the program's own setting (maxConnections, worker_connections and the like)",
    ),
    program(
        "target.answer-delay",
        ProcessStart,
        Values::Time { least: Duration::ZERO, most: DELAY_MOST, whole_seconds: false },
        &[SlowAnswer],
        "",
        "the program's health handler; or timeoutSeconds of the probe, if the answer may take that long",
    )
    .usually("0s"),
    program(
        "target.defer-accept",
        NextListen,
        Values::Time { least: Duration::ZERO, most: DEFER_MOST, whole_seconds: true },
        &[DeferAccept],
        "rounded up to a number of SYN-ACK retransmissions (1, 3, 7, 15, 31 ... s); 0s leaves it off",
        "the TCP_DEFER_ACCEPT option on the program's listener (nginx: `listen ... deferred`)",
    )
    .usually("0s"),
    program(
        "target.reuseport-stuck",
        ProcessStart,
        Values::Count { least: 0, most: REUSEPORT_MOST - 1 },
        &[ReuseportSkew],
        "fewer than `target.reuseport`",
        "the program: every socket of a SO_REUSEPORT group needs somebody who accepts from it",
    )
    .usually("0"),
    program(
        "target.leak-one-in",
        ProcessStart,
        Values::Count { least: 0, most: LEAK_MOST },
        &[FdLeak],
        "0 leaks nothing",
        "the program: close what the peer has closed",
    )
    .usually("0"),
    program(
        "target.arg.*",
        ProcessStart,
        Values::Any,
        &[],
        "what the command makes of it is its own affair",
        "the command's own configuration",
    ),
    program("target.argv", ProcessStart, Values::Any, &[], "split at blanks; quotes are not read", "the command line"),
    Knob {
        name: "target.cpu",
        scope: Scope::Process,
        takes_effect: Live,
        values: Values::Count { least: 1, most: CPU_MOST },
        clamp: "in per cent of one processor; a quota in each tenth of a second, so what is used up early is missing until its end",
        kubernetes: Kubernetes::NotApplicable,
        answers: &[AcceptorThrottled],
        set_in: "resources.limits.cpu of the container; CPUQuota= of the unit",
        usual: "",
    },
    program(
        "target.raise-nofile",
        ProcessStart,
        Values::Switch,
        &[FdLimit],
        "raises the soft limit to the hard one, no further",
        "the program's start: setrlimit(RLIMIT_NOFILE) with soft = hard, as Go programs do since 1.19",
    )
    .usually("false"),
    program(
        "target.extra-fds-per-connection",
        ProcessStart,
        Values::Count { least: 0, most: EXTRA_FDS_MOST },
        &[FdLimit],
        "",
        "the program: files and upstream connections it opens for each client",
    )
    .usually("0"),
    load("load.connections", Values::Count { least: 0, most: CONNECTIONS_MOST }, &[], ""),
    load(
        "load.source",
        Values::Words(SOURCE),
        &[GeneratorBound],
        "`kernel` searches ip_local_port_range: quadratic in what is held, and bounded for each address, destination and port",
    ),
    load(
        "load.behaviour",
        Values::Words(BEHAVIOUR),
        &[SynQueue, SynQueueThreeQuarterRule, LocalPorts],
        "`half-open` needs two namespaces, `churn` a lifetime, `slow-reader` a rate",
    ),
    load("load.heartbeat-interval", span(HEARTBEAT_LEAST), &[SlowAnswer], ""),
    load("load.heartbeat-share", PERCENT, &[SlowAnswer], ""),
    load(
        "load.read-rate",
        Values::Count { least: 0, most: READ_RATE_MOST },
        &[TcpMem],
        "0 never reads; what is not read lies in the server's send buffer, at most as much as net.ipv4.tcp_wmem says",
    ),
    load(
        "load.reconnect",
        Values::Words(RECONNECT),
        &[LocalPorts, AcceptQueue],
        "each connection that comes back has a source port of its own; the old one may rest in TIME_WAIT",
    ),
    load("load.reconnect-base", span(PAUSE_LEAST), &[AcceptQueue], ""),
    load("load.reconnect-cap", span(PAUSE_LEAST), &[AcceptQueue], ""),
    load("load.storm-at", span(Duration::ZERO), &[AcceptQueue, LocalPorts], "from the start of the cell"),
    load("load.storm-share", PERCENT, &[AcceptQueue, LocalPorts], ""),
    program(
        "restart.startup-failures",
        ProcessStart,
        Values::Count { least: 0, most: 1_000 },
        &[],
        "0 is no startup probe: liveness is asked from the first moment",
        "startupProbe.failureThreshold of the container, with a startupProbe around it",
    )
    .usually("0"),
    netns(
        "sysctl.net.core.somaxconn",
        Kubernetes::Unsafe,
        NextListen,
        Values::Count { least: 0, most: i32::MAX as u64 },
        &[AcceptQueue],
        "cuts the backlog passed to listen(2) (net/socket.c, __sys_listen_socket); never raises it",
    )
    .usually("4096"),
    netns(
        "sysctl.net.ipv4.tcp_max_syn_backlog",
        Kubernetes::Unsafe,
        Live,
        INT,
        &[SynQueueThreeQuarterRule],
        "read only while tcp_syncookies is 0, and then a quarter is kept for peers known from before (net/ipv4/tcp_input.c, \
         tcp_conn_request)",
    ),
    netns(
        "sysctl.net.ipv4.tcp_syncookies",
        Kubernetes::Safe,
        Live,
        Values::Count { least: 0, most: 2 },
        &[SynQueue, SynQueueThreeQuarterRule],
        "0 drops when the SYN queue is full, 1 answers with a cookie then, 2 always",
    )
    .usually("1"),
    netns("sysctl.net.ipv4.tcp_synack_retries", Kubernetes::Unsafe, Live, BYTE, &[SynQueue], "").usually("5"),
    restricted("sysctl.net.ipv4.tcp_syn_retries", Live, Values::Count { least: 1, most: 127 }).usually("6"),
    restricted("sysctl.net.ipv4.tcp_syn_linear_timeouts", Live, Values::Count { least: 0, most: 127 }).usually("4"),
    netns(
        "sysctl.net.ipv4.tcp_abort_on_overflow",
        Kubernetes::Unsafe,
        Live,
        FLAG,
        &[],
        "resets only a handshake whose last ACK meets a full queue; a SYN that meets one is still dropped in silence",
    )
    .usually("0"),
    restricted("sysctl.net.ipv4.tcp_migrate_req", Live, FLAG).usually("0"),
    safe("sysctl.net.ipv4.ip_local_port_range", NextConnection, PORTS, &[LocalPorts, GeneratorBound])
        .usually("32768 60999"),
    safe("sysctl.net.ipv4.ip_local_reserved_ports", NextConnection, Values::Any, &[LocalPorts, GeneratorBound]),
    safe("sysctl.net.ipv4.ip_unprivileged_port_start", NextListen, Values::Count { least: 0, most: 65_535 }, &[]),
    safe("sysctl.net.ipv4.ping_group_range", Live, Values::Counts { how_many: 2, most: u32::MAX as u64 }, &[]),
    safe("sysctl.net.ipv4.tcp_keepalive_time", Live, INT, &[]).usually("7200"),
    safe("sysctl.net.ipv4.tcp_keepalive_intvl", Live, INT, &[]).usually("75"),
    safe("sysctl.net.ipv4.tcp_keepalive_probes", Live, BYTE, &[]).usually("9"),
    safe("sysctl.net.ipv4.tcp_fin_timeout", Live, INT, &[]).usually("60"),
    safe("sysctl.net.ipv4.tcp_rmem", NextConnection, TRIPLE, &[]),
    safe("sysctl.net.ipv4.tcp_wmem", NextConnection, TRIPLE, &[]),
    netns(
        "sysctl.net.ipv4.tcp_tw_reuse",
        Kubernetes::Unsafe,
        NextConnection,
        Values::Count { least: 0, most: 2 },
        &[LocalPorts],
        "1 lets a new connection take over a port that has been in TIME_WAIT for a second; 2 does so on loopback only",
    )
    .usually("2"),
    restricted("sysctl.net.ipv4.tcp_tw_reuse_delay", NextConnection, INT),
    restricted("sysctl.net.ipv4.tcp_max_tw_buckets", Live, INT),
    restricted("sysctl.net.ipv4.tcp_rfc1337", Live, FLAG).usually("0"),
    restricted("sysctl.net.ipv4.tcp_orphan_retries", Live, BYTE),
    restricted("sysctl.net.ipv4.tcp_retries1", Live, BYTE),
    restricted("sysctl.net.ipv4.tcp_retries2", Live, BYTE),
    restricted("sysctl.net.ipv4.tcp_fastopen", NextListen, INT),
    netns(
        "sysctl.net.ipv4.tcp_no_metrics_save",
        Kubernetes::Unsafe,
        NextConnection,
        FLAG,
        &[SynQueueThreeQuarterRule],
        "with 1 no peer is ever known from before, so none is exempt from the three-quarter rule",
    )
    .usually("0"),
    restricted("sysctl.net.ipv4.tcp_rto_max_ms", NextConnection, INT),
    restricted("sysctl.net.ipv4.tcp_timestamps", NextConnection, Values::Count { least: 0, most: 2 }),
    restricted("sysctl.net.core.optmem_max", NextConnection, INT),
    restricted("sysctl.net.core.txrehash", NextListen, FLAG),
    restricted("sysctl.net.netfilter.nf_conntrack_tcp_loose", NextConnection, Values::Any),
    restricted("sysctl.net.netfilter.nf_conntrack_acct", NextConnection, FLAG),
    restricted("sysctl.net.netfilter.nf_conntrack_log_invalid", Live, Values::Any),
    restricted("sysctl.net.netfilter.nf_conntrack_tcp_timeout_close", Live, INT),
    restricted("sysctl.net.netfilter.nf_conntrack_tcp_timeout_close_wait", Live, INT),
    restricted("sysctl.net.netfilter.nf_conntrack_tcp_timeout_established", Live, INT),
    restricted("sysctl.net.netfilter.nf_conntrack_tcp_timeout_fin_wait", Live, INT),
    restricted("sysctl.net.netfilter.nf_conntrack_tcp_timeout_last_ack", Live, INT),
    restricted("sysctl.net.netfilter.nf_conntrack_tcp_timeout_max_retrans", Live, INT),
    restricted("sysctl.net.netfilter.nf_conntrack_tcp_timeout_syn_recv", Live, INT),
    restricted("sysctl.net.netfilter.nf_conntrack_tcp_timeout_syn_sent", Live, INT),
    restricted("sysctl.net.netfilter.nf_conntrack_tcp_timeout_time_wait", Live, INT),
    restricted("sysctl.net.netfilter.nf_conntrack_tcp_timeout_unacknowledged", Live, INT),
    restricted("sysctl.net.ipv4.conf.*.*", Live, Values::Any),
    host("sysctl.net.core.rmem_max", ""),
    host("sysctl.net.core.wmem_max", ""),
    host("sysctl.net.core.rmem_default", ""),
    host("sysctl.net.core.wmem_default", ""),
    Knob { answers: &[SoftirqBacklog], ..host("sysctl.net.core.netdev_max_backlog", "per CPU") },
    host("sysctl.net.core.netdev_budget", "per CPU"),
    host("sysctl.net.core.netdev_budget_usecs", "per CPU"),
    host("sysctl.net.core.default_qdisc", ""),
    Knob { answers: &[TcpMem], ..host("sysctl.net.ipv4.tcp_mem", "in pages; it does not gate the handshake") },
    host("sysctl.net.ipv4.udp_mem", "in pages"),
    host("sysctl.net.ipv4.tcp_max_orphans", ""),
    host("sysctl.net.ipv4.inet_peer_threshold", ""),
    Knob {
        answers: &[NeighbourTable],
        ..host("sysctl.net.ipv4.neigh.default.*", "one neighbour table for all namespaces")
    },
    restricted("sysctl.net.ipv4.neigh.*.*", Live, Values::Any),
    host("sysctl.net.ipv6.neigh.default.*", "one neighbour table for all namespaces"),
    Knob {
        answers: &[ConntrackFull],
        ..host("sysctl.net.nf_conntrack_max", "one value, compared with the count of each namespace")
    },
    Knob {
        answers: &[ConntrackFull],
        ..host("sysctl.net.netfilter.nf_conntrack_max", "one value, compared with the count of each namespace")
    },
    host("sysctl.net.netfilter.nf_conntrack_buckets", ""),
    host("sysctl.net.netfilter.nf_conntrack_expect_max", ""),
    Knob {
        clamp: "a count of the namespace; it is read, never set",
        ..host("sysctl.net.netfilter.nf_conntrack_count", "")
    },
    Knob { answers: &[FileMax], ..host("sysctl.fs.file-max", "met as ENFILE, and not by root") },
    Knob {
        answers: &[InotifyLimit],
        ..host("sysctl.fs.inotify.max_user_instances", "for each user; met as EMFILE, whose text speaks of open files")
    },
    host("sysctl.fs.nr_open", "the ceiling of every descriptor limit"),
    host("sysctl.fs.epoll.max_user_watches", "per user"),
    host("sysctl.kernel.pid_max", ""),
];

const BYTE: Values = Values::Count { least: 0, most: 255 };

#[cfg(test)]
mod tests {
    use brimful_target_plan::{Accept, AtMax, OnEmfile};
    use serde::de::DeserializeOwned;
    use serde::de::value::{Error, StrDeserializer};

    use super::*;
    use crate::cell::SourceChoice;

    fn reads_all<T: DeserializeOwned>(words: &[&str]) {
        for word in words {
            assert!(T::deserialize(StrDeserializer::<Error>::new(word)).is_ok(), "{word}");
        }
    }

    #[test]
    fn every_word_is_one_that_its_type_reads() {
        reads_all::<OnEmfile>(ON_EMFILE);
        reads_all::<Accept>(ACCEPT);
        reads_all::<AtMax>(AT_MAX);
        reads_all::<SourceChoice>(SOURCE);
        reads_all::<brimful_loadgen_plan::plan::Policy>(RECONNECT);
    }
}
