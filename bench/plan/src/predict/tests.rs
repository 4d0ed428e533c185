//! The closed forms against numbers that were measured, and laws they keep.

use proptest::prelude::*;

use super::*;
use crate::cost::tests::{cells, machine};

/// What is predicted for the first cell.
fn first(more: &str, connections: u64) -> String {
    predict(&cells(more, connections)[0], &machine()).to_string()
}

const NOFILE: &str = "matrix.ulimit.nofile = [16_384]\n";

#[test]
fn descriptors_are_the_limit_less_the_servers_own() {
    assert_eq!(first("matrix.ulimit.nofile = [1_024]", 12_000), "descriptors at 1,013");
    assert_eq!(first("matrix.ulimit.nofile = [1_024]", 1_013), "descriptors at 1,013", "none is left for the probe");
    assert_eq!(first("matrix.ulimit.nofile = [1_024]", 1_010), "none");
    assert_eq!(
        first("target = { shards = 4, extra-fds-per-connection = 2 }\nmatrix.ulimit.nofile = [1_024]", 12_000),
        "descriptors at 1,348"
    );
    assert_eq!(
        first("target.raise-nofile = true\nmatrix.ulimit.nofile = [\"64:4_096\"]", 12_000),
        "descriptors at 4,085"
    );
    assert_eq!(
        first("target.max-connections = 1_000\nmatrix.ulimit.nofile = [1_024]", 1_500),
        "application cap at 1,000"
    );
}

#[test]
fn a_queue_that_nobody_empties_holds_one_more() {
    let dead = |backlog: u32| format!("{NOFILE}target = {{ accept = \"dead\", backlog = {backlog} }}");
    assert_eq!(first(&dead(128), 1_000), "accept queue at 129");
    let clamped = format!("{}\nmatrix.sysctl.\"net.core.somaxconn\" = [16]", dead(128));
    assert_eq!(first(&clamped, 1_000), "accept queue at 17");
    let stuck = format!("{NOFILE}target = {{ reuseport = 2, reuseport-stuck = 1, backlog = 4 }}");
    assert_eq!(first(&stuck, 1_000), "accept queue at 10");
}

#[test]
fn a_queue_that_is_emptied_too_slowly_fills_with_the_surplus() {
    // 1,000 a second arrive in 3 s, 100 are accepted: 129 × 1,000 / 900.
    let slow = |rate: u32| format!("{NOFILE}target = {{ accept-rate = {rate}, backlog = 128 }}");
    assert_eq!(first(&slow(100), 3_000), "accept queue at 143");
    assert_eq!(first(&slow(1_000), 3_000), "none");
    let pause = |length: &str| {
        format!("{NOFILE}target = {{ backlog = 128, block = {{ first = \"500ms\", length = \"{length}\" }} }}")
    };
    assert_eq!(first(&pause("700ms"), 3_000), "accept queue at 629");
    assert_eq!(first(&pause("100ms"), 3_000), "none");
}

#[test]
fn the_syn_queue_is_as_measured() {
    // Linux 6.18: a backlog of 8 holds 9, tcp_max_syn_backlog 16 holds 13, 64 holds 49, and with cookies nothing is dropped.
    let half_open = |cookies: u8, max: u32, backlog: u32| {
        format!(
            "topology.path = \"veth\"\nmatrix.load.behaviour = [\"half-open\"]\ntarget.backlog = {backlog}\n[matrix.sysctl]\n\
             \"net.ipv4.tcp_syncookies\" = [{cookies}]\n\"net.ipv4.tcp_max_syn_backlog\" = [{max}]\n"
        )
    };
    assert_eq!(first(&half_open(0, 4_096, 8), 1_000), "SYN queue at 9");
    assert_eq!(first(&half_open(0, 16, 4_096), 1_000), "three-quarter rule at 13");
    assert_eq!(first(&half_open(0, 64, 4_096), 1_000), "three-quarter rule at 49");
    assert_eq!(first(&half_open(1, 16, 8), 1_000), "none");
    let deferred = "target = { backlog = 64, defer-accept = \"30s\" }\nmatrix.sysctl.\"net.ipv4.tcp_syncookies\" = [0]";
    assert_eq!(first(deferred, 400), "SYN queue at 65");
}

