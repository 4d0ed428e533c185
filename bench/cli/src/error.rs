//! Everything that can go wrong, and the exit status that tells it to a script.

use std::fmt;
use std::path::PathBuf;

use brimful_judge::compare::{Answer, Refused};
use brimful_live::cell::CellError;
use brimful_live::doctor::DoctorError;
use brimful_live::interrupt::StopSignal;
use brimful_live::journal::JournalError;
use brimful_live::message::Failed;
use brimful_plan::consent::NoConsent;
use brimful_plan::refusal::{Class, Refusal};
use brimful_plan::scenario::ScenarioError;
use brimful_report::forms::FormError;
use brimful_runner::store::StoreError;
#[cfg(feature = "vm")]
use brimful_vm::VmError;

/// The exit status of the process: a contract that scripts rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// Passed, or measured what it was asked to. A failing cell is a finding, not an error.
    Done,
    /// A bug in brimful, a panic too.
    Bug,
    /// The command line or the scenario is wrong.
    Usage,
    /// This machine refuses: a capability, a limit, the kernel, a full disk. Or somebody else's does: a server that does not consent.
    Machine,
    /// A gate failed, or `--verify` found another truth.
    Gate,
    /// The answer is not settled.
    Inconclusive,
    /// The generator did not keep its plan: a cell is void.
    GeneratorBound,
    /// The target did not start, or died by itself.
    Target,
    /// Stopped by SIGINT; what was done is saved.
    Interrupted,
    /// Stopped by SIGTERM; what was done is saved.
    Terminated,
}

impl ExitStatus {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Bug => 1,
            Self::Usage => 2,
            Self::Machine => 3,
            Self::Gate => 4,
            Self::Inconclusive => 5,
            Self::GeneratorBound => 6,
            Self::Target => 7,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// The status of a number, as from brimful in a guest; `None` for one that brimful does not give.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Done,
            1 => Self::Bug,
            2 => Self::Usage,
            3 => Self::Machine,
            4 => Self::Gate,
            5 => Self::Inconclusive,
            6 => Self::GeneratorBound,
            7 => Self::Target,
            130 => Self::Interrupted,
            143 => Self::Terminated,
            _ => return None,
        })
    }

    /// The one to tell when both apply: 1, 2, 3, 7, 6, 4, 5, 0, and a signal before all but a bug.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        if self.rank() <= other.rank() { self } else { other }
    }

    fn rank(self) -> u8 {
        match self {
            Self::Bug => 0,
            Self::Interrupted => 1,
            Self::Terminated => 2,
            Self::Usage => 3,
            Self::Machine => 4,
            Self::Target => 5,
            Self::GeneratorBound => 6,
            Self::Gate => 7,
            Self::Inconclusive => 8,
            Self::Done => 9,
        }
    }
}

impl From<Answer> for ExitStatus {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Pass => Self::Done,
            Answer::Fail => Self::Gate,
            Answer::Inconclusive | Answer::NotTested => Self::Inconclusive,
        }
    }
}

impl From<StopSignal> for ExitStatus {
    fn from(signal: StopSignal) -> Self {
        match signal {
            StopSignal::Interrupt => Self::Interrupted,
            StopSignal::Terminate => Self::Terminated,
        }
    }
}

