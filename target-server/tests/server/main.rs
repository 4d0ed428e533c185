//! The target with real sockets on loopback: what it answers, what it holds, what it does without descriptors, and its faults.

mod accepting;
mod answers;
mod blocked;
mod cap;
mod exhaustion;
mod leak;
mod queue;
mod site;
