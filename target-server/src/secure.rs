//! A conversation over TLS, from the handshake on.

use std::io::{self, Cursor};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, join};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::answer::answer_one;
use crate::idle_set::Rest;

/// Answers the requests of a connection, of which `first` has been read, until either end has had enough. Whoever says nothing for
/// `patience` is told that the request took too long, as it is without TLS.
pub(crate) async fn converse(
    tls: &Arc<ServerConfig>,
    stream: TcpStream,
    first: Vec<u8>,
    rest: &Rest,
    patience: Duration,
) -> io::Result<()> {
    let (reader, writer) = stream.into_split();
    let whole = join(Cursor::new(first).chain(reader), writer);
    let mut stream = timeout(patience, TlsAcceptor::from(Arc::clone(tls)).accept(whole)).await??;
    let mut head = Vec::new();
    while answer_one(&mut stream, &mut head, rest, patience).await?.is_some_and(|decision| decision.keep_alive) {}
    // The end is said in TLS too: without it a client takes the answer for one that was cut off (RFC 8446, 6.1).
    timeout(patience, stream.shutdown()).await?
}
