//! One exchange over HTTP/1.1, by hyper.

use http::{HeaderMap, Request, Response};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::fault::Fault;
use super::http::{Body, drive};

/// Header lines of an answer. Go limits their bytes, not their number; hyper's own limit of 100 would reject answers
/// that a kubelet accepts.
const HEADER_LINES: usize = 1_000;

/// Sends a request and gives what is answered to `answered`, while the connection is kept moving.
pub(super) async fn exchange<S, F, T>(
    stream: S,
    request: Request<()>,
    answered: impl FnOnce(u16, HeaderMap, Body) -> F,
) -> Result<T, Fault>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = Result<T, Fault>>,
{
    let handshake = http1::Builder::new()
        .title_case_headers(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .max_headers(HEADER_LINES)
        .handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(|error| Fault::of(&error))?;
    let exchange = async {
        let response: Response<Incoming> =
            sender.send_request(request.map(|()| Empty::<Bytes>::new())).await.map_err(|error| Fault::of(&error))?;
        let (head, body) = response.into_parts();
        answered(head.status.as_u16(), head.headers, Body::Http1(body)).await
    };
    drive(async { connection.await.map_err(|error| Fault::of(&error)) }, exchange).await
}
