//! The netlink messages of one received buffer.

use thiserror::Error;

use super::entry::Entry;
use super::request::SOCK_DIAG_BY_FAMILY;
use super::{aligned, bytes_at, u16_at, u32_at};

/// `struct nlmsghdr`, in bytes.
const HEADER_LEN: usize = 16;
/// `include/uapi/linux/netlink.h`.
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_DUMP_INTR: u16 = 0x10;

/// Why bytes from the kernel were not understood: a bug in brimful, or a kernel newer than it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DiagError {
    /// A message or an attribute is longer than what was received.
    #[error("netlink message is cut short")]
    Truncated,
    /// A message says that it is shorter than its own header.
    #[error("netlink message of {0} bytes, shorter than its header")]
    Length(u32),
    /// A socket of a family that was not asked for.
    #[error("socket of address family {0}, which was not asked for")]
    UnknownFamily(u8),
}

/// One netlink message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// The number of the request that it answers.
    pub sequence: u32,
    /// The table changed while it was dumped, so that an entry may be missing or doubled (`NLM_F_DUMP_INTR`).
    pub interrupted: bool,
    /// What it says.
    pub body: Body,
}

/// What a netlink message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// A socket.
    Entry(Entry),
    /// The dump is complete (`NLMSG_DONE`).
    Done,
    /// The request was refused, or the dump broken off, with this errno (`NLMSG_ERROR`, or `NLMSG_DONE` with one).
    Refused(i32),
    /// A kind that says nothing about a socket (`NLMSG_NOOP`, an acknowledgement).
    Other(u16),
}

/// The messages in a received buffer, in order. After the first error there are no more.
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Messages<'a> {
    /// The messages in what one `recv(2)` gave.
    #[must_use]
    pub fn new(received: &'a [u8]) -> Self {
        Self { rest: received }
    }

    fn take(&mut self) -> Result<Message, DiagError> {
        let bytes = self.rest;
        let header: [u8; HEADER_LEN] = bytes_at(bytes, 0).ok_or(DiagError::Truncated)?;
        let field = |offset| u32_at(&header, offset).ok_or(DiagError::Truncated);
        let len = field(0)?;
        let kind = u16_at(&header, 4).ok_or(DiagError::Truncated)?;
        let flags = u16_at(&header, 6).ok_or(DiagError::Truncated)?;
        let end = usize::try_from(len).unwrap_or(usize::MAX);
        if end < HEADER_LEN {
            return Err(DiagError::Length(len));
        }
        let payload = bytes.get(HEADER_LEN..end).ok_or(DiagError::Truncated)?;
        self.rest = bytes.get(aligned(end)..).unwrap_or_default();
        let body = match kind {
            SOCK_DIAG_BY_FAMILY => Body::Entry(Entry::parse(payload)?),
            NLMSG_DONE => errno(payload).map_or(Body::Done, Body::Refused),
            NLMSG_ERROR => match errno(payload) {
                Some(errno) => Body::Refused(errno),
                None if payload.len() < 4 => return Err(DiagError::Truncated),
                None => Body::Other(kind),
            },
            other => Body::Other(other),
        };
        Ok(Message { sequence: field(8)?, interrupted: flags & NLM_F_DUMP_INTR != 0, body })
    }
}

impl Iterator for Messages<'_> {
    type Item = Result<Message, DiagError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let message = self.take();
        if message.is_err() {
            self.rest = &[];
        }
        Some(message)
    }
}

