//! The frame of every netlink answer: messages in a buffer, attributes in a message (`include/uapi/linux/netlink.h`).
//!
//! What the messages say is not known here. Lengths and kinds are in the machine's own byte order.

use thiserror::Error;

/// `struct nlmsghdr`, in bytes.
pub const HEADER_LEN: usize = 16;
/// `struct nlattr`, in bytes.
const ATTRIBUTE_LEN: usize = 4;
/// The kind of an acknowledgement, or of a refusal with its errno.
pub const NLMSG_ERROR: u16 = 2;
/// The kind that ends a dump.
pub const NLMSG_DONE: u16 = 3;
/// A flag: the table changed while it was dumped.
const NLM_F_DUMP_INTR: u16 = 0x10;
/// The bits of an attribute's kind that are not flags (`NLA_TYPE_MASK`).
const KIND_MASK: u16 = 0x3fff;

/// Why bytes from the kernel were not understood: a bug in brimful, or a kernel newer than it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NetlinkError {
    /// A message or an attribute is longer than what was received.
    #[error("netlink message is cut short")]
    Truncated,
    /// A message or an attribute says that it is shorter than its own header.
    #[error("netlink message or attribute of {0} bytes, shorter than its header")]
    Length(u32),
    /// An attribute that must be there is not.
    #[error("netlink message without its {0}")]
    Missing(&'static str),
}

/// One netlink message, not read further than its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it is.
    pub kind: u16,
    /// The table changed while it was dumped, so that an entry may be missing or doubled (`NLM_F_DUMP_INTR`).
    pub interrupted: bool,
    /// The number of the request that it answers.
    pub sequence: u32,
    /// What stands behind the header.
    pub payload: &'a [u8],
}

impl Frame<'_> {
    /// The errno of an [`NLMSG_ERROR`] or [`NLMSG_DONE`]; `None` for an acknowledgement, an orderly end, or another kind.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        if !matches!(self.kind, NLMSG_ERROR | NLMSG_DONE) {
            return None;
        }
        let code = i32::from_ne_bytes(bytes_at(self.payload, 0)?);
        (code != 0).then(|| code.wrapping_neg())
    }
}

/// The messages in a received buffer, in order. After the first error there are no more.
#[derive(Clone, Debug)]
pub struct Frames<'a>(&'a [u8]);

impl<'a> Frames<'a> {
    /// The messages in what one `recv(2)` gave.
    #[must_use]
    pub fn new(received: &'a [u8]) -> Self {
        Self(received)
    }

    fn take(&mut self) -> Result<Frame<'a>, NetlinkError> {
        let bytes = self.0;
        let len = u32_at(bytes, 0).ok_or(NetlinkError::Truncated)?;
        let end = usize::try_from(len).unwrap_or(usize::MAX);
        if end < HEADER_LEN {
            return Err(NetlinkError::Length(len));
        }
        let flags = u16_at(bytes, 6).ok_or(NetlinkError::Truncated)?;
        let frame = Frame {
            kind: u16_at(bytes, 4).ok_or(NetlinkError::Truncated)?,
            interrupted: flags & NLM_F_DUMP_INTR != 0,
            sequence: u32_at(bytes, 8).ok_or(NetlinkError::Truncated)?,
            payload: bytes.get(HEADER_LEN..end).ok_or(NetlinkError::Truncated)?,
        };
        self.0 = bytes.get(aligned(end)..).unwrap_or_default();
        Ok(frame)
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, NetlinkError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let frame = self.take();
        if frame.is_err() {
            self.0 = &[];
        }
        Some(frame)
    }
}

