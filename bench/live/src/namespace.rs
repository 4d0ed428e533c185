//! Making and entering namespaces. A process does this while it has one thread (`setns(2)`: a user namespace cannot be entered otherwise).

use std::fs::File;
use std::io;
use std::path::Path;

use nix::sched::{CloneFlags, setns, unshare};
use rustix::process::{getgid, getuid};

use super::message::{Failed, Place};

/// How the calling process came by its own network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// With a privilege it had.
    Privileged,
    /// Inside a user namespace of its own, in which it is root.
    InUserNamespace,
}

/// What this host says about unprivileged user namespaces; each `None` where the file is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Policy {
    /// `kernel.apparmor_restrict_unprivileged_userns` (Ubuntu 23.10 and later: `1` strips the capabilities).
    pub apparmor_restricts: Option<String>,
    /// `kernel.unprivileged_userns_clone` (Debian's and Arch's patch: `0` forbids).
    pub userns_clone: Option<String>,
    /// `user.max_user_namespaces` (`0` forbids).
    pub max_user_namespaces: Option<String>,
}

impl Policy {
    /// Reads the three files below `/proc/sys`.
    #[must_use]
    pub(super) fn read(root: &Path) -> Self {
        let read = |path: &str| std::fs::read_to_string(root.join(path)).ok().map(|text| text.trim().to_owned());
        Self {
            apparmor_restricts: read("kernel/apparmor_restrict_unprivileged_userns"),
            userns_clone: read("kernel/unprivileged_userns_clone"),
            max_user_namespaces: read("user/max_user_namespaces"),
        }
    }

    /// What to do when a namespace could not be made.
    #[must_use]
    pub(super) fn hint(&self) -> String {
        let is = |value: &Option<String>, text: &str| value.as_deref() == Some(text);
        if is(&self.apparmor_restricts, "1") {
            "AppArmor forbids unprivileged user namespaces here (Ubuntu's rule): run `sudo sysctl -w \
             kernel.apparmor_restrict_unprivileged_userns=0`, or run brimful as root"
        } else if is(&self.userns_clone, "0") {
            "this kernel forbids unprivileged user namespaces: run `sudo sysctl -w kernel.unprivileged_userns_clone=1`, \
             or run brimful as root"
        } else if is(&self.max_user_namespaces, "0") {
            "the number of user namespaces is limited to 0 here: run `sudo sysctl -w user.max_user_namespaces=10000`, \
             or run brimful as root"
        } else {
            "brimful needs CAP_SYS_ADMIN or unprivileged user namespaces: run it as root, or in a container with \
             `--cap-add SYS_ADMIN` or a seccomp profile that allows unshare(2)"
        }
        .to_owned()
    }
}

fn refused(what: &str, error: &io::Error) -> Failed {
    Failed { what: format!("{what}: {error}"), hint: Some(Policy::read(Path::new("/proc/sys")).hint()), machine: true }
}

/// From so many connections on a sandbox gets a table of established connections of its own. Up to there the machine's does as well: it has a
/// hundred thousand places and more on any machine that could hold them (`tcp_init`, `net/ipv4/tcp.c`).
const OWN_TABLE_FROM: u64 = 65_536;
/// The most that the kernel takes (`tcp_child_ehash_entries_max`, `net/ipv4/sysctl_net_ipv4.c`).
const TABLE_MOST: u64 = 1 << 24;

/// Has the next namespace that is made from this one keep its established connections, so many ends, in a table of its own.
///
/// All namespaces of a machine share one table of `net.ipv4.tcp_ehash_entries` places otherwise. With a million connections its chains are eight long, so every lookup
/// costs more with each one that is opened, here and in every other namespace. Kernels before 6.1 cannot do this, and go on with the shared one.
fn own_table(ends: u64) {
    let places = ends.checked_next_power_of_two().unwrap_or(TABLE_MOST).min(TABLE_MOST);
    // What it cannot have it does without: slower, and no other answer.
    std::fs::write("/proc/sys/net/ipv4/tcp_child_ehash_entries", places.to_string()).ok();
}

