//! One page of a server, asked for once: for documents about it, such as its consent. No redirect is followed, whatever it says.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, HOST, LOCATION};
use hyper_util::rt::TokioIo;

use super::closer::Closer;
use super::connect;
use super::marks::Marks;

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The status.
    pub status: u16,
    /// Where it would have had us go.
    pub location: Option<String>,
    /// All of the body.
    pub body: Vec<u8>,
    /// The address of this machine that it was asked from.
    pub local: IpAddr,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// No connection.
    #[error("cannot {what} {address}")]
    Connect {
        /// The system call: `connect`, or `socket`.
        what: &'static str,
        /// To whom.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A connection, and no answer that is HTTP.
    #[error("what {0} answers is not HTTP")]
    NotHttp(SocketAddr, #[source] hyper::Error),
    /// A body that broke off, or is longer than was to be read.
    #[error("the body of the answer of {address} cannot be read, or is longer than {limit} bytes")]
    Body {
        /// From whom.
        address: SocketAddr,
        /// How much would have been read.
        limit: usize,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No whole answer in time.
    #[error("{0} did not answer within {patience}", patience = humantime::format_duration(*.1))]
    TooSlow(SocketAddr, Duration),
    /// The thread that closes the connection could not be started.
    #[error("cannot start the thread that closes a connection")]
    Closer(#[source] io::Error),
}

/// Asks `http://ADDRESS/PATH` once, over a connection of its own: everything within `patience`, and of the body at most `limit` bytes.
///
/// Needs a tokio runtime with I/O and time enabled.
///
/// # Errors
/// When no whole answer came. Any status is an answer.
pub async fn page(address: SocketAddr, path: &str, patience: Duration, limit: usize) -> Result<Page, PageError> {
    let asked = tokio::time::timeout(patience, ask(address, path, limit));
    asked.await.unwrap_or(Err(PageError::TooSlow(address, patience)))
}

async fn ask(address: SocketAddr, path: &str, limit: usize) -> Result<Page, PageError> {
    let not_http = |error| PageError::NotHttp(address, error);
    let marks = Marks::default();
    let closer = Closer::start().map_err(PageError::Closer)?;
    let connection = connect::dial(address, &closer, &marks).await.map_err(|failed| PageError::Connect {
        what: if failed.syscall == "socket" { "open a socket for" } else { "connect to" },
        address,
        source: failed.error,
    })?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(connection)).await.map_err(not_http)?;
    let request = Request::get(path)
        .header(HOST, address.to_string())
        .header(ACCEPT, "application/json")
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| PageError::Body { address, limit, source: error.into() })?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(not_http)?;
        let status = response.status().as_u16();
        let location = response.headers().get(LOCATION).map(|at| String::from_utf8_lossy(at.as_bytes()).into_owned());
        let body = Limited::new(response.into_body(), limit).collect().await;
        let body = body.map_err(|source| PageError::Body { address, limit, source })?.to_bytes().to_vec();
        let local = marks.now().local.map_or(address.ip(), |local| local.ip());
        Ok(Page { status, location, body, local })
    };
    tokio::pin!(exchange, connection);
    // In one task: the connection moves the bytes, the exchange waits for them, and outlives it.
    tokio::select! {
        biased;
        page = &mut exchange => page,
        ended = &mut connection => match ended {
            Ok(()) => exchange.await,
            // The exchange is told through its channel, but not why.
            Err(error) => Err(not_http(error)),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    /// Asks a server on loopback that gives this answer to one connection, and none to another.
    fn asked(answer: &'static str, patience: Duration) -> Result<Page, PageError> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
                head.push(byte[0]);
            }
            stream.write_all(answer.as_bytes()).ok();
            if answer.is_empty() {
                stream.read_exact(&mut byte).ok();
            }
            listener.set_nonblocking(true).unwrap();
            assert!(listener.accept().is_err(), "one connection and no more");
            String::from_utf8(head).unwrap()
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let page = runtime.block_on(page(address, "/a", patience, 8));
        drop(runtime);
        assert!(server.join().unwrap().starts_with("GET /a HTTP/1.1\r\n"));
        page
    }

    #[test]
    fn an_answer_is_an_answer_whatever_its_status() {
        let page = asked("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n12345678", LONG).unwrap();
        let local = "127.0.0.1".parse().unwrap();
        assert_eq!(page, Page { status: 200, location: None, body: b"12345678".to_vec(), local });
        let page = asked("HTTP/1.1 301 Moved\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n", LONG).unwrap();
        assert_eq!((page.status, page.location.as_deref()), (301, Some("/b")));
        // Without a length, the body ends with the connection.
        assert_eq!(asked("HTTP/1.1 404 No\r\nConnection: close\r\n\r\nno", LONG).unwrap().body, b"no");
    }

    #[test]
    fn what_is_no_whole_answer_is_none() {
        let long = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789";
        assert!(matches!(asked(long, LONG), Err(PageError::Body { limit: 8, .. })));
        let broken = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12";
        assert!(matches!(asked(broken, LONG), Err(PageError::Body { .. })));
        assert!(matches!(asked("220 mail\r\n\r\n", LONG), Err(PageError::NotHttp(..))));
        assert!(matches!(asked("", Duration::from_millis(50)), Err(PageError::TooSlow(..))));
    }
}
