//! Where the control groups that share out processor time are mounted, and which of them this process is in.

use std::path::{Component, Path, PathBuf};
use std::{fs, io};

/// Which of the kernel's two interfaces holds the cpu controller; a controller is in one of them only (`cgroups(7)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// `Documentation/admin-guide/cgroup-v1`.
    First,
    /// `Documentation/admin-guide/cgroup-v2.rst`.
    Second,
}

/// The tree of groups with the cpu controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hierarchy {
    pub(super) version: Version,
    /// The folder of this process's own group.
    pub(super) own: PathBuf,
    /// The folder around it, in the second version; `None` at the top of what is mounted.
    pub(super) beside: Option<PathBuf>,
}

impl Hierarchy {
    pub(super) fn of_this_process() -> io::Result<Self> {
        let (groups, mounts) = (fs::read_to_string("/proc/self/cgroup")?, fs::read_to_string("/proc/self/mountinfo")?);
        Self::parse(&groups, &mounts)
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no control groups for processor time are mounted"))
    }

    /// From the text of `/proc/PID/cgroup` and `/proc/PID/mountinfo` (`proc(5)`).
    pub(super) fn parse(groups: &str, mounts: &str) -> Option<Self> {
        // ID:CONTROLLERS:PATH; the second version has neither of the first two.
        let path_of = |wanted: &dyn Fn(&str) -> bool| {
            groups.lines().find_map(|line| {
                let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
                wanted(controllers).then_some(path)
            })
        };
        let first = path_of(&|controllers| controllers.split(',').any(|one| one == "cpu"));
        let (version, path) = match first {
            Some(path) => (Version::First, path),
            None => (Version::Second, path_of(&str::is_empty)?),
        };
        let (mounted, root) = mounts.lines().find_map(|line| mount(line, version))?;
        // A mount may show a part of the tree only, and a group outside it has no folder here.
        let below = Path::new(path).strip_prefix(root).unwrap_or(Path::new(""));
        if below.components().any(|part| part == Component::ParentDir) {
            return None;
        }
        let own = mounted.join(below);
        let beside = (version == Version::Second && own != mounted).then(|| own.parent().map(Path::to_owned)).flatten();
        Some(Self { version, own, beside })
    }

    /// The folder in which a new group has the cpu controller.
    pub(super) fn place(&self) -> io::Result<&Path> {
        if self.version == Version::First {
            return Ok(&self.own);
        }
        for place in std::iter::once(&self.own).chain(&self.beside) {
            let shared = fs::read_to_string(place.join("cgroup.subtree_control"))?;
            if shared.split_ascii_whitespace().any(|controller| controller == "cpu") {
                return Ok(place);
            }
        }
        let what = format!("the cpu controller is not delegated to {}", self.own.display());
        Err(io::Error::new(io::ErrorKind::PermissionDenied, what))
    }
}

/// Every place where groups are mounted that brimful could have made one in, from the text of `/proc/PID/mountinfo`.
pub(super) fn mounted(mounts: &str) -> Vec<PathBuf> {
    let places = mounts.lines().flat_map(|line| [Version::First, Version::Second].map(|version| mount(line, version)));
    places.flatten().map(|(place, _)| place).collect()
}

/// Mount point and root of a mount of the version asked for, and for the first version with the cpu controller.
fn mount(line: &str, version: Version) -> Option<(PathBuf, &str)> {
    let (place, kind) = line.split_once(" - ")?;
    let mut kind = kind.split(' ');
    let fits = match (version, kind.next()?, kind.nth(1)) {
        (Version::First, "cgroup", Some(options)) => options.split(',').any(|option| option == "cpu"),
        (Version::Second, "cgroup2", _) => true,
        _ => false,
    };
    // 31 23 0:28 ROOT MOUNT-POINT …, with spaces written as \040.
    let mut fields = place.split(' ').skip(3);
    let (root, at) = (fields.next()?, fields.next()?);
    fits.then(|| (PathBuf::from(at.replace("\\040", " ")), root))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
                         32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:5 - cgroup cgroup rw,cpu,cpuacct\n\
                         34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n\
                         41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
    const SECOND: &str = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    /// In a container without a namespace of control groups: the mount shows the container's part.
    const PART: &str = "99 80 0:29 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n";

    #[test]
    fn the_tree_with_the_cpu_controller_is_found() {
        let second = "0::/user.slice/app.slice/run.scope\n";
        for (groups, mounts, version, own, beside) in [
            ("5:cpuset:/\n1:cpu,cpuacct:/a\n0::/\n", FIRST, Version::First, "/sys/fs/cgroup/cpu,cpuacct/a", None),
            ("1:cpu:/docker/abc/x\n", PART, Version::First, "/sys/fs/cgroup/cpu/x", None),
            ("1:cpu:/docker/other\n", PART, Version::First, "/sys/fs/cgroup/cpu", None),
            ("0::/\n", SECOND, Version::Second, "/sys/fs/cgroup", None),
            (
                second,
                SECOND,
                Version::Second,
                "/sys/fs/cgroup/user.slice/app.slice/run.scope",
                Some("/sys/fs/cgroup/user.slice/app.slice"),
            ),
        ] {
            let found = Hierarchy::parse(groups, mounts).unwrap();
            let expected = Hierarchy { version, own: own.into(), beside: beside.map(PathBuf::from) };
            let tidy = Hierarchy { own: found.own.components().collect(), ..found };
            assert_eq!(tidy, expected, "{groups}");
        }
    }

    #[test]
    fn every_tree_that_could_hold_a_group_is_found() {
        assert_eq!(mounted(FIRST), [Path::new("/sys/fs/cgroup/cpu,cpuacct"), Path::new("/sys/fs/cgroup/unified")]);
        assert_eq!(mounted(SECOND), [Path::new("/sys/fs/cgroup")]);
        assert!(mounted("").is_empty());
    }

    #[test]
    fn without_a_mount_there_is_no_tree() {
        assert_eq!(Hierarchy::parse("1:cpu:/\n", SECOND), None);
        assert_eq!(Hierarchy::parse("0::/\n", PART), None);
        assert_eq!(Hierarchy::parse("0::/../other\n", SECOND), None);
        assert_eq!(Hierarchy::parse("", ""), None);
    }

    #[test]
    fn in_the_second_version_the_controller_must_be_shared_out() {
        let tree = tempfile::tempdir().unwrap();
        let beside = tree.path().to_owned();
        let own = beside.join("own");
        fs::create_dir(&own).unwrap();
        let hierarchy = Hierarchy { version: Version::Second, own: own.clone(), beside: Some(beside.clone()) };
        fs::write(own.join("cgroup.subtree_control"), "memory pids\n").unwrap();
        fs::write(beside.join("cgroup.subtree_control"), "memory\n").unwrap();
        assert!(hierarchy.place().unwrap_err().to_string().contains("not delegated"));
        fs::write(beside.join("cgroup.subtree_control"), "cpu memory\n").unwrap();
        assert_eq!(hierarchy.place().unwrap(), beside);
        fs::write(own.join("cgroup.subtree_control"), "cpu\n").unwrap();
        assert_eq!(hierarchy.place().unwrap(), own);
    }
}
