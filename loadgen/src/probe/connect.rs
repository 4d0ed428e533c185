//! One connection as the kubelet's dialer makes it, and its end off the runtime's thread.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use super::closer::Closer;
use super::marks::Marks;

/// `pkg/probe/dialer_others.go` sets `Linger{Onoff: 1, Linger: 1}`.
const LINGER: Duration = Duration::from_secs(1);

/// Why there is no connection.
#[derive(Debug)]
pub(super) struct DialError {
    /// The system call that Go names for it: `socket` or `connect`.
    pub(super) syscall: &'static str,
    /// What it said.
    pub(super) error: io::Error,
}

/// Connects to `peer` from an address and a port that the kernel chooses, and marks when that was done.
pub(super) async fn dial(peer: SocketAddr, closer: &Closer, marks: &Marks) -> Result<Connection, DialError> {
    let socket = |error| DialError { syscall: "socket", error };
    let connect = |error| DialError { syscall: "connect", error };
    let prepared = prepared(peer).map_err(socket)?;
    match prepared.connect(&peer.into()) {
        Err(error) if Errno::from_io_error(&error) != Some(Errno::INPROGRESS) => return Err(connect(error)),
        Ok(()) | Err(_) => {}
    }
    let stream = TcpStream::from_std(prepared.into()).map_err(socket)?;
    // From here on it is closed by the closer, whatever happens: given up, it may be connected and not yet know it.
    let connection = Connection::new(stream, closer.clone(), marks.clone());
    connection.established().await.map_err(connect)?;
    marks.connected(connection.local());
    Ok(connection)
}

fn prepared(peer: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(peer), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_linger(Some(LINGER))?;
    // Go's dialer does so for every TCP connection (`net.TCPConn.SetNoDelay`).
    socket.set_tcp_nodelay(true)?;
    Ok(socket)
}

/// An established connection that marks the first bytes read from it.
///
/// Nothing is read before something was written. A server that talks first, or closes at once, is thus met like any
/// other, in the middle of an exchange; hyper takes bytes that come before its request for a fault of its own use.
pub(super) struct Connection {
    stream: Option<TcpStream>,
    closer: Closer,
    marks: Marks,
    written: bool,
    reader: Option<Waker>,
    /// Whether what is read here is what another protocol is made of, and no answer yet.
    beneath: bool,
}

impl Connection {
    fn new(stream: TcpStream, closer: Closer, marks: Marks) -> Self {
        Self { stream: Some(stream), closer, marks, written: false, reader: None, beneath: false }
    }

    /// Waits for the end of the handshake.
    async fn established(&self) -> io::Result<()> {
        let stream = self.stream.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        let result = stream.async_io(Interest::WRITABLE, || {
            if let Some(error) = stream.take_error()? {
                return Err(error);
            }
            match stream.peer_addr() {
                Err(error) if error.kind() == io::ErrorKind::NotConnected => Err(io::ErrorKind::WouldBlock.into()),
                other => other,
            }
        });
        let peer = result.await?;
        // With no listener on a loopback port in the ephemeral range the kernel may choose that very port as source
        // and connect the socket to itself. Go dials again (`net/tcpsock_posix.go`, `selfConnect`), and is refused.
        if self.local() == Some(peer) { Err(Errno::CONNREFUSED.into()) } else { Ok(()) }
    }

    /// The same, as what another protocol is spoken over: its bytes are no first bytes of an answer.
    pub(super) fn beneath(mut self) -> Self {
        self.beneath = true;
        self
    }

    /// Sends something before the connection is closed, if there is room for it at once.
    pub(super) fn last_words(&self, bytes: &[u8]) {
        if let Some(stream) = &self.stream {
            // Whoever has closed before hears nothing, and need not.
            stream.try_write(bytes).ok();
        }
    }

    fn local(&self) -> Option<SocketAddr> {
        self.stream.as_ref().and_then(|stream| stream.local_addr().ok())
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(Ok(stream)) = self.stream.take().map(TcpStream::into_std) {
            self.closer.close(stream);
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.written {
            this.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let before = buf.filled().len();
        ready!(this.stream()?.poll_read(cx, buf))?;
        if this.beneath {
            this.marks.heard(&buf.filled()[before..]);
        } else {
            this.marks.read(&buf.filled()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = ready!(this.stream()?.poll_write(cx, bytes));
        this.written = true;
        if let Some(reader) = this.reader.take() {
            reader.wake();
        }
        Poll::Ready(result)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream()?.poll_shutdown(cx)
    }
}
