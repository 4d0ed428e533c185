//! Netlink messages as bytes, for what brimful asks of netfilter. Pure.

use brimful_evidence::netlink::HEADER_LEN;

/// `include/uapi/linux/netlink.h`: a request.
pub(super) const NLM_F_REQUEST: u16 = 0x1;
/// The kernel is to say when it is done.
pub(super) const NLM_F_ACK: u16 = 0x4;
/// Everything there is (`NLM_F_ROOT | NLM_F_MATCH`).
pub(super) const NLM_F_DUMP: u16 = 0x300;
/// Not when there is one.
pub(super) const NLM_F_EXCL: u16 = 0x200;
/// Make it.
pub(super) const NLM_F_CREATE: u16 = 0x400;
/// Behind those that are there.
pub(super) const NLM_F_APPEND: u16 = 0x800;
/// The value of an attribute is attributes.
const NLA_F_NESTED: u16 = 0x8000;

/// A netlink message that is being written. Attributes follow each other at multiples of four.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Draft(Vec<u8>);

impl Draft {
    /// A message to netfilter: `struct nlmsghdr`, then `struct nfgenmsg` (`include/uapi/linux/netfilter/nfnetlink.h`).
    /// `resource` is the subsystem in the messages around a batch, and 0 in all others.
    pub(super) fn netfilter(kind: u16, flags: u16, sequence: u32, family: u8, resource: u16) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&(NLM_F_REQUEST | flags).to_ne_bytes());
        bytes.extend_from_slice(&sequence.to_ne_bytes());
        // The port id: 0 for one that the kernel knows.
        bytes.extend_from_slice(&[0; 4]);
        // The version is NFNETLINK_V0.
        bytes.extend_from_slice(&[family, 0]);
        bytes.extend_from_slice(&resource.to_be_bytes());
        debug_assert!(bytes.len() == HEADER_LEN + 4);
        Self(bytes)
    }

    /// An attribute with a value of bytes.
    pub(super) fn bytes(mut self, kind: u16, value: &[u8]) -> Self {
        self.header(kind, value.len());
        self.0.extend_from_slice(value);
        self.pad();
        self
    }

    /// An attribute with a number in the network's byte order, as netfilter wants them all.
    pub(super) fn be32(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// An attribute with a text and the zero that ends it.
    pub(super) fn text(self, kind: u16, value: &str) -> Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.bytes(kind, &bytes)
    }

    /// An attribute of attributes.
    pub(super) fn nested(mut self, kind: u16, inside: impl FnOnce(Self) -> Self) -> Self {
        let begin = self.0.len();
        self.header(kind | NLA_F_NESTED, 0);
        let mut whole = inside(self);
        let len = whole.0.len() - begin;
        whole.put_length(begin, len);
        whole
    }

    /// The message with its length.
    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        let len = self.0.len() as u32;
        for (byte, value) in self.0.iter_mut().zip(len.to_ne_bytes()) {
            *byte = value;
        }
        self.0
    }

    fn header(&mut self, kind: u16, value_len: usize) {
        let at = self.0.len();
        self.0.extend_from_slice(&[0; 2]);
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.put_length(at, value_len + 4);
    }

    /// Attributes of brimful's own are at most some hundreds of bytes long.
    fn put_length(&mut self, at: usize, len: usize) {
        let len = u16::try_from(len).unwrap_or(u16::MAX);
        for (byte, value) in self.0.iter_mut().skip(at).zip(len.to_ne_bytes()) {
            *byte = value;
        }
    }

    fn pad(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use brimful_evidence::netlink::{Attributes, Frames};

    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn a_message_has_every_byte_in_its_place() {
        let draft = Draft::netfilter(0x0a03, NLM_F_ACK | NLM_F_CREATE, 7, 1, 0)
            .text(1, "ab")
            .nested(4, |inside| inside.be32(1, 0x0102_0304).bytes(2, &[9]));
        #[rustfmt::skip]
        let expected = [
            48, 0, 0, 0, 0x03, 0x0a, 0x05, 0x04, 7, 0, 0, 0, 0, 0, 0, 0,
            1, 0, 0, 0,
            7, 0, 1, 0, b'a', b'b', 0, 0,
            20, 0, 4, 0x80,
                8, 0, 1, 0, 1, 2, 3, 4,
                5, 0, 2, 0, 9, 0, 0, 0,
        ];
        assert_eq!(draft.into_bytes(), expected);
    }

    #[test]
    fn what_is_written_can_be_read() {
        let bytes = Draft::netfilter(1, 0, 2, 3, 10).nested(5, |inside| inside.text(6, "x")).into_bytes();
        let frame = Frames::new(&bytes).next().unwrap().unwrap();
        assert_eq!((frame.kind, frame.sequence, frame.payload.get(..4)), (1, 2, Some([3, 0, 0, 10].as_slice())));
        let outer = Attributes::new(&frame.payload[4..]).find(5).unwrap().unwrap();
        assert_eq!(Attributes::new(outer).find(6), Ok(Some(b"x\0".as_slice())));
    }
}