#[test]
fn ports_run_out_by_destination_and_for_a_minute() {
    let range =
        "matrix.sysctl.\"net.ipv4.ip_local_port_range\" = [\"40000 40009\"]\nmatrix.load.source = [\"kernel\"]\n";
    assert_eq!(first(range, 20), "source ports at 10");
    assert_eq!(first(&format!("{range}target.shards = 2"), 30), "source ports at 20");
    let churn = |reuse: u8| {
        format!(
            "{range}matrix.load.behaviour = [\"churn\"]\nload.lifetime = \"100ms\"\nmatrix.sysctl.\"net.ipv4.tcp_tw_reuse\" = [{reuse}]"
        )
    };
    assert_eq!(first(&churn(0), 20), "source ports at 10");
    assert_eq!(first(&churn(1), 20), "none");
}

#[test]
fn a_leak_fills_what_churn_leaves_free() {
    // 400 a second for 200 ms each keep 81 open; 512 - 13 - 81 can leak, one in four.
    let cell = |leak: u32| {
        let more =
            "[load]\nconnections = 3_200\nramp = \"8s\"\nhold = \"4s\"\nbehaviour = \"churn\"\nlifetime = \"200ms\"";
        let text = format!("question = \"?\"\nmatrix.ulimit.nofile = [512]\ntarget.leak-one-in = {leak}\n{more}\n");
        let scenario = crate::scenario::Scenario::parse("t", &text).unwrap_or_else(|error| panic!("{error}"));
        crate::matrix::expand(&scenario, 20_000).unwrap().remove(0)
    };
    assert_eq!(predict(&cell(4), &machine()).to_string(), "descriptors at 1,761");
    assert_eq!(predict(&cell(0), &machine()).to_string(), "none");
}

#[test]
fn a_full_table_lets_nobody_in() {
    let prediction = predict(&cells("[[fault]]\nkind = \"conntrack-full\"", 10)[0], &machine());
    assert_eq!(prediction.to_string(), "conntrack at 0");
    assert!(prediction.all[0].formula.contains("262,144"));
}

#[test]
fn the_machine_is_a_limit_as_well() {
    let small = Machine { memory_available_bytes: 100 << 20, ..machine() };
    assert_eq!(predict(&cells(NOFILE, 12_000)[0], &small).to_string(), "memory at 7,161");
    let small = Machine { file_max: 20_000, ..machine() };
    assert_eq!(predict(&cells(NOFILE, 12_000)[0], &small).to_string(), "open files at 9,468");
}

proptest! {
    #[test]
    fn limits_are_sorted_and_the_first_binds_if_it_is_met(
        connections in 1_u64..60_000,
        nofile in 32_u64..20_000,
        backlog in 0_u32..70_000,
        shards in 1_u32..5,
        dead in any::<bool>(),
    ) {
        let accept = if dead { "dead" } else { "drain" };
        let more = format!(
            "target = {{ accept = \"{accept}\", backlog = {backlog}, shards = {shards} }}\nmatrix.ulimit.nofile = [{nofile}]"
        );
        let prediction = predict(&cells(&more, connections)[0], &machine());
        prop_assert!(prediction.all.is_sorted_by_key(|limit| limit.at_connections));
        let lowest = prediction.all.first().map_or(u64::MAX, |limit| limit.at_connections);
        match &prediction.binding {
            Some(limit) => prop_assert!(limit.at_connections == lowest && lowest <= connections),
            None => prop_assert!(lowest >= connections),
        }
        let kinds: std::collections::HashSet<_> = prediction.all.iter().map(|limit| limit.kind).collect();
        prop_assert_eq!(kinds.len(), prediction.all.len());
    }

    #[test]
    fn more_descriptors_never_bind_earlier(nofile in 32_u64..10_000, more in 0_u64..10_000) {
        let at = |nofile: u64| {
            let cell = &cells(&format!("matrix.ulimit.nofile = [{nofile}]"), 100)[0];
            let all = predict(cell, &machine()).all;
            all.iter().find(|limit| limit.kind == LimitKind::Descriptors).map(|limit| limit.at_connections)
        };
        prop_assert!(at(nofile) <= at(nofile + more));
    }
}
