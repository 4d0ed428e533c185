//! Sysctls of the whole host, changed for a run and put back after it, whatever becomes of the run.
//!
//! A [`Book`] writes each change down before it is made and undoes it at the end of the cell; [`undo`] does so for a run that was
//! killed. Only one of either can be at work on a machine at one time: whoever is holds a lock that the kernel lets go with the
//! process. So a journal whose folder is not locked is that of a run that is no more.
//!
//! Nothing here asks whether the host may be changed: that is the user's word, given on the command line.

mod book;
mod hands;
mod undo;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use brimful_target::errno;
use rustix::fs::{FlockOperation, flock};

pub use self::book::Book;
pub use self::undo::{Account, Ended, Outcome, Settled, Undo, undo};
use super::sysctl::{self, SysctlError};
use brimful_evidence::journal::{Change, Found};
use brimful_plan::knob::{self, sysctl_path};

/// Where root's journals are: on every distribution a file system in memory, so that none outlives the boot it speaks of.
const ROOTS: &str = "/run/brimful";

/// How a journal is known among files.
const ENDING: &str = "journal";

/// The file that is locked while the host is changed, or put back.
const LOCK: &str = "lock";

/// Where everything is; the machine's own places, or a made-up tree.
#[derive(Clone, Debug)]
pub struct Places {
    /// The folder of the journals.
    pub journals: PathBuf,
    /// The sysctls.
    pub sysctls: PathBuf,
}

impl Places {
    /// Those of this machine, with the journals in `folder` or else where they belong.
    #[must_use]
    pub fn of_this_machine(folder: Option<&Path>) -> Self {
        let own = || std::env::var_os("XDG_RUNTIME_DIR").filter(|_| !rustix::process::geteuid().is_root());
        let usual = || own().map_or_else(|| PathBuf::from(ROOTS), |own| Path::new(&own).join("brimful"));
        Self { journals: folder.map_or_else(usual, Path::to_path_buf), sysctls: PathBuf::from("/proc/sys") }
    }

    /// Whether these are where root's journals are looked for.
    #[must_use]
    pub fn are_roots(&self) -> bool {
        self.journals == Path::new(ROOTS)
    }

    /// The journals that are there, by name. None where there is no folder.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn found(&self) -> Result<Vec<PathBuf>, JournalError> {
        let entries = match fs::read_dir(&self.journals) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(file("read", &self.journals))?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(file("read", &self.journals))?.path();
            if path.extension().is_some_and(|ending| ending == ENDING) {
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    }

    /// Opens a sysctl of the whole host, by its dotted name, to be read and written, and does neither.
    ///
    /// # Errors
    /// When it is not there, or may not be written here.
    pub fn try_open(&self, name: &str) -> Result<(), JournalError> {
        let open = std::fs::OpenOptions::new().read(true).write(true).open(self.file_of(name)?);
        open.map(drop).map_err(|error| JournalError::closed(name, &error))
    }

    /// The file of a sysctl of the whole host.
    fn file_of(&self, name: &str) -> Result<PathBuf, JournalError> {
        let path = sysctl_path(name).ok().filter(|_| knob::is_host_wide(name));
        path.map(|path| self.sysctls.join(path)).ok_or_else(|| JournalError::Absent { name: name.to_owned() })
    }

    /// The kernel's name for this boot.
    fn boot(&self) -> Result<String, JournalError> {
        let path = self.sysctls.join("kernel/random/boot_id");
        sysctl::read(&path).map_err(file("read", &path))
    }
}

/// What a run should be told of before it begins, in words; `None` where no change of the host is known of.
#[must_use]
pub fn warning() -> Option<String> {
    // Root's, whoever asks: an ordinary user lives with its changes too.
    let places = Places { journals: PathBuf::from(ROOTS), sysctls: PathBuf::from("/proc/sys") };
    let journals = places.found().ok().filter(|found| !found.is_empty())?;
    let first = journals.first()?.display().to_string();
    Some(format!(
        "settings of the whole host are not what they were: another run changes them now, or one was killed ({first}); \
         `brimful restore --dry-run` tells"
    ))
}

/// Held by whoever changes the host or puts it back. The kernel lets it go with the process.
#[derive(Debug)]
struct Lock(#[expect(dead_code, reason = "it is held by being open")] File);

impl Lock {
    fn take(places: &Places) -> Result<Self, JournalError> {
        let folder = &places.journals;
        DirBuilder::new().recursive(true).mode(0o755).create(folder).map_err(file("make the folder", folder))?;
        let path = folder.join(LOCK);
        // Not for others: whoever can open it can lock it.
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let lock = lock.map_err(file("open", &path))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self(lock)),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(JournalError::Busy { folder: folder.clone() }),
            Err(error) => Err(file("lock", &path)(error.into())),
        }
    }
}

