//! `httpGet`, as `pkg/probe/http/http.go` does it with Go's HTTP client.

use std::error::Error as _;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, HOST, LOCATION, REFERER, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;

use super::attempt::End;
use super::classify::{self, Phase};
use super::closer::Closer;
use super::marks::Marks;
use super::redirect::{self, Step, Url};
use super::{Outcome, connect, wording};

/// `kube-probe/MAJOR.MINOR` (`pkg/probe/http/request.go`, `userAgent`). 1.35 is among the releases whose probe was
/// read for this; servers that look at it look at the name before the slash.
const AGENT: &str = "kube-probe/1.35";

/// `maxRespBodyLength`: bytes of a body that are read; what comes after them is not waited for.
const BODY_LIMIT: usize = 10 * 1_024;

/// `maxBodySlurpSize` of Go's client: bytes of the body of a redirect that are read before it is followed.
const SLURP_LIMIT: usize = 2 * 1_024;

/// Header lines of an answer. Go limits their bytes, not their number; hyper's own limit of 100 would reject answers
/// that a kubelet accepts.
const HEADER_LINES: usize = 1_000;

/// What one request of a chain came to.
enum Hop {
    End(End),
    Follow(Url),
}

/// What went wrong in an exchange.
enum Fault {
    /// An answer that is not HTTP.
    NotHttp,
    /// The peer closed in good order before the answer was complete.
    Closed,
    /// An error of the connection.
    Io(io::Error),
}

/// Asks for `first` at `address`, and for whatever it is redirected to on the same host, each over a new connection.
pub(super) async fn get(first: Url, address: SocketAddr, closer: &Closer, marks: &Marks) -> End {
    let mut url = first.clone();
    let mut referer = None;
    let mut requests = 0;
    // Bounded by `redirect::step`, which ends a chain after ten requests.
    loop {
        requests += 1;
        let peer = SocketAddr::new(address.ip(), url.port().unwrap_or(address.port()));
        let chain = Chain { first: &first, url: &url, requests, referer: referer.as_deref(), peer };
        match chain.hop(closer, marks).await {
            Hop::End(end) => return end,
            Hop::Follow(next) => {
                referer = Some(url.to_string());
                url = next;
            }
        }
    }
}

/// A chain of redirects, at one of its requests.
struct Chain<'a> {
    first: &'a Url,
    url: &'a Url,
    requests: u32,
    referer: Option<&'a str>,
    peer: SocketAddr,
}

impl Chain<'_> {
    async fn hop(&self, closer: &Closer, marks: &Marks) -> Hop {
        marks.dialled(&self.url.to_string());
        let request = match self.request() {
            Ok(request) => request,
            Err(end) => return Hop::End(end),
        };
        let connection = match connect::dial(self.peer, closer, marks).await {
            Ok(connection) => connection,
            Err(failed) => {
                let outcome = classify::of_error(Phase::Dial, &failed.error);
                let message = wording::dial(self.peer, failed.syscall, &failed.error);
                return Hop::End(self.failed(Phase::Dial, outcome, &message));
            }
        };
        let handshake = http1::Builder::new()
            .title_case_headers(true)
            .allow_obsolete_multiline_headers_in_responses(true)
            .max_headers(HEADER_LINES)
            .handshake(TokioIo::new(connection));
        let exchanged = match handshake.await {
            Ok((mut sender, connection)) => {
                let exchange = async {
                    let response = sender.send_request(request).await?;
                    self.answered(response, marks).await
                };
                drive(connection, exchange).await
            }
            Err(error) => Err(Fault::of(&error)),
        };
        exchanged.unwrap_or_else(|fault| Hop::End(self.broken(&fault, marks)))
    }

    /// The request, its headers in the order in which Go writes them.
    fn request(&self) -> Result<Request<Empty<Bytes>>, End> {
        if self.url.scheme == "https" {
            let message = "redirected to TLS, which this probe does not speak; the kubelet would have followed";
            return Err(self.failed(Phase::Dial, Outcome::LocalError, message));
        }
        if self.url.scheme != "http" {
            let message = format!("unsupported protocol scheme {:?}", self.url.scheme);
            return Err(self.failed(Phase::Dial, Outcome::BadStatus, &message));
        }
        let mut builder = Request::get(&self.url.target)
            .header(HOST, &self.url.authority)
            .header(USER_AGENT, AGENT)
            .header(ACCEPT, "*/*");
        if let Some(referer) = self.referer {
            builder = builder.header(REFERER, referer);
        }
        builder
            .header(CONNECTION, "close")
            .body(Empty::new())
            .map_err(|error| self.failed(Phase::Dial, Outcome::LocalError, &error.to_string()))
    }

    /// The headers are there; what is done with them and the body.
    async fn answered(&self, response: Response<Incoming>, marks: &Marks) -> hyper::Result<Hop> {
        let status = response.status().as_u16();
        marks.answered(status);
        let location = response.headers().get(LOCATION).map(|value| String::from_utf8_lossy(value.as_bytes()));
        let step = redirect::step(self.first, self.url, self.requests, status, location.as_deref());
        let mut body = response.into_body();
        let end = match step {
            Step::Follow(next) => {
                slurp(&mut body).await;
                return Ok(Hop::Follow(next));
            }
            Step::Broken(url, why) => {
                slurp(&mut body).await;
                End::failed(Phase::Headers, Outcome::BadStatus, wording::get(&url, &why))
            }
            Step::Terminated => {
                marks.reading_body();
                End::passed(wording::terminated_redirects(&at_most(&mut body, BODY_LIMIT).await?))
            }
            Step::Final => {
                marks.reading_body();
                at_most(&mut body, BODY_LIMIT).await?;
                // 300 to 399 never is final.
                if (200..300).contains(&status) {
                    End::passed(String::new())
                } else {
                    End::failed(Phase::Headers, Outcome::BadStatus, wording::bad_status(status))
                }
            }
        };
        Ok(Hop::End(end))
    }

    fn broken(&self, fault: &Fault, marks: &Marks) -> End {
        let mark = marks.now();
        let (outcome, message) = match fault {
            Fault::NotHttp => (Outcome::BadStatus, wording::not_http(&mark.opening)),
            Fault::Closed => (Outcome::Reset, wording::closed(mark.first_byte_ns.is_some()).to_owned()),
            Fault::Io(error) => (classify::of_error(mark.phase, error), wording::broken(mark.local, self.peer, error)),
        };
        self.failed(mark.phase, outcome, &message)
    }

    /// A failure in Go's words, which name the URL unless it was the body that failed.
    fn failed(&self, phase: Phase, outcome: Outcome, what: &str) -> End {
        let message = if phase == Phase::Body { what.to_owned() } else { wording::get(&self.url.to_string(), what) };
        End::failed(phase, outcome, message)
    }
}

