//! Interfaces, addresses and routes of a sandbox, made by netlink in the calling thread's network namespace.

use std::fs::File;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::fd::AsRawFd as _;

use brimful_plan::topology;
use rtnetlink::packet_route::neighbour::NeighbourState;
use rtnetlink::packet_route::route::{RouteProtocol, RouteScope, RouteType};
use rtnetlink::{Error, Handle, LinkUnspec, LinkVeth, RouteMessageBuilder, new_connection};
use rustix::io::Errno;
use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::message::Failed;
use super::namespace::Policy;

/// The server's end of the veth pair, and the client's.
const SERVER_LINK: &str = "brimful-s";
const CLIENT_LINK: &str = "brimful-c";

fn failed(what: &'static str) -> impl Fn(Error) -> Failed {
    move |error| Failed {
        what: format!("cannot {what}: {error}"),
        // Ubuntu's rule lets the namespace be made and then denies what is done in it.
        hint: Some(Policy::read(std::path::Path::new("/proc/sys")).hint()),
        machine: true,
    }
}

/// A hardware address that nobody has, locally administered: what is sent to it arrives at the client and is thrown away
/// there as another host's (`net/ipv4/ip_input.c`, `ip_rcv_core`).
const NOBODY: [u8; 6] = [0x02, 0, 0, 0, 0, 0x99];

/// Runs requests over a netlink socket opened in the calling thread's namespace.
fn with_netlink<F>(work: impl FnOnce(Handle) -> F) -> Result<(), Failed>
where
    F: Future<Output = Result<(), Failed>>,
{
    let io = |error: std::io::Error| Failed {
        what: format!("cannot open a netlink socket: {error}"),
        hint: None,
        machine: true,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(io)?;
    runtime.block_on(async {
        let (connection, handle, _) = new_connection().map_err(io)?;
        let pump = tokio::spawn(connection);
        let done = work(handle).await;
        pump.abort();
        done
    })
}

fn index_of(link: &str) -> Result<u32, Failed> {
    let look_up = || -> rustix::io::Result<u32> {
        let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
        name_to_index(&socket, link)
    };
    look_up().map_err(|error| Failed {
        what: format!("cannot find the interface `{link}`: {error}"),
        hint: None,
        machine: true,
    })
}

async fn up(handle: &Handle, index: u32) -> Result<(), Failed> {
    let message = LinkUnspec::new_with_index(index).up().build();
    handle.link().set(message).execute().await.map_err(failed("bring an interface up"))
}

/// A route that makes every address of a prefix local, so that any of them can be bound without being added one by one.
async fn any_ip_v4(handle: &Handle, (prefix, length): (Ipv4Addr, u8), lo: u32) -> Result<(), Failed> {
    let route = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(prefix, length)
        .output_interface(lo)
        .kind(RouteType::Local)
        .scope(RouteScope::Host)
        .table_id(LOCAL_TABLE)
        .build();
    handle.route().add(route).execute().await.map_err(failed("make a prefix local"))
}

/// `RT_TABLE_LOCAL` (`include/uapi/linux/rtnetlink.h`).
const LOCAL_TABLE: u32 = 255;

/// Brings `lo` up.
///
/// # Errors
/// When the kernel refuses.
pub fn loopback() -> Result<(), Failed> {
    let lo = index_of("lo")?;
    with_netlink(|handle| async move { up(&handle, lo).await })
}

/// Adds the IPv6 source addresses of a load to `lo`, one by one: unlike IPv4's, an IPv6 bind is not content with a
/// local route to the prefix (`net/ipv6/af_inet6.c`, `__inet6_bind` asks `ipv6_chk_addr`).
///
/// # Errors
/// When the kernel refuses, as one without IPv6 does.
pub(super) fn ipv6_sources(count: u32) -> Result<(), Failed> {
    let lo = index_of("lo")?;
    with_netlink(|handle| async move {
        for address in (u128::from(topology::LOOPBACK6_SOURCES)..).take(usize::try_from(count).unwrap_or(usize::MAX)) {
            add_address(&handle, lo, Ipv6Addr::from(address).into(), 128).await?;
        }
        Ok(())
    })
}

/// Makes the veth pair: the calling thread keeps the server's end, the client's goes to the namespace behind `client`.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn veth_server(client: &File) -> Result<(), Failed> {
    with_netlink(|handle| async move {
        let pair = LinkVeth::new(SERVER_LINK, CLIENT_LINK).build();
        handle.link().add(pair).execute().await.map_err(failed("make a veth pair"))?;
        let peer = LinkUnspec::new_with_index(index_of(CLIENT_LINK)?).setns_by_fd(client.as_raw_fd()).build();
        handle.link().set(peer).execute().await.map_err(failed("move the client's end of the veth pair"))?;
        let (server, length) = (topology::VETH_SERVER, topology::VETH_PREFIX);
        let link = index_of(SERVER_LINK)?;
        add_address(&handle, link, server.into(), length).await?;
        up(&handle, link).await?;
        // One gateway for all source addresses, so that the neighbour table (host-wide, gc_thresh3 1024) holds one entry.
        let (sources, length) = (topology::VETH_SOURCES_NETWORK, topology::VETH_SOURCES_PREFIX);
        let route = RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(sources, length)
            .gateway(topology::VETH_CLIENT)
            .output_interface(link)
            .build();
        handle.route().add(route).execute().await.map_err(failed("route to the client's addresses"))
    })
}

