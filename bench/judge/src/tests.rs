//! Verdicts over made-up records: each cause, and what nearly is one.

mod catalogue;
mod change;
mod command;
mod exec;
mod fault;
mod verdict;
mod verdict_property;
