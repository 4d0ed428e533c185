//! The folder of a command's files: made before it starts, removed when it is gone. One that a killed brimful left is removed by
//! the next run, as a control group is: nobody holds its lock any more.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

/// How such a folder's name begins.
const PREFIX: &str = "brimful-command-";

/// A folder, and the lock that says that somebody uses it.
#[derive(Debug)]
pub(super) struct Scratch {
    folder: TempDir,
    _lock: File,
}

impl Scratch {
    /// Makes an empty folder.
    ///
    /// # Errors
    /// When the folder for temporary files is full, or cannot be written.
    pub(super) fn make() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir()?;
        let lock = File::open(folder.path())?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self { folder, _lock: lock })
    }

    /// Writes these files into it, by their names.
    ///
    /// # Errors
    /// As [`Scratch::make`].
    pub(super) fn write(&self, files: &[(String, String)]) -> io::Result<()> {
        files.iter().try_for_each(|(name, text)| fs::write(self.path().join(name), text))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes what killed runs have left.
pub(super) fn sweep() {
    sweep_in(&std::env::temp_dir());
}

fn sweep_in(folder: &Path) {
    let ours = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())).filter(ours) {
        let unused = |lock: &File| flock(lock, FlockOperation::NonBlockingLockExclusive).is_ok();
        // Somebody else's folder cannot be opened or removed, and is left to them.
        if File::open(&path).is_ok_and(|lock| unused(&lock)) {
            fs::remove_dir_all(&path).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_somebody_uses_is_not_swept_and_one_that_nobody_does_is() {
        let root = tempfile::tempdir().unwrap();
        let (used, left, other) =
            (root.path().join("brimful-command-a"), root.path().join("brimful-command-b"), root.path().join("c"));
        for folder in [&used, &left, &other] {
            fs::create_dir(folder).unwrap();
        }
        let lock = File::open(&used).unwrap();
        flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
        sweep_in(root.path());
        assert_eq!((used.exists(), left.exists(), other.exists()), (true, false, true));
    }

    #[test]
    fn files_are_there_while_it_is_held() {
        let scratch = Scratch::make().unwrap();
        scratch.write(&[("a.conf".to_owned(), "x".to_owned())]).unwrap();
        let path = scratch.path().to_owned();
        assert_eq!(fs::read_to_string(path.join("a.conf")).unwrap(), "x");
        drop(scratch);
        assert!(!path.exists());
    }
}
