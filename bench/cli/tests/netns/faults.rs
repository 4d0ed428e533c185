//! Each fault in a real kernel: made, seen by its own counters, and felt by real connections. As root and as an ordinary user.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use brimful_live::cgroup::{self, Group};
use brimful_live::message::SandboxOrder;
use brimful_loadgen_plan::plan::{Behaviour, Sources};
use brimful_loadgen_plan::probe::Outcome;
use brimful_plan::cell::Path;
use brimful_plan::fault::Fault;
use brimful_plan::topology;
use brimful_target_plan::{OnEmfile, TargetPlan};

use super::stage::{Account, PORT, Play, Stage, Who, everybody, faulty, load, plain, probe, server};
use super::support::sandbox_allowed;

/// Forty connections for a second and a half, which is long enough for one retransmission.
fn forty(path: Path) -> Play {
    let first = match path {
        Path::Loopback => topology::LOOPBACK_SOURCES,
        Path::Veth => topology::VETH_SOURCES,
    };
    Play {
        target: TargetPlan::plain(server(path)),
        cgroup: None,
        load: load(path, 40, Behaviour::Idle, first),
        probe: probe(path),
        probe_nofile: None,
        length: Duration::from_millis(1_500),
    }
}

fn played(who: Who, order: SandboxOrder) -> Account {
    let play = forty(order.path);
    Stage::make(who, order).unwrap_or_else(|failed| panic!("as {who:?}: {failed}")).play(play)
}

fn all_passed(account: &Account) -> bool {
    !account.samples.is_empty() && account.samples.iter().all(|sample| sample.outcome.passed())
}

fn all_timed_out(account: &Account) -> bool {
    !account.samples.is_empty() && account.samples.iter().all(|sample| sample.outcome == Outcome::ConnectTimeout)
}

#[test]
fn without_a_fault_every_counter_of_one_stands_still() {
    if !sandbox_allowed() {
        return;
    }
    for who in everybody() {
        let account = played(who, plain(Path::Veth));
        assert_eq!(account.load.held, 40);
        assert!(all_passed(&account), "{:?}", account.samples);
        let counters = &account.evidence.server.counters;
        assert!(!counters.keys().any(|name| name.starts_with("nftables.")), "there is no rule");
        for name in ["device.brimful-s.rx_dropped", "device.brimful-s.tx_dropped", "nf_conntrack.count"] {
            assert_eq!(account.grown(name), 0, "{name}");
        }
        assert_eq!((account.most("SYN_RECV_RETRANS"), account.most_at_client("SYN_SENT_RETRANS")), (0, 0));
        for name in ["nftables.server", "nftables.client", "devices.server", "devices.client"] {
            let source = account.evidence.sources.iter().find(|source| source.name == name).expect(name);
            assert!(source.reads > 5 && source.unavailable_because.is_none(), "{source:?}");
            assert!(source.cost_ns / source.reads < 5_000_000, "{source:?}");
        }
    }
}

#[test]
fn dropped_syns_are_counted_and_sent_again() {
    if !sandbox_allowed() {
        return;
    }
    for (who, path) in everybody().into_iter().flat_map(|who| [(who, Path::Loopback), (who, Path::Veth)]) {
        let account = played(who, faulty(path, Fault::SynDrop { percent: 100 }));
        assert_eq!((account.load.established, account.load.pending), (0, 40), "{who:?} {path:?}");
        assert!(all_timed_out(&account), "{:?}", account.samples);
        // Forty first, forty again after a second, and the probes'.
        let dropped = account.grown("nftables.brimful.syn-drop.0.packets");
        assert!(dropped >= 80, "{dropped}");
        assert!(account.most_at_client("SYN_SENT") >= 40);
        assert!(account.most_at_client("SYN_SENT_RETRANS") >= 40);
        assert_eq!((account.most("SYN_RECV"), account.grown("TcpExt.ListenDrops")), (0, 0));
    }
}

#[test]
fn ipv6_is_filtered_as_ipv4_is() {
    if !sandbox_allowed() {
        return;
    }
    let server = SocketAddr::new(Ipv6Addr::LOCALHOST.into(), PORT);
    for (fault, established) in [(Fault::SynDrop { percent: 100 }, 0), (Fault::AckHold, 40)] {
        let mut play = forty(Path::Loopback);
        play.target.listen = server;
        play.probe.address = server;
        play.load.destinations = vec![server];
        play.load.sources = match play.load.sources {
            Sources::Named { addresses, first_port, last_port, skip, .. } => {
                let first = topology::LOOPBACK6_SOURCES.into();
                Sources::Named { first, addresses, first_port, last_port, skip }
            }
            Sources::Kernel => Sources::Kernel,
        };
        let order = SandboxOrder { ipv6_sources: 1, ..faulty(Path::Loopback, fault) };
        let account = Stage::make(Who::Same, order).expect("a sandbox").play(play);
        assert_eq!(account.load.established, established);
        let filtered =
            account.evidence.server.counters.iter().filter(|(name, _)| name.starts_with("nftables.brimful."));
        assert!(filtered.map(|(_, series)| series.delta()).sum::<u64>() >= 40);
    }
}

