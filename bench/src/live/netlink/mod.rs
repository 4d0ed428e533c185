//! Conversations with the kernel over netlink.

pub mod sock_diag;