/// Why the host is not changed, or not put back.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A file of the journals' folder cannot be used. Nothing was changed without a journal.
    #[error("cannot {doing} `{}`", path.display())]
    File {
        /// `read`, `write` and the like.
        doing: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A journal line could not be made.
    #[error("cannot write a line of the journal")]
    Line(#[from] serde_json::Error),
    /// Somebody else is at it.
    #[error("another brimful is changing this host, or putting it back (`{}` is locked)", folder.display())]
    Busy {
        /// The folder.
        folder: PathBuf,
    },
    /// An earlier run was killed before it had put everything back.
    #[error("an earlier run left this host changed: it was killed before it could undo what is in `{}`", journal.display())]
    Left {
        /// Its journal.
        journal: PathBuf,
    },
    /// The run is over; a signal ended it.
    #[error("nothing more is changed: the run was told to end")]
    Over,
    /// There is no such setting here.
    #[error("this host has no `{name}`, or hides it from the namespace that brimful runs in")]
    Absent {
        /// The dotted name.
        name: String,
    },
    /// It may not be written here.
    #[error("`{name}` cannot be changed here ({errno})")]
    Closed {
        /// The dotted name.
        name: String,
        /// The errno's name.
        errno: String,
    },
    /// A setting did not take; it is as it was.
    #[error(transparent)]
    Sysctl(#[from] SysctlError),
    /// Something could not be put back; the journal stays.
    #[error("this host is not as it was: {}", listed(.0))]
    NotBack(Vec<Stuck>),
}

/// A change that was not undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// The change.
    pub change: Change,
    /// What it is found to be.
    pub found: Found,
    /// The errno's name, where writing failed.
    pub errno: Option<String>,
}

impl Stuck {
    /// Why, with every value that matters; lower case, no full stop.
    #[must_use]
    pub fn why(&self) -> String {
        let Change { name, before, wrote, .. } = &self.change;
        match (&self.errno, &self.found) {
            (Some(errno), _) => format!("`{name}` could not be set back to {before} ({errno})"),
            (None, Found::Other(now)) => format!(
                "`{name}` is {now} now: somebody changed it after brimful had, which wrote {wrote} in place of {before}"
            ),
            (None, Found::Unread) => format!("`{name}` cannot be read here, and {before} should stand there"),
            (None, Found::WhichBoot) => {
                format!(
                    "`{name}` was {before} before brimful wrote {wrote}, and its journal does not say in which boot"
                )
            }
            (None, Found::Standing | Found::Back | Found::EarlierBoot) => format!("`{name}` should be {before}"),
        }
    }
}

fn listed(stuck: &[Stuck]) -> String {
    stuck.iter().map(Stuck::why).collect::<Vec<_>>().join("; ")
}

impl JournalError {
    /// What an error of opening a setting means.
    fn closed(name: &str, error: &io::Error) -> Self {
        let name = name.to_owned();
        match error.kind() {
            io::ErrorKind::NotFound => Self::Absent { name },
            _ => Self::Closed { name, errno: errno::name_of(error) },
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::File { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "run brimful as root, or name another folder with --journal".to_owned()
            }
            Self::File { .. } | Self::Line(_) => "name another folder with --journal".to_owned(),
            Self::Over => "run it again".to_owned(),
            Self::Busy { .. } => "wait until it is done; one at a time can change a host".to_owned(),
            Self::Left { .. } => "brimful restore".to_owned(),
            Self::Absent { .. } => {
                "it may need a kernel module, or brimful runs in a container; `sysctl -a` lists what there is"
                    .to_owned()
            }
            Self::Sysctl(SysctlError::DidNotTake { .. }) => {
                "ask for the value that the kernel gives, so that the report says what was run".to_owned()
            }
            Self::Sysctl(SysctlError::Refused { .. }) => {
                "the value may be outside the kernel's range for it; what was before stands again".to_owned()
            }
            Self::Closed { .. } | Self::Sysctl(_) => {
                "run brimful as root of the machine itself, not in a container; or in a guest: docs/vm.md".to_owned()
            }
            Self::NotBack(_) => {
                "`brimful restore` tries again; with --force it puts back the old value even where somebody else \
                 changed it since"
                    .to_owned()
            }
        }
    }
}

/// An error about a file.
fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.to_path_buf();
    move |source| JournalError::File { doing, path, source }
}

/// The time for people, by the system's clock.
fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests;
