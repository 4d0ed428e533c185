//! One exchange over HTTP/2, by h2: for servers that choose it in TLS, as the kubelet's client offers it.

use http::{HeaderMap, Request};
use tokio::io::{AsyncRead, AsyncWrite};

use super::fault::Fault;
use super::http::{Body, drive};
use super::marks::Marks;

/// Sends a request and gives what is answered to `answered`, while the connection is kept moving. The answer begins with its headers: what
/// a server says of the connection before them is none.
pub(super) async fn exchange<S, F, T>(
    stream: S,
    request: Request<()>,
    marks: &Marks,
    answered: impl FnOnce(u16, HeaderMap, Body) -> F,
) -> Result<T, Fault>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = Result<T, Fault>>,
{
    let of = |error: h2::Error| Fault::of_h2(&error);
    let (sender, connection) = h2::client::handshake(stream).await.map_err(of)?;
    let exchange = async {
        let mut sender = sender.ready().await.map_err(of)?;
        let (response, _sent_whole) = sender.send_request(request, true).map_err(of)?;
        let (head, body) = response.await.map_err(of)?.into_parts();
        marks.began();
        answered(head.status.as_u16(), head.headers, Body::Http2(body)).await
    };
    drive(async { connection.await.map_err(of) }, exchange).await
}
