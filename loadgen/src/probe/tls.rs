//! TLS as the kubelet's HTTP client speaks it: whoever answers is believed.
//!
//! `pkg/probe/http/http.go` sets `InsecureSkipVerify` and nothing else, and `SetTransportDefaults` (`apimachinery/pkg/util/net`) adds
//! HTTP/2, so that both protocols are offered. Go sends a name (SNI) only for a host that is one, and a probe's is a number, whatever a
//! `Host` header says. Its own limit of ten seconds for a handshake (`TLSHandshakeTimeout`) is not kept apart here: a longer time-out of
//! the probe ends the handshake.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::connect::Connection;
use super::fault::Fault;
use super::marks::Marks;
use super::wording;

/// The protocols offered, the one preferred first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Shakes hands over a connection that nothing was said on yet.
pub(super) async fn secure(connection: Connection, peer: IpAddr, marks: &Marks) -> Result<Secured, Fault> {
    marks.securing();
    let config = config().map_err(|error| Fault::Refused(format!("tls: {error}"), false))?;
    let connector = TlsConnector::from(Arc::new(config));
    let shaken = connector.connect(ServerName::IpAddress(peer.into()), connection.beneath()).await;
    let stream = shaken.map_err(|error| fault(error, marks))?;
    marks.secured();
    Ok(Secured { stream, marks: marks.clone() })
}

/// A connection with TLS on it, that marks the first bytes of an answer.
pub(super) struct Secured {
    stream: TlsStream<Connection>,
    marks: Marks,
}

impl Secured {
    /// Whether the server chose HTTP/2.
    pub(super) fn chose_http2(&self) -> bool {
        self.stream.get_ref().1.alpn_protocol() == Some(PROTOCOLS[0])
    }
}

impl Drop for Secured {
    /// Says the end in TLS before the connection is closed, as Go does, where that takes no waiting.
    fn drop(&mut self) {
        let (connection, session) = self.stream.get_mut();
        session.send_close_notify();
        let mut last = Vec::new();
        while session.wants_write() && session.write_tls(&mut last).is_ok_and(|written| written > 0) {}
        connection.last_words(&last);
    }
}

impl AsyncRead for Secured {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        match ready!(Pin::new(&mut this.stream).poll_read(cx, buf)) {
            // An end that TLS did not announce. Go takes it for one all the same (`crypto/tls`, `readRecordOrCCS`).
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Poll::Ready(Ok(())),
            other => other?,
        }
        this.marks.read(&buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Secured {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

fn config() -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    // Each probe is a new client, that has never been here.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// What a handshake that failed means. rustls wraps its own errors, and leaves those of the connection as they are.
fn fault(error: io::Error, marks: &Marks) -> Fault {
    let found = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match found {
        Some(rustls::Error::AlertReceived(alert)) => Fault::Refused(wording::alert(*alert), false),
        Some(rustls::Error::InvalidMessage(_)) => Fault::Refused(wording::not_tls(&marks.now().opening), false),
        Some(other) => Fault::Refused(format!("tls: {other}"), false),
        None if error.kind() == io::ErrorKind::UnexpectedEof => Fault::Closed,
        None => Fault::Io(error),
    }
}

/// Believes whoever answers. Signatures are not looked at either: they prove that the peer holds the key of a certificate that nobody
/// looks at, and to check them would refuse servers that a kubelet is content with, such as one with a short key.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    /// What Go offers (`crypto/tls`, `defaultSupportedSignatureAlgorithms`), from memory.
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        use SignatureScheme as S;
        vec![
            S::RSA_PSS_SHA256,
            S::ECDSA_NISTP256_SHA256,
            S::ED25519,
            S::RSA_PSS_SHA384,
            S::RSA_PSS_SHA512,
            S::RSA_PKCS1_SHA256,
            S::RSA_PKCS1_SHA384,
            S::RSA_PKCS1_SHA512,
            S::ECDSA_NISTP384_SHA384,
            S::ECDSA_NISTP521_SHA512,
            S::RSA_PKCS1_SHA1,
            S::ECDSA_SHA1_Legacy,
        ]
    }
}
