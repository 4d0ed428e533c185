//! Connections that send something, and read what comes of it.

use std::io::{Read as _, Write as _};
use std::thread::{JoinHandle, spawn};

use brimful_loadgen_plan::plan::{SLOW_ANSWER_BYTES, SLOW_RECEIVE_BYTES};

use super::*;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";

fn beating(connections: u64, net: u8, destination: SocketAddr, interval_ms: u64) -> LoadPlan {
    let behaviour = Behaviour::Heartbeat { interval: Duration::from_millis(interval_ms), share_percent: 100 };
    LoadPlan { behaviour, path: "/healthz".to_owned(), ..plan(connections, net, destination) }
}

/// Accepts one connection and answers each request with what `answer` makes of its number, until it has none or the peer is gone. Keeps
/// the connection for whoever joins.
fn server(listener: TcpListener, answer: fn(usize) -> Option<Vec<u8>>) -> JoinHandle<(TcpStream, Vec<u8>)> {
    spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut heard, mut requests) = (Vec::new(), 0);
        let mut bytes = [0; 512];
        while let Ok(read @ 1..) = stream.read(&mut bytes) {
            heard.extend_from_slice(&bytes[..read]);
            while heard.windows(4).filter(|end| end == b"\r\n\r\n").count() > requests {
                let Some(answer) = answer(requests) else { return (stream, heard) };
                requests += 1;
                // The peer may be gone.
                if stream.write_all(&answer).is_err() {
                    return (stream, heard);
                }
            }
        }
        (stream, heard)
    })
}

#[test]
fn a_heartbeat_is_answered_and_its_round_trip_is_recorded() {
    let (listener, address) = listening("127.88.41.200:0", 4);
    let server = server(listener, |_| Some(OK.to_vec()));
    let mut beats = 0;
    let held = run_until(&beating(1, 41, address, 20), |_| {
        beats += 1;
        beats == 4
    });
    let (outcome, beats) = (&held.outcome, held.outcome.heartbeats);
    assert!(beats.sent >= 10 && beats.sent - beats.answered <= 1, "{beats:?}");
    assert_eq!((beats.bad_status, beats.broken, beats.refused), (0, 0, 0));
    assert_eq!((outcome.heartbeat_latency.count(), outcome.heartbeat_lag.count()), (beats.answered, beats.sent));
    assert!(outcome.heartbeat_latency.max() > 0);
    drop(held);
    let (_, heard) = server.join().unwrap();
    assert!(heard.starts_with(b"GET /healthz HTTP/1.1\r\nHost: "), "{}", String::from_utf8_lossy(&heard));
}

#[test]
fn an_answer_that_is_never_complete_is_missed_and_a_bad_status_counts() {
    let (listener, address) = listening("127.88.42.200:0", 4);
    let server = server(listener, |number| match number {
        0 => Some(OK[..20].to_vec()),
        1.. => Some(b"HTTP/1.1 503 Busy\r\n\r\n".to_vec()),
    });
    // The first answer is never completed, so every later beat is missed and nothing is sent.
    let held = run_until(&beating(1, 42, address, 20), |p| p.at_ns > 300_000_000);
    let beats = held.outcome.heartbeats;
    assert_eq!((beats.sent, beats.answered), (1, 0));
    assert!(beats.missed >= 3, "{beats:?}");
    drop(held);
    drop(server.join().unwrap());

    let (listener, address) = listening("127.88.42.201:0", 4);
    let server = self::server(listener, |_| Some(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n".to_vec()));
    let held = run_until(&beating(1, 43, address, 20), |p| p.at_ns > 200_000_000);
    let beats = held.outcome.heartbeats;
    assert!(beats.answered > 0 && beats.bad_status == beats.answered, "{beats:?}");
    drop(held);
    drop(server.join().unwrap());
}

#[test]
fn a_connection_that_ends_owes_an_answer() {
    let (listener, address) = listening("127.88.44.200:0", 4);
    let server = server(listener, |_| None);
    let closer = spawn(move || drop(server.join().unwrap()));
    let held = run_until(&beating(1, 44, address, 20), |p| p.failed == 1);
    assert_eq!(failures(&held), [(Phase::Hold, "EOF", 1)]);
    assert_eq!((held.outcome.heartbeats.sent, held.outcome.heartbeats.broken), (1, 1));
    closer.join().unwrap();
}

#[test]
fn who_does_not_beat_is_idle() {
    let (_listener, address) = listening("127.88.45.200:0", 512);
    let behaviour = Behaviour::Heartbeat { interval: Duration::from_millis(10), share_percent: 0 };
    let held = run_until(&LoadPlan { behaviour, ..plan(200, 45, address) }, |p| p.held == 200);
    assert!(held.outcome.heartbeats.is_none() && held.outcome.heartbeat_lag.count() == 0);
}

/// Accepts one connection and sends an answer of `SLOW_ANSWER_BYTES` as far as the peer takes it within the test; says how much that was.
fn fills(listener: TcpListener) -> JoinHandle<usize> {
    spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        assert!(stream.read(&mut [0; 512]).unwrap() > 0);
        socket2::SockRef::from(&stream).set_send_buffer_size(16 * 1_024).unwrap();
        let body = usize::try_from(SLOW_ANSWER_BYTES).unwrap();
        let answer =
            [format!("HTTP/1.1 200 OK\r\nContent-Length: {body}\r\n\r\n").as_bytes(), &vec![b'x'; body]].concat();
        let mut sent = 0;
        while let Ok(taken @ 1..) = stream.write(&answer[sent..]) {
            sent += taken;
        }
        sent
    })
}

#[test]
fn a_slow_reader_reads_slowly_and_one_that_never_reads_takes_in_little() {
    for (rate, net) in [(5_000, 46), (0, 47)] {
        let (listener, address) = listening(&format!("127.88.{net}.200:0"), 4);
        let server = fills(listener);
        let slow = LoadPlan { behaviour: Behaviour::SlowReader { rate }, ..plan(1, net, address) };
        let held = run_until(&slow, |p| p.at_ns > 1_000_000_000);
        let read = held.outcome.read_bytes;
        assert_eq!((held.outcome.held, held.outcome.failures.len()), (1, 0));
        if rate == 0 {
            assert_eq!(read, 0);
        } else {
            // 500 bytes each 100 ms, nine or ten times.
            assert!((4_000..=5_500).contains(&read) && read.is_multiple_of(500), "{read}");
        }
        drop(held);
        // What the server got rid of lies in the two small buffers: far less than the whole.
        let sent = server.join().unwrap();
        assert!((SLOW_RECEIVE_BYTES / 2..200_000).contains(&sent), "{sent}");
    }
}
