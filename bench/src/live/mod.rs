//! The only hands on this machine: namespaces, workers, observation. It writes records and never judges them.

pub mod alone;
pub mod cell;
pub mod cgroup;
pub mod compose;
pub mod cooldown;
pub mod doctor;
mod fault;
pub mod fleet;
pub mod interrupt;
pub mod journal;
mod link;
pub mod machine;
pub mod message;
mod namespace;
mod netlink;
pub mod observe;
mod own_host;
pub mod preflight;
pub mod process;
mod reap;
mod scratch;
mod sys;
pub mod sysctl;
mod turn;
mod turns;
pub mod vm;
pub mod worker;