/// The errno with which a payload begins, negated there; `None` for zero.
fn errno(payload: &[u8]) -> Option<i32> {
    let code = i32::from_ne_bytes(bytes_at(payload, 0)?);
    (code != 0).then(|| code.wrapping_neg())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::inet_diag::{Family, State};

    // Captured on x86-64, so in little-endian order, in a network namespace of its own: a listener of backlog 1 with
    // five clients and nobody who accepts, and one on [::] whose only client has closed.
    const LISTEN_V4: &[u8] = include_bytes!("../../tests/fixtures/netlink/listen-v4-6.18.bin");
    const LISTEN_V6: &[u8] = include_bytes!("../../tests/fixtures/netlink/listen-v6-6.18.bin");
    const STATES_V4: &[u8] = include_bytes!("../../tests/fixtures/netlink/states-v4-6.18.bin");
    const STATES_V6: &[u8] = include_bytes!("../../tests/fixtures/netlink/states-v6-6.18.bin");
    const REFUSED: &[u8] = include_bytes!("../../tests/fixtures/netlink/refused-6.18.bin");

    fn bodies(bytes: &[u8]) -> Vec<Body> {
        Messages::new(bytes).map(|message| message.unwrap().body).collect()
    }

    fn entries(bytes: &[u8]) -> Vec<Entry> {
        let entry = |body| if let Body::Entry(entry) = body { Some(entry) } else { None };
        bodies(bytes).into_iter().filter_map(entry).collect()
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn a_full_listener_captured_on_6_18_is_read() {
        let listener = entries(LISTEN_V4).pop().unwrap();
        assert_eq!((listener.family, listener.state), (Family::V4, State::LISTEN));
        assert_eq!(
            (listener.local.to_string(), listener.remote.to_string()),
            ("127.0.0.1:23999".into(), "0.0.0.0:0".into())
        );
        assert_eq!((listener.recv_queue, listener.send_queue, listener.drops), (2, 1, Some(3)));
        assert!(listener.inode > 0);
        assert_eq!(bodies(LISTEN_V4).last(), Some(&Body::Done));
        let wild = entries(LISTEN_V6).pop().unwrap();
        assert_eq!((wild.local.to_string(), wild.send_queue, wild.drops), ("[::]:23998".to_owned(), 511, Some(0)));
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn other_states_captured_on_6_18_are_read() {
        let hanging = entries(STATES_V4);
        assert_eq!(hanging.len(), 3);
        for client in hanging {
            assert_eq!((client.state, client.remote.port(), client.drops), (State::SYN_SENT, 23999, None));
        }
        let left = entries(STATES_V6).pop().unwrap();
        assert_eq!((left.state, left.local.to_string()), (State::CLOSE_WAIT, "[::ffff:127.0.0.1]:23998".to_owned()));
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn a_refusal_brings_its_errno() {
        assert_eq!(bodies(REFUSED), [Body::Refused(22)], "EINVAL");
    }

    fn message(len: u32, kind: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
        let head = [&len.to_ne_bytes()[..], &kind.to_ne_bytes(), &flags.to_ne_bytes(), &7_u32.to_ne_bytes(), &[0; 4]];
        [head.concat(), payload.to_vec()].concat()
    }

    #[test]
    fn every_kind_of_message_has_its_reading() {
        let told = |body| Ok(Message { sequence: 7, interrupted: false, body });
        let table = [
            ("end", message(20, 3, 2, &[0; 4]), told(Body::Done)),
            ("end without a code", message(16, 3, 2, &[]), told(Body::Done)),
            ("broken off", message(20, 3, 2, &(-105_i32).to_ne_bytes()), told(Body::Refused(105))),
            ("acknowledgement", message(20, 2, 0, &[0; 4]), told(Body::Other(2))),
            ("nothing", message(16, 1, 0, &[]), told(Body::Other(1))),
            ("error without a code", message(16, 2, 0, &[]), Err(DiagError::Truncated)),
            ("cut in the header", message(16, 3, 0, &[])[..9].to_vec(), Err(DiagError::Truncated)),
            ("cut in the payload", message(20, 3, 0, &[0; 2]), Err(DiagError::Truncated)),
            ("shorter than its header", message(15, 3, 0, &[]), Err(DiagError::Length(15))),
            ("no length", message(0, 3, 0, &[]), Err(DiagError::Length(0))),
            ("an entry cut short", message(20, 20, 0, &[2, 10, 0, 0]), Err(DiagError::Truncated)),
        ];
        for (name, bytes, expected) in table {
            let read: Vec<_> = Messages::new(&bytes).collect();
            assert_eq!(read, [expected], "{name}");
        }
    }

    #[test]
    fn a_table_that_changed_under_the_dump_is_marked() {
        let bytes = message(16, 3, 0x12, &[]);
        assert!(Messages::new(&bytes).next().unwrap().unwrap().interrupted);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_loop(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Messages::new(&bytes).count() <= bytes.len() / HEADER_LEN + 1);
        }

        #[test]
        fn a_capture_with_a_hole_never_panics(at in 0_usize..184, byte in any::<u8>(), keep in 0_usize..=184) {
            let mut bytes = LISTEN_V4.to_vec();
            bytes[at] = byte;
            bytes.truncate(keep);
            prop_assert!(Messages::new(&bytes).count() <= 16);
        }
    }
}
