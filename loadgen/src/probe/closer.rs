//! Closes connections where it hurts nobody.
//!
//! `close()` of a socket with `SO_LINGER` of one second and an unacknowledged FIN blocks for that second, non-blocking
//! or not (`net/ipv4/tcp.c`, `tcp_close` with `sk_stream_wait_close`). In the kubelet it blocks a goroutine; here it
//! may block neither the runtime nor the next probe. For a `tcpSocket` probe that is kinder than the kubelet, which
//! closes inside the probe and so may come to its next tick a second later.

use std::net::TcpStream;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::{io, thread};

use socket2::SockRef;

/// Connections that may wait to be closed. With one a second, as a kubelet makes them at most, none ever waits.
const WAITING_LIMIT: usize = 8;

/// A thread that closes what it is given, one after the other. It ends when the last handle is dropped.
#[derive(Clone)]
pub(super) struct Closer(SyncSender<TcpStream>);

impl Closer {
    /// Starts the thread.
    pub(super) fn start() -> io::Result<Self> {
        let (sender, receiver) = sync_channel(WAITING_LIMIT);
        thread::Builder::new().name("probe-closer".to_owned()).spawn(move || close_all(&receiver))?;
        Ok(Self(sender))
    }

    /// Closes a connection without blocking: on the thread, or here without lingering when too many are waiting.
    pub(super) fn close(&self, connection: TcpStream) {
        if let Err(TrySendError::Full(connection) | TrySendError::Disconnected(connection)) =
            self.0.try_send(connection)
        {
            // Should even this fail, the close lingers for its second: late, but not wrong.
            SockRef::from(&connection).set_linger(None).ok();
        }
    }
}

fn close_all(connections: &Receiver<TcpStream>) {
    connections.iter().for_each(drop);
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn every_connection_is_closed_even_when_too_many_wait() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connect = || {
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            (client, listener.accept().unwrap().0)
        };
        let (sender, receiver) = sync_channel(1);
        let closer = Closer(sender);
        let (mut servers, clients): (Vec<_>, Vec<_>) = (0..3).map(|_| connect()).map(|(c, s)| (s, c)).unzip();
        for client in clients {
            closer.close(client);
        }
        // The first waits, the other two were closed here.
        assert_eq!(servers[1].read(&mut [0]).unwrap(), 0);
        assert_eq!(servers[2].read(&mut [0]).unwrap(), 0);
        drop(closer);
        close_all(&receiver);
        assert_eq!(servers[0].read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn a_close_that_lingers_holds_up_only_the_thread() {
        const LINGER: Duration = Duration::from_secs(1);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // Bytes that the peer has no room for keep the FIN back, so that it cannot be acknowledged.
        let lingering = || {
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            SockRef::from(&client).set_linger(Some(LINGER)).unwrap();
            client.set_nonblocking(true).unwrap();
            while client.write(&[0; 65_536]).is_ok() {}
            client
        };
        let (first, second) = (lingering(), lingering());
        let closer = Closer::start().unwrap();
        let start = Instant::now();
        closer.close(first);
        assert!(start.elapsed() < LINGER, "{:?}", start.elapsed());
        // Without the thread it is the kernel's second, though the socket does not block otherwise.
        drop(second);
        assert!(start.elapsed() >= LINGER, "{:?}", start.elapsed());
    }
}
