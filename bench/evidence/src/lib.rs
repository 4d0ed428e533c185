//! What was seen: the record in the middle, which measuring writes and judging reads. Neither knows the other. Pure.

pub mod netlink;

pub mod cgroup;
pub mod counters;
pub mod inet_diag;
pub mod kube;
pub mod nftables;
pub mod per_cpu;
pub mod proc;
pub mod server_log;
pub mod tracepoint;

pub mod counter_log;
pub mod listener_log;
pub mod named_log;
pub mod socket_log;

pub mod given;
pub mod journal;
pub mod record;
pub mod series;

pub mod pasted;
pub mod snapshot;
