//! What a probe sees of a real kernel, over loopback and veth, IPv4 and IPv6.

use brimful_loadgen_plan::probe::Outcome;

use super::support::{Run, sandbox_allowed};

#[test]
fn one_dropped_syn_is_one_failure_under_a_timeout_of_a_second() {
    if !sandbox_allowed() {
        return;
    }
    // Backlog 0 holds one connection: the load's. The acceptor is away for the first 2.5 s, so the SYNs of the probes at
    // 0.5 s, 1.5 s and 2.5 s meet a full queue; each has one second, and the kernel repeats a SYN after one second.
    let run = Run::of(
        r#"
        question = "what does one lost SYN cost?"
        [target]
        backlog = 0
        accept-pause = { first = "0s", length = "2300ms" }
        [load]
        connections = 1
        ramp = "0s"
        hold = "4s"
        [probe]
        period = "500ms"
        timeout = "900ms"
        initial-delay = "500ms"
        "#,
        &[],
    );
    let record = run.record();
    let first = record.probe.samples.first().expect("a probe");
    assert_eq!(first.outcome, Outcome::ConnectTimeout, "{first:?}");
    assert_eq!(first.connect_ns, None);
    // One SYN of the prober, one drop at the listener for each failed probe: no retry was within the deadline.
    let timeouts = record.probe.samples.iter().filter(|s| s.outcome == Outcome::ConnectTimeout).count() as u64;
    let listener = record.evidence.server.listeners.values().next().expect("the listener was seen");
    assert_eq!(listener.drops.delta(), timeouts, "{:?}", record.probe.samples);
    assert_eq!(record.probe.samples.last().map(|s| s.outcome), Some(Outcome::Ok), "it recovers when the queue drains");
}

#[test]
fn a_connect_that_takes_the_first_retransmit_reads_about_a_second() {
    if !sandbox_allowed() {
        return;
    }
    // The acceptor comes back 0.4 s after the probe's SYN was dropped; its retransmit finds room.
    let run = Run::of(
        r#"
        question = "what does a retransmitted SYN read?"
        [target]
        backlog = 0
        accept-pause = { first = "0s", length = "900ms" }
        [load]
        connections = 1
        ramp = "0s"
        hold = "3s"
        [probe]
        period = "500ms"
        timeout = "2s"
        initial-delay = "500ms"
        "#,
        &[],
    );
    let record = run.record();
    let first = record.probe.samples.first().expect("a probe");
    assert_eq!(first.outcome, Outcome::Ok, "{first:?}");
    // TCP_TIMEOUT_INIT is 1 s (include/net/tcp.h); timers of the kernel fire up to some tens of milliseconds later.
    let connect = first.connect_ns.expect("it connected");
    assert!((1_000_000_000..1_500_000_000).contains(&connect), "{first:?}");
}

#[test]
fn a_server_that_never_accepts_passes_tcp_socket_backlog_plus_one_times() {
    if !sandbox_allowed() {
        return;
    }
    let run = Run::of(
        r#"
        question = "what does tcpSocket tell of a dead acceptor?"
        [target]
        backlog = 3
        accept = "dead"
        [load]
        connections = 0
        ramp = "0s"
        hold = "3s"
        [probe]
        tcp-socket = true
        period = "200ms"
        timeout = "300ms"
        "#,
        &[],
    );
    let outcomes: Vec<Outcome> = run.record().probe.samples.iter().map(|sample| sample.outcome).collect();
    let (passed, rest) = outcomes.split_at(outcomes.iter().take_while(|o| o.passed()).count());
    assert_eq!(passed.len(), 4, "{outcomes:?}");
    assert!(!rest.is_empty() && rest.iter().all(|&o| o == Outcome::ConnectTimeout), "{outcomes:?}");
}

#[test]
fn two_namespaces_are_joined_and_each_is_watched() {
    if !sandbox_allowed() {
        return;
    }
    let run = Run::of(
        r#"
        question = "does the veth path carry?"
        [topology]
        path = "veth"
        [load]
        connections = 200
        ramp = "200ms"
        hold = "800ms"
        [probe]
        period = "250ms"
        timeout = "1s"
        [matrix.sysctl]
        "net.core.somaxconn" = [77]
        "#,
        &[],
    );
    let record = run.record();
    assert_eq!(record.load.outcome.held, 200, "{:?}", record.load.outcome);
    assert!(record.probe.samples.iter().all(|s| s.outcome.passed()), "{:?}", record.probe.samples);
    assert_eq!(record.evidence.server.listeners.values().next().expect("a listener").limit.last, 77);
    let client = record.evidence.client.as_ref().expect("the client's namespace was watched");
    assert!(client.counters["Tcp.ActiveOpens"].delta() >= 200);
    assert_eq!(client.counters["Tcp.PassiveOpens"].delta(), 0);
    assert!(record.evidence.server.counters["Tcp.PassiveOpens"].delta() >= 200);
}

#[test]
fn ipv6_carries_as_ipv4_does() {
    if !sandbox_allowed() {
        return;
    }
    let run = Run::of(
        r#"
        question = "does IPv6 carry?"
        [target]
        listen = "[::1]:23380"
        [load]
        connections = 100
        ramp = "100ms"
        hold = "500ms"
        [probe]
        period = "250ms"
        timeout = "1s"
        "#,
        &[],
    );
    let record = run.record();
    assert_eq!(record.load.outcome.held, 100, "{:?}", record.load.outcome);
    assert!(record.probe.samples.iter().all(|s| s.outcome.passed()), "{:?}", record.probe.samples);
}

#[test]
fn a_load_with_named_ports_leaves_the_probe_its_own() {
    if !sandbox_allowed() {
        return;
    }
    // More connections than the kernel has ports to choose from: had the load named those, the probe would get EADDRNOTAVAIL.
    let run = Run::of(
        r#"
        question = "does the load starve the probe of ports?"
        [load]
        connections = 2_500
        ramp = "500ms"
        hold = "500ms"
        [probe]
        period = "250ms"
        timeout = "1s"
        [matrix.sysctl]
        "net.ipv4.ip_local_port_range" = ["1024 3000"]
        [matrix.ulimit]
        nofile = [4_096]
        "#,
        &[],
    );
    let record = run.record();
    assert_eq!(record.load.outcome.held, 2_500, "{:?}", record.load.outcome);
    assert!(record.probe.samples.iter().all(|s| s.outcome.passed()), "{:?}", record.probe.samples);
}
