//! The target with real sockets on loopback: what it answers, what it holds, what it does without descriptors, and its faults.

mod accepting;
mod answers;
mod blocked;
mod exhaustion;
mod queue;
mod site;