/// Runs an exchange together with the connection it is made over, in one task.
async fn drive<C, E>(connection: C, exchange: E) -> Result<Hop, Fault>
where
    C: Future<Output = hyper::Result<()>>,
    E: Future<Output = hyper::Result<Hop>>,
{
    let (mut connection, mut exchange) = (pin!(connection), pin!(exchange));
    let mut ended: Option<hyper::Result<()>> = None;
    let exchanged = poll_fn(|cx| {
        if let Poll::Ready(result) = exchange.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        if ended.is_none()
            && let Poll::Ready(result) = connection.as_mut().poll(cx)
        {
            // Whoever waits on a connection that ended is told so by hyper, through a channel that wakes this task.
            ended = Some(result);
        }
        Poll::Pending
    });
    let exchanged = exchanged.await;
    exchanged.map_err(|error| match ended {
        // The request was never taken up; the connection knows why.
        Some(Err(reason)) if error.is_canceled() => Fault::of(&reason),
        _ => Fault::of(&error),
    })
}

impl Fault {
    fn of(error: &hyper::Error) -> Self {
        if error.is_parse() {
            return Self::NotHttp;
        }
        let mut source = error.source();
        while let Some(cause) = source {
            if let Some(found) = cause.downcast_ref::<io::Error>() {
                let raw = found.raw_os_error().map(io::Error::from_raw_os_error);
                return match found.kind() {
                    io::ErrorKind::UnexpectedEof => Self::Closed,
                    // hyper says so of chunks that are none.
                    io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Self::NotHttp,
                    kind => Self::Io(raw.unwrap_or_else(|| io::Error::new(kind, found.to_string()))),
                };
            }
            source = cause.source();
        }
        // An incomplete message, or a connection that was closed under the request.
        Self::Closed
    }
}

/// The first `limit` bytes of a body, or all of it.
async fn at_most(body: &mut Incoming, limit: usize) -> hyper::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while bytes.len() < limit {
        let Some(frame) = body.frame().await else { break };
        if let Some(data) = frame?.data_ref() {
            bytes.extend_from_slice(&data[..data.len().min(limit - bytes.len())]);
        }
    }
    Ok(bytes)
}

/// Reads a little of the body of a redirect, as Go does before it goes on. What goes wrong with it does not matter.
async fn slurp(body: &mut Incoming) {
    let length = body.size_hint().exact();
    if length.is_none_or(|length| length <= SLURP_LIMIT as u64) {
        at_most(body, SLURP_LIMIT).await.ok();
    }
}
