//! A conversation with netfilter: batches that are made whole or not at all, dumps, and messages without an answer.

use std::io;
use std::time::Duration;

use brimful_evidence::netlink::{Frame, Frames, NLMSG_DONE, NLMSG_ERROR, NetlinkError};
use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use thiserror::Error;

use super::build::{Draft, NLM_F_ACK, NLM_F_DUMP};
use super::receive;

/// Larger than what the kernel sends in one go (`netlink_dump`, `net/netlink/af_netlink.c`).
const BUFFER_LEN: usize = 64 * 1024;
/// A change of rules waits for every processor to have let go of the old ones, which takes tens of milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);
/// 32 KiB each: more rules than a sandbox can have.
const MAX_DATAGRAMS: u32 = 1_024;
/// `NFNL_MSG_BATCH_BEGIN` and `NFNL_MSG_BATCH_END` (`include/uapi/linux/netfilter/nfnetlink.h`).
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;

/// Why netfilter did not do what was asked.
#[derive(Debug, Error)]
pub enum NetfilterError {
    /// The netlink socket could not be made.
    #[error("cannot open a netfilter netlink socket")]
    Open(#[source] io::Error),
    /// The request could not be sent.
    #[error("cannot send to netfilter")]
    Send(#[source] io::Error),
    /// No answer, or none in time.
    #[error("no answer from netfilter")]
    Receive(#[source] io::Error),
    /// The kernel refused.
    #[error("the kernel refuses it to netfilter")]
    Refused(#[source] io::Error),
    /// The answer was not understood.
    #[error("netfilter's answer was not understood")]
    Answer(#[from] NetlinkError),
    /// The rules changed while they were dumped.
    #[error("the rules changed while they were read")]
    Changing,
    /// The kernel went on for longer than any table can be.
    #[error("the list of rules has no end")]
    Endless,
}

impl NetfilterError {
    /// The errno with which the kernel refused, if it did.
    pub(crate) fn refusal(&self) -> Option<Errno> {
        match self {
            Self::Refused(error) => Errno::from_io_error(error),
            _ => None,
        }
    }
}

/// A conversation about one network namespace: that of the thread which opened it. It stays so when the thread moves on.
#[derive(Debug)]
pub struct Netfilter {
    socket: Socket,
    buffer: Vec<u8>,
    sequence: u32,
}

impl Netfilter {
    /// Opens a conversation about the calling thread's network namespace. What is then asked needs `CAP_NET_ADMIN` in it.
    ///
    /// # Errors
    /// [`NetfilterError::Open`], with the errno.
    pub fn open() -> Result<Self, NetfilterError> {
        let open = || {
            let mut socket = Socket::new(NETLINK_NETFILTER)?;
            socket.bind_auto()?;
            socket.connect(&SocketAddr::new(0, 0))?;
            // A refusal then repeats the header of what it refuses, and not all of it.
            socket.set_cap_ack(true)?;
            set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
            set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?;
            Ok(socket)
        };
        Ok(Self { socket: open().map_err(NetfilterError::Open)?, buffer: vec![0; BUFFER_LEN], sequence: 0 })
    }

    /// Asks `subsystem` for a list of changes, all of them or none (`net/netfilter/nfnetlink.c`, `nfnetlink_rcv_batch`).
    /// Each is written by a function of its flags and its number.
    ///
    /// # Errors
    /// [`NetfilterError`]; then nothing has changed.
    pub(super) fn commit(
        &mut self,
        subsystem: u8,
        changes: &[&dyn Fn(u16, u32) -> Draft],
    ) -> Result<(), NetfilterError> {
        let around = |kind, sequence| Draft::netfilter(kind, 0, sequence, 0, u16::from(subsystem)).into_bytes();
        let first = self.next_sequence();
        let mut bytes = around(BATCH_BEGIN, first);
        for change in changes {
            bytes.extend(change(NLM_F_ACK, self.next_sequence()).into_bytes());
        }
        bytes.extend(around(BATCH_END, self.next_sequence()));
        self.send(&bytes)?;
        let (mut missing, mut failure) = (changes.len(), None);
        while missing > 0 {
            let received = receive(&self.socket, &mut self.buffer).map_err(NetfilterError::Receive)?;
            for frame in Frames::new(received) {
                let frame = frame?;
                if frame.kind != NLMSG_ERROR || frame.sequence.wrapping_sub(first) as usize > changes.len() {
                    continue;
                }
                failure = failure.or_else(|| frame.errno());
                // An answer to the beginning is one to the whole.
                missing = if frame.sequence == first { 0 } else { missing.saturating_sub(1) };
            }
        }
        failure.map_or(Ok(()), |errno| Err(NetfilterError::Refused(io::Error::from_raw_os_error(errno))))
    }

    /// Asks for everything of a kind, and calls `each` for every message of the answer.
    ///
    /// # Errors
    /// [`NetfilterError`]; `each` may have been called by then.
    pub(super) fn dump(
        &mut self,
        kind: u16,
        mut each: impl FnMut(Frame<'_>) -> Result<(), NetlinkError>,
    ) -> Result<(), NetfilterError> {
        let sequence = self.next_sequence();
        self.send(&Draft::netfilter(kind, NLM_F_DUMP, sequence, 0, 0).into_bytes())?;
        let (mut steady, mut failure) = (true, None);
        for _ in 0..MAX_DATAGRAMS {
            let received = receive(&self.socket, &mut self.buffer).map_err(NetfilterError::Receive)?;
            for frame in Frames::new(received) {
                let frame = frame?;
                if frame.sequence != sequence {
                    continue;
                }
                steady &= !frame.interrupted;
                match (frame.kind, frame.errno()) {
                    (NLMSG_DONE | NLMSG_ERROR, Some(errno)) => {
                        return Err(NetfilterError::Refused(io::Error::from_raw_os_error(errno)));
                    }
                    (NLMSG_DONE, None) if !steady => return Err(NetfilterError::Changing),
                    (NLMSG_DONE, None) => return failure.map_or(Ok(()), |error| Err(NetfilterError::Answer(error))),
                    // The answer is received to its end, or what is left of it would stand before the next one.
                    _ => failure = failure.or(each(frame).err()),
                }
            }
        }
        Err(NetfilterError::Endless)
    }

    /// Sends messages that are to be answered only when they are refused, and returns the errnos of those that were.
    /// The kernel does its work within the call, so every refusal is there when it returns
    /// (`net/netlink/af_netlink.c`, `netlink_unicast_kernel`).
    ///
    /// # Errors
    /// [`NetfilterError`] when they cannot be sent, or the refusals not be read.
    pub(super) fn post(&mut self, messages: &[u8]) -> Result<Vec<Errno>, NetfilterError> {
        self.send(messages)?;
        let mut refusals = Vec::new();
        loop {
            match rustix::net::recv(&self.socket, self.buffer.as_mut_slice(), RecvFlags::DONTWAIT) {
                Ok((len, _)) => {
                    for frame in Frames::new(self.buffer.get(..len).unwrap_or_default()) {
                        refusals.extend(frame?.errno().map(Errno::from_raw_os_error));
                    }
                }
                Err(Errno::AGAIN) => return Ok(refusals),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(NetfilterError::Receive(errno.into())),
            }
        }
    }

    pub(super) fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    fn send(&self, bytes: &[u8]) -> Result<(), NetfilterError> {
        self.socket.send(bytes, 0).map(|_sent| ()).map_err(NetfilterError::Send)
    }
}
