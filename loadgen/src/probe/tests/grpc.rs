//! `grpc` against the built-in target, and against servers that do one thing wrong each.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use brimful_loadgen_plan::probe::{Action, Outcome, Sample};
use brimful_target::Server;
use brimful_target_plan::TargetPlan;

use super::*;

const LONG: u64 = 30_000;

fn check(service: &str, address: SocketAddr, timeout_ms: u64) -> Sample {
    one(Action::Grpc { service: service.to_owned() }, address, Duration::from_millis(timeout_ms))
}

/// A built-in target on a thread of its own, until the test's process ends.
pub(super) fn target(plan: impl FnOnce(TargetPlan) -> TargetPlan + Send + 'static) -> SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        let mut server = Server::bind(plan(TargetPlan::plain(SocketAddr::from(([127, 0, 0, 1], 0))))).unwrap();
        tell.send(server.ready().listening[0].address).unwrap();
        runtime.block_on(server.run(async { None }, std::future::pending())).unwrap();
    });
    told.recv().unwrap()
}

/// A server that gives its first connections, one after the other, to `answer`.
fn serve(answer: impl Fn(&mut TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().for_each(|stream| answer(&mut stream.unwrap())));
    address
}

#[test]
fn the_server_and_its_service_are_well_and_another_is_not_found() {
    let address = target(|plan| TargetPlan { grpc_service: Some("shop".to_owned()), ..plan });
    for service in ["", "shop"] {
        let sample = check(service, address, LONG);
        assert_eq!((sample.outcome, sample.message.as_str()), (Outcome::Ok, ""));
        assert!(sample.connect_ns.is_some() && sample.first_byte_ns.is_some() && sample.status.is_none());
    }
    let sample = check("bank", address, LONG);
    assert_eq!((sample.outcome, sample.discarded), (Outcome::BadStatus, false));
    assert_eq!(sample.message, "error: health rpc probe failed: rpc error: code = NotFound desc = unknown service");
}

#[test]
fn a_late_answer_is_a_call_that_did_not_complete() {
    let delay = Duration::from_secs(20);
    let address = target(move |plan| TargetPlan { grpc_service: Some(String::new()), answer_delay: delay, ..plan });
    let sample = check("", address, 400);
    assert_eq!((sample.outcome, sample.discarded), (Outcome::ResponseTimeout, false));
    assert!(sample.connect_ns.is_some() && sample.first_byte_ns.is_none());
    assert_eq!(sample.message, "timeout: health rpc did not complete within 400ms");
}

#[test]
fn nobody_listening_takes_the_whole_time_out_and_says_no_reason() {
    let address = serve_nobody();
    let sample = check("", address, 300);
    assert_eq!((sample.outcome, sample.connect_ns, sample.discarded), (Outcome::Refused, None, false));
    assert!(sample.ended_ns - sample.started_ns >= 300_000_000);
    assert_eq!(
        sample.message,
        format!("timeout: failed to connect service \"{address}\" within 300ms: context deadline exceeded")
    );
}

fn serve_nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn a_server_that_says_nothing_is_never_connected_to() {
    let address = serve(|stream| drop(stream.read_to_end(&mut Vec::new())));
    let sample = check("", address, 300);
    assert_eq!(sample.outcome, Outcome::ResponseTimeout);
    assert!(sample.connect_ns.is_some() && sample.first_byte_ns.is_none());
    assert!(sample.message.starts_with("timeout: failed to connect service"), "{}", sample.message);
}

#[test]
fn what_speaks_no_http2_is_never_connected_to_either() {
    let plain = target(|plan| plan);
    let sample = check("", plain, 300);
    assert_eq!((sample.outcome, sample.connect_ns.is_some()), (Outcome::BadStatus, true), "{}", sample.message);
    assert!(sample.message.starts_with("timeout: failed to connect service"), "{}", sample.message);
    let closing = serve(|stream| drop(stream.read(&mut [0])));
    assert_eq!(check("", closing, 300).outcome, Outcome::Reset);
}

/// A frame of HTTP/2 on the first stream, or on the connection for settings.
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let stream = u8::from(kind != SETTINGS);
    [&[0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream], payload].concat()
}

/// A field of a head without compression (RFC 7541, 6.2.2).
fn field(name: &str, value: &str) -> Vec<u8> {
    [&[0, name.len() as u8], name.as_bytes(), &[value.len() as u8], value.as_bytes()].concat()
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
/// `END_HEADERS`, alone and with `END_STREAM`.
const MORE: u8 = 4;
const LAST: u8 = 5;
/// `:status: 200`.
const WELL: u8 = 0x88;

/// Begins to speak HTTP/2 and waits for the call: when there are this many bytes, what comes before it is there.
fn begin(stream: &mut TcpStream) {
    stream.write_all(&frame(SETTINGS, 0, &[])).unwrap();
    stream.read_exact(&mut [0; 120]).unwrap();
}

#[test]
fn a_dial_that_failed_is_tried_again_after_a_second() {
    let connections = std::sync::atomic::AtomicUsize::new(0);
    let address = serve(move |stream| {
        if connections.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0 {
            return;
        }
        begin(stream);
        let head = [&[WELL][..], &field("content-type", "application/grpc")].concat();
        let answer = [
            frame(HEADERS, MORE, &head),
            frame(DATA, 0, &[0, 0, 0, 0, 2, 0x08, 1]),
            frame(HEADERS, LAST, &field("grpc-status", "0")),
        ];
        stream.write_all(&answer.concat()).unwrap();
        stream.read_to_end(&mut Vec::new()).ok();
    });
    let sample = check("", address, LONG);
    assert_eq!(sample.outcome, Outcome::Ok, "{}", sample.message);
    assert!(sample.ended_ns - sample.started_ns >= 1_000_000_000);
}

#[test]
fn a_service_that_does_not_serve_fails_with_its_status() {
    let address = serve(|stream| {
        begin(stream);
        let head = [&[WELL][..], &field("content-type", "application/grpc")].concat();
        let answer = [
            frame(HEADERS, MORE, &head),
            frame(DATA, 0, &[0, 0, 0, 0, 2, 0x08, 2]),
            frame(HEADERS, LAST, &field("grpc-status", "0")),
        ];
        stream.write_all(&answer.concat()).unwrap();
        stream.read_to_end(&mut Vec::new()).ok();
    });
    let sample = check("", address, LONG);
    assert_eq!((sample.outcome, sample.discarded), (Outcome::BadStatus, false));
    assert_eq!(sample.message, "service unhealthy (responded with \"NOT_SERVING\")");
}

#[test]
fn a_server_without_the_health_service_has_words_of_its_own() {
    let address = serve(|stream| {
        begin(stream);
        let kind = field("content-type", "application/grpc");
        let told = [field("grpc-status", "12"), field("grpc-message", "no%20such service")].concat();
        let trailers = [&[WELL][..], &kind, &told].concat();
        stream.write_all(&frame(HEADERS, LAST, &trailers)).unwrap();
        stream.read_to_end(&mut Vec::new()).ok();
    });
    let sample = check("", address, LONG);
    assert_eq!(sample.outcome, Outcome::BadStatus);
    let words =
        "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): no such service";
    assert_eq!(sample.message, words);
}
