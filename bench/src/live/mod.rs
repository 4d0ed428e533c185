//! The only hands on the machine. Nothing here judges what it sees.

pub mod netlink;

pub mod observe;
