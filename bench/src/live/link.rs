//! Interfaces, addresses and routes of a sandbox, made by netlink in the calling thread's network namespace.

use std::fs::File;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd as _;

use rtnetlink::packet_route::route::{RouteScope, RouteType};
use rtnetlink::{Error, Handle, LinkUnspec, LinkVeth, RouteMessageBuilder, new_connection};
use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::message::Failed;
use super::namespace::Policy;
use crate::plan::topology;

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
pub(super) fn loopback() -> Result<(), Failed> {
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

async fn add_address(handle: &Handle, link: u32, address: IpAddr, length: u8) -> Result<(), Failed> {
    handle.address().add(link, address, length).execute().await.map_err(failed("add an address"))
}