/// Sets up the client's end in the calling thread's namespace, after [`veth_server`] moved it there.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn veth_client() -> Result<(), Failed> {
    let (link, lo) = (index_of(CLIENT_LINK)?, index_of("lo")?);
    with_netlink(|handle| async move {
        let (client, length) = (topology::VETH_CLIENT, topology::VETH_PREFIX);
        add_address(&handle, link, client.into(), length).await?;
        up(&handle, link).await?;
        any_ip_v4(&handle, (topology::VETH_SOURCES_NETWORK, topology::VETH_SOURCES_PREFIX), lo).await
    })
}

/// Takes away every route from the server's namespace, that of the calling thread, to the client's addresses, the probe's
/// among them, and asks the kernel whether there is one left. The server still hears the client, and cannot answer.
///
/// # Errors
/// When the kernel refuses, or still finds a way.
pub(super) fn no_route_back() -> Result<(), Failed> {
    let link = index_of(SERVER_LINK)?;
    with_netlink(|handle| async move {
        for (network, length) in [
            (topology::VETH_SOURCES_NETWORK, topology::VETH_SOURCES_PREFIX),
            // The route that the kernel made for the address.
            (network_of(topology::VETH_SERVER, topology::VETH_PREFIX), topology::VETH_PREFIX),
        ] {
            let route = RouteMessageBuilder::<Ipv4Addr>::new()
                .destination_prefix(network, length)
                .output_interface(link)
                // Whoever made it, and whatever its scope.
                .protocol(RouteProtocol::Unspec)
                .scope(RouteScope::NoWhere)
                .build();
            handle.route().del(route).execute().await.map_err(failed("take a route away"))?;
        }
        Ok(())
    })?;
    for address in [topology::VETH_CLIENT, topology::VETH_SOURCES, topology::GHOST_SOURCES] {
        // Nothing is sent: connecting a datagram socket only looks for the route.
        let looked = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| socket.connect((address, 9)));
        if !looked.as_ref().is_err_and(|error| error.raw_os_error() == Some(Errno::NETUNREACH.raw_os_error())) {
            let what = format!("the route back did not go: asked for the way to {address}, the kernel says {looked:?}");
            return Err(Failed { what, hint: None, machine: true });
        }
    }
    Ok(())
}

fn network_of(address: Ipv4Addr, length: u8) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(address) & u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0))
}

/// Makes the ghosts' network local to the client, in the calling thread's namespace, so that a load can be bound to it.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn ghosts_client() -> Result<(), Failed> {
    let lo = index_of("lo")?;
    with_netlink(
        |handle| async move { any_ip_v4(&handle, (topology::GHOST_NETWORK, topology::GHOST_PREFIX), lo).await },
    )
}

/// Gives the server, in the calling thread's namespace, a neighbour for each of the first `count` ghosts that never
/// changes and that nobody is: its SYN-ACK is sent, and heard by no one. Permanent neighbours do not count against the
/// host's table (`net/core/neighbour.c`, `neigh_alloc`). Read back afterwards.
///
/// # Errors
/// When there are fewer ghosts than that, or the kernel refuses.
pub(super) fn ghosts_server(count: u32) -> Result<(), Failed> {
    let most = (1_u32 << (32 - u32::from(topology::GHOST_PREFIX))) - 2;
    if count > most {
        return Err(Failed {
            what: format!("half-open load from {count} addresses: there are {most}"),
            hint: Some("ask for fewer connections: each address has some 30,000 ports".to_owned()),
            machine: true,
        });
    }
    let link = index_of(SERVER_LINK)?;
    let ghosts = move || (u32::from(topology::GHOST_SOURCES)..).take(count as usize).map(Ipv4Addr::from);
    with_netlink(|handle| async move {
        for ghost in ghosts() {
            let neighbour = handle.neighbours().add(link, ghost.into()).link_layer_address(&NOBODY);
            let done = neighbour.state(NeighbourState::Permanent).execute().await;
            done.map_err(failed("give a half-open connection's address to nobody"))?;
        }
        Ok(())
    })?;
    let table = std::fs::read_to_string("/proc/thread-self/net/arp").unwrap_or_default();
    let nobody = NOBODY.map(|byte| format!("{byte:02x}")).join(":");
    let there = ghosts().filter(|ghost| is_neighbour(&table, *ghost, &nobody)).count();
    if there == count as usize {
        return Ok(());
    }
    let what = format!("{there} of {count} addresses for half-open load are in the server's neighbour table");
    Err(Failed { what, hint: None, machine: true })
}

/// Whether `/proc/net/arp` has an address with this hardware address: the first and the fourth column.
fn is_neighbour(table: &str, address: Ipv4Addr, hardware: &str) -> bool {
    let address = address.to_string();
    table.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace();
        fields.next() == Some(&address) && fields.nth(2) == Some(hardware)
    })
}

async fn add_address(handle: &Handle, link: u32, address: IpAddr, length: u8) -> Result<(), Failed> {
    handle.address().add(link, address, length).execute().await.map_err(failed("add an address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_no_host_bits() {
        for (length, network) in [(16, [10, 88, 0, 0]), (32, [10, 88, 1, 7]), (31, [10, 88, 1, 6]), (0, [0; 4])] {
            assert_eq!(network_of(Ipv4Addr::new(10, 88, 1, 7), length), Ipv4Addr::from(network), "/{length}");
        }
    }

    #[test]
    fn a_neighbour_is_found_by_both_its_addresses() {
        let table = "IP address       HW type     Flags       HW address            Mask     Device\n\
                     10.88.64.1       0x1         0x6         02:00:00:00:00:99     *        brimful-s\n\
                     10.88.64.10      0x1         0x2         7a:00:00:00:00:01     *        brimful-s\n";
        let is = |last: u8| is_neighbour(table, Ipv4Addr::new(10, 88, 64, last), "02:00:00:00:00:99");
        assert_eq!((is(1), is(10), is(2)), (true, false, false));
    }
}
