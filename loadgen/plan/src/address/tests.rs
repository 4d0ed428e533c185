use std::collections::{HashMap, HashSet};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::plan::{Behaviour, Comeback};

fn to(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

fn plan(connections: u64, shards: u32, sources: Sources) -> LoadPlan {
    LoadPlan {
        connections,
        shards,
        ramp: Duration::from_secs(3),
        behaviour: Behaviour::Idle,
        sources,
        destinations: vec![to("127.0.0.1:23380")],
        comeback: Comeback::default(),
        path: "/".to_owned(),
        seed: 0,
    }
}

fn named(first: &str, addresses: u32, first_port: u16, last_port: u16, skip: Vec<u16>) -> Sources {
    Sources::Named { first: first.parse().unwrap(), addresses, first_port, last_port, skip }
}

/// Small plans of either family, full to a random degree.
fn plans() -> impl Strategy<Value = LoadPlan> {
    let range = (1_u16..=65_535, 0_u16..40).prop_map(|(first, more)| (first, first.saturating_add(more)));
    (range, 1_u32..4, 1_u32..6, proptest::collection::vec(0_u16..45, 0..12), any::<bool>(), 0.0..=1.0_f64, 1_u16..4)
        .prop_map(|((first_port, last_port), addresses, shards, holes, v6, full, listeners)| {
            let skip = holes.into_iter().map(|hole| first_port.saturating_add(hole)).collect();
            let first = if v6 { "fd00::ffff:fffe" } else { "127.1.255.254" };
            let mut plan = plan(0, shards, named(first, addresses, first_port, last_port, skip));
            let ip: IpAddr = first.parse().unwrap();
            plan.destinations = (0..listeners).map(|i| SocketAddr::new(ip, first_port.saturating_add(i * 7))).collect();
            #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of it")]
            let connections = (capacity(&plan) as f64 * full) as u64;
            plan.connections = connections;
            plan
        })
}

proptest! {
    #[test]
    fn no_source_is_given_twice_not_even_as_a_spare(plan in plans()) {
        let planner = Planner::new(&plan).unwrap();
        let mut seen = HashSet::new();
        for i in 0..plan.connections {
            let endpoint = planner.endpoint(i).unwrap();
            prop_assert!(seen.insert(endpoint.source.unwrap()), "{endpoint:?} is used twice");
        }
        for shard in 0..plan.shards {
            let mut j = 0;
            while let Some(spare) = planner.spare(shard, j, plan.destinations[0]) {
                prop_assert!(seen.insert(spare), "spare {spare} is used twice");
                j += 1;
            }
        }
        // Connections and spares together are the whole capacity, exactly.
        prop_assert_eq!(seen.len() as u64, capacity(&plan));
        let one_more = LoadPlan { connections: capacity(&plan) + 1, ..plan.clone() };
        let refused = matches!(Planner::new(&one_more), Err(AddressError::Capacity { .. }));
        prop_assert!(refused, "one more than the capacity is accepted");
    }

    #[test]
    fn who_shares_a_source_goes_elsewhere_from_the_same_shard_and_spares_are_nobodys(plan in plans(), sharers in 1_u64..9) {
        let mut planner = Planner::new(&plan).unwrap();
        planner.sharers = most_sharers(&plan).min(sharers);
        let mut sockets = HashSet::new();
        let mut owners = HashMap::new();
        for i in 0..plan.connections {
            let endpoint = planner.endpoint(i).unwrap();
            let source = endpoint.source.unwrap();
            prop_assert!(sockets.insert((source, endpoint.destination)), "{endpoint:?} is opened twice");
            let (owner, count) = owners.entry(source).or_insert((endpoint.shard, 0));
            *count += 1;
            prop_assert!(*owner == endpoint.shard && *count <= planner.sharers);
        }
        for shard in 0..plan.shards {
            if let Some(spare) = planner.spare(shard, 0, plan.destinations[0]) {
                prop_assert!(!owners.contains_key(&spare));
            }
        }
    }

    #[test]
    fn skipped_ports_and_those_of_the_listeners_are_never_used(plan in plans()) {
        let Sources::Named { first_port, last_port, skip, .. } = &plan.sources else { unreachable!() };
        let planner = Planner::new(&plan).unwrap();
        for i in 0..plan.connections {
            let port = planner.endpoint(i).unwrap().source.unwrap().port();
            prop_assert!((*first_port..=*last_port).contains(&port));
            prop_assert!(!skip.contains(&port));
            prop_assert!(plan.destinations.iter().all(|d| d.port() != port));
        }
    }

    #[test]
    fn the_shards_partition_the_connections_in_order_of_time(plan in plans()) {
        let planner = Planner::new(&plan).unwrap();
        let mut all = Vec::new();
        for shard in 0..plan.shards {
            let mine: Vec<Endpoint> = (0..).map_while(|k| planner.of_shard(shard, k)).collect();
            prop_assert_eq!(mine.len() as u64, planner.connections_of(shard));
            prop_assert!(mine.iter().all(|e| e.shard == shard));
            prop_assert!(mine.is_sorted_by_key(|e| e.intended_ns));
            all.extend(mine);
        }
        let mut whole: Vec<Endpoint> = (0..plan.connections).filter_map(|i| planner.endpoint(i)).collect();
        all.sort_by_key(|e| e.source);
        whole.sort_by_key(|e| e.source);
        prop_assert_eq!(all, whole);
    }
}

#[test]
fn addresses_follow_numerically_across_byte_and_group_boundaries() {
    let v4 = plan(3, 1, named("127.0.0.255", 3, 40_000, 40_000, vec![]));
    let v4 = Planner::new(&v4).unwrap();
    let sources: Vec<_> = (0..3).map(|i| v4.endpoint(i).unwrap().source.unwrap().to_string()).collect();
    assert_eq!(sources, ["127.0.0.255:40000", "127.0.1.0:40000", "127.0.1.1:40000"]);

    let mut v6 = plan(2, 1, named("fe80::ffff", 2, 40_000, 40_000, vec![]));
    v6.destinations = vec![to("[fe80::1%7]:80")];
    let v6 = Planner::new(&v6).unwrap();
    let sources: Vec<_> = (0..2).map(|i| v6.endpoint(i).unwrap().source.unwrap().to_string()).collect();
    assert_eq!(sources, ["[fe80::ffff%7]:40000", "[fe80::1:0%7]:40000"]);
}

#[test]
fn destinations_take_turns() {
    let mut two = plan(3, 1, Sources::Kernel);
    two.destinations.push(to("127.0.0.1:23381"));
    let planner = Planner::new(&two).unwrap();
    let ports: Vec<u16> = (0..3).map(|i| planner.endpoint(i).unwrap().destination.port()).collect();
    assert_eq!(ports, [23_380, 23_381, 23_380]);
    assert_eq!(planner.endpoint(3), None);
}

#[test]
fn a_million_fill_each_place_of_the_kernels_table_once() {
    let mut million = plan(1_000_000, 51, named("127.1.0.0", 33, 2_000, 32_767, vec![]));
    million.destinations = (0..53).map(|shard| SocketAddr::from(([127, 0, 0, 1], 1_100 + shard))).collect();
    let planner = Planner::new(&million).unwrap();
    assert_eq!(planner.sharers, 16);
    let sources: HashSet<_> = (0..1_000_000).map(|i| planner.endpoint(i).unwrap().source.unwrap()).collect();
    assert!(sources.len() as u64 <= BIND_BUCKETS, "{}", sources.len());

    // Where all of a shard's connections have one destination, or two destinations are one, nothing can be shared.
    assert_eq!((most_sharers(&LoadPlan { shards: 53, ..million.clone() }), most_sharers(&million)), (1, 53));
    let mut twice = million.clone();
    twice.destinations.push(twice.destinations[0]);
    assert_eq!(most_sharers(&twice), 1);
    assert_eq!(Planner::new(&LoadPlan { connections: BIND_BUCKETS, ..million.clone() }).unwrap().sharers, 1);
}

#[test]
fn the_kernel_needs_no_plan_and_has_no_spares() {
    let free = plan(u64::MAX, 7, Sources::Kernel);
    assert_eq!(capacity(&free), u64::MAX);
    let planner = Planner::new(&free).unwrap();
    assert_eq!(planner.of_shard(6, 1).unwrap().source, None);
    assert_eq!(planner.spare(0, 0, free.destinations[0]), None);
    assert_eq!((planner.of_shard(7, 0), planner.connections_of(7)), (None, 0));
    assert_eq!(planner.of_shard(0, u64::MAX), None);
}

#[test]
fn a_plan_that_does_not_work_out_is_refused() {
    let refused = |plan: LoadPlan| Planner::new(&plan).map(|_| ()).unwrap_err();
    assert_eq!(refused(plan(1, 0, Sources::Kernel)), AddressError::NoShards);
    let nowhere = LoadPlan { destinations: vec![], ..plan(1, 1, Sources::Kernel) };
    assert_eq!(refused(nowhere), AddressError::NoDestinations);
    for (first, last) in [(0, 9), (10, 9)] {
        let error = refused(plan(1, 1, named("127.0.0.1", 1, first, last, vec![])));
        assert_eq!(error, AddressError::Ports { first, last });
    }
    let mixed = refused(plan(1, 1, named("::1", 1, 40_000, 40_001, vec![])));
    assert!(matches!(mixed, AddressError::Family { .. }), "{mixed}");
    let beyond = refused(plan(1, 1, named("255.255.255.255", 2, 40_000, 40_001, vec![])));
    assert!(matches!(beyond, AddressError::Addresses { .. }), "{beyond}");
    for (addresses, skip) in [(0, vec![]), (1, vec![40_000, 40_001])] {
        let full = refused(plan(1, 1, named("127.0.0.1", addresses, 40_000, 40_001, skip)));
        assert_eq!(full, AddressError::Capacity { connections: 1, capacity: 0 });
    }
}

#[test]
fn whoever_comes_back_takes_the_spares_in_turn() {
    // Ten sources for six connections of two shards: each has two spares.
    let plan = plan(6, 2, named("127.0.0.1", 1, 40_000, 40_009, vec![]));
    let planner = Planner::new(&plan).unwrap();
    let ports = |shard| (0..3).map(move |j| (shard, j));
    let again = |(shard, j)| planner.again(shard, j, plan.destinations[0]).unwrap().port();
    assert_eq!(ports(0).map(again).collect::<Vec<_>>(), [40_006, 40_008, 40_006]);
    assert_eq!(ports(1).map(again).collect::<Vec<_>>(), [40_007, 40_009, 40_007]);
    let full = LoadPlan { connections: 10, ..plan.clone() };
    assert_eq!(Planner::new(&full).unwrap().again(0, 0, plan.destinations[0]), None);
}
