//! The binary with privileges: real namespaces, real sockets, the kernel's own truth, and nothing left behind.
#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "tests tell what they did not run, and their seed")]

mod bad_input;
mod blocks;
mod bridge;
mod carry;
mod command;
mod consent;
mod doctor;
mod faults;
mod fleet;
mod knee;
mod leftovers;
mod lives;
mod probes;
mod stage;
mod support;
mod terminal;
