//! `httpGet`, as `pkg/probe/http/http.go` does it with Go's HTTP client.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;

use brimful_loadgen_plan::probe::header::Lines;
use brimful_loadgen_plan::probe::{HttpGet, Outcome};
use http::header::{CONNECTION, HOST, LOCATION, REFERER, USER_AGENT};
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Bytes, Incoming};

use super::attempt::End;
use super::classify::{self, Phase};
use super::closer::Closer;
use super::connect::Connection;
use super::fault::Fault;
use super::marks::Marks;
use super::redirect::{self, Step, Url};
use super::{connect, http1, http2, tls, wording};

/// `maxRespBodyLength`: bytes of a body that are read; what comes after them is not waited for.
const BODY_LIMIT: usize = 10 * 1_024;

/// `maxBodySlurpSize` of Go's client: bytes of the body of a redirect that are read before it is followed.
const SLURP_LIMIT: usize = 2 * 1_024;

/// What one request of a chain came to.
enum Hop {
    End(End),
    /// The next page, and whether the `Host` line of the plan's own goes with it.
    Follow(Url, bool),
}

/// The body of an answer.
pub(super) enum Body {
    Http1(Incoming),
    Http2(h2::RecvStream),
}

/// Asks for `first` at `address`, and for whatever it is redirected to on the same host, each over a new connection.
pub(super) async fn get(first: Url, get: &HttpGet, address: SocketAddr, closer: &Closer, marks: &Marks) -> End {
    let own = Lines::of(&get.headers);
    let mut lines = own.clone();
    let mut url = first.clone();
    let mut referer = None;
    let mut requests = 0;
    // Bounded by `redirect::step`, which ends a chain after ten requests.
    loop {
        requests += 1;
        let peer = SocketAddr::new(address.ip(), url.port().unwrap_or(address.port()));
        let chain = Chain { first: &first, url: &url, lines: &lines, requests, referer: referer.as_deref(), peer };
        match chain.hop(closer, marks).await {
            Hop::End(end) => return end,
            Hop::Follow(next, keeps_host) => {
                referer = redirect::referer(&url, &next);
                lines.host = own.host.clone().filter(|_| keeps_host);
                url = next;
            }
        }
    }
}

