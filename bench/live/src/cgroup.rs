//! A control group with a quota of processor time, for the target: made, entered, read back, removed.
//!
//! Both versions of the kernel's interface are spoken. The group stands below brimful's own, or in the second version beside
//! it, because there a group that has processes cannot share out its time among groups below. Its name is
//! `brimful-PID-N`: one whose owner was killed stays behind, empty, until the next run [`sweep`]s it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{fs, io};

use super::message::Failed;

mod hierarchy;
mod left;

use hierarchy::{Hierarchy, Version};

pub use left::{Left, sweep_all};

/// The kernel's own default, and the most common: 100 ms, in microseconds.
const PERIOD_US: u64 = 100_000;
/// With the name's first part, what the groups of brimful are known by.
const PREFIX: &str = "brimful-";
/// How long a group may take to be empty after its last process was reaped.
const PATIENCE: Duration = Duration::from_secs(2);

const HINT: &str = "a quota of processor time needs a control group that brimful may make: run it as root, or through \
                    `systemd-run --user --scope -p Delegate=yes brimful …`; in a container with a writable /sys/fs/cgroup";

/// A group of brimful's own, with a quota. It is removed when this is dropped, by when its processes must have ended.
#[derive(Debug)]
pub struct Group {
    folder: PathBuf,
}

impl Group {
    /// Makes an empty group whose processes together may use `percent` per cent of one processor.
    ///
    /// # Errors
    /// When no group can be made here, or its quota did not take, with what to do.
    pub fn make(percent: u32) -> Result<Self, Failed> {
        let hierarchy = Hierarchy::of_this_process().map_err(|error| refused("find the control groups", &error))?;
        let place = hierarchy.place().map_err(|error| refused("find a place for a control group", &error))?;
        let group = Self { folder: place.join(new_name()) };
        fs::create_dir(&group.folder)
            .map_err(|error| refused(&format!("make the control group {}", group.folder.display()), &error))?;
        group.limit(hierarchy.version, u64::from(percent) * PERIOD_US / 100)?;
        Ok(group)
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn limit(&self, version: Version, quota_us: u64) -> Result<(), Failed> {
        let settings = match version {
            Version::First => {
                vec![("cpu.cfs_period_us", PERIOD_US.to_string()), ("cpu.cfs_quota_us", quota_us.to_string())]
            }
            Version::Second => vec![("cpu.max", format!("{quota_us} {PERIOD_US}"))],
        };
        for (name, value) in settings {
            let file = self.folder.join(name);
            let given = fs::write(&file, &value)
                .and_then(|()| fs::read_to_string(&file))
                .map_err(|error| refused(&format!("set {} to {value}", file.display()), &error))?;
            if given.trim() != value {
                let what = format!("{} = {value} did not take: the kernel gave {}", file.display(), given.trim());
                return Err(Failed { what, hint: None, machine: true });
            }
        }
        Ok(())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let begun = Instant::now();
        // A process leaves its group a moment after it was reaped. What cannot be removed is swept by the next run.
        while fs::remove_dir(&self.folder).is_err_and(|error| error.kind() == io::ErrorKind::ResourceBusy)
            && begun.elapsed() < PATIENCE
        {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Moves the calling process into a group, and reads back that it is there.
///
/// # Errors
/// When it may not be moved, with what to do.
pub(super) fn enter(folder: &Path) -> Result<(), Failed> {
    let what = || format!("enter the control group {}", folder.display());
    fs::write(folder.join("cgroup.procs"), std::process::id().to_string()).map_err(|e| refused(&what(), &e))?;
    let groups = fs::read_to_string("/proc/self/cgroup").map_err(|e| refused(&what(), &e))?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    if groups.lines().any(|line| line.rsplit('/').next() == Some(&*name)) {
        Ok(())
    } else {
        Err(Failed { what: format!("cannot {}: it did not take", what()), hint: None, machine: true })
    }
}

/// The folder of the group whose quota holds for a process, from the texts of its `/proc/PID/cgroup` and of a `mountinfo`, and the
/// folders around it up to the mount, the nearest first; empty where no group has a say over its time.
pub(super) fn folders(groups: &str, mounts: &str) -> Vec<PathBuf> {
    let Some(hierarchy) = Hierarchy::parse(groups, mounts) else { return Vec::new() };
    let top = Path::new("/sys/fs/cgroup");
    hierarchy
        .own
        .ancestors()
        .take_while(|folder| *folder != top && folder.parent().is_some())
        .map(Path::to_owned)
        .collect()
}

/// The folder of the group whose quota holds for the calling process; `None` where no group has a say over its time.
pub(super) fn own() -> Option<PathBuf> {
    Hierarchy::of_this_process().ok().map(|hierarchy| hierarchy.own)
}

/// Removes the groups that earlier runs left behind, and returns how many: those of brimful's name whose owner is no
/// more. One that has processes in it cannot be removed, and stays.
pub fn sweep() -> usize {
    let Ok(hierarchy) = Hierarchy::of_this_process() else { return 0 };
    let places = [Some(hierarchy.own.as_path()), hierarchy.beside.as_deref()];
    let mut swept = 0;
    for entry in places.into_iter().flatten().filter_map(|place| fs::read_dir(place).ok()).flatten().flatten() {
        let owner = owner(&entry.file_name().to_string_lossy());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            swept += usize::from(fs::remove_dir(entry.path()).is_ok());
        }
    }
    swept
}

fn new_name() -> String {
    static MADE: AtomicU32 = AtomicU32::new(0);
    format!("{PREFIX}{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed))
}

/// Whose group it is, by its name.
fn owner(name: &str) -> Option<u32> {
    let (pid, number) = name.strip_prefix(PREFIX)?.split_once('-')?;
    number.parse::<u32>().ok()?;
    pid.parse().ok()
}

fn refused(what: &str, error: &io::Error) -> Failed {
    let hint = match error.kind() {
        // The first version refuses a quota above that of the group around it, with EINVAL.
        io::ErrorKind::InvalidInput => {
            "brimful itself may have less processor time than the quota asks for: ask for less".to_owned()
        }
        _ => HINT.to_owned(),
    };
    Failed { what: format!("cannot {what}: {error}"), hint: Some(hint), machine: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_tells_its_owner_by_its_name() {
        for (name, pid) in [
            ("brimful-12-0", Some(12)),
            ("brimful-12-99", Some(12)),
            ("brimful-12", None),
            ("brimful-12-x", None),
            ("brimful--1-0", None),
            ("other-12-0", None),
        ] {
            assert_eq!(owner(name), pid, "{name}");
        }
        assert_eq!(owner(&new_name()), Some(std::process::id()));
    }

    #[test]
    fn a_quota_is_written_in_the_words_of_each_version() {
        let folder = tempfile::tempdir().unwrap();
        let group = Group { folder: folder.path().join("none") };
        assert!(group.limit(Version::First, 20_000).unwrap_err().hint.is_some_and(|hint| hint.contains("root")));
        fs::create_dir(group.folder()).unwrap();
        group.limit(Version::First, 20_000).unwrap();
        group.limit(Version::Second, 250_000).unwrap();
        let read = |name: &str| fs::read_to_string(group.folder().join(name)).unwrap();
        assert_eq!((read("cpu.cfs_period_us"), read("cpu.cfs_quota_us")), ("100000".to_owned(), "20000".to_owned()));
        assert_eq!(read("cpu.max"), "250000 100000");
        for name in ["cpu.cfs_period_us", "cpu.cfs_quota_us", "cpu.max"] {
            fs::remove_file(group.folder().join(name)).unwrap();
        }
    }
}
