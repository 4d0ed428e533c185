//! Whole tickets.

use proptest::prelude::*;

use super::*;

#[test]
fn what_a_ticket_shows_is_known_and_what_it_does_not_is_not() {
    let ticket = read(
        "$ cat /proc/812/limits\nMax open files            1024                 4096                 files\n\
         $ ls /proc/812/fd | wc -l\n1024\n\
         # ulimit -n\n1024\n# ulimit -n 65535\n\
         $ ss -tan\nLISTEN 0 128 127.0.0.1:80 0.0.0.0:* users:((\"web\",pid=812,fd=3))\n\
         ESTAB 0 0 127.0.0.1:80 127.0.0.1:4000\n\
         $ sysctl fs.file-nr\nfs.file-nr = 5664 0 1613132\n\
         $ nstat -az\n#kernel\nTcpExtListenDrops 3 0.0\n$ nstat -az\nTcpExtListenDrops 9 0.0\nprose that is no output\n",
    );
    let [process] = ticket.after.processes.as_slice() else { panic!("one process: {ticket:?}") };
    assert_eq!((process.pid, process.descriptors, process.nofile.map(|l| l.soft)), (812, Some(1_024), Some(1_024)));
    assert_eq!((ticket.symptoms.shell_nofile, ticket.symptoms.shell_nofile_set), (Some(1_024), Some(65_535)));
    let namespace = &ticket.after.namespaces[0];
    assert!(namespace.sockets.as_ref().is_some_and(|sockets| sockets.complete));
    assert_eq!(ticket.after.host[names::FILES_MAX], 1_613_132);
    let before = &ticket.before.unwrap().namespaces[0].counters;
    assert_eq!((before["TcpExt.ListenDrops"], namespace.counters["TcpExt.ListenDrops"]), (3, 9));
    assert_eq!(ticket.not_understood, 2, "the heading of nstat and the prose");
    assert_eq!(namespace.counters.get("TcpExt.ListenOverflows"), None);
}

#[test]
fn an_empty_ticket_knows_nothing() {
    let ticket = read("");
    assert!(ticket.understood.is_empty() && ticket.before.is_none());
    let namespace = &ticket.after.namespaces[0];
    assert_eq!((&namespace.listeners, &namespace.sockets), (&None, &None));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(?s)([$#] |ss -tan|LISTEN|tcp|:|\\[|\\(|[0-9 \n\t.]|real|skmem|IP|Flags|>){0,60}") {
        let ticket = read(&text);
        prop_assert!(ticket.understood.values().sum::<u64>() + ticket.not_understood <= text.lines().count() as u64 * 2);
    }
}
