//! Several machines on one: anonymous network namespaces, each joined by a veth pair to a bridge in a namespace of its own. Held by open
//! files, and gone with them and the processes inside.

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd as _;
use std::process::Command;

use nix::sched::{CloneFlags, setns, unshare};
use rtnetlink::{Handle, LinkBridge, LinkUnspec, LinkVeth, new_connection};
use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketType, socket};

/// Namespaces on a bridge; machine `i` has the address `10.99.0.(i + 1)`.
pub(super) struct Bridge {
    hub: File,
    machines: Vec<File>,
}

/// Whether this process may make namespaces itself. Where only a user namespace would allow it, the test `name` is run again inside one, as
/// its root, and the answer is no: that has been the test.
pub(super) fn is_root_here(name: &str) -> bool {
    if std::thread::spawn(|| unshare(CloneFlags::CLONE_NEWNET)).join().expect("a thread").is_ok() {
        return true;
    }
    assert!(std::env::var_os("BRIMFUL_INSIDE").is_none(), "no namespace can be made inside a user namespace either");
    let mut again = Command::new("unshare");
    again.args(["-Ur", "--"]).arg(std::env::current_exe().expect("this test"));
    again.args(["--exact", name, "--nocapture"]).env("BRIMFUL_INSIDE", "1");
    assert!(again.status().expect("unshare").success(), "{name} failed in a user namespace");
    false
}

/// Does something in a namespace, in a thread of its own. A process that is started there is born there.
fn inside<T: Send>(namespace: &File, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let inside = scope.spawn(|| {
            setns(namespace, CloneFlags::CLONE_NEWNET).expect("the namespace can be entered");
            work()
        });
        inside.join().expect("a thread in a namespace")
    })
}

fn new_namespace() -> File {
    let made = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).expect("a namespace");
        File::open("/proc/thread-self/ns/net").expect("the thread's namespace")
    });
    made.join().expect("a thread in a namespace")
}

/// Talks netlink in the calling thread's namespace.
fn netlink<F: Future<Output = ()>>(work: impl FnOnce(Handle) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
    runtime.block_on(async {
        let (connection, handle, _) = new_connection().expect("a netlink socket");
        let pump = tokio::spawn(connection);
        work(handle).await;
        pump.abort();
    });
}

fn index(name: &str) -> u32 {
    let any = socket(AddressFamily::INET, SocketType::DGRAM, None).expect("a socket");
    name_to_index(&any, name).unwrap_or_else(|error| panic!("{name}: {error}"))
}

async fn up(handle: &Handle, name: &str) {
    let message = LinkUnspec::new_with_index(index(name)).up().build();
    handle.link().set(message).execute().await.expect("a link comes up");
}

impl Bridge {
    /// So many machines, all plugged in.
    pub(super) fn new(machines: u8) -> Self {
        let bridge = Self { hub: new_namespace(), machines: (0..machines).map(|_| new_namespace()).collect() };
        inside(&bridge.hub, || {
            netlink(|handle| async move {
                handle.link().add(LinkBridge::new("hub").build()).execute().await.expect("a bridge");
                up(&handle, "hub").await;
            });
            for (machine, namespace) in bridge.machines.iter().enumerate() {
                netlink(|handle| async move {
                    let (near, far) = (port(machine), format!("far-{machine}"));
                    handle.link().add(LinkVeth::new(&near, &far).build()).execute().await.expect("a veth pair");
                    let moved = LinkUnspec::new_with_index(index(&far)).setns_by_fd(namespace.as_raw_fd()).build();
                    handle.link().set(moved).execute().await.expect("its far end moves");
                    let joined = LinkUnspec::new_with_index(index(&near)).controller(index("hub")).up().build();
                    handle.link().set(joined).execute().await.expect("its near end joins");
                });
            }
        });
        for machine in 0..bridge.machines.len() {
            inside(&bridge.machines[machine], || {
                netlink(|handle| async move {
                    let far = format!("far-{machine}");
                    let address = Self::address(machine).into();
                    handle.address().add(index(&far), address, 24).execute().await.expect("an address");
                    up(&handle, &far).await;
                    up(&handle, "lo").await;
                });
            });
        }
        bridge
    }

    /// A machine's address.
    pub(super) fn address(machine: usize) -> Ipv4Addr {
        Ipv4Addr::new(10, 99, 0, u8::try_from(machine + 1).expect("few machines"))
    }

    /// Does something on a machine.
    pub(super) fn on<T: Send>(&self, machine: usize, work: impl FnOnce() -> T + Send) -> T {
        inside(&self.machines[machine], work)
    }

    /// Pulls a machine's cable: neither end is told.
    pub(super) fn unplug(&self, machine: usize) {
        inside(&self.hub, || {
            netlink(|handle| async move {
                let alone = LinkUnspec::new_with_index(index(&port(machine))).nocontroller().build();
                handle.link().set(alone).execute().await.expect("a cable is pulled");
            });
        });
    }
}

/// The bridge's end of a cable.
fn port(machine: usize) -> String {
    format!("port-{machine}")
}
