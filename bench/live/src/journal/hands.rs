//! The only writes of this module: to a journal, and to a sysctl. Each is whole before it returns, or is an error.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use brimful_evidence::journal::Line;

use super::{JournalError, file};
use crate::sysctl::fold;

/// A journal's file, open at its end.
#[derive(Debug)]
pub(super) struct Pen {
    file: File,
    path: PathBuf,
    /// Bytes of whole lines.
    whole: u64,
    /// Whether there may be more than those.
    torn: bool,
    #[cfg(test)]
    life: super::tests::Life,
}

impl Pen {
    /// Begins a new journal; its name must be free.
    pub(super) fn begin(path: &Path, #[cfg(test)] life: super::tests::Life) -> Result<Self, JournalError> {
        let made = OpenOptions::new().append(true).create_new(true).mode(0o644).open(path);
        let made = made.map_err(file("make the journal", path))?;
        // The name has to outlive a crash as the lines do.
        let folder = path.parent().unwrap_or(Path::new("/"));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(file("write", folder))?;
        Ok(Self {
            file: made,
            path: path.to_path_buf(),
            whole: 0,
            torn: false,
            #[cfg(test)]
            life,
        })
    }

    /// Goes on with one that was left, behind its whole lines.
    pub(super) fn resume(path: &Path, whole: u64, #[cfg(test)] life: super::tests::Life) -> Result<Self, JournalError> {
        let left = OpenOptions::new().append(true).open(path).map_err(file("open", path))?;
        Ok(Self {
            file: left,
            path: path.to_path_buf(),
            whole,
            torn: true,
            #[cfg(test)]
            life,
        })
    }

    /// Bytes of whole lines so far.
    pub(super) fn whole(&self) -> u64 {
        self.whole
    }

    /// Appends a line, and returns when it would survive a crash of the machine. Where that fails the file is as it was, or
    /// ends in a torn line.
    pub(super) fn append(&mut self, line: &Line) -> Result<(), JournalError> {
        let bytes = line.print()?;
        // What is torn is harmless at the end only: nothing may be appended behind it.
        if self.torn {
            self.cut(self.whole).map_err(file("write", &self.path))?;
        }
        self.torn = true;
        self.put(&bytes).and_then(|()| self.file.sync_data()).map_err(file("write", &self.path))?;
        self.torn = false;
        self.whole += bytes.len() as u64;
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        #[cfg(test)]
        let bytes = self.life.spend_on(bytes, &mut self.file)?;
        self.file.write_all(bytes)
    }

    fn cut(&self, to: u64) -> io::Result<()> {
        #[cfg(test)]
        self.life.spend(1)?;
        self.file.set_len(to)
    }

    /// Forgets the lines behind `to`: what they say is over.
    pub(super) fn forget(&mut self, to: u64) -> Result<(), JournalError> {
        self.cut(to).and_then(|()| self.file.sync_data()).map_err(file("write", &self.path))?;
        self.whole = to;
        self.torn = false;
        Ok(())
    }

    /// Removes the journal: nothing in it is left to do.
    pub(super) fn remove(self) -> Result<(), JournalError> {
        #[cfg(test)]
        self.life.spend(1).map_err(file("remove", &self.path))?;
        std::fs::remove_file(&self.path).map_err(file("remove", &self.path))
    }
}

/// A sysctl, open for as long as it may have to be put back: a host without descriptors cannot keep it from that.
#[derive(Debug)]
pub(super) struct Setting {
    file: File,
    path: PathBuf,
    #[cfg(test)]
    life: super::tests::Life,
}

impl Setting {
    pub(super) fn open(path: PathBuf, #[cfg(test)] life: super::tests::Life) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        Ok(Self {
            file,
            path,
            #[cfg(test)]
            life,
        })
    }

    /// Its file, for messages.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The value that stands, white space folded.
    pub(super) fn value(&self) -> io::Result<String> {
        // The longest a sysctl of the host has is a dozen numbers.
        let mut bytes = [0; 4_096];
        let read = self.file.read_at(&mut bytes, 0)?;
        let text = String::from_utf8_lossy(bytes.get(..read).unwrap_or_default());
        Ok(fold(&text))
    }

    /// Writes a value. The kernel takes it in one write, or not at all.
    pub(super) fn set(&self, value: &str) -> io::Result<()> {
        #[cfg(test)]
        self.life.spend(1)?;
        // Says nothing to the kernel, and empties a file that stands for one.
        self.file.set_len(0)?;
        self.file.write_all_at(format!("{value}\n").as_bytes(), 0)
    }
}
