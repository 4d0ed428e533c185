//! A tree of files in place of a machine, and this machine itself.

use std::net::TcpListener;
use std::os::unix::fs::symlink;

use brimful_evidence::snapshot::{Home, names};

use super::*;

/// A `/proc` with two processes, one of them in a unit that sets its limit.
fn tree() -> (tempfile::TempDir, Roots) {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs_create(path.parent().unwrap());
        std::fs::write(path, text).unwrap();
    };
    let limits =
        |soft: u64, hard: u64| format!("Limit Soft Hard Units\nMax open files            {soft}    {hard}    files\n");
    for (pid, parent, soft, group) in [
        (1, 0, 1_024, "0::/init.scope"),
        (40, 1, 1_024, "0::/user.slice/session-2.scope"),
        (41, 40, 4_096, "0::/system.slice/web.service"),
    ] {
        write(&format!("proc/{pid}/comm"), &format!("p{pid}\n"));
        write(
            &format!("proc/{pid}/stat"),
            &format!("{pid} (p{pid}) S {parent} 2 3 0 -1 4194304 5 6 7 8 41 42 9 10 20"),
        );
        write(&format!("proc/{pid}/status"), &format!("Name:\tp{pid}\nPPid:\t{parent}\n"));
        write(&format!("proc/{pid}/cgroup"), &format!("{group}\n"));
        write(&format!("proc/{pid}/limits"), &limits(soft, 524_288));
        fs_create(&root.path().join(format!("proc/{pid}/fd")));
    }
    for (fd, link) in [("0", "/dev/null"), ("1", "pipe:[7]"), ("3", "socket:[99]"), ("4", "anon_inode:[eventpoll]")] {
        symlink(link, root.path().join("proc/41/fd").join(fd)).unwrap();
    }
    fs_create(&root.path().join("proc/self/ns"));
    symlink("net:[5]", root.path().join("proc/self/ns/net")).unwrap();
    write("proc/self/net/netstat", "TcpExt: ListenDrops\nTcpExt: 3\n");
    write("proc/self/net/stat/nf_conntrack", "entries  drop\n00000010 00000002\n");
    write("proc/self/mountinfo", "29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    write("sys/fs/cgroup/system.slice/web.service/cpu.stat", "nr_periods 12\nnr_throttled 11\nthrottled_usec 9\n");
    write("proc/sys/fs/file-nr", "557\t0\t1000\n");
    write("proc/sys/fs/nr_open", "1048576\n");
    write("proc/sys/net/core/somaxconn", "4096\n");
    write("proc/net/softnet_stat", "00000001 00000002 00000003\n");
    write("etc/systemd/system/web.service", "[Service]\nLimitNOFILE=1024\n");
    write("etc/systemd/system/web.service.d/limit.conf", "[Service]\nLimitNOFILE=4096:524288\n");
    let roots = Roots { proc: root.path().join("proc"), files: root.path().to_owned() };
    (root, roots)
}

fn fs_create(path: &Path) {
    std::fs::create_dir_all(path).unwrap();
}

#[test]
fn a_tree_is_read_as_a_host() {
    let (_root, roots) = tree();
    let looks = look(&roots, &Whom::Host, Duration::ZERO, &|| false).unwrap();
    let after = looks.after;
    assert_eq!(after.processes.iter().map(|p| p.pid).collect::<Vec<_>>(), [1, 40, 41]);
    let web = &after.processes[2];
    assert_eq!((web.home.clone(), web.nofile.map(|l| l.soft)), (Home::Unit("web.service".into()), Some(4_096)));
    let from = web.limit_from.as_deref().unwrap();
    assert!(from.starts_with("LimitNOFILE=4096:524288 in /etc/systemd/system/web.service.d/limit.conf"), "{from}");
    assert!(!from.contains("changed since"), "{from}");
    let kinds: Vec<_> = web.kinds.iter().map(|(kind, n)| (kind.as_str(), *n)).collect();
    assert_eq!(kinds, [("device", 1), ("eventpoll", 1), ("pipe", 1), ("socket", 1)]);
    let throttle = web.throttle.as_ref().unwrap();
    assert_eq!((throttle.periods, throttle.throttled), (12, 11));
    let shell = after.processes[1].limit_from.as_deref();
    assert_eq!(shell, Some("inherited from process 1 (p1)"));
    assert_eq!((after.host[names::FILES_MAX], after.host[names::SOFTNET_DROPPED]), (1_000, 2));
    let namespace = &after.namespaces[0];
    assert_eq!(
        (namespace.id, namespace.counters["TcpExt.ListenDrops"], namespace.counters[names::CONNTRACK]),
        (5, 3, 16)
    );
    assert_eq!(namespace.number(names::SOMAXCONN), Some(4_096));
}

#[test]
fn whoever_is_not_there_is_told_with_a_hint() {
    let (_root, roots) = tree();
    for (whom, says) in [(Whom::Process(7), "no process 7"), (Whom::Container("abc".into()), "`abc`")] {
        let error = look(&roots, &whom, Duration::ZERO, &|| false).unwrap_err();
        assert!(error.to_string().contains(says) && !error.hint().is_empty() && !error.is_refusal(), "{error}");
    }
    let looks = look(&roots, &Whom::Container("web.service".into()), Duration::ZERO, &|| false).unwrap();
    assert_eq!((looks.meant.as_slice(), looks.after.processes.len()), ([41].as_slice(), 1));
}

#[test]
fn a_listener_of_this_process_is_found_with_its_owner_and_watched() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let me = std::process::id();
    let looks = look(&Roots::of_this_machine(), &Whom::Process(me), Duration::from_millis(100), &|| false).unwrap();
    let found =
        looks.after.namespaces[0].listeners.iter().flatten().find(|l| l.address == at).expect("it listens").clone();
    assert_eq!((found.owners.as_slice(), found.waiting, found.limit.min(128)), ([me].as_slice(), 0, 128));
    assert!(found.watched.is_some_and(|watched| watched.readings > 1), "{found:?}");
    assert!(looks.after.at_ns > looks.before.at_ns);
    let process = &looks.after.processes[0];
    assert!(process.descriptors > Some(3) && process.sockets["LISTEN"] >= 1, "{process:?}");
}

#[test]
fn a_look_ends_when_it_is_told_to() {
    let begun = Instant::now();
    look(&Roots::of_this_machine(), &Whom::Process(std::process::id()), Duration::from_secs(60), &|| true).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(30));
}
