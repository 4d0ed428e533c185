//! Sysctls of the network namespace the calling thread is in: set, and read back, because the kernel may clamp, ignore or hide.

use std::io;
use std::path::Path;

use brimful_plan::knob::sysctl_path;
use brimful_target::errno;
use serde::{Deserialize, Serialize};

/// A sysctl that took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The dotted name.
    pub name: String,
    /// The value asked.
    pub asked: String,
    /// The value read back, white space folded.
    pub given: String,
}

/// A sysctl that did not take, classed by what the reader should do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum SysctlError {
    /// There is no such file in this namespace.
    #[error("`{name}` does not exist in a fresh network namespace of this kernel")]
    Absent {
        /// The dotted name.
        name: String,
    },
    /// It is shown, but only to be read: its value is the host's.
    #[error("`{name}` is read-only in a network namespace: its value is the whole host's")]
    ReadOnly {
        /// The dotted name.
        name: String,
    },
    /// The kernel refused the value.
    #[error("the kernel refused `{name} = {asked}` ({errno})")]
    Refused {
        /// The dotted name.
        name: String,
        /// The value asked.
        asked: String,
        /// The errno's name.
        errno: String,
    },
    /// The write went well and another value was read back.
    #[error("`{name} = {asked}` did not take: the kernel gave {given}")]
    DidNotTake {
        /// The dotted name.
        name: String,
        /// The value asked.
        asked: String,
        /// The value read back.
        given: String,
    },
}

/// Sets one sysctl below `root` (`/proc/sys`) and reads it back. `path` is the name's relative path, already checked.
///
/// # Errors
/// Each way in which it did not take.
pub(super) fn set(root: &Path, path: &Path, name: &str, value: &str) -> Result<Reading, SysctlError> {
    let file = root.join(path);
    std::fs::write(&file, value).map_err(|error| class(&file, name, value, &error))?;
    let given = read(&file).map_err(|error| class(&file, name, value, &error))?;
    let (name, asked) = (name.to_owned(), value.to_owned());
    if fold(value) == given {
        Ok(Reading { name, asked, given })
    } else {
        Err(SysctlError::DidNotTake { name, asked, given })
    }
}

/// The value that stands in this namespace, white space folded; `None` where there is no such sysctl or it cannot be read.
#[must_use]
pub fn standing(name: &str) -> Option<String> {
    read(&Path::new("/proc/sys").join(sysctl_path(name).ok()?)).ok()
}

/// Compares a sysctl with what stands, and writes nothing.
///
/// # Errors
/// When it is not there, or another value stands.
pub(super) fn compare(name: &str, value: &str) -> Result<Reading, SysctlError> {
    let (name, asked) = (name.to_owned(), value.to_owned());
    match standing(&name) {
        None => Err(SysctlError::Absent { name }),
        Some(given) if given == fold(value) => Ok(Reading { name, asked, given }),
        Some(given) => Err(SysctlError::DidNotTake { name, asked, given }),
    }
}

pub(super) fn read(file: &Path) -> io::Result<String> {
    std::fs::read_to_string(file).map(|text| fold(&text))
}

/// Values of several fields are written with blanks and read back with tabs.
pub(super) fn fold(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What an error about a sysctl's file means.
pub(super) fn class(file: &Path, name: &str, asked: &str, error: &io::Error) -> SysctlError {
    let name = name.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound => SysctlError::Absent { name },
        // Root in a child namespace gets EACCES for a file of mode 0444 (kernel: net/sysctl_net.c, ensure_safe_net_sysctl).
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem if !mode_writable(file) => {
            SysctlError::ReadOnly { name }
        }
        _ => SysctlError::Refused { name, asked: asked.to_owned(), errno: errno::name_of(error) },
    }
}

fn mode_writable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(file).is_ok_and(|meta| meta.permissions().mode() & 0o222 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_set_and_read_back() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("range"), "1\t2\n").unwrap();
        let reading = set(root.path(), Path::new("range"), "net.range", "1024  60999").unwrap();
        assert_eq!(reading.given, "1024 60999");
    }

    #[test]
    fn what_the_kernel_does_not_show_is_absent() {
        let root = tempfile::tempdir().unwrap();
        let missing = root.path().join("no/such");
        let error = class(&missing, "net.no.such", "1", &io::Error::from(io::ErrorKind::NotFound));
        assert_eq!(error, SysctlError::Absent { name: "net.no.such".to_owned() });
    }

    #[test]
    fn a_file_nobody_may_write_is_the_hosts() {
        use std::os::unix::fs::PermissionsExt as _;
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("max");
        std::fs::write(&file, "1").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o444)).unwrap();
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        assert!(matches!(class(&file, "n", "1", &denied), SysctlError::ReadOnly { .. }));
        let invalid = io::Error::from_raw_os_error(22);
        assert!(matches!(class(&file, "n", "1", &invalid), SysctlError::Refused { errno, .. } if errno == "EINVAL"));
    }
}
