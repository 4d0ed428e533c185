//! What went wrong in an exchange, whatever was spoken.

use std::error::Error as _;
use std::io;

/// What went wrong in an exchange.
#[derive(Debug)]
pub(super) enum Fault {
    /// An answer that is not HTTP.
    NotHttp,
    /// The peer closed in good order before the answer was complete.
    Closed,
    /// The request was never taken up; the connection knows why.
    Untaken,
    /// An error of the connection.
    Io(io::Error),
    /// The peer said that it will not, in TLS or HTTP/2: in Go's words, and whether it broke off an exchange that had begun.
    Refused(String, bool),
}

impl Fault {
    /// What hyper found.
    pub(super) fn of(error: &hyper::Error) -> Self {
        if error.is_parse() {
            return Self::NotHttp;
        }
        if error.is_canceled() {
            return Self::Untaken;
        }
        let mut source = error.source();
        while let Some(cause) = source {
            if let Some(found) = cause.downcast_ref::<io::Error>() {
                return Self::of_io(found);
            }
            source = cause.source();
        }
        // An incomplete message, or a connection that was closed under the request.
        Self::Closed
    }

    /// What h2 found. Go's words for a stream that was reset and a connection that was ended are from memory of
    /// `golang.org/x/net/http2`.
    pub(super) fn of_h2(error: &h2::Error) -> Self {
        if let Some(found) = error.get_io() {
            // h2 says so of every end that it did not expect.
            return if found.kind() == io::ErrorKind::BrokenPipe { Self::Closed } else { Self::of_io(found) };
        }
        let code = error.reason().map_or_else(|| "UNKNOWN".to_owned(), |reason| format!("{reason:?}"));
        match (error.is_remote(), error.is_go_away()) {
            (true, true) => {
                Self::Refused(format!("http2: server sent GOAWAY and closed the connection; ErrCode={code}"), true)
            }
            (true, false) => Self::Refused(format!("stream error: stream ID 1; {code}; received from peer"), true),
            (false, _) => Self::NotHttp,
        }
    }

    fn of_io(found: &io::Error) -> Self {
        let raw = found.raw_os_error().map(io::Error::from_raw_os_error);
        match found.kind() {
            io::ErrorKind::UnexpectedEof => Self::Closed,
            // hyper says so of chunks that are none.
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Self::NotHttp,
            kind => Self::Io(raw.unwrap_or_else(|| io::Error::new(kind, found.to_string()))),
        }
    }
}
