//! Which protocol a connection begins with: TLS, HTTP/2, or HTTP/1. By its first bytes, as multiplexers of ports tell. Pure.

/// The first byte of a TLS record that begins a handshake (RFC 8446, 5.1).
const HANDSHAKE: u8 = 0x16;
/// What a client sends first of all over HTTP/2 (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a connection begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// A handshake of TLS.
    Tls,
    /// The preface of HTTP/2, or the beginning of it.
    Http2,
    /// Something else, which is read as HTTP/1.
    Http1,
}

/// What these first bytes are. Of HTTP/2 one needs `PRI`: no method of HTTP/1 begins so.
pub fn sniff(first: &[u8]) -> Protocol {
    match first {
        [HANDSHAKE, ..] => Protocol::Tls,
        [b'P', b'R', b'I', ..] if PREFACE.starts_with(&first[..first.len().min(PREFACE.len())]) => Protocol::Http2,
        _ => Protocol::Http1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell() {
        assert_eq!(sniff(&[0x16, 3, 1]), Protocol::Tls);
        assert_eq!(sniff(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0"), Protocol::Http2);
        assert_eq!(sniff(b"PRI * HT"), Protocol::Http2);
        for other in [&b""[..], b"GET /", b"PR", b"PRINT /", b"PRI * HTTP/1.1"] {
            assert_eq!(sniff(other), Protocol::Http1, "{other:?}");
        }
    }
}
