//! Why a cell has no record, and how what a worker says or does becomes such a reason.

use brimful_evidence::record::Role;

use super::PATIENCE;
use crate::journal::JournalError;
use crate::message::{Failed, Said};
use crate::process::{Key, role_name};
use crate::sysctl::SysctlError;

/// Why a cell has no record.
#[derive(Debug, thiserror::Error)]
pub enum CellError {
    /// A sysctl did not take.
    #[error(transparent)]
    Sysctl(#[from] SysctlError),
    /// The host could not be changed.
    #[error(transparent)]
    Host(#[from] JournalError),
    /// The sandbox, the load or the probe could not be set up, or broke.
    #[error("the {role} worker failed: {failed}")]
    Worker {
        /// Whose.
        role: &'static str,
        /// How.
        failed: Failed,
    },
    /// The target did not start.
    #[error("the target did not start: {failed}")]
    TargetDidNotStart {
        /// Why.
        failed: Failed,
    },
    /// A worker process could not be started at all.
    #[error("cannot start a worker process")]
    Start(#[from] std::io::Error),
    /// A worker did not answer in time.
    #[error("the {role} worker did not answer in {} s", PATIENCE.as_secs())]
    Silent {
        /// Whose.
        role: &'static str,
    },
    /// A signal came before the cell had begun.
    #[error("stopped by a signal before the cell began")]
    Interrupted,
}

pub(super) fn worker_failed(key: Key, failed: Failed) -> CellError {
    match key.role {
        Role::Target => CellError::TargetDidNotStart { failed },
        role => CellError::Worker { role: role_name(role), failed },
    }
}

pub(super) fn out_of_turn(key: Key, said: &Said) -> CellError {
    let what = format!("it spoke out of turn: {said:?}");
    CellError::Worker { role: role_name(key.role), failed: Failed { what, hint: None, machine: false } }
}

pub(super) fn garbled(key: Key, line: &str) -> CellError {
    let what = format!("it spoke gibberish: {line}");
    CellError::Worker { role: role_name(key.role), failed: Failed { what, hint: None, machine: false } }
}
