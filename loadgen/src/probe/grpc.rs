//! `grpc`, as `pkg/probe/grpc/grpc.go` does it with grpc-go.
//!
//! The dial waits until the connection is ready (`WithBlock`), which takes the server's first frame of HTTP/2, and it is tried again after
//! a pause however it fails. So a port on which nobody listens is no quick failure as it is over HTTP: it takes the whole time-out, and
//! what was in the way is not told. The outcome tells it here. Never an error to the kubelet, always a result.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use brimful_loadgen_plan::probe::header::AGENT;
use brimful_loadgen_plan::probe::{Outcome, ProbePlan, nanoseconds};
use brimful_target::clock::monotonic_ns;
use brimful_target_plan::health::{self, CHECK_PATH, CONTENT_TYPE, MESSAGE_MOST, Status};
use h2::RecvStream;
use h2::client::SendRequest;
use http::header::{CONTENT_TYPE as CONTENT_TYPE_HEADER, TE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, Response};
use hyper::body::Bytes;

use super::alarm::Alarm;
use super::attempt::End;
use super::classify::{self, Phase};
use super::closer::Closer;
use super::fault::Fault;
use super::marks::{Mark, Marks};
use super::{connect, wording};

/// The pauses between dials: 1 s, 1.6 times as long each time, 120 s at most (`google.golang.org/grpc/backoff`, `DefaultConfig`). From
/// the second on grpc-go varies them by a fifth, which is left out here.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const PAUSE_GROWTH: f64 = 1.6;
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// Length of the head of a frame, the place of its type, and the type that a server begins with (RFC 9113, 3.4, 4.1 and 6.5).
const FRAME_HEAD: usize = 9;
const FRAME_TYPE: usize = 3;
const SETTINGS: u8 = 4;

/// Codes of gRPC that a client gives by itself.
const UNKNOWN: u32 = 2;
const INTERNAL: u32 = 13;
const UNAVAILABLE: u32 = 14;

/// Asks for the health of `service`, and dials for as long as that takes.
pub(super) async fn check(service: &str, plan: &ProbePlan, deadline_ns: u64, closer: &Closer, marks: &Marks) -> End {
    let mut pause = FIRST_PAUSE;
    loop {
        marks.dialled("");
        match attempt(service, plan, deadline_ns, closer, marks).await {
            Ok(end) => return end,
            Err((outcome, message)) => marks.failed(outcome, message),
        }
        wait(pause).await;
        pause = pause.mul_f64(PAUSE_GROWTH).min(LONGEST_PAUSE);
    }
}

/// One that was given up at its deadline: before it was connected, or while the answer was awaited.
pub(super) fn given_up(plan: &ProbePlan, mark: &Mark) -> End {
    if is_ready(mark) && mark.failed.is_none() {
        return failed(Outcome::ResponseTimeout, wording::grpc_timeout(plan.timeout));
    }
    let (outcome, because) = match &mark.failed {
        Some((outcome, why)) => (*outcome, Some(why.as_str()).filter(|_| *outcome == Outcome::LocalError)),
        None => (classify::of_deadline(mark.phase), None),
    };
    failed(outcome, wording::grpc_not_connected(plan.address, plan.timeout, because))
}

fn failed(outcome: Outcome, message: String) -> End {
    End { outcome, message, errored: false }
}

/// Whether the server has begun to speak HTTP/2.
fn is_ready(mark: &Mark) -> bool {
    mark.opening.len() >= FRAME_HEAD && mark.opening.get(FRAME_TYPE) == Some(&SETTINGS)
}

/// Waits for a pause; for ever where the timer for it cannot be had, as the deadline has one of its own.
async fn wait(pause: Duration) {
    let until_ns = monotonic_ns().saturating_add(nanoseconds(pause));
    match Alarm::new() {
        Ok(alarm) if alarm.at(until_ns).await.is_ok() => {}
        _ => pending().await,
    }
}

