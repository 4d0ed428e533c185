//! Addresses: from a cell to concrete plans for every process. Pure; the sandbox lays out what the constants say.
//!
//! | path | server | load comes from |
//! |---|---|---|
//! | loopback, IPv4 | as in the scenario; `0.0.0.0` is reached at 127.0.0.1 | 127.1.0.1 and following |
//! | loopback, IPv6 | `[::1]`; `[::]` is reached at ::1 | `fd88::1` and following, added to `lo` |
//! | veth | 10.88.0.1/16 | 10.88.128.1 and following, the /17 local to the client |
//! | veth, half-open | 10.88.0.1/16 | 10.88.64.1 and following, a /24 local to the client whose neighbours are bogus at the server |
//!
//! The probe's own port is left to the kernel, as the kubelet's is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use brimful_loadgen_plan::plan::{Behaviour, LoadPlan, OWN_DESCRIPTORS, Sources, shards_needed};
use brimful_loadgen_plan::probe::ProbePlan;
use brimful_target_plan::TargetPlan;
use serde::{Deserialize, Serialize};

use super::cell::{Cell, Path, ProbeSetup, SourceChoice};
use super::refusal::Refusal;
use crate::arrivals::open_at_once;
use crate::wording::grouped;

/// The server on loopback, where a scenario names none.
pub const LOOPBACK_SERVER: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// The first source address of the load on loopback; all of 127.0.0.0/8 is local without being added.
pub const LOOPBACK_SOURCES: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 1);
/// The first source address of an IPv6 load; the sandbox adds as many as the load needs to `lo`.
pub const LOOPBACK6_SOURCES: Ipv6Addr = Ipv6Addr::new(0xfd88, 0, 0, 0, 0, 0, 0, 1);
/// The server's end of the veth pair.
pub const VETH_SERVER: Ipv4Addr = Ipv4Addr::new(10, 88, 0, 1);
/// The client's end of the veth pair.
pub const VETH_CLIENT: Ipv4Addr = Ipv4Addr::new(10, 88, 0, 2);
/// Bits of the network that both ends are in.
pub const VETH_PREFIX: u8 = 16;
/// The network, of [`VETH_SOURCES_PREFIX`] bits, that the sandbox makes local to the client for the load.
pub const VETH_SOURCES_NETWORK: Ipv4Addr = Ipv4Addr::new(10, 88, 128, 0);
/// Bits of [`VETH_SOURCES_NETWORK`].
pub const VETH_SOURCES_PREFIX: u8 = 17;
/// The first source address of the load over veth.
pub const VETH_SOURCES: Ipv4Addr = Ipv4Addr::new(10, 88, 128, 1);
/// The network, of [`GHOST_PREFIX`] bits, that half-open load comes from. The sandbox makes it local to the client, and at
/// the server gives each address that the load uses a permanent neighbour entry with a link address that nobody has:
/// the SYN arrives, the SYN-ACK leaves for nowhere. It is on-link for the server ([`VETH_PREFIX`]), so it needs no route.
pub const GHOST_NETWORK: Ipv4Addr = Ipv4Addr::new(10, 88, 64, 0);
/// Bits of [`GHOST_NETWORK`].
pub const GHOST_PREFIX: u8 = 24;
/// The first source address of half-open load.
pub const GHOST_SOURCES: Ipv4Addr = Ipv4Addr::new(10, 88, 64, 1);
/// Addresses of [`GHOST_NETWORK`] that a load can use: each costs an entry of the host's one neighbour table, though a
/// permanent one is not counted against its limit (`net/core/neighbour.c`, `neigh_update_gc_list`).
pub const GHOSTS_MOST: u32 = 254;
/// Source ports begin above the privileged ones.
pub const FIRST_PORT: u16 = 1_024;
/// `net.ipv4.ip_local_port_range` of a fresh network namespace (`net/ipv4/af_inet.c`, `inet_init_net`).
pub const KERNEL_RANGE: (u16, u16) = (32_768, 60_999);
/// A side of the kernel's range with fewer ports than this is not worth using alone.
const ENOUGH_PORTS: u16 = 1_024;

/// Concrete plans for all processes of one cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// One for each shard of the target, at least one; shard `n` listens on port + n, the health listener is on shard 0.
    pub targets: Vec<TargetPlan>,
    /// The load, over all its shards.
    pub load: LoadPlan,
    /// The health check.
    pub probe: ProbePlan,
    /// The startup probe, where the kubelet has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup: Option<ProbePlan>,
    /// The readiness probe, where the kubelet has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness: Option<ProbePlan>,
}