/// A chain of redirects, at one of its requests.
struct Chain<'a> {
    first: &'a Url,
    url: &'a Url,
    lines: &'a Lines,
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
        let exchanged = if self.url.scheme == "https" {
            self.securely(connection, request, marks).await
        } else {
            http1::exchange(connection, request, |status, headers, body| self.answered(status, headers, body, marks))
                .await
        };
        exchanged.unwrap_or_else(|fault| Hop::End(self.broken(&fault, marks)))
    }

    /// The exchange over TLS, in the protocol that the server chooses.
    async fn securely(&self, connection: Connection, mut request: Request<()>, marks: &Marks) -> Result<Hop, Fault> {
        let secured = tls::secure(connection, self.peer.ip(), marks).await?;
        let answered = |status, headers, body| self.answered(status, headers, body, marks);
        if !secured.chose_http2() {
            return http1::exchange(secured, request, answered).await;
        }
        // Both are said otherwise there: the one in the URL, the other by ending the connection.
        let host = request.headers_mut().remove(HOST);
        request.headers_mut().remove(CONNECTION);
        if let Some(uri) =
            host.and_then(|host| format!("https://{}{}", host.to_str().ok()?, self.url.target).parse().ok())
        {
            *request.uri_mut() = uri;
        }
        http2::exchange(secured, request, marks, answered).await
    }

    /// The request, its headers in the order in which Go writes them.
    fn request(&self) -> Result<Request<()>, End> {
        if !matches!(self.url.scheme.as_str(), "http" | "https") {
            let message = format!("unsupported protocol scheme {:?}", self.url.scheme);
            return Err(self.failed(Phase::Dial, Outcome::BadStatus, &message));
        }
        let mut builder =
            Request::get(&self.url.target).header(HOST, self.lines.host.as_ref().unwrap_or(&self.url.authority));
        if let Some(agent) = &self.lines.agent {
            builder = builder.header(USER_AGENT, agent);
        }
        let mut others = self.lines.others.clone();
        if let Some(referer) = self.referer {
            others.entry(REFERER.to_string()).or_insert_with(|| vec![referer.to_owned()]);
        }
        for (name, value) in others.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value))) {
            builder = builder.header(name, value);
        }
        builder
            .header(CONNECTION, "close")
            .body(())
            .map_err(|error| self.failed(Phase::Dial, Outcome::LocalError, &error.to_string()))
    }

    /// The headers are there; what is done with them and the body.
    async fn answered(&self, status: u16, headers: HeaderMap, mut body: Body, marks: &Marks) -> Result<Hop, Fault> {
        marks.answered(status);
        let location = headers.get(LOCATION).map(|value| String::from_utf8_lossy(value.as_bytes()));
        let step = redirect::step(self.first, self.url, self.requests, status, location.as_deref());
        let end = match step {
            Step::Follow(next) => {
                slurp(&mut body).await;
                return Ok(Hop::Follow(next, location.is_some_and(|location| redirect::keeps_host(&location))));
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
            Fault::Untaken => (Outcome::Reset, wording::closed(false).to_owned()),
            Fault::Refused(why, broken_off) => {
                (if *broken_off { Outcome::Reset } else { Outcome::BadStatus }, why.clone())
            }
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
pub(super) async fn drive<C, E, T>(connection: C, exchange: E) -> Result<T, Fault>
where
    C: Future<Output = Result<(), Fault>>,
    E: Future<Output = Result<T, Fault>>,
{
    let (mut connection, mut exchange) = (pin!(connection), pin!(exchange));
    let mut ended: Option<Result<(), Fault>> = None;
    let exchanged = poll_fn(|cx| {
        if let Poll::Ready(result) = exchange.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        if ended.is_none()
            && let Poll::Ready(result) = connection.as_mut().poll(cx)
        {
            // Whoever waits on a connection that ended is told so, through a channel that wakes this task.
            ended = Some(result);
        }
        Poll::Pending
    });
    match (exchanged.await, ended) {
        (Err(Fault::Untaken), Some(Err(reason))) => Err(reason),
        (exchanged, _) => exchanged,
    }
}

impl Body {
    /// The next piece of it; `None` at its end.
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        match self {
            Self::Http1(body) => loop {
                let Some(frame) = body.frame().await else { return Ok(None) };
                // What is no data are trailers, that nobody looks at.
                if let Ok(data) = frame.map_err(|error| Fault::of(&error))?.into_data() {
                    return Ok(Some(data));
                }
            },
            Self::Http2(body) => {
                let Some(data) = body.data().await else { return Ok(None) };
                let data = data.map_err(|error| Fault::of_h2(&error))?;
                body.flow_control().release_capacity(data.len()).map_err(|error| Fault::of_h2(&error))?;
                Ok(Some(data))
            }
        }
    }

    /// Its length, where that is known beforehand.
    fn length(&self) -> Option<u64> {
        match self {
            Self::Http1(body) => body.size_hint().exact(),
            Self::Http2(_) => None,
        }
    }
}

/// The first `limit` bytes of a body, or all of it.
async fn at_most(body: &mut Body, limit: usize) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    while bytes.len() < limit {
        let Some(data) = body.next().await? else { break };
        bytes.extend_from_slice(&data[..data.len().min(limit - bytes.len())]);
    }
    Ok(bytes)
}

/// Reads a little of the body of a redirect, as Go does before it goes on. What goes wrong with it does not matter.
async fn slurp(body: &mut Body) {
    if body.length().is_none_or(|length| length <= SLURP_LIMIT as u64) {
        at_most(body, SLURP_LIMIT).await.ok();
    }
}
