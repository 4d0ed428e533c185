//! Faults on the path, made in the namespaces of a sandbox: a packet filter, a full table, a route that is not there.
//!
//! Each is made in the calling thread's network namespace, read back, and gone when the namespace is. Nothing outside it is touched.

use std::error::Error;

use brimful_evidence::proc::one_number;
use brimful_plan::cell::Path;
use brimful_plan::fault::Fault;
use rustix::io::Errno;

use super::link;
use super::message::{Failed, chain};
use super::namespace::Policy;
use super::netlink::ctnetlink;
use super::netlink::netfilter::{Netfilter, NetfilterError};
use super::netlink::nftables::{Filter, TABLE};
use super::observe::SideName;

/// A larger connection-tracking table is not filled: this many entries take about 16 s and 640 MB of kernel memory.
const MOST_ENTRIES: u64 = 2_000_000;

/// Where netfilter shows its table's limit, which is the host's, and this namespace's count.
const CONNTRACK_MAX: &str = "/proc/sys/net/netfilter/nf_conntrack_max";
const CONNTRACK_COUNT: &str = "/proc/sys/net/netfilter/nf_conntrack_count";

/// In whose namespace a fault is made.
pub(super) fn side(fault: &Fault) -> SideName {
    match fault {
        Fault::ConntrackFull | Fault::SynDrop { .. } | Fault::NoRouteBack => SideName::Server,
        Fault::SynAckLoss { .. } | Fault::PortsTaken { .. } | Fault::AckHold => SideName::Client,
    }
}

/// Makes a fault in the calling thread's namespace, which is that of its [`side`], and reads back that it is there.
/// `ports` are those the target listens on.
///
/// # Errors
/// When it cannot be made here, with what to do.
pub(super) fn apply(fault: &Fault, path: Path, ports: &[u16]) -> Result<(), Failed> {
    match fault {
        Fault::SynDrop { percent } => filter(&Filter::syn_drop(ports, *percent)),
        Fault::SynAckLoss { percent } => filter(&Filter::syn_ack_loss(ports, *percent)),
        Fault::PortsTaken { first, last } => filter(&Filter::ports_taken(ports, *first, *last)),
        Fault::AckHold => filter(&Filter::ack_hold(ports)),
        Fault::ConntrackFull => fill_conntrack(),
        Fault::NoRouteBack if path == Path::Veth => link::no_route_back(),
        Fault::NoRouteBack => Err(needs_veth("on loopback there is no route to take away")),
    }
}

/// What needs two namespaces and has one.
pub(super) fn needs_veth(what: &str) -> Failed {
    Failed { what: what.to_owned(), hint: Some("set path = \"veth\" in [topology]".to_owned()), machine: true }
}

fn filter(filter: &Filter) -> Result<(), Failed> {
    let failed = failed("make a packet filter");
    let mut netfilter = Netfilter::open().map_err(&failed)?;
    netfilter.make(filter).map_err(&failed)?;
    let rules = netfilter.rules().map_err(&failed)?;
    let there = rules.iter().filter(|rule| rule.table == TABLE && rule.chain == filter.chain).count();
    if there == filter.len() {
        return Ok(());
    }
    let what =
        format!("the packet filter `{}` did not take: {there} of its {} rules are there", filter.chain, filter.len());
    Err(Failed { what, hint: None, machine: true })
}

fn fill_conntrack() -> Result<(), Failed> {
    // First the rule: it also loads what was not loaded yet.
    filter(&Filter::tracking())?;
    let max = number(CONNTRACK_MAX)?;
    if max == 0 || max > MOST_ENTRIES {
        let limit = if max == 0 { "no limit".to_owned() } else { format!("a limit of {max} entries") };
        return Err(Failed {
            what: format!("the connection-tracking table has {limit} here: it will not be filled"),
            hint: Some(format!(
                "on a machine of your own, `sysctl -w net.netfilter.nf_conntrack_max=262144` (at most {MOST_ENTRIES}); \
                 the value is the whole host's, and brimful does not touch it"
            )),
            machine: true,
        });
    }
    let failed = failed("fill the connection-tracking table");
    let mut netfilter = Netfilter::open().map_err(&failed)?;
    let put = ctnetlink::fill(&mut netfilter, u32::try_from(max).unwrap_or(u32::MAX)).map_err(&failed)?;
    let count = number(CONNTRACK_COUNT)?;
    if count >= max {
        return Ok(());
    }
    let what = format!(
        "the connection-tracking table did not fill: the kernel had no memory after {put} entries, and counts {count} of {max}"
    );
    Err(Failed {
        what,
        hint: Some("free some memory: an entry takes 320 bytes of the kernel's".to_owned()),
        machine: true,
    })
}

fn number(path: &'static str) -> Result<u64, Failed> {
    let read = || -> Result<u64, Box<dyn Error>> { Ok(one_number(&std::fs::read_to_string(path)?)?) };
    read().map_err(|error| Failed {
        what: format!("cannot read {path}: {error}"),
        hint: Some("load the connection tracking of the kernel: `modprobe nf_conntrack`".to_owned()),
        machine: true,
    })
}

fn failed(what: &'static str) -> impl Fn(NetfilterError) -> Failed {
    move |error| {
        let hint = match error.refusal() {
            Some(Errno::PERM | Errno::ACCESS) => Some(Policy::read(std::path::Path::new("/proc/sys")).hint()),
            // An expression, a hook or a whole subsystem that this kernel has not got.
            Some(Errno::NOENT | Errno::OPNOTSUPP | Errno::INVAL | Errno::PROTONOSUPPORT) => Some(LACKING.to_owned()),
            _ if matches!(error, NetfilterError::Open(_)) => Some(LACKING.to_owned()),
            _ => None,
        };
        Failed { what: format!("cannot {what}: {}", chain(&error)), hint, machine: true }
    }
}

const LACKING: &str =
    "this kernel may lack a part of netfilter: `modprobe -a nf_tables nft_numgen nft_ct nf_conntrack_netlink`";

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_refusal_says_what_to_do() {
        let refused = |errno: i32| failed("try")(NetfilterError::Refused(io::Error::from_raw_os_error(errno)));
        assert!(refused(1).hint.is_some_and(|hint| hint.contains("root")), "EPERM");
        assert!(refused(2).hint.is_some_and(|hint| hint.contains("modprobe")), "ENOENT");
        assert_eq!(refused(12).hint, None, "ENOMEM");
        assert!(refused(1).what.contains("cannot try: the kernel refuses it to netfilter: Operation not permitted"));
        assert!(refused(1).machine);
    }

    #[test]
    fn without_two_namespaces_there_is_no_route_to_take_away() {
        let failed = apply(&Fault::NoRouteBack, Path::Loopback, &[80]).unwrap_err();
        assert!(failed.hint.is_some_and(|hint| hint.contains("path = \"veth\"")));
    }
}