/// One connection and the call over it; an error where it never became ready.
async fn attempt(
    service: &str,
    plan: &ProbePlan,
    deadline_ns: u64,
    closer: &Closer,
    marks: &Marks,
) -> Result<End, (Outcome, String)> {
    let connection = connect::dial(plan.address, closer, marks).await.map_err(|failed| {
        let outcome = classify::of_error(Phase::Dial, &failed.error);
        (outcome, wording::dial(plan.address, failed.syscall, &failed.error))
    })?;
    let unready = |fault: Fault| (outcome(&fault), String::new());
    let shaken = h2::client::handshake(connection.beneath()).await;
    let (sender, connection) = shaken.map_err(|error| unready(Fault::of_h2(&error)))?;
    let mut connection = pin!(connection);
    // Ready once the server's first frame is there; only then is anything asked.
    poll_fn(|cx| match connection.as_mut().poll(cx) {
        Poll::Ready(Ok(())) => Poll::Ready(Err(Fault::Closed)),
        Poll::Ready(Err(error)) => Poll::Ready(Err(Fault::of_h2(&error))),
        Poll::Pending if is_ready(&marks.now()) => Poll::Ready(Ok(())),
        Poll::Pending => Poll::Pending,
    })
    .await
    .map_err(unready)?;
    let driven = super::http::drive(
        async { connection.await.map_err(|error| Fault::of_h2(&error)) },
        call(sender, service, plan, deadline_ns, marks),
    );
    Ok(driven.await.unwrap_or_else(|fault| broken(&fault, plan, marks)))
}

async fn call(
    sender: SendRequest<Bytes>,
    service: &str,
    plan: &ProbePlan,
    deadline_ns: u64,
    marks: &Marks,
) -> Result<End, Fault> {
    let of = |error: h2::Error| Fault::of_h2(&error);
    let left_us = deadline_ns.saturating_sub(monotonic_ns()) / 1_000;
    let request = Request::post(format!("http://{}{CHECK_PATH}", plan.address))
        .header(CONTENT_TYPE_HEADER, CONTENT_TYPE)
        // grpc-go puts its own name and version behind it; the version is that of a kubelet's build.
        .header(USER_AGENT, format!("{AGENT} grpc-go"))
        .header(TE, "trailers")
        .header("grpc-timeout", grpc_timeout(left_us))
        .body(())
        .map_err(|error| Fault::Refused(error.to_string(), false))?;
    let mut sender = sender.ready().await.map_err(of)?;
    let (response, mut stream) = sender.send_request(request, false).map_err(of)?;
    stream.send_data(health::request(service).into(), true).map_err(of)?;
    let response = response.await.map_err(of)?;
    marks.began();
    judged(response, plan).await
}

/// At most eight digits and a unit (gRPC over HTTP/2, `Timeout`).
fn grpc_timeout(microseconds: u64) -> String {
    match microseconds {
        ..100_000_000 => format!("{microseconds}u"),
        _ => format!("{}m", (microseconds / 1_000).min(99_999_999)),
    }
}

/// What an answer means.
async fn judged(response: Response<RecvStream>, plan: &ProbePlan) -> Result<End, Fault> {
    let (head, body) = response.into_parts();
    let told = |code, message: &str| Ok(failed(Outcome::BadStatus, wording::grpc_failed(code, message, plan.timeout)));
    let kind = head.headers.get(CONTENT_TYPE_HEADER).map(HeaderValue::as_bytes);
    // Whatever else an answer says that is not of gRPC is not looked at (`operateHeaders`).
    if head.status != 200 || !kind.is_some_and(is_grpc) {
        return told(code_of_http(head.status.as_u16()), &wording::not_grpc(head.status, kind));
    }
    // Without a message the trailers come as the headers.
    if let Some((code, message)) = status(&head.headers).filter(|(code, _)| *code != 0) {
        return told(code, &message);
    }
    let (bytes, trailers) = whole(body).await?;
    match status(&trailers) {
        None => told(INTERNAL, "server closed the stream without sending trailers"),
        Some((0, _)) => Ok(match health::status_said(&bytes) {
            Some(Status::Serving) => End::passed(String::new()),
            Some(other) => failed(Outcome::BadStatus, wording::grpc_unhealthy(&other.name())),
            None => return told(INTERNAL, "grpc: failed to unmarshal the received message"),
        }),
        Some((code, message)) => told(code, &message),
    }
}

