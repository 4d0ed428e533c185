//! One socket of the kernel's answer: `struct inet_diag_msg` and its attributes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use super::message::DiagError;
use super::request::{Family, INET_DIAG_SKMEMINFO};
use super::state::State;
use super::{aligned, bytes_at, u16_at, u32_at};

/// Length of `struct inet_diag_msg`, in bytes.
const MSG_LEN: usize = 72;
/// `SK_MEMINFO_DROPS` (`include/uapi/linux/sock_diag.h`), since Linux 4.7: the ninth number of the attribute.
const DROPS_OFFSET: usize = 8 * 4;

/// One TCP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its family. An address of the second may be an IPv4 one in disguise (`::ffff:10.0.0.1`).
    pub family: Family,
    /// Its state.
    pub state: State,
    /// Its own address and port. The scope is kept only where the address has no meaning without it (`fe80::/10`).
    pub local: SocketAddr,
    /// The other end's; all zero for a listener.
    pub remote: SocketAddr,
    /// A listener's connections waiting to be accepted (`sk_ack_backlog`); otherwise bytes received and not read.
    pub recv_queue: u32,
    /// A listener's limit in force (`sk_max_ack_backlog`); otherwise bytes sent and not acknowledged.
    pub send_queue: u32,
    /// Retransmissions since the last acknowledgement; of the SYN-ACK in `SYN_RECV` (`num_retrans`).
    pub retransmits: u8,
    /// Packets dropped at this socket (`sk_drops`, 32 bits); `None` where it was not asked for or the kernel has none.
    pub drops: Option<u32>,
    /// The number of its inode; 0 for one that belongs to no process any more, or not yet to one.
    pub inode: u32,
    /// The user that made it.
    pub uid: u32,
}

impl Entry {
    /// Reads the payload of one `SOCK_DIAG_BY_FAMILY` message.
    ///
    /// # Errors
    ///
    /// [`DiagError`] for one that is cut short, whose attributes are, or that is of another family.
    pub fn parse(payload: &[u8]) -> Result<Self, DiagError> {
        let (message, attributes) = payload.split_at_checked(MSG_LEN).ok_or(DiagError::Truncated)?;
        let [family, state, _timer, retransmits] = bytes_at(message, 0).ok_or(DiagError::Truncated)?;
        let family = match family {
            2 => Family::V4,
            10 => Family::V6,
            other => return Err(DiagError::UnknownFamily(other)),
        };
        let number = |offset| u32_at(message, offset).ok_or(DiagError::Truncated);
        let interface = number(40)?;
        Ok(Self {
            family,
            state: State(state),
            local: address(family, message, 4, 8, interface).ok_or(DiagError::Truncated)?,
            remote: address(family, message, 6, 24, interface).ok_or(DiagError::Truncated)?,
            // 44: idiag_cookie (8 bytes), 52: idiag_expires.
            recv_queue: number(56)?,
            send_queue: number(60)?,
            uid: number(64)?,
            inode: number(68)?,
            retransmits,
            drops: find_drops(attributes)?,
        })
    }
}

fn address(family: Family, message: &[u8], port_at: usize, ip_at: usize, interface: u32) -> Option<SocketAddr> {
    let port = u16::from_be_bytes(bytes_at(message, port_at)?);
    Some(match family {
        Family::V4 => SocketAddr::new(IpAddr::V4(Ipv4Addr::from(bytes_at::<4>(message, ip_at)?)), port),
        Family::V6 => {
            let ip = Ipv6Addr::from(bytes_at::<16>(message, ip_at)?);
            let scope = if ip.is_unicast_link_local() { interface } else { 0 };
            SocketAddr::V6(SocketAddrV6::new(ip, port, 0, scope))
        }
    })
}

fn find_drops(mut attributes: &[u8]) -> Result<Option<u32>, DiagError> {
    while !attributes.is_empty() {
        let len = usize::from(u16_at(attributes, 0).ok_or(DiagError::Truncated)?);
        let kind = u16_at(attributes, 2).ok_or(DiagError::Truncated)?;
        let value = attributes.get(4..len).ok_or(DiagError::Truncated)?;
        if kind == INET_DIAG_SKMEMINFO {
            return Ok(u32_at(value, DROPS_OFFSET));
        }
        attributes = attributes.get(aligned(len)..).unwrap_or_default();
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn payload(family: u8, tail: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; MSG_LEN];
        bytes[0] = family;
        bytes[1] = 10;
        bytes.extend_from_slice(tail);
        bytes
    }

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = ((value.len() + 4) as u16).to_ne_bytes().to_vec();
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(value);
        bytes.resize(aligned(bytes.len()), 0);
        bytes
    }

    #[test]
    fn drops_are_found_among_attributes() {
        let memory: Vec<u8> = (1_u32..=9).flat_map(u32::to_ne_bytes).collect();
        let table = [
            ("none", vec![], Ok(None)),
            ("alone", attribute(7, &memory), Ok(Some(9))),
            ("after an odd one", [attribute(8, &[1]), attribute(7, &memory)].concat(), Ok(Some(9))),
            ("without a ninth number, before 4.7", attribute(7, &memory[..32]), Ok(None)),
            ("cut short", attribute(7, &memory)[..20].to_vec(), Err(DiagError::Truncated)),
            ("a length below its own header", vec![3, 0, 7, 0], Err(DiagError::Truncated)),
            ("half a header", vec![8, 0], Err(DiagError::Truncated)),
        ];
        for (name, tail, expected) in table {
            assert_eq!(Entry::parse(&payload(2, &tail)).map(|e| e.drops), expected, "{name}");
        }
    }

    #[test]
    fn another_family_is_no_entry() {
        assert_eq!(Entry::parse(&payload(1, &[])), Err(DiagError::UnknownFamily(1)));
    }

    #[test]
    fn a_scope_is_kept_only_where_it_is_needed() {
        let mut bytes = payload(10, &[]);
        bytes[40..44].copy_from_slice(&5_u32.to_ne_bytes());
        bytes[23] = 1;
        assert_eq!(Entry::parse(&bytes).unwrap().local.to_string(), "[::1]:0");
        bytes[8..10].copy_from_slice(&[0xfe, 0x80]);
        assert_eq!(Entry::parse(&bytes).unwrap().local.to_string(), "[fe80::1%5]:0");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(family in prop_oneof![Just(2_u8), Just(10), any::<u8>()],
                                  tail in proptest::collection::vec(prop_oneof![0_u8..12, any::<u8>()], 0..80),
                                  keep in 0_usize..160) {
            let mut bytes = payload(family, &tail);
            bytes.truncate(keep);
            if Entry::parse(&bytes).is_ok() {
                prop_assert!(bytes.len() >= MSG_LEN);
            }
        }
    }
}
