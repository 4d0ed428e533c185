//! Asks the kernel for its table of TCP sockets. What is asked and answered is in [`brimful_evidence::inet_diag`];
//! here it is sent and received, and nothing can wait for ever.

use std::io;
use std::time::Duration;

use brimful_evidence::inet_diag::{Body, DiagError, Entry, Family, Messages, Request, StateSet};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use netlink_sys::{Socket, SocketAddr};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use thiserror::Error;

use super::receive;

/// The kernel fills at most 32 KiB in one go (`netlink_dump`, `net/netlink/af_netlink.c`), and fewer where the reader's
/// buffer is smaller.
const BUFFER_LEN: usize = 64 * 1024;
/// The kernel answers within the call; longer than this is an answer that was lost.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often a dump is begun again when the table changed under it.
const ATTEMPTS: u32 = 3;
/// 32 KiB each: more sockets than fit in any table that brimful fills.
const MAX_DATAGRAMS: u32 = 65_536;

/// Why the table of sockets could not be had.
#[derive(Debug, Error)]
pub enum SockDiagError {
    /// The netlink socket could not be made.
    #[error("cannot open a sock_diag netlink socket")]
    Open(#[source] io::Error),
    /// The request could not be sent.
    #[error("cannot ask for sockets over netlink")]
    Send(#[source] io::Error),
    /// No answer, or none within a second.
    #[error("no answer about sockets over netlink")]
    Receive(#[source] io::Error),
    /// The kernel refused.
    #[error("the kernel refuses to list sockets (hint: modprobe tcp_diag)")]
    Refused(#[source] io::Error),
    /// The answer was not understood.
    #[error("the kernel's list of sockets was not understood")]
    Answer(#[from] DiagError),
    /// The table changed under every attempt.
    #[error("the list of sockets changed while it was read, {ATTEMPTS} times")]
    Changing,
    /// The kernel went on for longer than any table can be.
    #[error("the list of sockets has no end")]
    Endless,
}

/// A conversation about the sockets of one network namespace: that of the thread which opened it. It stays so
/// when the thread moves on, and keeps the namespace alive until it is dropped.
#[derive(Debug)]
pub struct SockDiag {
    socket: Socket,
    buffer: Vec<u8>,
    sequence: u32,
}

impl SockDiag {
    /// Opens a conversation about the calling thread's network namespace. No privilege is needed.
    ///
    /// # Errors
    ///
    /// [`SockDiagError::Open`], with the errno.
    pub fn open() -> Result<Self, SockDiagError> {
        let open = || {
            let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
            socket.bind_auto()?;
            socket.connect(&SocketAddr::new(0, 0))?;
            set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
            set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?;
            Ok(socket)
        };
        Ok(Self { socket: open().map_err(SockDiagError::Open)?, buffer: vec![0; BUFFER_LEN], sequence: 0 })
    }

    /// Gathers all listeners of a family, with their drops. What it costs does not grow with the connections held.
    ///
    /// # Errors
    ///
    /// As [`SockDiag::states`].
    pub fn listeners<T>(
        &mut self,
        family: Family,
        start: impl Fn() -> T,
        each: impl FnMut(&mut T, &Entry),
    ) -> Result<T, SockDiagError> {
        self.dump(Request { family, states: StateSet::LISTEN, drops: true }, start, each)
    }

    /// Gathers all sockets of a family in some states, without their drops: `each` is called with what `start` made and
    /// every socket in turn, and begins afresh if the table changed meanwhile. Unless `states` is
    /// [`StateSet::LISTEN`], the kernel walks its whole table: some ten milliseconds at 100,000 connections.
    ///
    /// # Errors
    ///
    /// [`SockDiagError`]. The next question may be asked all the same; after a lost answer it may be refused as well, once.
    pub fn states<T>(
        &mut self,
        family: Family,
        states: StateSet,
        start: impl Fn() -> T,
        each: impl FnMut(&mut T, &Entry),
    ) -> Result<T, SockDiagError> {
        self.dump(Request { family, states, drops: false }, start, each)
    }

    fn dump<T>(
        &mut self,
        request: Request,
        start: impl Fn() -> T,
        mut each: impl FnMut(&mut T, &Entry),
    ) -> Result<T, SockDiagError> {
        for _ in 0..ATTEMPTS {
            let mut gathered = start();
            if self.attempt(request, |entry| each(&mut gathered, entry))? {
                return Ok(gathered);
            }
        }
        Err(SockDiagError::Changing)
    }

    /// One dump. `false` when the table changed meanwhile. An answer is always received to its end, even one that is not
    /// understood: what is left of it would stand before the next one.
    fn attempt(&mut self, request: Request, mut each: impl FnMut(&Entry)) -> Result<bool, SockDiagError> {
        self.sequence = self.sequence.wrapping_add(1);
        self.socket.send(&request.to_bytes(self.sequence), 0).map_err(SockDiagError::Send)?;
        let (mut steady, mut failure) = (true, None);
        for _ in 0..MAX_DATAGRAMS {
            let received = receive(&self.socket, &mut self.buffer).map_err(SockDiagError::Receive)?;
            for message in Messages::new(received) {
                let message = match message {
                    Ok(message) if message.sequence == self.sequence => message,
                    Ok(_of_an_earlier_question) => continue,
                    Err(error) => {
                        failure = failure.or(Some(SockDiagError::Answer(error)));
                        continue;
                    }
                };
                steady &= !message.interrupted;
                match message.body {
                    Body::Entry(entry) if failure.is_none() => each(&entry),
                    Body::Entry(_) | Body::Other(_) => {}
                    Body::Refused(errno) => {
                        return Err(failure.unwrap_or(SockDiagError::Refused(io::Error::from_raw_os_error(errno))));
                    }
                    Body::Done => return failure.map_or(Ok(steady), Err),
                }
            }
        }
        Err(SockDiagError::Endless)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::thread::sleep;
    use std::time::Instant;

    use brimful_evidence::inet_diag::State;
    use socket2::{Domain, Socket as Plain, Type};

    use super::*;

    fn listening(address: &str, backlog: i32) -> (Plain, SocketAddr) {
        let address: SocketAddr = address.parse().unwrap();
        let socket = Plain::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        socket.bind(&address.into()).unwrap();
        socket.listen(backlog).unwrap();
        let bound = socket.local_addr().unwrap().as_socket().unwrap();
        (socket, bound)
    }

    fn dialing(to: SocketAddr) -> Plain {
        let socket = Plain::new(Domain::for_address(to), Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        let begun = socket.connect(&to.into());
        assert!(begun.is_ok() || begun.is_err_and(|e| e.raw_os_error() == Some(115)), "EINPROGRESS");
        socket
    }

    fn look(diag: &mut SockDiag, family: Family, at: SocketAddr) -> Option<Entry> {
        let each = |found: &mut Option<Entry>, entry: &Entry| {
            if entry.local == at {
                *found = Some(*entry);
            }
        };
        diag.listeners(family, || None, each).unwrap()
    }

    fn poll(diag: &mut SockDiag, at: SocketAddr, until: impl Fn(&Entry) -> bool) -> Entry {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let entry = look(diag, Family::V4, at).unwrap();
            if until(&entry) || Instant::now() > deadline {
                return entry;
            }
            sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_listener_shows_its_queue_its_limit_and_its_drops() {
        let mut diag = SockDiag::open().unwrap();
        let (_listener, at) = listening("127.0.0.1:0", 7);
        let mut clients: Vec<Plain> = (0..3).map(|_| dialing(at)).collect();
        let waiting = poll(&mut diag, at, |e| e.recv_queue == 3);
        assert_eq!((waiting.recv_queue, waiting.send_queue, waiting.drops), (3, 7, Some(0)));
        assert!(waiting.inode > 0);
        clients.extend((0..9).map(|_| dialing(at)));
        let full = poll(&mut diag, at, |e| e.drops > Some(3));
        assert_eq!((full.recv_queue, full.send_queue), (8, 7), "a queue holds one more than its limit");
        assert!(full.drops >= Some(4), "four of twelve did not fit: {:?}", full.drops);

        let hanging = StateSet::of(&[State::SYN_SENT]);
        let count = |n: &mut u32, entry: &Entry| *n += u32::from(entry.remote == at);
        assert_eq!(diag.states(Family::V4, hanging, || 0, count).unwrap(), 4);
    }

    #[test]
    fn a_listener_on_ipv6_is_found_among_its_own() {
        let mut diag = SockDiag::open().unwrap();
        let (_listener, at) = listening("[::]:0", 11);
        assert_eq!(look(&mut diag, Family::V6, at).map(|e| e.send_queue), Some(11));
        assert_eq!(look(&mut diag, Family::V4, at), None);
    }

    #[test]
    fn a_dump_of_listeners_has_only_listeners() {
        let mut diag = SockDiag::open().unwrap();
        let (_listener, at) = listening("127.0.0.1:0", 7);
        let _clients: Vec<Plain> = (0..4).map(|_| dialing(at)).collect();
        for family in Family::BOTH {
            let all = |states: &mut Vec<State>, entry: &Entry| states.push(entry.state);
            let states = diag.listeners(family, Vec::new, all).unwrap();
            assert!(states.iter().all(|s| *s == State::LISTEN), "{states:?}");
        }
    }

    #[test]
    fn a_dump_larger_than_the_buffer_arrives_whole() {
        let mut diag = SockDiag::open().unwrap();
        let (_listener, at) = listening("127.0.0.1:0", 400);
        let _clients: Vec<Plain> = (0..350).map(|_| dialing(at)).collect();
        let established = StateSet::of(&[State::ESTABLISHED]);
        let count = |n: &mut u32, entry: &Entry| *n += u32::from(entry.remote == at);
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let found = diag.states(Family::V4, established, || 0, count).unwrap();
            if found == 350 || Instant::now() > deadline {
                assert_eq!(found, 350);
                return;
            }
            sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_question_nobody_answers_ends_in_an_error() {
        let mut diag = SockDiag::open().unwrap();
        set_socket_timeout(&diag.socket, Timeout::Recv, Some(Duration::from_millis(20))).unwrap();
        let begun = Instant::now();
        assert!(receive(&diag.socket, &mut diag.buffer).is_err());
        assert!(begun.elapsed() < Duration::from_secs(1));
        assert!(diag.listeners(Family::V4, || (), |(), _| {}).is_ok(), "and the next one is answered");
    }
}
