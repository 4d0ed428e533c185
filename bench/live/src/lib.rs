//! The only hands on this machine: namespaces, workers, observation. It writes records and never judges them.

pub mod cell;
pub mod cgroup;
pub mod compose;
pub mod cooldown;
mod descriptors;
pub mod doctor;
mod fault;
pub mod guest;
pub mod interrupt;
pub mod journal;
pub mod link;
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
pub mod standalone;
pub mod sys;
pub mod sysctl;
mod turn;
mod turns;
pub mod worker;
