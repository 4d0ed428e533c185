//! The planner of addresses: which source and destination each connection of a load has. Pure, and computed from the
//! index alone, so that a million connections cost no table.
//!
//! A plan has a source address and port for every connection, whatever its destination: its capacity is addresses × usable
//! ports. Up to 65,536 connections each has one of its own. Beyond, connections that a shard opens one after the
//! other share a source, each to another destination, as Linux allows where all have `SO_REUSEADDR`
//! (`inet_csk_bind_conflict`): a bind walks all sources of its place in the kernel's table twice
//! (`inet_bhash2_addr_any_conflict`, `inet_bind2_bucket_find`), and with a million of them that is the largest part of what makes a late
//! connection dearer than an early one. It walks the sharers too, but they were opened just before and are in the cache.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use crate::pace;
use crate::plan::{LoadPlan, Sources};

/// The places of the kernel's table of bound sources, at most (`tcp_init`: `bhash_size`, which `bhash2` has too).
const BIND_BUCKETS: u64 = 65_536;

/// One planned connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The shard that opens it.
    pub shard: u32,
    /// Its own address and port; `None` when the kernel chooses.
    pub source: Option<SocketAddr>,
    /// Where it goes.
    pub destination: SocketAddr,
    /// When it is meant to be opened, in nanoseconds since the start of the load.
    pub intended_ns: u64,
}

/// A load plan whose addresses do not work out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nobody would open the connections.
    #[error("the load has no shards\nhint: set shards = 1 or more")]
    NoShards,
    /// The shard is not part of the plan.
    #[error("there is no shard {shard} in a load of {shards} shards\nhint: shards count from 0")]
    NoSuchShard {
        /// The shard that was asked for.
        shard: u32,
        /// How many the plan has.
        shards: u32,
    },
    /// There is nowhere to connect to.
    #[error("the load has no destinations\nhint: name at least one address and port")]
    NoDestinations,
    /// The lowest port is 0, which means "any" to the kernel, or above the highest.
    #[error("source ports {first} to {last} are not a range\nhint: use ports from 1 to 65535, the lowest first")]
    Ports {
        /// The lowest port of the plan.
        first: u16,
        /// The highest port of the plan.
        last: u16,
    },
    /// IPv4 cannot talk to IPv6.
    #[error(
        "source {source_address} and destination {destination} are of different families\nhint: use IPv4 or IPv6 for both"
    )]
    Family {
        /// The first source address.
        source_address: IpAddr,
        /// The destination that does not go with it.
        destination: SocketAddr,
    },
    /// Counting on from the first address leaves the address space.
    #[error("there are no {addresses} addresses from {first} on\nhint: begin lower, or use fewer")]
    Addresses {
        /// The first source address.
        first: IpAddr,
        /// How many were asked for.
        addresses: u32,
    },
    /// More connections than sources.
    #[error("{connections} connections need more than the {capacity} source ports planned\nhint: add source addresses")]
    Capacity {
        /// Connections asked for.
        connections: u64,
        /// What [`capacity`] says.
        capacity: u64,
    },
}

/// How many connections a plan has sources for: addresses × usable ports, a port being usable when it is neither
/// skipped nor the port of a destination. `u64::MAX` when the kernel chooses: what it can give is not known here
/// (`ip_local_port_range` for each destination, less the ports in use).
#[must_use]
pub fn capacity(plan: &LoadPlan) -> u64 {
    match &plan.sources {
        Sources::Kernel => u64::MAX,
        Sources::Named { addresses, first_port, last_port, .. } => {
            u64::from(*addresses) * u64::from(Ports::new(plan, *first_port, *last_port).usable)
        }
    }
}

/// A checked plan, ready to say where connection `i` comes from and goes to.
#[derive(Clone, Debug)]
pub struct Planner<'a> {
    plan: &'a LoadPlan,
    named: Option<Named>,
    capacity: u64,
    /// How many connections, one after the other of a shard, have the same source.
    sharers: u64,
}

#[derive(Clone, Debug)]
struct Named {
    first: IpAddr,
    ports: Ports,
}

