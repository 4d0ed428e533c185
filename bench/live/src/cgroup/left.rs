//! Groups that killed runs left anywhere in the trees that are mounted: a run sweeps only where it makes its own.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{hierarchy, owner};

/// How deep below a mount a group is looked for; systemd nests no deeper than half of it.
const DEPTH_MOST: usize = 16;

/// How many folders of a tree are looked at.
const FOLDERS_MOST: usize = 50_000;

/// A group of brimful's name whose owner is no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Its folder.
    pub group: PathBuf,
    /// Whether it is gone now; never after a mere look.
    pub removed: bool,
    /// Why it could not be removed.
    pub why: Option<String>,
}

/// Removes every group that a killed run left, or with `dry` only finds them.
#[must_use]
pub fn sweep_all(dry: bool) -> Vec<Left> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let alive = |pid: u32| Path::new("/proc").join(pid.to_string()).exists();
    hierarchy::mounted(&mounts).iter().flat_map(|tree| sweep(tree, dry, &alive)).collect()
}

fn sweep(tree: &Path, dry: bool, alive: &dyn Fn(u32) -> bool) -> Vec<Left> {
    let mut left = Vec::new();
    let mut folders = vec![(tree.to_path_buf(), 0)];
    let mut seen = 0;
    while let Some((folder, depth)) = folders.pop() {
        // A folder that vanished meanwhile holds nothing that was left.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) || seen >= FOLDERS_MOST {
                continue;
            }
            seen += 1;
            match owner(&entry.file_name().to_string_lossy()) {
                Some(pid) if alive(pid) => {}
                Some(_) => left.push(remove(entry.path(), dry)),
                None if depth < DEPTH_MOST => folders.push((entry.path(), depth + 1)),
                None => {}
            }
        }
    }
    left
}

fn remove(group: PathBuf, dry: bool) -> Left {
    if dry {
        return Left { group, removed: false, why: None };
    }
    match fs::remove_dir(&group) {
        Ok(()) => Left { group, removed: true, why: None },
        Err(error) => Left { group, removed: false, why: Some(error.to_string()) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_the_dead_are_removed_wherever_they_are() {
        let tree = tempfile::tempdir().unwrap();
        let group = |name: &str| {
            let path = tree.path().join(name);
            fs::create_dir_all(&path).unwrap();
            path
        };
        let dead = [group("brimful-7-0"), group("user.slice/session-3.scope/brimful-7-1")];
        let kept = [group("brimful-8-0"), group("user.slice/brimful"), group("brimful-7-x"), group("other")];
        // A real group cannot be removed while it has processes; a folder, while it has a file.
        let busy = group("brimful-7-2");
        fs::write(busy.join("file"), "").unwrap();
        let alive = |pid: u32| pid == 8;
        let looked = sweep(tree.path(), true, &alive);
        assert_eq!((looked.len(), looked.iter().any(|left| left.removed)), (3, false));
        let swept = sweep(tree.path(), false, &alive);
        assert_eq!(swept.iter().filter(|left| left.removed).count(), 2, "{swept:?}");
        assert!(swept.iter().any(|left| left.group == busy && left.why.is_some()));
        assert!(dead.iter().all(|path| !path.exists()) && kept.iter().all(|path| path.exists()));
    }
}
