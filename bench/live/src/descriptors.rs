//! The descriptors of a process, one by one, through its folder `/proc/PID/fd`.

use std::os::fd::AsFd;

use brimful_evidence::snapshot::link::Link;
use rustix::fs::{Dir, readlinkat};

/// Calls `seen` with the number of every descriptor in a folder that is open for reading, and with what it is; `None` for one that was closed
/// before it was looked at. The kernel lists them from the lowest. Those after the first `most` are not looked at, which takes a microsecond each and
/// more than a listing: their number is returned.
///
/// # Errors
/// What `getdents64(2)` says.
pub(super) fn each(
    folder: impl AsFd,
    most: u64,
    mut seen: impl FnMut(i32, Option<Link<'_>>),
) -> rustix::io::Result<u64> {
    let (mut looked, mut left) = (0, 0);
    let mut buffer = Vec::with_capacity(64);
    for entry in Dir::read_from(&folder)? {
        let entry = entry?;
        let Some(number) = entry.file_name().to_str().ok().and_then(|name| name.parse().ok()) else { continue };
        if looked == most {
            left += 1;
            continue;
        }
        looked += 1;
        let Ok(link) = readlinkat(&folder, entry.file_name(), buffer) else {
            buffer = Vec::with_capacity(64);
            seen(number, None);
            continue;
        };
        seen(number, Some(Link::parse(&link.to_string_lossy())));
        buffer = link.into_bytes();
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use rustix::fs::{Mode, OFlags};

    use super::*;

    #[test]
    fn what_is_open_is_told_by_its_number_and_what_cannot_be_looked_at_is_told_too() {
        let root = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("socket:[40121]", root.path().join("7")).unwrap();
        std::os::unix::fs::symlink("anon_inode:inotify", root.path().join("12")).unwrap();
        // Neither a link, as one that is gone has none, nor a number.
        for name in ["3", "not-one"] {
            std::fs::write(root.path().join(name), "").unwrap();
        }
        let folder = rustix::fs::open(root.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        let mut found = Vec::new();
        let left = each(&folder, u64::MAX, |number, link| {
            found.push(match link {
                Some(Link::Socket(inode)) => (number, format!("socket {inode}")),
                Some(Link::Other(kind)) => (number, kind.to_owned()),
                None => (number, "closed".to_owned()),
            });
        })
        .unwrap();
        found.sort_unstable();
        let expected = [(3, "closed"), (7, "socket 40121"), (12, "inotify")];
        assert_eq!((found, left), (expected.map(|(number, what)| (number, what.to_owned())).into(), 0));
        let mut looked = 0;
        assert_eq!((each(&folder, 1, |_, _| looked += 1).unwrap(), looked), (2, 1));
    }
}