impl<'a> Planner<'a> {
    /// Checks a plan and prepares the arithmetic; memory grows with the skipped ports only.
    ///
    /// # Errors
    /// When the plan has no shard or destination, its ports are no range, families are mixed, the source addresses
    /// run out of their space, or there are more connections than [`capacity`].
    pub fn new(plan: &'a LoadPlan) -> Result<Self, AddressError> {
        if plan.shards == 0 {
            return Err(AddressError::NoShards);
        }
        if plan.destinations.is_empty() {
            return Err(AddressError::NoDestinations);
        }
        let named = match &plan.sources {
            Sources::Kernel => None,
            Sources::Named { first, addresses, first_port, last_port, .. } => {
                if *first_port == 0 || first_port > last_port {
                    return Err(AddressError::Ports { first: *first_port, last: *last_port });
                }
                if let Some(destination) = plan.destinations.iter().find(|d| d.is_ipv4() != first.is_ipv4()) {
                    return Err(AddressError::Family { source_address: *first, destination: *destination });
                }
                if nth_address(*first, u64::from(addresses.saturating_sub(1))).is_none() {
                    return Err(AddressError::Addresses { first: *first, addresses: *addresses });
                }
                Some(Named { first: *first, ports: Ports::new(plan, *first_port, *last_port) })
            }
        };
        let capacity = capacity(plan);
        if plan.connections > capacity {
            return Err(AddressError::Capacity { connections: plan.connections, capacity });
        }
        let sharers = plan.connections.div_ceil(BIND_BUCKETS).min(most_sharers(plan)).max(1);
        Ok(Self { plan, named, capacity, sharers })
    }

    /// How many connections belong to a shard; 0 for a shard that the plan does not have.
    #[must_use]
    pub fn connections_of(&self, shard: u32) -> u64 {
        let shards = u64::from(self.plan.shards);
        if shard >= self.plan.shards {
            return 0;
        }
        self.plan.connections.saturating_sub(u64::from(shard)).div_ceil(shards)
    }

    /// Connection `k` of a shard, counted from 0 in the order of the intended instants; `None` past the last.
    #[must_use]
    pub fn of_shard(&self, shard: u32, k: u64) -> Option<Endpoint> {
        if shard >= self.plan.shards {
            return None;
        }
        self.endpoint(k.checked_mul(u64::from(self.plan.shards))?.checked_add(u64::from(shard))?)
    }

    /// Connection `i` of the whole load, counted from 0; `None` past the last.
    #[must_use]
    pub fn endpoint(&self, i: u64) -> Option<Endpoint> {
        if i >= self.plan.connections {
            return None;
        }
        let destination = in_turn(&self.plan.destinations, i)?;
        let shards = u64::from(self.plan.shards);
        // The remainder is below a u32.
        let shard = u32::try_from(i % shards).ok()?;
        let source = match &self.named {
            None => None,
            Some(named) => Some(named.nth(i / shards / self.sharers * shards + u64::from(shard), destination)?),
        };
        let intended_ns = pace::intended_ns(i, self.plan.connections, self.plan.ramp);
        Some(Endpoint { shard, source, destination, intended_ns })
    }

    /// Spare source `j` of a shard, for a connection to `destination` whose own source is taken (`EADDRINUSE`, as by
    /// a stranger's wildcard listener on that port). No two shards share a spare, and none is the source of a planned
    /// connection. `None` when the plan has no more, or when the kernel chooses the sources.
    #[must_use]
    pub fn spare(&self, shard: u32, j: u64, destination: SocketAddr) -> Option<SocketAddr> {
        let named = self.named.as_ref()?;
        let shards = u64::from(self.plan.shards);
        if shard >= self.plan.shards {
            return None;
        }
        let index = j.checked_mul(shards)?.checked_add(u64::from(shard))?.checked_add(self.plan.connections)?;
        if index >= self.capacity { None } else { named.nth(index, destination) }
    }
}

