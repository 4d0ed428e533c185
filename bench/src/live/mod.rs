//! The only hands on this machine: namespaces, workers, observation. It writes records and never judges them.

pub mod alone;
pub mod cell;
pub mod cgroup;
pub mod compose;
pub mod cooldown;
mod fault;
pub mod interrupt;
mod link;
pub mod machine;
pub mod message;
mod namespace;
mod netlink;
pub mod observe;
pub mod preflight;
pub mod process;
mod reap;
mod sys;
pub mod sysctl;
mod turn;
mod turns;
pub mod worker;