/// What ends a command early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A scenario file cannot be used.
    #[error(transparent)]
    Scenario(#[from] Box<ScenarioError>),
    /// A scenario, or this machine, cannot give what was asked.
    #[error("{}", Listed(.0))]
    Refused(Vec<Refusal>),
    /// The command line asks for something that is not there.
    #[error("{what}")]
    Usage {
        /// What is wrong.
        what: String,
        /// What to type instead.
        hint: String,
    },
    /// A file cannot be read or written.
    #[error("cannot {doing} `{}`", path.display())]
    File {
        /// `read`, `write` and the like.
        doing: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A run folder cannot be written or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A report cannot be put into the form that was asked for.
    #[error(transparent)]
    Form(#[from] FormError),
    /// A cell could not be run.
    #[error("cell `{cell}`")]
    Cell {
        /// Which.
        cell: String,
        /// Why.
        #[source]
        source: Box<CellError>,
    },
    /// A worker could not do its part.
    #[error(transparent)]
    Worker(#[from] Failed),
    /// The doctor could not look at what was asked for.
    #[error(transparent)]
    Doctor(#[from] DoctorError),
    /// The target did not start.
    #[error(transparent)]
    Target(#[from] brimful_target::TargetError),
    /// The server that was to be loaded does not consent.
    #[error("{address} does not consent to being loaded")]
    NoConsent {
        /// Which.
        address: std::net::SocketAddr,
        /// What it said.
        #[source]
        source: NoConsent,
    },
    /// The server that was to be loaded could not be asked for its consent.
    #[error("{address} was not asked for its consent")]
    NotAsked {
        /// Which.
        address: std::net::SocketAddr,
        /// Why.
        #[source]
        source: brimful_loadgen::probe::PageError,
    },
    /// This machine said no to something brimful needs for itself.
    #[error("cannot {doing}")]
    Machine {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    #[cfg(feature = "vm")]
    /// A virtual machine came to nothing.
    #[error(transparent)]
    Vm(#[from] VmError),
    /// The host may not be changed, or is not as it was.
    #[error(transparent)]
    Host(#[from] JournalError),
    /// A signal came before there was anything to save.
    #[error("stopped by a signal")]
    Stopped(StopSignal),
}

struct Listed<'a>(&'a [Refusal]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, refusal) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n       ")?;
            }
            refusal.fmt(f)?;
        }
        Ok(())
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Self::Usage { what: refused.to_string(), hint: refused.hint() }
    }
}

impl Error {
    /// Its exit status.
    #[must_use]
    pub fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Scenario(error) if error.class == Class::Machine => ExitStatus::Machine,
            Self::Scenario(_) | Self::Usage { .. } => ExitStatus::Usage,
            Self::Store(error) => store_status(error),
            Self::Refused(refusals) if refusals.iter().any(|r| r.class == Class::Scenario) => ExitStatus::Usage,
            Self::Refused(_)
            | Self::Machine { .. }
            | Self::NoConsent { .. }
            | Self::NotAsked { .. }
            | Self::Host(_) => ExitStatus::Machine,
            Self::File { doing, source, .. } => file_status(doing, source),
            Self::Cell { source, .. } => cell_status(source),
            Self::Worker(failed) if failed.machine => ExitStatus::Machine,
            Self::Worker(_) | Self::Form(_) => ExitStatus::Bug,
            Self::Doctor(error) if error.is_refusal() => ExitStatus::Machine,
            Self::Doctor(_) => ExitStatus::Usage,
            Self::Target(_) => ExitStatus::Target,
            Self::Stopped(signal) => (*signal).into(),
            #[cfg(feature = "vm")]
            Self::Vm(error) => vm_status(error),
        }
    }

    /// What to do about it, one line each.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Scenario(error) => error.hint.clone().into_iter().collect(),
            Self::Refused(refusals) => {
                let mut hints: Vec<String> = Vec::new();
                for refusal in refusals {
                    if !hints.contains(&refusal.hint) {
                        hints.push(refusal.hint.clone());
                    }
                }
                hints
            }
            Self::Usage { hint, .. } => vec![hint.clone()],
            Self::Worker(failed) => failed.hint.clone().into_iter().collect(),
            Self::NoConsent { .. } | Self::NotAsked { .. } => vec![
                "only loopback is loaded without being asked; elsewhere the server must give its consent: start it with \
                 `brimful serve --consent`, or see docs/consent.md"
                    .to_owned(),
            ],
            Self::Doctor(error) => vec![error.hint().to_owned()],
            Self::Target(error) => vec![error.hint()],
            Self::Host(error) => vec![error.hint()],
            #[cfg(feature = "vm")]
            Self::Vm(error) => error.hint().map(str::to_owned).into_iter().collect(),
            Self::Cell { source, .. } => match source.as_ref() {
                CellError::Worker { failed, .. } | CellError::TargetDidNotStart { failed } => {
                    failed.hint.clone().into_iter().collect()
                }
                CellError::Host(error) => vec![error.hint()],
                CellError::Sysctl(_) | CellError::Start(_) | CellError::Silent { .. } | CellError::Interrupted => {
                    Vec::new()
                }
            },
            Self::Store(error) => error.hint().map(str::to_owned).into_iter().collect(),
            Self::File { .. } | Self::Machine { .. } | Self::Stopped(_) | Self::Form(_) => Vec::new(),
        }
    }
}

fn store_status(error: &StoreError) -> ExitStatus {
    match error {
        StoreError::NotEmpty { .. } | StoreError::NotARecord { .. } | StoreError::Later { .. } => ExitStatus::Usage,
        StoreError::File { doing, source, .. } => file_status(doing, source),
        StoreError::Encode { .. } => ExitStatus::Machine,
        StoreError::Form(_) => ExitStatus::Bug,
    }
}

/// A file that is not there is a slip of the pen; any other refusal is this machine's.
fn file_status(doing: &str, source: &std::io::Error) -> ExitStatus {
    match source.kind() {
        std::io::ErrorKind::NotFound if doing == "read" => ExitStatus::Usage,
        _ => ExitStatus::Machine,
    }
}

#[cfg(feature = "vm")]
fn vm_status(error: &VmError) -> ExitStatus {
    match error {
        VmError::Stopped(signal) => (*signal).into(),
        VmError::File { doing, source, .. } => file_status(doing, source),
        // The frames and archives are brimful's own at both ends.
        VmError::Archive(_) | VmError::Place { .. } => ExitStatus::Bug,
        _ => ExitStatus::Machine,
    }
}

fn cell_status(error: &CellError) -> ExitStatus {
    match error {
        CellError::Sysctl(_) | CellError::Host(_) | CellError::Start(_) => ExitStatus::Machine,
        CellError::Worker { failed, .. } if failed.machine => ExitStatus::Machine,
        CellError::Worker { .. } | CellError::Silent { .. } => ExitStatus::Bug,
        CellError::TargetDidNotStart { failed } if failed.machine => ExitStatus::Machine,
        CellError::TargetDidNotStart { .. } => ExitStatus::Target,
        CellError::Interrupted => ExitStatus::Interrupted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [ExitStatus; 10] = [
        ExitStatus::Bug,
        ExitStatus::Interrupted,
        ExitStatus::Terminated,
        ExitStatus::Usage,
        ExitStatus::Machine,
        ExitStatus::Target,
        ExitStatus::GeneratorBound,
        ExitStatus::Gate,
        ExitStatus::Inconclusive,
        ExitStatus::Done,
    ];

    #[test]
    fn the_numbers_are_the_documented_ones() {
        assert_eq!(ALL.map(ExitStatus::code), [1, 130, 143, 2, 3, 7, 6, 4, 5, 0]);
        assert_eq!(ALL.map(|status| ExitStatus::from_code(status.code())), ALL.map(Some));
        assert_eq!(ExitStatus::from_code(8), None);
    }

    #[test]
    fn the_worse_one_is_told() {
        for (i, a) in ALL.iter().enumerate() {
            for b in &ALL[i..] {
                assert_eq!((a.worse(*b), b.worse(*a)), (*a, *a));
            }
        }
    }
}