impl Planner<'_> {
    /// Destination `i` of those in turn.
    #[must_use]
    pub fn destination(&self, i: u64) -> Option<SocketAddr> {
        in_turn(&self.plan.destinations, i)
    }

    /// The source for opening `j` of a shard beyond its planned ones, counted from 0: its spares in turn, and the first again after the last,
    /// because by then that has been free for long. `None` when the plan has no spares, or when the kernel chooses the sources.
    #[must_use]
    pub fn again(&self, shard: u32, j: u64, destination: SocketAddr) -> Option<SocketAddr> {
        let shards = u64::from(self.plan.shards);
        let spares =
            self.capacity.saturating_sub(self.plan.connections).saturating_sub(u64::from(shard)).div_ceil(shards);
        self.spare(shard, j.checked_rem(spares)?, destination)
    }
}

impl Named {
    /// Source `index`: all ports of the first address, then all of the next. The scope of a link-local destination
    /// is the source's too.
    fn nth(&self, index: u64, destination: SocketAddr) -> Option<SocketAddr> {
        let usable = u64::from(self.ports.usable);
        let address = nth_address(self.first, index.checked_div(usable)?)?;
        let port = self.ports.nth(u32::try_from(index.checked_rem(usable)?).ok()?)?;
        Some(match (address, destination) {
            (IpAddr::V6(ip), SocketAddr::V6(to)) => SocketAddr::V6(SocketAddrV6::new(ip, port, 0, to.scope_id())),
            (ip, _) => SocketAddr::new(ip, port),
        })
    }
}

/// A range of ports with holes.
#[derive(Clone, Debug)]
struct Ports {
    first: u16,
    usable: u32,
    /// For each hole in ascending order, how many usable ports lie below it.
    below_hole: Vec<u32>,
}

impl Ports {
    /// The ports of a plan that may be used. A destination's port is a hole of its own: its listener may be a
    /// wildcard one, and a source equal to the destination would connect to itself (RFC 9293, simultaneous open).
    fn new(plan: &LoadPlan, first: u16, last: u16) -> Self {
        let skip: &[u16] = match &plan.sources {
            Sources::Named { skip, .. } => skip,
            Sources::Kernel => &[],
        };
        let listeners = plan.destinations.iter().map(SocketAddr::port);
        let mut holes: Vec<u16> =
            skip.iter().copied().chain(listeners).filter(|port| (first..=last).contains(port)).collect();
        holes.sort_unstable();
        holes.dedup();
        let below_hole: Vec<u32> = (0_u32..).zip(&holes).map(|(i, hole)| u32::from(hole - first) - i).collect();
        let all = (u32::from(last) + 1).saturating_sub(u32::from(first));
        // Holes are distinct and in the range, so there are never more of them than ports.
        let usable = all - u32::try_from(holes.len()).unwrap_or(all);
        Self { first, usable, below_hole }
    }

    /// Usable port `k`, counted from 0 upwards; `None` past the last.
    fn nth(&self, k: u32) -> Option<u16> {
        if k >= self.usable {
            return None;
        }
        let holes = self.below_hole.partition_point(|&below| below <= k);
        u16::try_from(u32::from(self.first) + k + u32::try_from(holes).ok()?).ok()
    }
}

/// The address `n` numerically above `first`; `None` past the end of the address space.
fn nth_address(first: IpAddr, n: u64) -> Option<IpAddr> {
    Some(match first {
        IpAddr::V4(ip) => IpAddr::V4(Ipv4Addr::from(u32::from(ip).checked_add(u32::try_from(n).ok()?)?)),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from(u128::from(ip).checked_add(u128::from(n))?)),
    })
}

/// How many connections of a shard, one after the other, all have another destination; at least 1.
fn most_sharers(plan: &LoadPlan) -> u64 {
    let mut distinct = plan.destinations.clone();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < plan.destinations.len() {
        return 1;
    }
    // A shard's next connection goes to the destination `shards` further on.
    let (mut divisor, mut rest) = (distinct.len() as u64, u64::from(plan.shards));
    while rest > 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    (distinct.len() as u64).checked_div(divisor).unwrap_or(1)
}

/// Element `i` of a list that begins anew after its end.
fn in_turn(destinations: &[SocketAddr], i: u64) -> Option<SocketAddr> {
    let turn = i.checked_rem(u64::try_from(destinations.len()).ok()?)?;
    destinations.get(usize::try_from(turn).ok()?).copied()
}

#[cfg(test)]
mod tests;