impl Layout {
    /// Every port that a target listens on: the main one of each shard, then the health listener's. Sorted, without duplicates.
    #[must_use]
    pub fn ports(&self) -> Vec<u16> {
        listened(&self.targets)
    }
}

/// Where clients reach a server that listens at `listen`.
///
/// # Errors
/// Says why no client of this topology can reach it.
pub fn destination(path: Path, listen: SocketAddr) -> Result<SocketAddr, String> {
    let reached = match (path, listen.ip()) {
        (Path::Loopback, IpAddr::V4(Ipv4Addr::UNSPECIFIED)) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        (Path::Loopback, IpAddr::V6(Ipv6Addr::UNSPECIFIED)) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        (Path::Loopback, ip) if ip.is_loopback() => ip,
        (Path::Loopback, ip) => {
            return Err(format!("{ip} cannot be reached over loopback: listen on 127.0.0.1, 0.0.0.0, [::1] or [::]"));
        }
        (Path::Veth, IpAddr::V4(Ipv4Addr::UNSPECIFIED | VETH_SERVER)) => IpAddr::V4(VETH_SERVER),
        (Path::Veth, ip) => {
            return Err(format!("{ip} cannot be reached over veth: listen on {VETH_SERVER} or 0.0.0.0"));
        }
    };
    Ok(SocketAddr::new(reached, listen.port()))
}

/// The plans of a cell, for a machine on which one process can hold `nofile_hard` descriptors.
///
/// # Errors
/// A [`Refusal`] of class `Machine` when no process could hold a single connection, of class `Scenario` for an
/// address that cannot be reached or ports beyond 65535; the latter two do not come out of a parsed scenario.
pub fn resolve(cell: &Cell, nofile_hard: u64) -> Result<Layout, Refusal> {
    let refuse = |what: String| Refusal::scenario(what, "choose another `target.listen`").in_cell(&cell.id);
    let targets = targets(cell).ok_or_else(|| refuse("the shards' ports go beyond 65535".to_owned()))?;
    let mut destinations = Vec::with_capacity(targets.len());
    for plan in &targets {
        destinations.push(destination(cell.path, plan.listen).map_err(refuse)?);
    }
    let first = targets.first().ok_or_else(|| refuse("a target has at least one shard".to_owned()))?;
    let health = destination(cell.path, first.health_listen.unwrap_or(first.listen)).map_err(refuse)?;
    if nofile_hard <= OWN_DESCRIPTORS {
        return Err(Refusal::machine(
            format!(
                "no process can hold a connection: the hard descriptor limit is {}, and a load process needs {} for itself",
                grouped(nofile_hard),
                grouped(OWN_DESCRIPTORS)
            ),
            "raise the hard limit (LimitNOFILE= of the unit, or ulimit -Hn in the shell that starts brimful)",
        )
        .in_cell(&cell.id));
    }
    let shards = shards_needed(open_at_once(&cell.load), nofile_hard);
    let sources = match cell.load.source {
        SourceChoice::Kernel => Sources::Kernel,
        SourceChoice::Auto => named_sources(cell, health, listened(&targets)),
    };
    refuse_too_many_ghosts(cell, &sources)?;
    let load = LoadPlan {
        connections: cell.load.connections,
        shards,
        ramp: cell.load.ramp,
        behaviour: cell.load.behaviour,
        sources,
        destinations,
        comeback: cell.load.comeback,
        path: match cell.load.behaviour {
            Behaviour::Heartbeat { .. } => first.health_path.clone(),
            _ => "/".to_owned(),
        },
        seed: 0,
    };
    let plan = |probe: &ProbeSetup| ProbePlan {
        action: probe.action.clone(),
        address: SocketAddr::new(probe.host.unwrap_or(health.ip()), probe.port.unwrap_or(health.port())),
        period: probe.period,
        timeout: probe.timeout,
        initial_delay: probe.initial_delay,
        failure_threshold: probe.failure_threshold,
        success_threshold: probe.success_threshold,
    };
    let restart = cell.restart.as_ref();
    let startup = restart.and_then(|restart| restart.startup.as_ref()).map(plan);
    let readiness = restart.and_then(|restart| restart.readiness.as_ref()).map(plan);
    Ok(Layout { targets, load, probe: plan(&cell.probe), startup, readiness })
}

