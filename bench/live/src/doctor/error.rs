//! Why the doctor could not look at what it was asked for.

use std::io;

/// What was asked for by name is not there, or may not be read.
#[derive(Debug, thiserror::Error)]
pub enum DoctorError {
    /// The list of processes cannot be had.
    #[error("cannot list the processes in {path}")]
    Processes {
        /// The folder.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no such process.
    #[error("there is no process {pid}")]
    NoProcess {
        /// Its id.
        pid: u32,
    },
    /// No process lives in such a control group.
    #[error("no process has `{name}` in the path of its control group")]
    NoContainer {
        /// What was asked for.
        name: String,
    },
    /// The process may not be read.
    #[error("process {pid} may not be read")]
    Forbidden {
        /// Its id.
        pid: u32,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl DoctorError {
    /// Whether this machine refuses, rather than the command line being wrong.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Processes { .. } | Self::Forbidden { .. } => true,
            Self::NoProcess { .. } | Self::NoContainer { .. } => false,
        }
    }

    /// What to type.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Processes { .. } => "mount /proc, or run brimful where it is",
            Self::NoProcess { .. } => "`brimful doctor` without arguments names every process that listens",
            Self::NoContainer { .. } => {
                "give a part of the path, such as the first digits of the container's id: look at `cat /proc/PID/cgroup`"
            }
            Self::Forbidden { .. } => {
                "run it as root, or as the user of that process (`sudo brimful doctor --pid PID`)"
            }
        }
    }
}
