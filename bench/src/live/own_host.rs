//! Sysctls of the whole host, in a guest that is brimful's own: set before a cell's sandbox is made, and put back when the cell is over.
//!
//! It must never run anywhere else: nothing here is journalled, because the host ends with the run.

use std::fs;
use std::path::{Path, PathBuf};

use super::sysctl::{self, Reading, SysctlError};
use super::vm;
use crate::plan::knob::{is_host_wide, sysctl_path};

/// What was there before. Dropped, it puts that back.
#[derive(Debug, Default)]
pub(super) struct OwnHost(Vec<(PathBuf, String)>);

impl OwnHost {
    /// Sets those of a cell's sysctls that are the host's, adds what the kernel gave to `readings`, and returns the others: they are the namespace's.
    ///
    /// # Errors
    /// When one does not take, and when this host is not brimful's own.
    pub(super) fn set<'a>(
        &mut self,
        sysctls: impl Iterator<Item = (&'a String, &'a String)>,
        readings: &mut Vec<Reading>,
    ) -> Result<Vec<(String, String)>, SysctlError> {
        let mut others = Vec::new();
        for (name, value) in sysctls {
            if !is_host_wide(name) {
                others.push((name.clone(), value.clone()));
                continue;
            }
            let path = match sysctl_path(name) {
                Ok(path) if vm::is_guest() => path,
                Ok(_) => return Err(SysctlError::ReadOnly { name: name.clone() }),
                Err(_) => return Err(SysctlError::Absent { name: name.clone() }),
            };
            let root = Path::new("/proc/sys");
            let before = fs::read_to_string(root.join(&path)).unwrap_or_default();
            readings.push(sysctl::set(root, &path, name, value)?);
            self.0.push((root.join(path), before));
        }
        Ok(others)
    }
}

impl Drop for OwnHost {
    fn drop(&mut self) {
        // The last one first: one may bound another.
        for (path, before) in self.0.drain(..).rev() {
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
            let others = OwnHost::default().set(std::iter::once((&name, &value)), &mut readings);
            assert!(readings.is_empty());
            others
        };
        let refused = set("fs.file-max", same.trim());
        assert!(matches!(refused, Err(SysctlError::ReadOnly { name }) if name == "fs.file-max"));
        let others = set("net.core.somaxconn", "128");
        assert_eq!(others, Ok(vec![("net.core.somaxconn".to_owned(), "128".to_owned())]));
    }
}
