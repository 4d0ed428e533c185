//! The certificate of a server that speaks TLS: made at its start, signed by itself, gone with the process.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;

use crate::error::TargetError;

/// What is spoken with; its one protocol is HTTP/1.1. No session is kept, so that every handshake is a whole one, as it is for a
/// client that never comes back.
pub(crate) fn config(address: IpAddr) -> Result<Arc<ServerConfig>, TargetError> {
    let made = rcgen::generate_simple_self_signed([address.to_string(), "localhost".to_owned()]);
    let made = made.map_err(|error| TargetError::Certificate(error.to_string()))?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let refused = |error: rustls::Error| TargetError::Certificate(error.to_string());
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(refused)?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .map_err(refused)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}
