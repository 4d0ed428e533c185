//! Conversations with the kernel over netlink.

pub(crate) mod sock_diag;