/// Moves the calling, single-threaded process into a network namespace of its own, through a user namespace where it lacks the privilege. It is made for
/// so many connections.
///
/// # Errors
/// When neither way is allowed here, with what to do.
pub(super) fn make(connections: u64) -> Result<Made, Failed> {
    let made = make_one()?;
    if connections >= OWN_TABLE_FROM {
        // The first one is only there to be asked: the machine's own namespace is not to be touched.
        own_table(connections.saturating_mul(2));
        unshare(CloneFlags::CLONE_NEWNET).map_err(|e| refused("cannot make a network namespace", &e.into()))?;
        own_table(connections);
    }
    Ok(made)
}

fn make_one() -> Result<Made, Failed> {
    if unshare(CloneFlags::CLONE_NEWNET).is_ok() {
        return Ok(Made::Privileged);
    }
    // Read before the unshare: inside an unmapped user namespace both are 65534.
    let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
    unshare(CloneFlags::CLONE_NEWUSER).map_err(|e| refused("cannot make a user namespace", &e.into()))?;
    let maps = || -> io::Result<()> {
        // An unprivileged process may map its group only once setgroups(2) is denied (user_namespaces(7)).
        std::fs::write("/proc/self/setgroups", "deny")?;
        std::fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
        std::fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
    };
    maps().map_err(|e| refused("cannot become root in a user namespace", &e))?;
    unshare(CloneFlags::CLONE_NEWNET).map_err(|e| refused("cannot make a network namespace", &e.into()))?;
    Ok(Made::InUserNamespace)
}

/// Moves the calling *thread* into a second network namespace of its own; the process has [`make`]'s privileges by then.
///
/// # Errors
/// What `unshare(2)` says.
pub(super) fn make_for_thread() -> Result<(), Failed> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(|e| refused("cannot make a second network namespace", &e.into()))
}

/// Moves the calling, single-threaded process to a place of a sandbox.
///
/// # Errors
/// When the sandbox is gone, or may not be entered.
pub(super) fn enter(place: &Place) -> Result<(), Failed> {
    let go = || -> io::Result<()> {
        let Place { pid, tid, user_namespace } = *place;
        // Both are opened first: once in the user namespace, /proc may no longer let this process look.
        let net = File::open(format!("/proc/{pid}/task/{tid}/ns/net"))?;
        if user_namespace {
            setns(File::open(format!("/proc/{pid}/ns/user"))?, CloneFlags::CLONE_NEWUSER)?;
        }
        setns(net, CloneFlags::CLONE_NEWNET)?;
        Ok(())
    };
    go().map_err(|e| refused("cannot enter the sandbox", &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(apparmor: Option<&str>, clone: Option<&str>, max: Option<&str>) -> Policy {
        let own = |v: Option<&str>| v.map(str::to_owned);
        Policy { apparmor_restricts: own(apparmor), userns_clone: own(clone), max_user_namespaces: own(max) }
    }

    #[test]
    fn each_hosts_rule_has_its_own_hint() {
        let table = [
            (policy(Some("1"), None, Some("96365")), "apparmor_restrict_unprivileged_userns=0"),
            (policy(Some("0"), Some("0"), None), "unprivileged_userns_clone=1"),
            (policy(None, Some("1"), Some("0")), "user.max_user_namespaces"),
            (policy(None, None, None), "CAP_SYS_ADMIN"),
        ];
        for (policy, expected) in table {
            assert!(policy.hint().contains(expected), "{policy:?} gave {}", policy.hint());
        }
    }

    #[test]
    fn a_policy_is_read_from_a_tree() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("kernel")).unwrap();
        std::fs::write(root.path().join("kernel/unprivileged_userns_clone"), "0\n").unwrap();
        assert_eq!(Policy::read(root.path()), policy(None, Some("0"), None));
    }
}