#[test]
fn a_share_of_syns_is_exact() {
    if !sandbox_allowed() {
        return;
    }
    for (percent, rounds) in [(50, 2), (20, 5), (30, 10)] {
        let mut play = forty(Path::Veth);
        // One probe, after the SYNs were counted off and before any is sent again.
        play.length = Duration::from_millis(600);
        play.probe.initial_delay = Duration::from_millis(500);
        play.probe.timeout = Duration::from_millis(100);
        let stage = Stage::make(Who::Same, faulty(Path::Veth, Fault::SynDrop { percent })).expect("a sandbox");
        let account = stage.play(play);
        let lost = 40 * u64::from(percent) / 100;
        assert_eq!(account.load.established + lost, 40, "{percent} % in rounds of {rounds}");
    }
}

#[test]
fn lost_syn_acks_leave_both_ends_waiting() {
    if !sandbox_allowed() {
        return;
    }
    for (who, path) in everybody().into_iter().flat_map(|who| [(who, Path::Loopback), (who, Path::Veth)]) {
        let account = played(who, faulty(path, Fault::SynAckLoss { percent: 100 }));
        assert_eq!((account.load.established, account.load.pending), (0, 40), "{who:?} {path:?}");
        assert!(all_timed_out(&account), "{:?}", account.samples);
        assert!(account.most("SYN_RECV") >= 40 && account.most_at_client("SYN_SENT") >= 40);
        assert!(account.most("SYN_RECV_RETRANS") > 0 && account.grown("TcpExt.TCPSynRetrans") > 0);
        let side = account.evidence.client.as_ref().unwrap_or(&account.evidence.server);
        assert!(side.counters["nftables.brimful.syn-ack-loss.0.packets"].delta() >= 80);
    }
}

#[test]
fn held_acks_leave_the_client_alone_with_its_belief() {
    if !sandbox_allowed() {
        return;
    }
    for (who, path) in everybody().into_iter().flat_map(|who| [(who, Path::Loopback), (who, Path::Veth)]) {
        let account = played(who, faulty(path, Fault::AckHold));
        assert_eq!(account.load.established, 40, "{who:?} {path:?}");
        assert!(account.most("SYN_RECV") >= 40, "{}", account.most("SYN_RECV"));
        // A probe speaks first, and its first words complete the handshake.
        assert!(all_passed(&account), "{:?}", account.samples);
        let side = account.evidence.client.as_ref().unwrap_or(&account.evidence.server);
        let held = side.counters.iter().filter(|(name, _)| name.starts_with("nftables.brimful.ack-hold."));
        assert!(held.map(|(_, series)| series.delta()).sum::<u64>() >= 40);
    }
}

#[test]
fn a_full_tracking_table_swallows_every_syn() {
    if !sandbox_allowed() {
        return;
    }
    let paths = [Path::Loopback, Path::Veth];
    for (who, path) in everybody().into_iter().zip(paths) {
        let account = played(who, faulty(path, Fault::ConntrackFull));
        assert_eq!((account.load.established, account.load.pending), (0, 40), "{who:?} {path:?}");
        assert!(all_timed_out(&account), "{:?}", account.samples);
        assert!(account.grown("nf_conntrack.drop") >= 80);
        let (count, max) =
            (&account.evidence.server.counters["nf_conntrack.count"], &account.evidence.host["nf_conntrack.max"]);
        assert!(count.first >= max.last && count.last >= max.last, "{count:?} of {max:?}");
        assert_eq!((account.grown("TcpExt.ListenDrops"), account.most("SYN_RECV")), (0, 0));
        if let Some(client) = &account.evidence.client {
            assert_eq!(client.counters["nf_conntrack.count"].max, 0, "the client's table is its own");
        }
    }
}

#[test]
fn without_a_route_back_the_listener_drops_what_it_hears() {
    if !sandbox_allowed() {
        return;
    }
    for who in everybody() {
        let account = played(who, faulty(Path::Veth, Fault::NoRouteBack));
        assert_eq!((account.load.established, account.load.pending), (0, 40), "{who:?}");
        assert!(all_timed_out(&account), "the probe too: {:?}", account.samples);
        assert!(account.grown("Ip.OutNoRoutes") >= 80 && account.grown("TcpExt.ListenDrops") >= 80);
        assert_eq!(account.grown("TcpExt.ListenOverflows"), 0);
        let refused = Stage::make(who, faulty(Path::Loopback, Fault::NoRouteBack)).err().expect("no such thing");
        assert!(refused.machine && refused.hint.is_some_and(|hint| hint.contains("veth")));
    }
}

