//! Sysctls of the whole host: set before a cell's sandbox is made, and put back when the cell is over.
//!
//! Only in two places. In a guest that is brimful's own nothing is journalled, because that host ends with the run. On any
//! other one it takes the user's word, and a [`Book`] that knows how to undo it.

use std::fs;
use std::path::{Path, PathBuf};

use brimful_plan::knob::{is_host_wide, sysctl_path};

use super::journal::{Book, JournalError};
use super::sysctl::{self, Reading, SysctlError};

/// What was there before. Dropped, it puts that back.
#[derive(Debug)]
pub(super) struct OwnHost<'a> {
    /// Given by whoever may change this host.
    book: Option<&'a Book>,
    /// What stood in a guest.
    before: Vec<(PathBuf, String)>,
}

impl<'a> OwnHost<'a> {
    pub(super) fn new(book: Option<&'a Book>) -> Self {
        Self { book, before: Vec::new() }
    }

    /// Sets those of a cell's sysctls that are the host's, adds what the kernel gave to `readings`, and returns the others: they are the namespace's.
    ///
    /// # Errors
    /// When one does not take, and when this host is neither brimful's own nor may be changed.
    pub(super) fn set<'s>(
        &mut self,
        sysctls: impl Iterator<Item = (&'s String, &'s String)>,
        readings: &mut Vec<Reading>,
    ) -> Result<Vec<(String, String)>, JournalError> {
        let mut others = Vec::new();
        for (name, value) in sysctls {
            if !is_host_wide(name) {
                others.push((name.clone(), value.clone()));
                continue;
            }
            readings.push(match self.book {
                Some(book) => book.change(name, value)?,
                None => self.set_in_guest(name, value)?,
            });
        }
        Ok(others)
    }

    fn set_in_guest(&mut self, name: &str, value: &str) -> Result<Reading, SysctlError> {
        let path = match sysctl_path(name) {
            Ok(path) if crate::guest::is_guest() => path,
            Ok(_) => return Err(SysctlError::ReadOnly { name: name.to_owned() }),
            Err(_) => return Err(SysctlError::Absent { name: name.to_owned() }),
        };
        let root = Path::new("/proc/sys");
        let before = fs::read_to_string(root.join(&path)).unwrap_or_default();
        let reading = sysctl::set(root, &path, name, value)?;
        self.before.push((root.join(path), before));
        Ok(reading)
    }
}

impl Drop for OwnHost<'_> {
    fn drop(&mut self) {
        if let Some(book) = self.book {
            // Whoever gave the book asks it whether all is back.
            book.put_back().ok();
        }
        // The last one first: one may bound another.
        for (path, before) in self.before.drain(..).rev() {
            // A value that was there can be set again; and if not, the guest ends with the run.
            fs::write(path, before.trim()).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_other_host_is_touched() {
        let same = fs::read_to_string("/proc/sys/fs/file-max").unwrap();
        let set = |name: &str, value: &str| {
            let mut readings = Vec::new();
            let (name, value) = (name.to_owned(), value.to_owned());
            let others = OwnHost::new(None).set(std::iter::once((&name, &value)), &mut readings);
            assert!(readings.is_empty());
            others
        };
        let refused = set("fs.file-max", same.trim());
        assert!(matches!(refused, Err(JournalError::Sysctl(SysctlError::ReadOnly { name })) if name == "fs.file-max"));
        let others = set("net.core.somaxconn", "128");
        assert_eq!(others.unwrap(), [("net.core.somaxconn".to_owned(), "128".to_owned())]);
    }
}
