//! The request for a dump.

use super::state::StateSet;

/// Length of a request, in bytes: `struct nlmsghdr` (16) and `struct inet_diag_req_v2` (56).
pub const REQUEST_LEN: usize = 72;

/// `include/uapi/linux/sock_diag.h`.
pub(super) const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// `include/uapi/linux/netlink.h`: a request, for everything there is (`NLM_F_ROOT | NLM_F_MATCH`).
const NLM_F_REQUEST_DUMP: u16 = 0x1 | 0x100 | 0x200;
/// `include/uapi/linux/in.h`.
const IPPROTO_TCP: u8 = 6;
/// `include/uapi/linux/inet_diag.h`; an extension is asked for by the bit one below its number.
pub(super) const INET_DIAG_SKMEMINFO: u16 = 7;

/// An address family. A listener on `[::]` and the connections it takes, over IPv4 too, are of the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// `AF_INET`.
    V4,
    /// `AF_INET6`.
    V6,
}

impl Family {
    /// Both, in the order in which they are asked.
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];

    /// The kernel's number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::V4 => 2,
            Self::V6 => 10,
        }
    }
}

/// A request for all TCP sockets of one family in some states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Of which family.
    pub family: Family,
    /// In which states.
    pub states: StateSet,
    /// Whether each entry is to bring the drops of its socket (`INET_DIAG_SKMEMINFO`), at 40 bytes each.
    pub drops: bool,
}

impl Request {
    /// The request as the kernel reads it, numbered so that its answers can be told from others'.
    #[must_use]
    pub fn to_bytes(self, sequence: u32) -> [u8; REQUEST_LEN] {
        let mut bytes = [0; REQUEST_LEN];
        let extensions = if self.drops { 1 << (INET_DIAG_SKMEMINFO - 1) } else { 0 };
        // The rest is zero: no port id, no padding, and a socket identity of zeros, which filters nothing in a dump.
        let fields: [&[u8]; 6] = [
            &(REQUEST_LEN as u32).to_ne_bytes(),
            &SOCK_DIAG_BY_FAMILY.to_ne_bytes(),
            &NLM_F_REQUEST_DUMP.to_ne_bytes(),
            &sequence.to_ne_bytes(),
            &[0, 0, 0, 0, self.family.number(), IPPROTO_TCP, extensions, 0],
            &self.states.bits().to_ne_bytes(),
        ];
        for (byte, value) in bytes.iter_mut().zip(fields.into_iter().flatten()) {
            *byte = *value;
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inet_diag::{State, u16_at, u32_at};

    #[test]
    fn a_request_has_every_field_in_its_place() {
        let states = StateSet::of(&[State::SYN_SENT, State::CLOSE_WAIT]);
        let table = [
            (Request { family: Family::V4, states: StateSet::LISTEN, drops: true }, [2, 6, 0x40, 0], 1 << 10),
            (Request { family: Family::V6, states, drops: false }, [10, 6, 0, 0], 0x104),
        ];
        for (request, head, states) in table {
            let bytes = request.to_bytes(7);
            assert_eq!(u32_at(&bytes, 0), Some(72));
            assert_eq!((u16_at(&bytes, 4), u16_at(&bytes, 6), u32_at(&bytes, 8)), (Some(20), Some(0x301), Some(7)));
            assert_eq!((bytes.get(16..20), u32_at(&bytes, 20)), (Some(head.as_slice()), Some(states)));
            assert!(bytes.iter().skip(24).all(|b| *b == 0));
        }
    }
}