/// The plan of each shard of the target; `None` where their ports go beyond 65535.
#[must_use]
pub fn targets(cell: &Cell) -> Option<Vec<TargetPlan>> {
    let first = &cell.target.plan;
    (0..cell.target.shards)
        .map(|shard| {
            let port = u16::try_from(shard).ok().and_then(|shard| first.listen.port().checked_add(shard))?;
            let mut plan = first.clone();
            plan.listen.set_port(port);
            if shard > 0 {
                plan.health_listen = None;
            }
            Some(plan)
        })
        .collect()
}

fn listened(targets: &[TargetPlan]) -> Vec<u16> {
    let mut ports: Vec<u16> =
        targets.iter().flat_map(|plan| [Some(plan.listen), plan.health_listen]).flatten().map(|at| at.port()).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

fn refuse_too_many_ghosts(cell: &Cell, sources: &Sources) -> Result<(), Refusal> {
    match sources {
        Sources::Named { addresses, .. } if cell.load.behaviour == Behaviour::HalfOpen && *addresses > GHOSTS_MOST => {
            Err(Refusal::scenario(
                format!("half-open load from {addresses} addresses, at most {GHOSTS_MOST} are there"),
                "ask for fewer connections, or leave `net.ipv4.ip_local_port_range` as it is",
            )
            .about("load.connections")
            .in_cell(&cell.id))
        }
        Sources::Named { .. } | Sources::Kernel => Ok(()),
    }
}

fn named_sources(cell: &Cell, health: SocketAddr, skip: Vec<u16>) -> Sources {
    let first = match (cell.path, health.ip()) {
        (Path::Veth, _) if cell.load.behaviour == Behaviour::HalfOpen => IpAddr::V4(GHOST_SOURCES),
        (Path::Veth, _) => IpAddr::V4(VETH_SOURCES),
        (Path::Loopback, IpAddr::V4(_)) => IpAddr::V4(LOOPBACK_SOURCES),
        (Path::Loopback, IpAddr::V6(_)) => IpAddr::V6(LOOPBACK6_SOURCES),
    };
    sources_from(first, sources_wanted(cell), beside(kernel_range(cell)), skip)
}

/// How many source ports the load of a cell wants: one for each connection, and those with which some come back.
pub(super) fn sources_wanted(cell: &Cell) -> u64 {
    cell.load.connections.saturating_mul(1 + cell.load.comeback.more_sources())
}

/// As many addresses as the sources need when each address and port is used once, whatever the destination.
fn sources_from(first: IpAddr, connections: u64, (first_port, last_port): (u16, u16), mut skip: Vec<u16>) -> Sources {
    skip.retain(|port| (first_port..=last_port).contains(port));
    let each = (u64::from(last_port - first_port) + 1).saturating_sub(skip.len() as u64).max(1);
    let addresses = u32::try_from(connections.div_ceil(each).max(1)).unwrap_or(u32::MAX);
    Sources::Named { first, addresses, first_port, last_port, skip }
}

/// The ports for a load: the wider side beside those that the kernel chooses from.
///
/// A port bound by name is one that the kernel no longer chooses for anybody, whatever the addresses
/// (`net/ipv4/inet_hashtables.c`, `__inet_hash_connect` passes over a port with a bind bucket): a load that named all
/// of `ip_local_port_range` would leave the probe without a port, with `EADDRNOTAVAIL`. Where neither side is wide
/// enough the load takes the lower half of the kernel's range and leaves the upper one.
fn beside((low, high): (u16, u16)) -> (u16, u16) {
    let below = (FIRST_PORT, low.saturating_sub(1).max(FIRST_PORT));
    let above = (high.saturating_add(1).max(FIRST_PORT), u16::MAX);
    let wide = |(first, last): (u16, u16)| last.saturating_sub(first);
    let side = if wide(below) >= wide(above) { below } else { above };
    if wide(side) >= ENOUGH_PORTS {
        side
    } else {
        let first = low.max(FIRST_PORT);
        (first, first + high.saturating_sub(first) / 2)
    }
}

/// The range that the kernel chooses from in a cell: what the cell sets, or a fresh namespace's.
pub(super) fn kernel_range(cell: &Cell) -> (u16, u16) {
    let set = cell.sysctls.get("net.ipv4.ip_local_port_range").and_then(|value| {
        let mut numbers = value.split_whitespace().map(|number| number.parse().ok());
        Some((numbers.next()??, numbers.next()??))
    });
    set.filter(|(low, high)| low <= high).unwrap_or(KERNEL_RANGE)
}

/// Addresses set aside for each generator on a host: with 31,743 ports each, more than the most connections of a load.
const ADDRESSES_EACH: u32 = 256;

/// The sources of a load on a loopback server outside any sandbox, beside those of `before` other generators on this
/// machine, whose connections to the same server must not have the same source. A host has one IPv6 loopback address and no more.
#[must_use]
pub fn host_sources(server: SocketAddr, connections: u64, before: u32) -> Sources {
    let first = match server.ip() {
        IpAddr::V4(_) => IpAddr::V4(LOOPBACK_SOURCES),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    let mut sources = sources_from(first, connections, beside(KERNEL_RANGE), vec![server.port()]);
    if let Sources::Named { first: IpAddr::V4(first), .. } = &mut sources {
        *first = Ipv4Addr::from(u32::from(*first).saturating_add(before.saturating_mul(ADDRESSES_EACH)));
    }
    sources
}

/// The sources of a load on a server elsewhere: the one address that it is reached from, and the ports beside those that the kernel
/// chooses from.
#[must_use]
pub fn own_sources(local: IpAddr) -> Sources {
    sources_from(local, 1, beside(KERNEL_RANGE), Vec::new())
}

#[cfg(test)]
mod tests {
    use brimful_loadgen_plan::address::capacity;
    use proptest::prelude::*;

    use super::*;
    use crate::matrix::expand;
    use crate::refusal::Class;
    use crate::scenario::Scenario;

    fn layout(more: &str, connections: u64, nofile_hard: u64) -> Layout {
        let text = format!(
            "question = \"?\"\nload.connections = {connections}\nload.ramp = \"1s\"\nload.hold = \"1s\"\n{more}\n"
        );
        let scenario = Scenario::parse("t.toml", &text).unwrap();
        resolve(&expand(&scenario, 1 << 20).unwrap()[0], nofile_hard).unwrap()
    }

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn loopback_sources_stay_clear_of_the_listeners() {
        let layout = layout("target.shards = 3\ntarget.health-listen = \"127.0.0.1:9099\"", 200_000, 20_000);
        let ports: Vec<u16> = layout.targets.iter().map(|plan| plan.listen.port()).collect();
        assert_eq!(ports, [23_380, 23_381, 23_382]);
        assert_eq!(layout.targets[1].health_listen, None);
        assert_eq!(layout.probe.address, at("127.0.0.1:9099"));
        assert_eq!(layout.load.destinations, [at("127.0.0.1:23380"), at("127.0.0.1:23381"), at("127.0.0.1:23382")]);
        assert_eq!(layout.load.shards, 11, "200,000 over 19,936 each");
        let Sources::Named { first, addresses, first_port, last_port, skip } = layout.load.sources else { panic!() };
        assert_eq!((first, first_port, last_port), ("127.1.0.1".parse().unwrap(), 1_024, 32_767));
        assert_eq!(skip, [9_099, 23_380, 23_381, 23_382]);
        assert_eq!(addresses, 7, "200,000 over 31,740 each");
    }

    #[test]
    fn the_load_leaves_the_kernel_ports_to_choose_from() {
        for (kernel, named) in [
            ((32_768, 60_999), (1_024, 32_767)),
            ((1_024, 3_000), (3_001, 65_535)),
            ((10_000, 65_535), (1_024, 9_999)),
            ((1_024, 65_535), (1_024, 33_279)),
            ((1, 65_535), (1_024, 33_279)),
        ] {
            assert_eq!(beside(kernel), named, "{kernel:?}");
        }
    }

    #[test]
    fn a_listener_on_every_address_is_reached_at_one() {
        for (path, listen, reached, source) in [
            ("loopback", "0.0.0.0:80", "127.0.0.1:80", "127.1.0.1"),
            ("loopback", "[::]:8080", "[::1]:8080", "fd88::1"),
            ("loopback", "[::1]:8080", "[::1]:8080", "fd88::1"),
            ("veth", "0.0.0.0:8080", "10.88.0.1:8080", "10.88.128.1"),
        ] {
            let layout = layout(&format!("topology.path = \"{path}\"\ntarget.listen = \"{listen}\""), 10, 1_024);
            assert_eq!(layout.targets[0].listen, at(listen));
            assert_eq!(layout.load.destinations, [at(reached)]);
            assert_eq!(layout.probe.address, at(reached));
            let Sources::Named { first, .. } = layout.load.sources else { panic!() };
            assert_eq!(first, source.parse::<IpAddr>().unwrap());
        }
    }

    #[test]
    fn half_open_load_comes_from_the_ghosts() {
        let more = "topology.path = \"veth\"\nmatrix.load.behaviour = [\"half-open\"]";
        let half_open = layout(more, 100_000, 20_000);
        let Sources::Named { first, addresses, .. } = half_open.load.sources else { panic!() };
        assert_eq!((first, addresses), (GHOST_SOURCES.into(), 4));
        assert_eq!(half_open.load.shards, 6);
        let narrow = format!("{more}\nmatrix.sysctl.\"net.ipv4.ip_local_port_range\" = [\"2049 64511\"]");
        let text = format!("question = \"?\"\n{narrow}\n[load]\nconnections = 300_000\nramp = \"1s\"\nhold = \"1s\"\n");
        let cells = expand(&Scenario::parse("t.toml", &text).unwrap(), 20_000).unwrap();
        assert_eq!(
            resolve(&cells[0], 20_000).unwrap_err().what,
            "half-open load from 293 addresses, at most 254 are there"
        );
    }

    #[test]
    fn heartbeats_ask_for_health_and_whoever_comes_back_has_ports_for_it() {
        let storm = "[load]\nconnections = 20_000\nramp = \"1s\"\nhold = \"9s\"\nbehaviour = \"heartbeat\"\nstorm-at = \"5s\"\n\
                     reconnect = \"linear\"\n[probe]\nhttp-get = \"/live\"";
        let scenario =
            Scenario::parse("t.toml", &format!("question = \"?\"\n{storm}")).unwrap_or_else(|e| panic!("{e}"));
        let load = resolve(&expand(&scenario, 1 << 20).unwrap()[0], 20_000).unwrap().load;
        assert_eq!((load.path.as_str(), load.comeback.more_sources()), ("/live", 2));
        assert_eq!(capacity(&load), 2 * 31_743, "for 60,000");
        assert_eq!(layout("", 20_000, 20_000).load.path, "/");
    }

    #[test]
    fn churn_needs_processes_for_what_is_open_at_once() {
        let churn = layout("matrix.load.behaviour = [\"churn\"]\nload.lifetime = \"100ms\"", 10, 1_024);
        assert_eq!((churn.load.shards, churn.load.connections), (1, 10));
    }

    #[test]
    fn a_probe_may_ask_a_port_that_nobody_listens_on() {
        let layout = layout("[probe]\nport = 9_099", 10, 1_024);
        assert_eq!((layout.probe.address, layout.ports()), (at("127.0.0.1:9099"), vec![23_380]));
    }

    #[test]
    fn generators_beside_each_other_on_a_host_share_no_source() {
        let range = |connections, before| match host_sources(at("127.0.0.1:8080"), connections, before) {
            Sources::Named { first: IpAddr::V4(first), addresses, .. } => {
                (u32::from(first), u32::from(first) + addresses)
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(range(1, 0).0, u32::from(LOOPBACK_SOURCES));
        for connections in [100, 31_743, 31_744, 4_000_000] {
            for before in 0..8 {
                // The first of several may have one more.
                let (mine, next) = (range(connections + 1, before), range(connections, before + 1));
                assert!(mine.1 <= next.0, "{connections} {before}");
            }
        }
    }

    #[test]
    fn veth_has_its_own_default_address() {
        let layout = layout("topology.path = \"veth\"", 10, 1_024);
        assert_eq!(layout.probe.address, at("10.88.0.1:23380"));
    }

    #[test]
    fn a_process_without_room_for_a_connection_is_refused() {
        let scenario = "question = \"?\"\n[load]\nconnections = 1\nramp = \"1s\"\nhold = \"1s\"\n";
        let cells = expand(&Scenario::parse("t", scenario).unwrap(), 64).unwrap();
        assert_eq!(resolve(&cells[0], 64).unwrap_err().class, Class::Machine);
    }

    proptest! {
        #[test]
        fn ports_of_the_load_are_a_range_beside_the_kernels(low in 1u16..=65_535, high in 1u16..=65_535) {
            let (low, high) = (low.min(high), low.max(high));
            let (first, last) = beside((low, high));
            prop_assert!(FIRST_PORT <= first && first <= last);
            prop_assert!(last < low || first > high || last < high || low == high);
        }

        #[test]
        fn shards_hold_everything_and_are_no_more_than_needed(connections in 0u64..=4_000_000, hard in 65u64..2_000_000) {
            let shards = u64::from(shards_needed(connections, hard));
            let each = hard - OWN_DESCRIPTORS;
            prop_assert!(shards * each >= connections);
            prop_assert!(shards == 1 || (shards - 1) * each < connections);
        }
    }
}
