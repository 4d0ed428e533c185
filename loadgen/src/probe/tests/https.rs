//! `httpGet` over TLS, against the built-in target and against servers of rustls with settings of their own.

use std::io::Read;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use brimful_loadgen_plan::probe::{Action, HttpGet, Outcome, Sample, Scheme};
use brimful_target_plan::TargetPlan;
use rustls::ServerConfig;
use rustls::crypto::ring;
use tokio_rustls::TlsAcceptor;

use super::grpc::target;
use super::*;

const LONG: u64 = 30_000;

fn get(address: SocketAddr, timeout_ms: u64) -> Sample {
    let action = HttpGet { path: "/healthz".to_owned(), scheme: Scheme::Https, headers: Vec::new() };
    one(Action::HttpGet(action), address, Duration::from_millis(timeout_ms))
}

#[test]
fn a_certificate_that_nobody_knows_passes_and_tls_has_a_time_of_its_own() {
    let address = target(|plan| TargetPlan { tls: true, ..plan });
    let sample = get(address, LONG);
    assert_eq!((sample.outcome, sample.status, sample.message.as_str()), (Outcome::Ok, Some(200), ""));
    let (connect, tls, first) = (sample.connect_ns.unwrap(), sample.tls_ns.unwrap(), sample.first_byte_ns.unwrap());
    assert!(tls > 0 && connect + tls <= first, "{connect} {tls} {first}");
    // The same listener answers without TLS, as ever.
    assert_eq!(one(Action::http_get("/healthz"), address, Duration::from_millis(LONG)).outcome, Outcome::Ok);
}

#[test]
fn a_server_without_tls_is_told_from_one_that_is_no_server() {
    let sample = get(target(|plan| plan), LONG);
    assert_eq!((sample.outcome, sample.tls_ns), (Outcome::BadStatus, None));
    assert!(sample.message.ends_with(": http: server gave HTTP response to HTTPS client"), "{}", sample.message);
}

#[test]
fn a_handshake_that_does_not_come_is_a_response_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.accept().unwrap().0.read_to_end(&mut Vec::new()));
    let sample = get(address, 300);
    assert_eq!((sample.outcome, sample.tls_ns, sample.first_byte_ns), (Outcome::ResponseTimeout, None, None));
    assert!(sample.connect_ns.is_some());
    assert!(sample.message.ends_with("(Client.Timeout exceeded while awaiting headers)"), "{}", sample.message);
}

/// One that speaks TLS with these protocols, and HTTP/2 where that is chosen; its second connection is asked whether it resumed.
fn over_http2() -> SocketAddr {
    let made = rcgen::generate_simple_self_signed(["elsewhere.example".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    thread::spawn(move || {
        block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let acceptor = TlsAcceptor::from(Arc::new(config));
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let stream = acceptor.accept(stream).await.unwrap();
                let session = stream.get_ref().1;
                // No name is sent, and nothing of the session before is remembered.
                let strange = session.server_name().is_some()
                    || session.handshake_kind() != Some(rustls::HandshakeKind::Full)
                    || session.alpn_protocol() != Some(b"h2");
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    let right = request.uri().path() == "/healthz"
                        && request.headers()["user-agent"] == "kube-probe/1.35"
                        && !request.headers().contains_key("connection");
                    let status = if right && !strange { 200 } else { 500 };
                    let response = ::http::Response::builder().status(status).body(()).unwrap();
                    respond.send_response(response, false).unwrap().send_data("ok".into(), true).unwrap();
                }
            }
        });
    });
    address
}

#[test]
fn a_server_that_prefers_http2_is_asked_in_it_each_time_anew() {
    let address = over_http2();
    for _ in 0..2 {
        let sample = get(address, LONG);
        assert_eq!((sample.outcome, sample.status), (Outcome::Ok, Some(200)), "{}", sample.message);
        assert!(sample.tls_ns.is_some() && sample.first_byte_ns.is_some());
    }
}
