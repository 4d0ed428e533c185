//! What an experiment is, besides its cells: the folder that a run writes into and is read back from.

pub mod store;