/// The attributes in a payload, in order: kind without its flags, and value. After the first error there are no more.
#[derive(Clone, Debug)]
pub struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    /// The attributes in a payload, behind the message's own fields, or in the value of a nested attribute.
    #[must_use]
    pub fn new(payload: &'a [u8]) -> Self {
        Self(payload)
    }

    /// The value of the first attribute of a kind.
    ///
    /// # Errors
    ///
    /// [`NetlinkError`] for one before it that is cut short.
    pub fn find(self, kind: u16) -> Result<Option<&'a [u8]>, NetlinkError> {
        for attribute in self {
            let (found, value) = attribute?;
            if found == kind {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    fn take(&mut self) -> Result<(u16, &'a [u8]), NetlinkError> {
        let len = u16_at(self.0, 0).ok_or(NetlinkError::Truncated)?;
        let kind = u16_at(self.0, 2).ok_or(NetlinkError::Truncated)?;
        let end = usize::from(len);
        if end < ATTRIBUTE_LEN {
            return Err(NetlinkError::Length(len.into()));
        }
        let value = self.0.get(ATTRIBUTE_LEN..end).ok_or(NetlinkError::Truncated)?;
        self.0 = self.0.get(aligned(end)..).unwrap_or_default();
        Ok((kind & KIND_MASK, value))
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<(u16, &'a [u8]), NetlinkError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let attribute = self.take();
        if attribute.is_err() {
            self.0 = &[];
        }
        Some(attribute)
    }
}

/// The `N` bytes at an offset, if there are as many.
pub(super) fn bytes_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

/// The number in the machine's byte order at an offset.
pub(super) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes_at(bytes, offset).map(u16::from_ne_bytes)
}

/// The number in the machine's byte order at an offset.
pub(super) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes_at(bytes, offset).map(u32::from_ne_bytes)
}

/// The next multiple of four: netlink messages and attributes begin at one (`NLMSG_ALIGN`, `NLA_ALIGN`).
pub(super) fn aligned(len: usize) -> usize {
    len.next_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(len: u32, kind: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
        let head = [&len.to_ne_bytes()[..], &kind.to_ne_bytes(), &flags.to_ne_bytes(), &7_u32.to_ne_bytes(), &[0; 4]];
        [head.concat(), payload.to_vec()].concat()
    }

    #[test]
    fn frames_follow_each_other_at_multiples_of_four() {
        let bytes = [frame(17, 40, 0x10, &[9, 0, 0, 0]), frame(20, NLMSG_ERROR, 0, &(-12_i32).to_ne_bytes())].concat();
        let read: Vec<Frame<'_>> = Frames::new(&bytes).map(Result::unwrap).collect();
        assert_eq!((read[0].kind, read[0].interrupted, read[0].payload), (40, true, [9].as_slice()));
        assert_eq!((read[0].errno(), read[1].errno(), read[1].interrupted), (None, Some(12), false));
    }

    #[test]
    fn what_is_cut_short_ends_the_frames() {
        let table = [
            ("in the header", frame(16, 3, 0, &[])[..9].to_vec(), NetlinkError::Truncated),
            ("in the payload", frame(20, 3, 0, &[0; 2]), NetlinkError::Truncated),
            ("below its header", frame(15, 3, 0, &[]), NetlinkError::Length(15)),
        ];
        for (name, bytes, expected) in table {
            assert_eq!(Frames::new(&bytes).collect::<Vec<_>>(), [Err(expected)], "{name}");
        }
    }

    #[test]
    fn attributes_are_found_without_their_flags() {
        let mut bytes = vec![5, 0, 1, 0, b'x', 0, 0, 0];
        bytes.extend([8, 0, 2, 0x80, 1, 2, 3, 4]);
        if cfg!(target_endian = "little") {
            assert_eq!(Attributes::new(&bytes).find(2), Ok(Some([1, 2, 3, 4].as_slice())));
            assert_eq!(Attributes::new(&bytes).find(1), Ok(Some(b"x".as_slice())));
            assert_eq!(Attributes::new(&bytes).find(3), Ok(None));
            assert_eq!(Attributes::new(&bytes[..14]).find(2), Err(NetlinkError::Truncated));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_them_panic_or_loop(bytes in proptest::collection::vec(prop_oneof![0_u8..20, any::<u8>()], 0..200)) {
            prop_assert!(Frames::new(&bytes).count() <= bytes.len() / HEADER_LEN + 1);
            prop_assert!(Attributes::new(&bytes).count() <= bytes.len() / ATTRIBUTE_LEN + 1);
        }
    }
}
