//! `httpGet` against servers that do one thing wrong each.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use brimful_loadgen_plan::probe::{Action, Header, HttpGet, Outcome, ProbePlan, Sample, Scheme};

use super::*;

/// A server on loopback that gives each connection, with its number and request, to `answer`; and what it was asked.
fn serve(answer: impl Fn(&mut TcpStream, usize) + Send + 'static) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    thread::spawn(move || {
        for (n, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            seen.lock().unwrap().push(request(&mut stream));
            answer(&mut stream, n);
        }
    });
    (address, requests)
}

fn request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut byte = [0];
    // A handshake of TLS has no such end; its first byte is enough to answer it wrongly.
    while !bytes.ends_with(b"\r\n\r\n") && bytes.first() != Some(&0x16) && stream.read(&mut byte).is_ok_and(|n| n == 1)
    {
        bytes.push(byte[0]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Writes an answer; the client may be gone already, and that is its business.
fn say(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).ok();
}

/// Waits until the client has closed its end.
fn wait_for_close(stream: &mut TcpStream) {
    stream.read_to_end(&mut Vec::new()).ok();
}

fn redirect(stream: &mut TcpStream, location: &str) {
    say(stream, &format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 4\r\n\r\nmove"));
}

fn get(address: SocketAddr, timeout_ms: u64) -> Sample {
    one(Action::http_get("/healthz"), address, Duration::from_millis(timeout_ms))
}

const LONG: u64 = 10_000;

#[test]
fn a_good_answer_passes_and_the_request_is_the_kubelets() {
    let (address, requests) = serve(|stream, _| say(stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    let sample = get(address, LONG);
    assert_eq!((sample.outcome, sample.status, sample.message.as_str()), (Outcome::Ok, Some(200), ""));
    assert!(!sample.discarded);
    assert!(sample.connect_ns.unwrap() <= sample.first_byte_ns.unwrap());
    assert!(sample.first_byte_ns.unwrap() <= sample.ended_ns - sample.started_ns);
    assert_eq!(
        requests.lock().unwrap().concat(),
        format!(
            "GET /healthz HTTP/1.1\r\nHost: {address}\r\nUser-Agent: kube-probe/1.35\r\nAccept: */*\r\n\
             Connection: close\r\n\r\n"
        )
    );
}

#[test]
fn a_status_outside_200_to_399_fails() {
    for (line, status) in [("404 Not Found", 404), ("503 Busy", 503), ("101 Switching Protocols", 101)] {
        let (address, _) = serve(move |stream, _| say(stream, &format!("HTTP/1.1 {line}\r\n\r\n")));
        let sample = get(address, LONG);
        assert_eq!((sample.outcome, sample.status), (Outcome::BadStatus, Some(status)));
        assert_eq!(sample.message, format!("HTTP probe failed with statuscode: {status}"));
    }
}

#[test]
fn a_redirect_on_the_same_host_is_followed_over_a_new_connection() {
    let (address, requests) = serve(|stream, n| match n {
        0 => redirect(stream, "../ready?x=1"),
        _ => say(stream, "HTTP/1.0 204 No Content\r\n\r\n"),
    });
    let sample = get(address, LONG);
    assert_eq!((sample.outcome, sample.status), (Outcome::Ok, Some(204)));
    let requests = requests.lock().unwrap();
    assert!(requests[1].starts_with("GET /ready?x=1 HTTP/1.1\r\n"), "{requests:?}");
    assert!(requests[1].contains(&format!("Referer: http://{address}/healthz\r\n")), "{requests:?}");
}

#[test]
fn a_redirect_to_another_host_is_a_warning_which_passes() {
    let (address, requests) = serve(|stream, _| redirect(stream, "http://localhost/elsewhere"));
    let sample = get(address, LONG);
    assert_eq!((sample.outcome, sample.status), (Outcome::Ok, Some(302)));
    assert_eq!(sample.message, "Probe terminated redirects, Response body: move");
    assert_eq!(requests.lock().unwrap().len(), 1);
}

#[test]
fn a_chain_of_redirects_is_cut_after_ten_requests() {
    let (address, requests) = serve(|stream, _| redirect(stream, "/again"));
    let sample = get(address, LONG);
    assert_eq!((sample.outcome, sample.status), (Outcome::BadStatus, Some(302)));
    assert_eq!(sample.message, "Get \"/again\": stopped after 10 redirects");
    assert_eq!(requests.lock().unwrap().len(), 10);
}

#[test]
fn a_redirect_to_tls_is_followed_and_what_answers_without_it_is_told() {
    let (address, requests) = serve(|stream, n| match n {
        0 => redirect(stream, &format!("https://{}/", stream.local_addr().unwrap())),
        _ => say(stream, "HTTP/1.1 400 Bad Request\r\n\r\n"),
    });
    let sample = get(address, LONG);
    assert_eq!(sample.outcome, Outcome::BadStatus);
    assert_eq!(sample.message, format!("Get \"https://{address}/\": http: server gave HTTP response to HTTPS client"));
    assert!(requests.lock().unwrap()[1].starts_with('\u{16}'), "a handshake of TLS");
}

#[test]
fn headers_of_the_plan_are_sent_and_take_the_place_of_the_probers_own() {
    let (address, requests) = serve(|stream, n| match n {
        0 => redirect(stream, "/again"),
        1 => {
            let location = format!("http://{}/last", stream.local_addr().unwrap());
            redirect(stream, &location);
        }
        2 => redirect(stream, "/more"),
        _ => say(stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    });
    let header = |name: &str, value: &str| Header { name: name.into(), value: value.into() };
    let headers =
        vec![header("x-b", "2"), header("host", "example.com"), header("User-Agent", "me"), header("Accept", "")];
    let action = Action::HttpGet(HttpGet { path: "/healthz".into(), scheme: Scheme::Http, headers });
    assert_eq!(one(action, address, Duration::from_millis(LONG)).outcome, Outcome::Ok);
    let requests = requests.lock().unwrap();
    assert_eq!(
        requests[0],
        "GET /healthz HTTP/1.1\r\nHost: example.com\r\nUser-Agent: me\r\nX-B: 2\r\nConnection: close\r\n\r\n"
    );
    assert!(requests[1].contains("Host: example.com\r\n"), "kept on the way to a relative location: {requests:?}");
    assert!(requests[2].contains(&format!("Host: {address}\r\n")), "and not to an absolute one: {requests:?}");
    assert!(requests[2].contains("X-B: 2\r\n"), "{requests:?}");
    assert!(requests[3].contains("Host: example.com\r\n"), "to a relative one again: {requests:?}");
}

#[test]
fn headers_that_do_not_come_are_a_response_timeout() {
    let (address, _) = serve(|stream, _| wait_for_close(stream));
    let sample = get(address, 400);
    assert_eq!((sample.outcome, sample.discarded), (Outcome::ResponseTimeout, false));
    assert!(sample.connect_ns.is_some());
    assert_eq!(sample.first_byte_ns, None);
    assert_eq!(
        sample.message,
        format!(
            "Get \"http://{address}/healthz\": context deadline exceeded \
             (Client.Timeout exceeded while awaiting headers)"
        )
    );
}

#[test]
fn half_a_header_is_still_a_response_timeout_with_its_first_byte() {
    let (address, _) = serve(|stream, _| {
        say(stream, "HTTP/1.1 20");
        wait_for_close(stream);
    });
    let sample = get(address, 400);
    assert_eq!((sample.outcome, sample.status, sample.discarded), (Outcome::ResponseTimeout, None, false));
    assert!(sample.first_byte_ns.is_some());
}

#[test]
fn a_body_that_stalls_is_tried_three_times_and_thrown_away() {
    let (address, requests) = serve(|stream, _| {
        say(stream, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ndr");
        wait_for_close(stream);
    });
    let sample = get(address, 400);
    assert_eq!((sample.outcome, sample.status, sample.discarded), (Outcome::ResponseTimeout, Some(200), true));
    assert!(sample.message.contains("while reading body"), "{}", sample.message);
    assert_eq!(requests.lock().unwrap().len(), 3);
}

#[test]
fn a_body_that_breaks_once_is_forgiven() {
    let (address, requests) = serve(|stream, n| {
        say(
            stream,
            if n == 0 { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ndr" } else { "HTTP/1.1 200 OK\r\n\r\nok" },
        );
    });
    let sample = get(address, LONG);
    assert_eq!((sample.outcome, sample.discarded), (Outcome::Ok, false));
    assert_eq!(requests.lock().unwrap().len(), 2);
}

#[test]
fn a_body_that_breaks_every_time_is_thrown_away() {
    for (body, outcome) in [
        ("Content-Length: 5\r\n\r\ndr", Outcome::Reset),
        ("Transfer-Encoding: chunked\r\n\r\nzz\r\n", Outcome::BadStatus),
    ] {
        let (address, _) = serve(move |stream, _| say(stream, &format!("HTTP/1.1 200 OK\r\n{body}")));
        let sample = get(address, LONG);
        assert_eq!((sample.outcome, sample.status, sample.discarded), (outcome, Some(200), true), "{}", sample.message);
    }
}

#[test]
fn no_more_than_ten_kibibytes_of_a_body_are_waited_for() {
    let (address, _) = serve(|stream, _| {
        say(stream, &format!("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{}", "x".repeat(10 * 1_024)));
        wait_for_close(stream);
    });
    assert_eq!(get(address, LONG).outcome, Outcome::Ok);
}

#[test]
fn what_is_not_http_is_a_bad_status() {
    let (address, _) = serve(|stream, _| say(stream, "SSH-2.0-OpenSSH_9.9\r\n"));
    let sample = get(address, LONG);
    assert_eq!((sample.outcome, sample.status), (Outcome::BadStatus, None));
    assert!(sample.message.ends_with("malformed HTTP response \"SSH-2.0-OpenSSH_9.9\""), "{}", sample.message);
}

#[test]
fn a_server_that_talks_first_is_answered_all_the_same() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        say(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        wait_for_close(&mut stream);
    });
    assert_eq!(get(address, LONG).outcome, Outcome::Ok);
}

#[test]
fn a_connection_closed_before_the_answer_is_a_reset() {
    let (address, _) = serve(|stream, _| stream.shutdown(Shutdown::Both).unwrap());
    let sample = get(address, LONG);
    assert_eq!((sample.outcome, sample.discarded), (Outcome::Reset, false));
    assert_eq!(sample.message, format!("Get \"http://{address}/healthz\": EOF"));

    let (address, _) = serve(|stream, _| say(stream, "HTTP/1.1 200 OK\r\nContent-"));
    let sample = get(address, LONG);
    assert_eq!((sample.outcome, sample.discarded), (Outcome::Reset, false));
    assert!(sample.message.ends_with("unexpected EOF"), "{}", sample.message);
}

#[test]
fn a_connection_reset_before_the_answer_is_a_reset() {
    // Closing with the request unread makes the kernel answer with a reset.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.peek(&mut [0]).unwrap();
    });
    let sample = get(address, LONG);
    assert_eq!((sample.outcome, sample.status), (Outcome::Reset, None));
    assert!(sample.message.ends_with("read: connection reset by peer"), "{}", sample.message);
}

#[test]
fn probes_follow_their_ticks_and_a_slow_one_costs_those_it_covers() {
    let (address, _) = serve(|stream, n| {
        if n == 1 {
            wait_for_close(stream);
        } else {
            say(stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let (period, timeout) = (Duration::from_millis(100), Duration::from_millis(330));
    let samples = take(3, &ProbePlan { address, period, timeout, ..plan() });
    assert_eq!(
        samples.iter().map(|s| s.outcome).collect::<Vec<_>>(),
        [Outcome::Ok, Outcome::ResponseTimeout, Outcome::Ok]
    );
    assert!(samples.iter().enumerate().all(|(n, s)| s.seq == n as u64 && s.started_ns >= s.intended_ns));
    assert_eq!(samples[0].intended_ns, 0);
    assert!(samples[2].missed_ticks >= 2 && samples[2].intended_ns == samples[1].intended_ns + 330_000_000);
}

#[test]
fn stop_abandons_the_probe_in_flight() {
    let asked = Arc::new(tokio::sync::Notify::new());
    let told = Arc::clone(&asked);
    let (address, _) = serve(move |stream, _| {
        told.notify_one();
        wait_for_close(stream);
    });
    let plan = ProbePlan { address, timeout: Duration::from_secs(3_600), ..plan() };
    let mut samples = 0;
    block_on(run(&plan, monotonic_ns(), None, asked.notified(), |_| samples += 1)).unwrap();
    assert_eq!(samples, 0);
}

#[test]
fn until_finishes_the_probe_in_flight_and_begins_no_other() {
    let (address, requests) = serve(|stream, _| wait_for_close(stream));
    let plan = ProbePlan { address, timeout: Duration::from_millis(200), ..plan() };
    let mut samples = Vec::new();
    let never = std::future::pending::<()>();
    block_on(run(&plan, monotonic_ns(), Some(5_000_000_000), never, |s| samples.push(s.clone()))).unwrap();
    assert_eq!(samples.iter().map(|s| s.outcome).collect::<Vec<_>>(), [Outcome::ResponseTimeout]);
    let never = std::future::pending::<()>();
    block_on(run(&plan, monotonic_ns(), Some(0), never, |s| samples.push(s.clone()))).unwrap();
    assert_eq!((samples.len(), requests.lock().unwrap().len()), (1, 1));
}
