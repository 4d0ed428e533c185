//! Names of what is one for the whole host, and of the sysctls that the doctor reads. Pure.

/// Open files on the host (`/proc/sys/fs/file-nr`).
pub const FILES: &str = "fs.file-nr.allocated";
/// `fs.file-max`.
pub const FILES_MAX: &str = "fs.file-nr.max";
/// The limit of a process's table of descriptors (`fs.nr_open`).
pub const NR_OPEN: &str = "fs.nr_open";
/// Packets dropped by a full per-processor backlog.
pub const SOFTNET_DROPPED: &str = "softnet.dropped";
/// The limit of each namespace's connection-tracking table: one value for the host.
pub const CONNTRACK_MAX: &str = "nf_conntrack.max";
/// Entries of a namespace's connection-tracking table.
pub const CONNTRACK: &str = "nf_conntrack.entries";
/// Packets that a full connection-tracking table dropped.
pub const CONNTRACK_DROP: &str = "nf_conntrack.drop";
/// The neighbour tables, by family: name of the statistics, and of the sysctl that limits it.
pub const NEIGHBOURS: [(&str, &str); 2] =
    [("arp_cache", "net.ipv4.neigh.default.gc_thresh3"), ("ndisc_cache", "net.ipv6.neigh.default.gc_thresh3")];

/// The longest accept queue that listen(2) gives.
pub const SOMAXCONN: &str = "net.core.somaxconn";
/// Whether the kernel answers with cookies when a SYN queue is full.
pub const SYNCOOKIES: &str = "net.ipv4.tcp_syncookies";
/// The SYN queue's own limit, read only while cookies are off.
pub const MAX_SYN_BACKLOG: &str = "net.ipv4.tcp_max_syn_backlog";
/// The local ports.
pub const PORT_RANGE: &str = "net.ipv4.ip_local_port_range";
/// Ports of the range that are not given out.
pub const RESERVED_PORTS: &str = "net.ipv4.ip_local_reserved_ports";
/// Whether a port in `TIME_WAIT` may be taken again.
pub const TW_REUSE: &str = "net.ipv4.tcp_tw_reuse";

/// The sysctls that are read in each namespace.
pub const SYSCTLS: [&str; 6] = [SOMAXCONN, SYNCOOKIES, MAX_SYN_BACKLOG, PORT_RANGE, RESERVED_PORTS, TW_REUSE];