/// Whether a content type is that of gRPC, with or without the encoding of its messages (`grpcutil.ContentSubtype`).
pub(super) fn is_grpc(kind: &[u8]) -> bool {
    kind.strip_prefix(CONTENT_TYPE.as_bytes()).is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// The code of a status of HTTP (gRPC over HTTP/2, `http-grpc-status-mapping.md`).
const fn code_of_http(status: u16) -> u32 {
    match status {
        400 => INTERNAL,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502..=504 => UNAVAILABLE,
        _ => UNKNOWN,
    }
}

/// Code and message of a call, where these are its trailers.
fn status(trailers: &HeaderMap) -> Option<(u32, String)> {
    let code = trailers.get("grpc-status")?.to_str().ok()?.parse().unwrap_or(UNKNOWN);
    let message = trailers.get("grpc-message").map(|message| percent_decoded(message.as_bytes())).unwrap_or_default();
    Some((code, message))
}

fn percent_decoded(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, left)) = rest.split_first() {
        let digits = left.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let escaped = digits.filter(|_| byte == b'%').and_then(|two| u8::from_str_radix(two, 16).ok());
        bytes.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { &left[2..] } else { left };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// All of a body, which is to be short, and its trailers.
async fn whole(mut body: RecvStream) -> Result<(Vec<u8>, HeaderMap), Fault> {
    let of = |error: h2::Error| Fault::of_h2(&error);
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.map_err(of)?;
        bytes.extend_from_slice(&piece);
        if bytes.len() > MESSAGE_MOST {
            return Err(Fault::NotHttp);
        }
        body.flow_control().release_capacity(piece.len()).map_err(of)?;
    }
    Ok((bytes, body.trailers().await.map_err(of)?.unwrap_or_default()))
}

/// How an exchange ended that went wrong.
fn outcome(fault: &Fault) -> Outcome {
    match fault {
        Fault::NotHttp | Fault::Refused(_, false) => Outcome::BadStatus,
        Fault::Closed | Fault::Untaken | Fault::Refused(_, true) => Outcome::Reset,
        Fault::Io(error) => classify::of_error(Phase::Headers, error),
    }
}

/// A call that broke off.
fn broken(fault: &Fault, plan: &ProbePlan, marks: &Marks) -> End {
    let mark = marks.now();
    let why = match fault {
        Fault::NotHttp => "malformed answer".to_owned(),
        Fault::Closed | Fault::Untaken => wording::closed(false).to_owned(),
        Fault::Refused(why, _) => why.clone(),
        Fault::Io(error) => wording::broken(mark.local, plan.address, error),
    };
    let message = format!("error reading from server: {why}");
    failed(outcome(fault), wording::grpc_failed(UNAVAILABLE, &message, plan.timeout))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_out_fits_its_eight_digits() {
        let longest = grpc_timeout(u64::MAX);
        assert_eq!([grpc_timeout(999_000), grpc_timeout(300_000_000), longest], ["999000u", "300000m", "99999999m"]);
    }

    #[test]
    fn a_type_that_only_begins_like_grpc_is_another() {
        for kind in ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"] {
            assert!(is_grpc(kind.as_bytes()), "{kind}");
        }
        for kind in ["application/grpc-web", "application/grp", "text/html", ""] {
            assert!(!is_grpc(kind.as_bytes()), "{kind}");
        }
    }

    #[test]
    fn messages_are_decoded_and_what_is_no_code_stays() {
        assert_eq!(percent_decoded(b"no%20such%0Aservice: 5%"), "no such\nservice: 5%");
        assert_eq!(percent_decoded(b"%zz%c3%a4"), "%zz\u{e4}");
    }
}