#[test]
fn ghosts_fill_the_syn_queue_and_nobody_else_suffers() {
    if !sandbox_allowed() {
        return;
    }
    for who in everybody() {
        let mut play = forty(Path::Veth);
        play.load = load(Path::Veth, 40, Behaviour::HalfOpen, topology::GHOST_SOURCES);
        let order = SandboxOrder { ghosts: 1, ..plain(Path::Veth) };
        let account = Stage::make(who, order).expect("a sandbox").play(play);
        assert_eq!((account.load.established, account.load.pending), (0, 40), "{who:?}");
        assert_eq!(account.most("SYN_RECV"), 40);
        assert!(account.most("SYN_RECV_RETRANS") > 0);
        assert!(all_passed(&account), "the probe has another address: {:?}", account.samples);
        let refused =
            Stage::make(who, SandboxOrder { ghosts: 1, ..plain(Path::Loopback) }).err().expect("no such thing");
        assert!(refused.hint.is_some_and(|hint| hint.contains("veth")));
        let refused = Stage::make(who, SandboxOrder { ghosts: 255, ..plain(Path::Veth) }).err().expect("too many");
        assert!(refused.what.contains("254"), "{refused}");
    }
}

#[test]
fn a_probe_without_descriptors_fails_by_itself() {
    if !sandbox_allowed() {
        return;
    }
    let stage = Stage::make(Who::Same, plain(Path::Loopback)).expect("a sandbox");
    // How many it needs for itself also depends on what it inherits from whoever runs the tests.
    let refused = stage.try_probe(3).expect_err("three are its pipes");
    let hint = refused.hint.expect("what to do");
    let least = hint.split([' ', ':']).find_map(|word| word.parse().ok()).expect("a number");
    stage.try_probe(least).expect("what it asked for");
    let play = Play { probe_nofile: Some(least), ..forty(Path::Loopback) };
    let account = stage.play(play);
    assert_eq!(account.load.held, 40);
    assert!(!account.samples.is_empty());
    for sample in &account.samples {
        assert_eq!(sample.outcome, Outcome::LocalError, "{sample:?}");
    }
}

/// Whether a control group can be made here. Unprivileged, it usually cannot.
fn quota_allowed() -> Option<Group> {
    match Group::make(5) {
        Ok(group) => Some(group),
        Err(failed) => {
            assert!(failed.machine && failed.hint.is_some(), "{failed:?}");
            eprintln!("NOT RUN: {failed}");
            None
        }
    }
}

#[test]
fn a_target_beyond_its_quota_is_throttled_and_its_group_goes() {
    if !sandbox_allowed() {
        return;
    }
    let Some(group) = quota_allowed() else { return };
    let folder = group.folder().to_owned();
    let mut play = forty(Path::Loopback);
    // A server out of descriptors that tries again at once burns all the time there is.
    play.target = TargetPlan { on_emfile: OnEmfile::Spin, extra_fds_per_connection: 4_000, ..play.target };
    play.cgroup = Some(folder.clone());
    let order = SandboxOrder { target_cgroup: Some(folder.clone()), ..plain(Path::Loopback) };
    let account = Stage::make(Who::Same, order).expect("a sandbox").play(play);
    let host = |name: &str| account.evidence.host[name].delta();
    assert!(host("cgroup.target.nr_throttled") >= 5, "{:?}", account.evidence.host);
    assert!(host("cgroup.target.nr_throttled") <= host("cgroup.target.nr_periods"));
    assert!(host("cgroup.target.throttled_ns") > 100_000_000);
    drop(group);
    assert!(!folder.exists());
}

/// Set for a copy of this test's process that makes a group and waits to be killed.
const OWNER: &str = "BRIMFUL_TEST_OWNS_A_GROUP";

#[test]
fn a_group_whose_owner_was_killed_is_swept() {
    if !sandbox_allowed() {
        return;
    }
    if std::env::var_os(OWNER).is_some() {
        let group = Group::make(50).expect("a group");
        println!("\nGROUP {}", group.folder().display());
        std::thread::sleep(Duration::from_secs(60));
        return;
    }
    let Some(mine) = quota_allowed() else { return };
    let mut owner = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "faults::a_group_whose_owner_was_killed_is_swept", "--nocapture"])
        .env(OWNER, "1")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("a copy of this process");
    let output = std::io::BufReader::new(owner.stdout.take().expect("its output"));
    let lines = std::io::BufRead::lines(output).map_while(Result::ok);
    let folder = lines.into_iter().find_map(|line| line.strip_prefix("GROUP ").map(std::path::PathBuf::from));
    let folder = folder.expect("the name of its group");
    cgroup::sweep();
    assert!(folder.exists(), "its owner lives");
    owner.kill().expect("it can be killed");
    owner.wait().expect("it has ended");
    assert!(folder.exists(), "a group does not go by itself");
    cgroup::sweep();
    assert!(!folder.exists() && mine.folder().exists(), "only what nobody owns is swept");
}
