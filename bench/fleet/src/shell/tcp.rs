//! The world as it is: TCP over tokio, and the clock that all processes of a boot share.

use std::io;
use std::net::SocketAddr;

use brimful_target::clock::monotonic_ns;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::World;

/// The gatherer's own backlog: a whole fleet may call at the same instant ([`crate::MEMBERS_MOST`]).
const BACKLOG: u32 = 1_024;

/// This machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

fn socket(of: SocketAddr) -> io::Result<TcpSocket> {
    if of.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }
}

impl World for Tcp {
    type Stream = TcpStream;
    type Listener = TcpListener;

    async fn bind(&self, at: SocketAddr) -> io::Result<TcpListener> {
        let socket = socket(at)?;
        socket.set_reuseaddr(true)?;
        socket.bind(at)?;
        socket.listen(BACKLOG)
    }

    async fn accept(&self, listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, from) = listener.accept().await?;
        // A question for the time that waits for the next segment tells the time of the segment.
        stream.set_nodelay(true)?;
        Ok((stream, from))
    }

    async fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        let stream = socket(to)?.connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn now_ns(&self) -> u64 {
        monotonic_ns()
    }
}
