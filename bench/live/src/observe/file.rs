//! A file of `/proc` that is read again and again, opened once.
//!
//! The kernel fills such a file afresh at every read from its beginning (`seq_read_iter`, `fs/seq_file.c`). Keeping it
//! open saves the walk of the path, and keeps it what it was: a namespace's counters stay that namespace's when the
//! thread they were opened through moves on, and a process's account can never become that of another process which got its number.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, openat};
use thiserror::Error;

/// No file that brimful reads is longer.
const LIMIT: usize = 4 * 1024 * 1024;

/// Why a file of `/proc` gave no reading.
#[derive(Debug, Error)]
pub(super) enum FileError {
    #[error("cannot open {}", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is longer than {LIMIT} bytes", path.display())]
    TooLong { path: PathBuf },
    #[error("{} is not text", path.display())]
    NotText { path: PathBuf, source: std::str::Utf8Error },
    #[error("cannot make sense of {}", path.display())]
    Counters { path: PathBuf, source: brimful_evidence::counters::CounterError },
    #[error("cannot make sense of {}", path.display())]
    Proc { path: PathBuf, source: brimful_evidence::proc::ProcError },
}

impl FileError {
    /// Whether it says that the process is no more (`ESRCH`, and `ENOENT` for what is looked up).
    pub(super) fn is_gone(&self) -> bool {
        match self {
            Self::Open { source, .. } | Self::Read { source, .. } => is_gone(source),
            _ => false,
        }
    }
}

/// Whether an error says that there is no such process.
pub(super) fn is_gone(error: &io::Error) -> bool {
    let number = error.raw_os_error();
    number == Some(rustix::io::Errno::SRCH.raw_os_error()) || number == Some(rustix::io::Errno::NOENT.raw_os_error())
}

/// An open file and its path, which is kept for messages.
#[derive(Debug)]
pub(super) struct ProcFile {
    path: PathBuf,
    file: File,
}

impl ProcFile {
    pub(super) fn open(path: &Path) -> Result<Self, FileError> {
        match File::open(path) {
            Ok(file) => Ok(Self { path: path.to_owned(), file }),
            Err(source) => Err(FileError::Open { path: path.to_owned(), source }),
        }
    }

    /// Opens a file in a directory that is open already.
    pub(super) fn open_in(directory: impl AsFd, path: &Path, name: &str) -> Result<Self, FileError> {
        let path = path.join(name);
        match openat(directory, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(file) => Ok(Self { path, file: file.into() }),
            Err(errno) => Err(FileError::Open { path, source: errno.into() }),
        }
    }

    /// The whole text as it is now, in a buffer that is used again.
    pub(super) fn read<'b>(&self, buffer: &'b mut Vec<u8>) -> Result<&'b str, FileError> {
        let mut filled = 0;
        loop {
            if buffer.len() - filled < 1024 {
                if buffer.len() >= LIMIT {
                    return Err(FileError::TooLong { path: self.path.clone() });
                }
                buffer.resize((buffer.len() * 2).max(16 * 1024), 0);
            }
            match self.file.read_at(buffer.get_mut(filled..).unwrap_or_default(), filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(FileError::Read { path: self.path.clone(), source }),
            }
        }
        std::str::from_utf8(buffer.get(..filled).unwrap_or_default())
            .map_err(|source| FileError::NotText { path: self.path.clone(), source })
    }

    pub(super) fn counters(&self, source: brimful_evidence::counters::CounterError) -> FileError {
        FileError::Counters { path: self.path.clone(), source }
    }

    pub(super) fn nonsense(&self, source: brimful_evidence::proc::ProcError) -> FileError {
        FileError::Proc { path: self.path.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_afresh_each_time_and_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("long");
        std::fs::write(&path, "x".repeat(40_000)).unwrap();
        let file = ProcFile::open(&path).unwrap();
        let mut buffer = Vec::new();
        assert_eq!(file.read(&mut buffer).unwrap().len(), 40_000);
        std::fs::write(&path, "short").unwrap();
        assert_eq!(file.read(&mut buffer).unwrap(), "short");
    }

    #[test]
    fn the_kernel_fills_its_files_afresh_too() {
        let file = ProcFile::open(Path::new("/proc/thread-self/schedstat")).unwrap();
        let mut buffer = Vec::new();
        let first = file.read(&mut buffer).unwrap().to_owned();
        let begun = std::time::Instant::now();
        while file.read(&mut buffer).unwrap() == first {
            assert!(begun.elapsed().as_secs() < 5, "processor time stands still");
        }
    }

    #[test]
    fn errors_name_the_file() {
        let error = ProcFile::open(Path::new("/proc/none/such")).unwrap_err();
        assert_eq!(error.to_string(), "cannot open /proc/none/such");
        assert!(error.is_gone());
    }
}
