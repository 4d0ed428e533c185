//! Fills a namespace's connection-tracking table over ctnetlink, with entries that the kernel does not evict.
//!
//! `nf_conntrack_max` is the whole host's and must not be touched, but each namespace's own count is compared with it
//! (`net/netfilter/nf_conntrack_core.c`, `__nf_conntrack_alloc`), so a table is filled by entries and not by its limit.
//! Entries are `ASSURED`, or `early_drop` would give their places away. They go when the namespace does.

use std::net::Ipv4Addr;

use rustix::io::Errno;

use super::build::{Draft, NLM_F_CREATE, NLM_F_EXCL};
use super::netfilter::{Netfilter, NetfilterError};

/// `NFNL_SUBSYS_CTNETLINK` (1) in the high byte, `IPCTNL_MSG_CT_NEW` (0) in the low.
const NEW: u16 = 1 << 8;
/// `AF_INET`.
const FAMILY: u8 = 2;
/// `IPS_SEEN_REPLY | IPS_ASSURED | IPS_CONFIRMED` (`include/uapi/linux/netfilter/nf_conntrack_common.h`).
const STATUS: u32 = 0x2 | 0x4 | 0x8;
/// `TCP_CONNTRACK_ESTABLISHED`, the only state of a living connection that nothing evicts (`tcp_can_early_drop`).
const ESTABLISHED: u8 = 3;
/// Five days, as the kernel gives an established connection, in seconds: nothing expires within a cell.
const TIMEOUT_S: u32 = 432_000;
/// `IPPROTO_TCP`.
const TCP: u8 = 6;
/// Messages in one go: their refusals, should all be refused, must fit in the socket's buffer of 208 KiB.
const BATCH: u32 = 128;
/// How many more than the table's limit are tried: processors count apart for a moment.
const SPARE: u32 = 4_096;

/// Where the entries claim to come from and go to: 198.18.0.0/15, which is for such tests (RFC 2544) and routed nowhere.
const SOURCES: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);
const DESTINATION: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 1);
const DESTINATION_PORT: u16 = 9;
/// Source ports of one address.
const PORTS: u32 = 50_000;
const FIRST_PORT: u32 = 1_024;

const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_STATUS: u16 = 3;
const CTA_PROTOINFO: u16 = 4;
const CTA_TIMEOUT: u16 = 7;
const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
const CTA_IP_V4_SRC: u16 = 1;
const CTA_IP_V4_DST: u16 = 2;
const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_SRC_PORT: u16 = 2;
const CTA_PROTO_DST_PORT: u16 = 3;
const CTA_PROTOINFO_TCP: u16 = 1;
const CTA_PROTOINFO_TCP_STATE: u16 = 1;

/// One end of a connection.
type End = (Ipv4Addr, u16);

/// The `n`th entry.
fn entry(n: u32, sequence: u32) -> Draft {
    let port = u16::try_from(FIRST_PORT + n % PORTS).unwrap_or(u16::MAX);
    let source = (Ipv4Addr::from(u32::from(SOURCES) + n / PORTS), port);
    let destination = (DESTINATION, DESTINATION_PORT);
    Draft::netfilter(NEW, NLM_F_CREATE | NLM_F_EXCL, sequence, FAMILY, 0)
        .nested(CTA_TUPLE_ORIG, |tuple| ends(tuple, source, destination))
        .nested(CTA_TUPLE_REPLY, |tuple| ends(tuple, destination, source))
        .be32(CTA_STATUS, STATUS)
        .be32(CTA_TIMEOUT, TIMEOUT_S)
        .nested(CTA_PROTOINFO, |info| {
            info.nested(CTA_PROTOINFO_TCP, |tcp| tcp.bytes(CTA_PROTOINFO_TCP_STATE, &[ESTABLISHED]))
        })
}

fn ends(tuple: Draft, from: End, to: End) -> Draft {
    tuple
        .nested(CTA_TUPLE_IP, |ip| ip.bytes(CTA_IP_V4_SRC, &from.0.octets()).bytes(CTA_IP_V4_DST, &to.0.octets()))
        .nested(CTA_TUPLE_PROTO, |proto| {
            proto
                .bytes(CTA_PROTO_NUM, &[TCP])
                .bytes(CTA_PROTO_SRC_PORT, &from.1.to_be_bytes())
                .bytes(CTA_PROTO_DST_PORT, &to.1.to_be_bytes())
        })
}

/// Puts entries into the table of the conversation's namespace until the kernel says that it is full (`ENOMEM`).
/// Returns how many went in; `max` is the table's limit, in entries. Takes about 8 µs and 320 bytes of kernel memory each.
///
/// # Errors
/// [`NetfilterError`]: another refusal, or a table that takes more than its limit.
pub(crate) fn fill(netfilter: &mut Netfilter, max: u32) -> Result<u32, NetfilterError> {
    let mut put = 0;
    while put < max.saturating_add(SPARE) {
        let mut bytes = Vec::new();
        for n in put..put + BATCH {
            bytes.extend(entry(n, netfilter.next_sequence()).into_bytes());
        }
        let refusals = netfilter.post(&bytes)?;
        if let Some(other) = refusals.iter().find(|errno| **errno != Errno::NOMEM) {
            return Err(NetfilterError::Refused((*other).into()));
        }
        let refused = u32::try_from(refusals.len()).unwrap_or(BATCH);
        if refused > 0 {
            return Ok(put + BATCH.saturating_sub(refused));
        }
        put += BATCH;
    }
    Err(NetfilterError::Endless)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn an_entry_has_every_byte_in_its_place() {
        #[rustfmt::skip]
        let expected = [
            // nlmsghdr: length, IPCTNL_MSG_CT_NEW, REQUEST | EXCL | CREATE, sequence, port id; nfgenmsg
            156, 0, 0, 0, 0x00, 0x01, 0x01, 0x06, 9, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0,
            52, 0, 1, 0x80,
                20, 0, 1, 0x80, 8, 0, 1, 0, 198, 18, 0, 1, 8, 0, 2, 0, 198, 19, 0, 1,
                28, 0, 2, 0x80, 5, 0, 1, 0, 6, 0, 0, 0, 6, 0, 2, 0, 4, 1, 0, 0, 6, 0, 3, 0, 0, 9, 0, 0,
            52, 0, 2, 0x80,
                20, 0, 1, 0x80, 8, 0, 1, 0, 198, 19, 0, 1, 8, 0, 2, 0, 198, 18, 0, 1,
                28, 0, 2, 0x80, 5, 0, 1, 0, 6, 0, 0, 0, 6, 0, 2, 0, 0, 9, 0, 0, 6, 0, 3, 0, 4, 1, 0, 0,
            8, 0, 3, 0, 0, 0, 0, 0x0e,
            8, 0, 7, 0, 0, 6, 0x97, 0x80,
            16, 0, 4, 0x80, 12, 0, 1, 0x80, 5, 0, 1, 0, 3, 0, 0, 0,
        ];
        assert_eq!(entry(PORTS + 1, 9).into_bytes(), expected);
    }

    #[test]
    fn no_two_entries_are_alike() {
        let ends: std::collections::HashSet<Vec<u8>> = (0..PORTS + 10).map(|n| entry(n, 0).into_bytes()).collect();
        assert_eq!(ends.len(), (PORTS + 10) as usize);
    }
}
