//! The health of the server over gRPC: `Check` of `grpc.health.v1.Health`, unary, without TLS.

use std::io::{self, Cursor};
use std::time::Duration;

use brimful_target_plan::health::{self, CHECK_PATH, CONTENT_TYPE, MESSAGE_MOST, Status};
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use tokio::io::{AsyncReadExt as _, join};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::idle_set::Rest;

/// Calls of one connection that are answered at once. A kubelet makes one.
const CALLS_MOST: u32 = 16;

/// `OK`, and the failures that are told here (`google.golang.org/grpc/codes`).
const OK: u32 = 0;
const NOT_FOUND: u32 = 5;
const UNIMPLEMENTED: u32 = 12;
const INTERNAL: u32 = 13;

/// Answers the calls of a connection, of which `first` has been read, until the peer ends it or says nothing for `patience`.
pub(crate) async fn converse(
    service: &str,
    stream: TcpStream,
    first: Vec<u8>,
    rest: &Rest,
    patience: Duration,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (reader, writer) = stream.into_split();
    let whole = join(Cursor::new(first).chain(reader), writer);
    let mut builder = Builder::new();
    builder.max_concurrent_streams(CALLS_MOST);
    let mut connection = timeout(patience, builder.handshake(whole)).await?.map_err(io::Error::other)?;
    // Ended with the conversation, whatever is left of them.
    let mut calls = JoinSet::new();
    while let Ok(Some(call)) = timeout(patience + rest.answer_delay, connection.accept()).await {
        let (request, respond) = call.map_err(io::Error::other)?;
        let (service, delay, counters) = (service.to_owned(), rest.answer_delay, rest.counters.clone());
        calls.spawn_local(async move {
            // A call that breaks off is the peer's business, as a request is.
            if let Ok(Ok(healthy)) = timeout(patience + delay, answer(&service, request, respond, delay)).await {
                counters.0.answered(healthy);
            }
        });
        while calls.try_join_next().is_some() {}
    }
    Ok(())
}

/// Answers one call; whether it said that the server serves.
async fn answer(
    service: &str,
    request: Request<RecvStream>,
    mut respond: SendResponse<bytes::Bytes>,
    delay: Duration,
) -> Result<bool, h2::Error> {
    let (parts, body) = request.into_parts();
    let verdict = if parts.method != Method::POST || parts.uri.path() != CHECK_PATH {
        Err((UNIMPLEMENTED, "unknown service or method"))
    } else {
        match health::service_asked(&whole(body).await?) {
            None => Err((INTERNAL, "no HealthCheckRequest")),
            Some(asked) if asked.is_empty() || asked == service => Ok(()),
            Some(_) => Err((NOT_FOUND, "unknown service")),
        }
    };
    if !delay.is_zero() {
        sleep(delay).await;
    }
    match verdict {
        Ok(()) => {
            let mut sender = respond.send_response(head(None), false)?;
            sender.send_data(health::response(Status::Serving).into(), false)?;
            sender.send_trailers(told(OK, ""))?;
        }
        // Without a message the trailers come at once, as the only headers.
        Err((code, why)) => {
            respond.send_response(head(Some(told(code, why))), true)?;
        }
    }
    Ok(verdict.is_ok())
}

fn head(trailers: Option<HeaderMap>) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::OK;
    *response.headers_mut() = trailers.unwrap_or_default();
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    response
}

fn told(code: u32, why: &'static str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", code.into());
    if !why.is_empty() {
        trailers.insert("grpc-message", HeaderValue::from_static(why));
    }
    trailers
}

/// All of a body, which is to be short.
async fn whole(mut body: RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        bytes.extend_from_slice(&piece);
        if bytes.len() > MESSAGE_MOST {
            return Err(Reason::ENHANCE_YOUR_CALM.into());
        }
        body.flow_control().release_capacity(piece.len())?;
    }
    Ok(bytes)
}
